"""A record of `signals` from a host with its clock ahead moves no clock, and a replay refuses it too."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest_asyncio
from msgspec.structs import replace
from redis.asyncio import Redis

from resegment.agents.batch import Batch, RecordedMessage
from resegment.agents.dead_letters import read_dead_letter
from resegment.agents.segmenter import segment
from resegment.schemas.fact import Fact
from resegment.schemas.times import parse_instant
from resegment.state.redis.client import read_time
from resegment.streams.ahead import AheadRecords, find_ahead_records, leave_out, look_for_ahead_records
from tests.builders import Rig, facts_of, signal, ticking
from tests.oracle.cases import DAY, day, funding, only

FILE = only({"event": "funding", "within": "7d"})
FAR = parse_instant("2036-01-01T00:00:00Z")


def fact_of(account: str) -> Fact:
    return replace(facts_of([funding(day(0))])[0], account=account)


LOG = [
    signal(0, fact_of("acme.com"), day(0)),
    ticking(1, FAR),
    signal(2, fact_of("other.com"), FAR),
    signal(3, fact_of("third.com"), day(1)),
]


@dataclass
class Worker:
    """A segmenter over an empty partition, at some time."""

    client: Redis
    prefix: str
    now: int
    remember: bool = True
    rig: Rig = field(default_factory=lambda: Rig(FILE))

    async def read(self, log: list[RecordedMessage] = LOG) -> Rig:
        found = find_ahead_records(self.client, self.prefix, "wall", lambda: self.now, remember=self.remember)
        assert isinstance(found, AheadRecords)
        await self.rig.take()
        batch = Batch("signals", 0, log)
        await segment(
            batch,
            self.rig.owned,
            self.rig.versions,
            publisher=self.rig.published,
            factory=self.rig.factory,
            dead_letters="dead-letters",
            ahead=await found.find(batch),
        )
        await self.rig.settle()
        return self.rig


@pytest_asyncio.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def test_a_record_of_the_future_is_a_dead_letter_and_ends_no_window(client: Redis) -> None:
    rig = await Worker(client, uuid.uuid4().hex, day(2)).read()
    assert rig.owned.position.clock == day(1)
    assert rig.owned.position.offset == 4
    assert {name: rig.state(name).membership.segment for name in rig.memory.accounts} == {
        "acme.com": "in",
        "third.com": "in",
    }
    letters = [read_dead_letter(one.headers, one.key, one.value) for one in rig.published.to("dead-letters")]
    assert [(one["offset"], one["reason"]) for one in letters] == [(1, "clock-ahead"), (2, "clock-ahead")]
    assert "2036-01-01T00:00:00Z is ahead of the time" in letters[0]["message"]


async def test_a_replay_decides_the_same_even_when_the_time_has_come(client: Redis) -> None:
    prefix = uuid.uuid4().hex
    live = await Worker(client, prefix, day(2)).read()
    for remember in (True, False):
        later = await Worker(client, prefix, FAR + DAY, remember).read()
        assert later.owned.position.clock == day(1)
        assert later.standing() == live.standing()


async def test_what_only_looks_remembers_nothing(client: Redis) -> None:
    prefix = uuid.uuid4().hex
    rig = await Worker(client, prefix, day(2), remember=False).read()
    assert rig.owned.position.clock == day(1)
    assert [key async for key in client.scan_iter(f"*{prefix}*")] == []


async def test_another_record_at_the_same_offset_of_a_new_log_is_judged_for_itself(client: Redis) -> None:
    prefix = uuid.uuid4().hex
    await Worker(client, prefix, day(2)).read()
    rig = await Worker(client, prefix, day(9)).read([LOG[0], ticking(1, day(8))])
    assert rig.owned.position.clock == day(8)


def test_on_the_clock_of_the_facts_no_record_is_ahead(redis_url: str) -> None:
    assert find_ahead_records(Redis.from_url(redis_url), "p", "facts", lambda: 0) is None


async def test_a_command_leaves_out_what_workers_refused_and_remembers_nothing(client: Redis) -> None:
    prefix = uuid.uuid4().hex
    found = await look_for_ahead_records(client, prefix, "wall", 300_000)
    left = await leave_out(found, Batch("signals", 0, LOG))
    assert [one.offset for one in left] == [0, 3]
    assert await leave_out(None, Batch("signals", 0, LOG)) == LOG
    assert [key async for key in client.scan_iter(f"*{prefix}*")] == []


async def test_the_clock_of_redis_is_read_in_milliseconds(client: Redis) -> None:
    seconds, _ = await client.time()
    assert abs(await read_time(client) - int(seconds) * 1000) < 2_000
