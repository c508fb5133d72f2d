"""What Redis keeps of an account beside its state is found and deleted, and nothing of others."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import msgspec
import orjson
import pytest

from resegment.identity.merges import Operation
from resegment.schemas.identities.records import Forget
from resegment.schemas.logs.call_log import LoggedContact, WrittenFields
from resegment.schemas.partitioning import partition_of
from resegment.state.redis.keys import (
    PartitionKeys,
    calls_key,
    fields_key,
    people_key,
    refresh_key,
    sinks_key,
    spot_checks_key,
)
from resegment.state.sinks.people import PeopleStore, Person
from resegment.streams.forgetting import forgetting
from resegment.streams.forgetting.pending import PendingForget
from resegment.streams.forgetting.places import AccountPlaces
from resegment.streams.forgetting.spellings import find_spellings

PARTITIONS = 4
pack = msgspec.msgpack.encode


class Hashes:
    """The commands of Redis that a worker may use on hashes."""

    def __init__(self) -> None:
        self.held: defaultdict[str, dict[bytes, bytes]] = defaultdict(dict)

    async def hgetall(self, key: str) -> dict[bytes, bytes]:
        return dict(self.held[key])

    async def hget(self, key: str, field: Any) -> bytes | None:
        return self.held[key].get(_bytes(field))

    async def hlen(self, key: str) -> int:
        return len(self.held[key])

    async def hdel(self, key: str, *fields: Any) -> None:
        for field in fields:
            self.held[key].pop(_bytes(field), None)

    async def hset(self, key: str, field: Any = None, value: Any = None, mapping: Any = None) -> None:
        given = mapping or {field: value}
        self.held[key].update({_bytes(name): _bytes(one) for name, one in given.items()})

    async def delete(self, *keys: str) -> None:
        for key in keys:
            self.held.pop(key, None)

    def text(self) -> bytes:
        return repr({key: fields for key, fields in self.held.items() if fields}).encode().lower()


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def contact(first: str, last: str, email: str) -> LoggedContact:
    return LoggedContact(contact={"first_name": first, "last_name": last, "email": email})


@pytest.fixture
async def redis() -> Hashes:
    """Return a Redis with two persons of two accounts, everywhere."""
    made = Hashes()
    store = PeopleStore(made, "p")  # type: ignore[arg-type]
    for account in ("acme.com", "b.com"):
        number = partition_of(account.encode(), PARTITIONS)
        for first, last, email in (("Ann", "Lee", f"ann@{account}"), ("Bo", "Ek", f"bo@{account}")):
            await store.keep(account, email, Person(at=1, email=email, first_name=first, last_name=last))
        enrolled = [contact("Ann", "Lee", f"ann@{account}"), contact("Bo", "Ek", f"bo@{account}")]
        await made.hset(
            calls_key("p", "crm", account),
            mapping={"enrolled:w": pack(enrolled), "result:k": pack({"said": f"ann@{account} replied"})},
        )
        await made.hset(fields_key("p", "crm"), account, pack(WrittenFields({"owner": "ann lee"})))
        await made.hset(refresh_key("p", number), account, "5")
        await made.hset(PartitionKeys.of("p", number).folded, account, b"facts of ann")
        await made.hset(spot_checks_key("p"), account, orjson.dumps({"named": {account: "ann"}}))
    notes = [{"account": name, "what": f"ann@{name} bounced"} for name in ("acme.com", "b.com")]
    await made.hset(sinks_key("p"), mapping={"begun:crm:t": "1", "notes:crm": orjson.dumps(notes)})
    return made


async def test_all_of_an_account_is_found_and_deleted_and_nothing_of_another(redis: Hashes) -> None:
    places = AccountPlaces(redis, "p", PARTITIONS)  # type: ignore[arg-type]
    other = await places.count("b.com")
    assert other == {
        "persons": 2, "call logs": 1, "fields of sinks": 1, "requests for attributes": 1, "notes of sinks": 1,
        "facts folded in": 1, "findings of spot checks": 1,
    }  # fmt: skip
    for _ in range(2):
        await places.clear("acme.com")
        assert await places.count("acme.com") == {}
        assert await places.count("b.com") == other
    assert b"ann@acme.com" not in redis.text()
    assert b"ann@b.com" in redis.text()


async def test_all_of_a_person_is_deleted_by_every_spelling_and_nothing_of_another(redis: Hashes) -> None:
    store = PeopleStore(redis, "p")  # type: ignore[arg-type]
    spellings = find_spellings("ANN  lee", await store.read("acme.com"), [])
    assert set(spellings) == {"ann lee", "ann@acme.com"}
    pending = PendingForget(wish=Forget(account="acme.com", at=1), spellings=spellings)
    places = AccountPlaces(redis, "p", PARTITIONS)  # type: ignore[arg-type]
    for _ in range(2):
        await places.clear_person("acme.com", pending)
    assert [one.email for one in await store.read("acme.com")] == ["bo@acme.com"]
    enrolled = msgspec.msgpack.decode(redis.held[calls_key("p", "crm", "acme.com")][b"enrolled:w"])
    assert [one["contact"]["email"] for one in enrolled] == ["bo@acme.com"]
    assert b"ann@acme.com" not in redis.text()
    assert await redis.hlen(people_key("p", "b.com")) == 2
    assert b"ann@b.com" in redis.text()


async def test_who_is_named_like_the_person_keeps_contact_and_opt_out(redis: Hashes) -> None:
    store = PeopleStore(redis, "p")  # type: ignore[arg-type]
    await store.keep(
        "acme.com", "joann@acme.com", Person(at=1, email="joann@acme.com", first_name="Ann", opted_out=True)
    )
    pending = PendingForget(wish=Forget(account="acme.com", at=1), spellings=("ann lee", "ann@acme.com"))
    await AccountPlaces(redis, "p", PARTITIONS).clear_person("acme.com", pending)  # type: ignore[arg-type]
    assert {one.email for one in await store.read("acme.com")} == {"bo@acme.com", "joann@acme.com"}


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Said so to Ann  LEE.", True),
        ("x " * 600 + "ann lee", True),
        ("mailto:ann@acme.com", True),
        ("joann@acme.com, Ann Leeds", False),
    ],
)
def test_a_text_of_any_length_quotes_a_person_in_words_of_their_own(text: str, quoted: bool) -> None:
    pending = PendingForget(wish=Forget(account="acme.com", at=1), spellings=("ann lee", "ann@acme.com"))
    assert pending.quotes(text) is quoted


async def test_who_is_in_a_sequence_is_known_until_the_sink_has_taken_them_out(
    redis: Hashes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "PAUSE", 0.0)
    account = Operation(1, "forget", "acme.com", "acme.com", 0, path=("acme.com",))
    clearing = asyncio.create_task(forgetting.Forgetting(redis, "p", PARTITIONS, None).clear(account))  # type: ignore[arg-type]
    for _ in range(100):
        await asyncio.sleep(0)
    key = calls_key("p", "crm", "acme.com")
    assert redis.held[key]
    await redis.hset(key, mapping={"enrolled:w": pack([]), "result:stop": pack({})})
    await asyncio.wait_for(clearing, 60.0)
    assert not redis.held[key]


async def test_a_sink_that_is_away_does_not_hold_up_a_forget_for_ever(
    redis: Hashes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "LEAVING", 0.01)
    account = Operation(1, "forget", "acme.com", "acme.com", 0, path=("acme.com",))
    await asyncio.wait_for(forgetting.Forgetting(redis, "p", PARTITIONS, None).clear(account), 5.0)  # type: ignore[arg-type]
    assert not redis.held[calls_key("p", "crm", "acme.com")]


async def test_a_note_about_an_account_named_alike_stays(redis: Hashes) -> None:
    notes = [{"account": name, "text": "no contact"} for name in ("acme.com", "big-acme.com", "acme.com.au")]
    await redis.hset(sinks_key("p"), "notes:crm", orjson.dumps(notes))
    places = AccountPlaces(redis, "p", PARTITIONS)  # type: ignore[arg-type]
    await places.clear("acme.com")
    left = [one["account"] for one in orjson.loads(redis.held[sinks_key("p")][b"notes:crm"])]
    assert left == ["big-acme.com", "acme.com.au"]
    assert (await places.count("acme.com")) == {}
