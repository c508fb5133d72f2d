"""A prefix as the release left it that stored states as arrays: it is read, decided and converted while it runs.

`state-of-arrays.msgpack.zlib` holds what that release wrote to Redis for two partitions of 42 accounts, and the records
of `signals` before and after that moment: facts with revisions, retractions and second deliveries, two long accounts,
entries in the outboxes, accounts that the router enrolled.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from redis.asyncio import Redis

from resegment.agents.batch import Batch
from resegment.agents.deciding.versions import one_version
from resegment.agents.partition import OwnedPartition
from resegment.agents.segmenter import decide_due, segment
from resegment.schemas.change import SegmentChange
from resegment.schemas.logs.log_framing import is_log
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.state import AccountState
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine, net_changes
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.versions.comparison import compare_states, find_cooldowns
from resegment.state.memory.partition import Memory
from resegment.state.memory.partition import PartitionStore as MemoryStore
from resegment.state.redis.keys import PartitionKeys
from resegment.state.redis.partition import PartitionStore
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka.topics import Topics
from resegment.streams.message_factory import MessageFactory
from tests.builders import Published, RecordedMessage, definition_of, moves

FILE = Path(__file__).parents[1] / "data" / "state-of-arrays.msgpack.zlib"
NUMBERS = (0, 1)


class Fixture(msgspec.Struct):
    """What the file holds. `keys` has the type of each key, and its content."""

    segments: str
    upgraded: int
    records: dict[int, list[tuple[int, bytes, bytes]]]
    keys: dict[bytes, tuple[str, Any]]


class Prefix:
    """The prefix in Redis, and one in memory that reads the log from its beginning."""

    def __init__(self, client: Redis, fixture: Fixture, name: str) -> None:
        self.client, self.fixture, self.name = client, fixture, name
        self.definition = definition_of(yaml.safe_load(fixture.segments))
        self.engine = Engine(Program(self.definition))
        self.versions = one_version(self.engine)
        self.factory = MessageFactory(self.definition, Topics())
        self.reader = PrefixReader(client, name, len(NUMBERS))
        self.owned = {
            number: OwnedPartition(number, PartitionStore(client, name, number), self.versions)
            for number in NUMBERS
        }

    async def restore(self) -> None:
        for key, (kind, content) in self.fixture.keys.items():
            name = key.replace(b"{before", b"{" + self.name.encode(), 1)
            if kind == "hash":
                await self.client.hset(name, mapping=content)  # type: ignore[misc]
            elif kind == "zset":
                await self.client.zadd(name, dict(content))
            elif kind == "stream":
                for entry, fields in content:
                    await self.client.xadd(name, fields, id=entry)
            else:
                await self.client.set(name, content)

    def records(self, number: int) -> list[RecordedMessage]:
        return [
            RecordedMessage(offset, at, key, value)
            for offset, (at, key, value) in enumerate(self.fixture.records[number])
        ]

    async def feed(
        self, owned: OwnedPartition[Account], records: Sequence[RecordedMessage]
    ) -> list[SegmentChange]:
        """Decide the records in batches of ten."""
        changes: list[SegmentChange] = []
        for start in range(0, len(records), 10):
            batch = Batch("signals", owned.number, records[start : start + 10])
            done = await segment(
                batch, owned, self.versions, publisher=Published(), factory=self.factory, dead_letters="dead"
            )
            assert not done.refused
            changes += done.changes
            while owned.due:
                changes += await decide_due(owned, self.versions, factory=self.factory)
        return changes

    async def replayed(self, number: int) -> tuple[dict[str, AccountState], list[SegmentChange]]:
        memory = Memory()
        owned = OwnedPartition(number, MemoryStore(memory, number), self.versions)
        await owned.take("log-1")
        changes = await self.feed(owned, self.records(number))
        return {name: decode_state(value) for name, value in memory.accounts.items()}, changes


@pytest.fixture(scope="module")
def fixture() -> Fixture:
    return msgspec.msgpack.decode(zlib.decompress(FILE.read_bytes()), type=Fixture)


async def test_a_running_prefix_is_decided_on_as_if_it_had_always_been_stored_as_now(
    redis_url: str, fixture: Fixture
) -> None:
    async with Redis.from_url(redis_url) as client:
        prefix = Prefix(client, fixture, uuid.uuid4().hex)
        await prefix.restore()
        converted = chunks = 0
        for number, owned in prefix.owned.items():
            records = prefix.records(number)
            old = [one for one in records if one.timestamp < fixture.upgraded]
            assert await owned.take("log-1") == len(old) - 1
            assert len(owned.outbox.entries) == {0: 2, 1: 3}[number]
            changes = await prefix.feed(owned, records[len(old) - 1 :])

            states, all_changes = await prefix.replayed(number)
            mine, whole = set(moves(net_changes(changes))), set(moves(net_changes(all_changes)))
            assert len(mine) > 5
            assert mine == {one for one in whole if one[3] > old[-1].timestamp}
            stored = {name: value async for name, value in prefix.reader.raw_states(number)}
            assert stored.keys() == states.keys()
            for name, value in stored.items():
                found, cooldowns = decode_state(value), find_cooldowns(prefix.versions.timeline)
                assert compare_states(name, found, states[name], cooldowns=cooldowns) == []
                converted += is_log(value)
            assert await prefix.reader.missing(number) == []
            chunks += await client.hlen(PartitionKeys.of(prefix.name, number).chunks)  # type: ignore[misc]
        assert converted > 30
        assert chunks > 0


async def test_states_of_that_release_are_read_before_any_worker_has_converted_them(
    redis_url: str, fixture: Fixture
) -> None:
    async with Redis.from_url(redis_url) as client:
        prefix = Prefix(client, fixture, uuid.uuid4().hex)
        await prefix.restore()
        names = [key.decode() for number in NUMBERS for _, key, _ in fixture.records[number]]
        names = sorted(set(names), key=names.index)
        raw = {name: value for number in NUMBERS async for name, value in prefix.reader.raw_states(number)}
        found = [decode_state(raw[name]) for name in names if name in raw]
        assert len(found) == 42
        assert max(len(one.entries) for one in found) > 100
        assert any(entry.older and entry.retracted for one in found for entry in one.entries)
        places = [place async for batch in prefix.reader.places() for place in batch]
        assert {place.account: place.segment for place in places} == {
            name: decode_state(raw[name]).membership.segment for name in raw
        }
        assert len([one async for batch in prefix.reader.routings() for one in batch]) == 42
        for number in NUMBERS:
            assert await prefix.reader.missing(number) == await prefix.reader.missing(number, "router") == []
