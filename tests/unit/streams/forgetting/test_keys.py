"""What a forget does to keys, and what is kept until it is complete."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.identity.merges import Identities, Operation
from resegment.schemas.fact import Fact
from resegment.schemas.identities.records import Forget, encode_identity_record
from resegment.schemas.privacy.fields import normalize_person
from resegment.schemas.privacy.names import NOBODY
from resegment.schemas.privacy.wrapping import OperatorKey
from resegment.state.keys.rotation import rotate
from resegment.streams.forgetting.forgetting import Forgetting, KeysNeeded, destroy_keys
from resegment.streams.forgetting.pending import PendingForget, keep_pending, new_pending, read_pending
from resegment.streams.forgetting.requests import name_persons
from tests.builders import facts_of
from tests.oracle.cases import day, funding
from tests.sealing import new_keyring, seal_all


class Keys:
    """See `resegment.streams.sealing.keys.ProcessKeys`."""

    def __init__(self, ring: Any) -> None:
        self._ring = ring

    async def ring(self) -> Any:
        return self._ring


def about(account: str, person: str | None) -> Fact:
    one = funding(day(0), account=account, id=f"{account}-{person}")
    data = {**one["data"], "statement": "we grow"} | ({} if person is None else {"person": person})
    return facts_of([{**one, "data": data}])[0]


async def opened(ring: Any, facts: list[Fact]) -> list[str]:
    """Return the ids of those that can be opened."""
    opener = await ring.opener(facts)
    return [one.id for one in facts if opener(one) is not None]


def operation(**more: Any) -> Operation:
    return Operation(1, "forget", "acme.com", "acme.com", 0, path=("acme.com", "acme.io"), **more)


async def test_a_forgotten_account_and_its_aliases_cannot_be_opened_and_others_can() -> None:
    ring = await new_keyring()
    sealed = await seal_all(ring, [about(name, "Ann Lee") for name in ("acme.com", "acme.io", "b.com")])
    assert len(await opened(ring, sealed)) == 3
    await destroy_keys(ring, operation())
    assert len(await opened(ring, sealed)) == 1
    pairs = await ring.pairs([("acme.com", None), ("b.com", None)])
    assert [pairs[name, None] is None for name in ("acme.com", "b.com")] == [True, False]


async def test_a_forgotten_person_takes_no_other_facts_along_but_texts_where_that_is_asked_for() -> None:
    for texts in (False, True):
        ring = await new_keyring()
        facts = [about("acme.com", one) for one in ("Ann Lee", "Bo", None)]
        sealed = await seal_all(ring, facts)
        spelled = [normalize_person("ann  LEE") or ""]
        await destroy_keys(
            ring, operation(persons=name_persons(ring, ["acme.com", "acme.io"], spelled), texts=texts)
        )
        left = await opened(ring, sealed)
        assert len(left) == (1 if texts else 2)
        again = await ring.pairs([("acme.com", "ann lee"), ("acme.com", None)])
        assert [again["acme.com", one] is None for one in ("ann lee", None)] == [True, False]


async def test_dead_letters_of_no_account_that_name_the_person_are_forgotten_too() -> None:
    ring = await new_keyring()
    assert ring.names.person(NOBODY, "ann lee") in name_persons(ring, ["acme.com"], ["ann lee"])


async def test_what_is_pending_names_the_person_only_in_what_the_operators_key_wraps() -> None:
    ring = await new_keyring()
    wish = Forget(account="acme.com", at=5, pending=new_pending(), persons=("k",))
    await keep_pending(ring, PendingForget(wish=wish, spellings=("ann lee",)))
    assert all("ann" not in one for one in (await ring.store.pending()).values())
    (read,) = (await read_pending(ring)).values()
    assert read == PendingForget(wish=wish, spellings=("ann lee",))
    assert b"ann" not in encode_identity_record(wish)


async def test_a_forget_whose_command_died_is_found_at_the_second_look() -> None:
    ring = await new_keyring()
    wish = Forget(account="acme.com", at=5, pending=new_pending())
    await keep_pending(ring, PendingForget(wish=wish))
    forgetting = Forgetting(None, "p", 2, Keys(ring), settling=0)  # type: ignore[arg-type]
    identities = Identities()
    assert await forgetting.find_orphans(identities) == []
    assert [one.wish for one in await forgetting.find_orphans(identities)] == [wish]
    identities.take(encode_identity_record(wish))
    assert await forgetting.find_orphans(identities) == []


async def test_a_person_is_not_forgotten_by_a_worker_without_keys() -> None:
    forgetting = Forgetting(None, "p", 2, None, settling=0)  # type: ignore[arg-type]
    with pytest.raises(KeysNeeded):
        await forgetting.shred(operation(persons=("k",)))
    await forgetting.shred(operation())


async def test_after_the_undo_there_are_new_keys_and_the_old_facts_stay_closed() -> None:
    ring = await new_keyring()
    sealed = await seal_all(ring, [about("acme.com", "Ann Lee")])
    await destroy_keys(ring, operation())
    forgetting = Forgetting(None, "p", 2, Keys(ring), settling=0)  # type: ignore[arg-type]
    await forgetting.allow(Operation(2, "lift", "acme.com", "acme.com", 0, path=("acme.com",)))
    again = await seal_all(ring, [about("acme.com", "Ann Lee")])
    assert await opened(ring, sealed) == []
    assert await opened(ring, again) == [again[0].id]


async def test_a_rotation_brings_no_completed_forget_back_which_would_name_the_person_for_ever() -> None:
    ring = await new_keyring()
    pending = PendingForget(wish=Forget(account="acme.com", at=1, pending="x"), spellings=("ann lee",))
    await keep_pending(ring, pending)
    before = await ring.store.pending()
    looks = iter([before, {}])

    async def look() -> Any:  # a worker completes it right after the first look
        return next(looks)

    ring.store.pending = look  # type: ignore[method-assign]
    await ring.store.remove_pending("x")
    await rotate(ring.store, OperatorKey(b"n" * 32, b"o" * 32), "p")
    del ring.store.pending  # type: ignore[method-assign]
    assert await ring.store.pending() == {}
