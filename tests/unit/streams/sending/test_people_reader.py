"""The persons that are read from `signals`: opened, and none of forgotten accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from resegment.agents.batch import RecordedMessage
from resegment.schemas.fact import Fact, encode_fact
from resegment.schemas.state import AccountState, Identity
from resegment.streams.sending.people_reader import keep_people
from tests.sealing import new_keyring, seal_all


class Store:
    """See `resegment.state.sinks.people.PeopleStore`."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str | None]] = []

    async def keep(self, account: str, key: str, person: Any) -> None:
        self.kept.append((account, person.email))


class States:
    def __init__(self, **identities: Identity) -> None:
        self._identities = identities

    async def states(self, accounts: Sequence[str]) -> list[AccountState | None]:
        found = [self._identities.get(name.partition(".")[0]) for name in accounts]
        return [None if one is None else AccountState(identity=one) for one in found]


def person(account: str, email: str) -> Fact:
    data = {"person": email.partition("@")[0], "email": email, "title": "CTO"}
    return Fact(
        account=account, kind="people", id=email, source="crm", record=email, time=5, recorded=5, data=data
    )


def records(*facts: Fact, at: int = 10) -> list[Any]:
    return [
        RecordedMessage(offset, at, one.account.encode(), encode_fact(one))
        for offset, one in enumerate(facts)
    ]


async def test_sealed_persons_are_opened_and_forgotten_ones_are_left_out() -> None:
    ring = await new_keyring()
    facts = await seal_all(ring, [person("acme.com", "ann@acme.com"), person("acme.com", "bo@acme.com")])
    await ring.store.destroy([ring.names.person("acme.com", "ann")], forget=True)
    ring.drop()
    store = Store()
    await keep_people(records(*facts), store, States(), ring)  # type: ignore[arg-type]
    assert store.kept == [("acme.com", "bo@acme.com")]


async def test_persons_of_a_forgotten_account_are_not_kept_and_those_after_the_undo_are() -> None:
    forgotten = Identity(forgotten=True, forgets=1, until=20)
    facts = [person("acme.com", "ann@acme.com"), person("b.com", "bo@b.com")]
    for identity, at, kept in (
        (forgotten, 10, ["b.com"]),
        (forgotten, 30, ["b.com"]),
        (replace(forgotten, forgotten=False), 10, ["b.com"]),
        (replace(forgotten, forgotten=False), 30, ["acme.com", "b.com"]),
    ):
        store = Store()
        await keep_people(records(*facts, at=at), store, States(acme=identity), None)  # type: ignore[arg-type]
        assert [account for account, _ in store.kept] == kept
