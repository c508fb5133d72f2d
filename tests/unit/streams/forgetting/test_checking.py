"""`verify --forgotten` says what is left, until when, and what should be gone and is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from resegment.agents.batch import RecordedMessage
from resegment.identity.merges import Identities
from resegment.schemas.fact import Fact, encode_fact
from resegment.schemas.identities.records import Forget, Settled, encode_identity_record
from resegment.schemas.identities.steps import Step, encode_step, pack_facts
from resegment.schemas.state import AccountState, Identity
from resegment.state.keys.keyring import Keyring
from resegment.state.redis.keys import people_key
from resegment.streams.forgetting import checking
from resegment.streams.forgetting.checking import DAY, ForgottenCheck, Left
from resegment.streams.kafka.topics import Topics
from tests.sealing import new_keyring, seal_all
from tests.unit.streams.forgetting.test_places import Hashes


class Client(Hashes):
    archived = False

    async def exists(self, key: str) -> int:
        return int(self.archived)


class Reader:
    """The states of a prefix: what is forgotten is so."""

    prefix, partitions = "p", 4

    def __init__(self) -> None:
        self.state = AccountState(identity=Identity(forgotten=True))

    def partition_of(self, account: str) -> int:
        return 0

    async def states(self, accounts: Any) -> list[Any]:
        return [self.state for _ in accounts]


async def _has_records(check: ForgottenCheck, topic: Any) -> bool:
    return False


class Log:
    """The topic `signals`, as far as it is read."""

    records: ClassVar[list[Any]] = []

    def to_end(self) -> Any:
        async def read() -> AsyncIterator[list[Any]]:
            yield self.records

        return read()


@asynccontextmanager
async def _reading(*about: Any, **more: Any) -> AsyncIterator[Log]:
    yield Log()


@pytest.fixture
async def check(monkeypatch: pytest.MonkeyPatch) -> ForgottenCheck:
    monkeypatch.setattr(ForgottenCheck, "_has_records", _has_records)
    monkeypatch.setattr(checking, "reading", _reading)
    monkeypatch.setattr(Log, "records", [])
    about: Any = Client(), Reader(), "", Topics("p"), {}
    return ForgottenCheck(*about, await new_keyring(), timedelta(days=7), 30)


def ring_of(check: ForgottenCheck) -> Keyring:
    assert check.ring is not None
    return check.ring


def identities(*persons: str, settled: bool = True) -> Identities:
    made = Identities()
    made.take(encode_identity_record(Forget(account="acme.com", at=DAY, persons=persons)))
    if settled:
        made.take(encode_identity_record(Settled(op=1)))
    return made


def wrong(found: list[Left]) -> list[str]:
    return [one.what for one in found if one.is_wrong]


async def test_what_is_left_is_listed_until_it_is_gone_by_itself(check: ForgottenCheck) -> None:
    await ring_of(check).store.destroy([ring_of(check).names.account("acme.com")], forget=True)
    found = await check.look(identities(), DAY)
    assert wrong(found) == []
    untils = {one.what: one.until for one in found}
    assert untils["backups of Redis, Kafka and the key store"] == 31 * DAY
    assert untils["events whose subject is not resolved, as long as they wait"] == 91 * DAY
    later = {one.what for one in await check.look(identities(), 40 * DAY)}
    assert "backups of Redis, Kafka and the key store" not in later
    assert any("append-only file" in one for one in later)


async def test_records_that_were_purged_from_the_embedded_broker_are_still_in_its_journal(
    check: ForgottenCheck,
) -> None:
    journal = "the events as they were sent, in the journal of the embedded broker"
    assert journal not in await check.look_at_shared()
    assert (await replace(check, embedded=True).look_at_shared())[journal] == 7 * DAY


async def test_keys_that_a_backup_brought_back_are_wrong(check: ForgottenCheck) -> None:
    ring = ring_of(check)
    for persons, name in ((), ring.names.account("acme.com")), (("someone",), "someone"):
        assert wrong(await check.look(identities(*persons), DAY)) == ["keys of it are not destroyed"]
        await ring.store.destroy([name], forget=True)
        assert wrong(await check.look(identities(*persons), DAY)) == []


async def test_what_workers_have_not_done_and_what_redis_still_has_is_wrong(check: ForgottenCheck) -> None:
    await ring_of(check).store.destroy([ring_of(check).names.account("acme.com")], forget=True)
    assert wrong(await check.look(identities(settled=False), DAY)) == ["workers have not carried it out yet"]
    client: Any = check.client
    await client.hset(people_key("p", "acme.com"), "ann@acme.com", b"x")
    check.reader.state = AccountState()  # type: ignore[attr-defined]
    assert wrong(await check.look(identities(), DAY)) == ["Redis has its state", "Redis has persons: 1"]


async def test_events_from_before_there_were_keys_are_listed_as_plain_text(
    check: ForgottenCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = ring_of(check)
    about = {"kind": "people", "source": "/crm", "time": 1, "recorded": 1}
    facts = [
        Fact(account=account, id=str(number), record=str(number), data=data, **about)  # type: ignore[arg-type]
        for number, (account, data) in enumerate(
            [
                ("acme.com", {"person": "Ann Lee", "email": "ann@acme.com"}),
                ("acme.com", {"person": "Bo"}),
                ("acme.com", {"role": "cro"}),
                ("b.com", {"person": "Ann Lee"}),
            ]
        )
    ]
    (sealed,) = await seal_all(ring, facts[:1])
    step = encode_step(Step(step="join", op=1, account="acme.com", facts=pack_facts([*facts, sealed])))
    records = [RecordedMessage(0, 1, one.account.encode(), encode_fact(one)) for one in (*facts, sealed)]
    await ring.store.destroy([ring.names.person("acme.com", "ann@acme.com")], forget=True)
    ring.drop()
    person = identities(ring.names.person("acme.com", "ann@acme.com"))
    for log, expected in (
        ([], []),
        (records, ["1", "2"]),
        ([RecordedMessage(9, 1, None, step, [("identity", b"")])], ["1", "2"]),
    ):
        monkeypatch.setattr(Log, "records", log)
        found = [
            one.what.rpartition(" ")[2]
            for given in (person, identities())
            for one in await check.look(given, DAY)
            if "plain text" in one.what
        ]
        assert found == expected
