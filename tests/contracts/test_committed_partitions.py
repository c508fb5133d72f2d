"""A partition whose state Redis lost waits, alone, until it is rebuilt; it is never taken for a new one."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from resegment.agents.partition import OwnedPartition
from resegment.metrics import Metrics
from resegment.segmentation.evaluation.account import Account
from resegment.state.partition_store import Commit, Position
from resegment.state.redis.keys import PartitionKeys, prefix_key
from resegment.state.redis.partition import PartitionStore
from resegment.state.redis.reader import PrefixReader
from resegment.streams import partition_marks as marks
from resegment.streams.prefix import StateLost, agree, read_prefix
from resegment.streams.recovery.rebuild import LostPartition, find_lost
from resegment.streams.worker import committed_partitions as module
from resegment.streams.worker.committed_partitions import CommittedPartitions
from resegment.streams.worker.failure import Failure
from tests.builders import Rig, facts_of, signals
from tests.oracle.cases import day, funding, only

FILE = only({"event": "funding", "within": "7d"})
PARTS = ("meta", "accounts", "deadlines", "outbox", "sizes")


@dataclass
class Prefix:
    """A prefix of two partitions in Redis, and a worker's view of it."""

    client: Redis
    name: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        self.failure = Failure()
        self.metrics = Metrics()
        self.committed = CommittedPartitions(self.client, self.name, self.failure, self.metrics.waiting)
        self.reader = PrefixReader(self.client, self.name, 2)

    def open(self, number: int) -> OwnedPartition[Account]:
        rig = Rig(FILE)
        rig.owned.store = PartitionStore(self.client, self.name, number)
        return rig.owned

    async def take(self, number: int) -> int:
        owned = self.open(number)
        return await self.committed.take("segmenter", number, lambda known: owned.take("log", known=known))

    async def work(self, number: int) -> None:
        """Decide one account, so that every part of the partition holds something."""
        rig = Rig(FILE)
        rig.owned.store = PartitionStore(self.client, self.name, number)
        await self.committed.take("segmenter", number, lambda known: rig.owned.take("log", known=known))
        await rig.feed(*signals(facts_of([funding(day(0))])))
        router = PartitionStore(self.client, self.name, number, stage="router")
        await router.commit(Commit((await router.claim()).fence, Position(commit=1)))

    async def lose(self, number: int, *parts: str) -> None:
        keys = PartitionKeys.of(self.name, number)
        await self.client.delete(*(getattr(keys, part) for part in parts))

    async def held(self) -> dict[str, str]:
        return await read_prefix(self.client, self.name)

    async def until(self, holds: Callable[[dict[str, str]], bool]) -> None:
        async with asyncio.timeout(60):
            while not holds(await self.held()):
                await asyncio.sleep(0.01)

    async def lost(self) -> list[LostPartition]:
        return await find_lost(self.reader, await self.held(), range(2))


@pytest_asyncio.fixture
async def prefix(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Prefix]:
    monkeypatch.setattr(module, "LOOKED_AT", 0.01)
    async with Redis.from_url(redis_url) as client:
        made = Prefix(client)
        await agree(client, made.name, partitions=2, clock="wall")
        yield made


async def taken_in_the_background(prefix: Prefix, number: int) -> asyncio.Task[int]:
    task: asyncio.Task[int] = asyncio.create_task(prefix.take(number))
    await prefix.until(lambda held: marks.is_waiting(held, "segmenter", number))
    return task


async def test_a_new_partition_is_taken_and_remembered(prefix: Prefix) -> None:
    assert await prefix.take(0) == 0
    held = await prefix.held()
    assert marks.has_committed(held, "segmenter", 0)
    assert not marks.has_committed(held, "segmenter", 1)
    assert not marks.has_committed(held, "router", 0)


@pytest.mark.parametrize("gone", [PARTS, *((part,) for part in PARTS)])
async def test_a_partition_whose_state_is_gone_waits_and_says_what_is_missing(
    prefix: Prefix, gone: tuple[str, ...]
) -> None:
    await prefix.work(0)
    await prefix.lose(0, *gone)

    waiting = await taken_in_the_background(prefix, 0)

    assert prefix.committed.waiting == [0]
    assert prefix.metrics.registry.get_sample_value("resegment_partitions_waiting") == 1
    what = "all" if len(gone) > 1 else gone[0]
    assert marks.find_waiting(await prefix.held()) == {0: f"{what} of the segmenter"}
    assert (await prefix.lost())[0].segmenter
    assert await prefix.take(1) == 0, "the other partition is not held up"
    assert not waiting.done()
    waiting.cancel()


async def test_it_is_taken_once_a_rebuild_has_given_it_back(prefix: Prefix) -> None:
    await prefix.work(0)
    await prefix.lose(0, "accounts")
    waiting = await taken_in_the_background(prefix, 0)
    fence = await prefix.client.hget(PartitionKeys.of(prefix.name, 0).meta, "fence")  # type: ignore[misc]

    await marks.begin_rebuild(prefix.client, prefix.name, [0], whole=False)
    store = PartitionStore(prefix.client, prefix.name, 0)
    await store.clear()
    rebuilt = prefix.open(0)
    await rebuilt.take("log")
    assert not waiting.done()
    assert rebuilt.fence is not None
    assert fence is not None
    assert rebuilt.fence > int(fence)
    await store.check(rebuilt.fence, 1)  # nobody took the fence from the rebuild
    await marks.end_partition(prefix.client, prefix.name, 0)

    assert await asyncio.wait_for(waiting, 60) == 0
    assert marks.find_waiting(await prefix.held()) == {}
    assert prefix.committed.waiting == []
    assert prefix.metrics.registry.get_sample_value("resegment_partitions_waiting") == 0


async def test_a_partition_that_is_being_rebuilt_is_not_taken(prefix: Prefix) -> None:
    await prefix.work(0)
    await marks.begin_rebuild(prefix.client, prefix.name, [0], whole=False)
    task = asyncio.create_task(prefix.take(0))
    await asyncio.wait([task], timeout=0.2)
    assert not task.done()
    await marks.end_partition(prefix.client, prefix.name, 0)
    assert await asyncio.wait_for(task, 60) == 0


async def test_a_rebuild_that_was_interrupted_is_found_and_nothing_else(prefix: Prefix) -> None:
    for number in (0, 1):
        await prefix.work(number)
    assert await prefix.lost() == []
    await marks.begin_rebuild(prefix.client, prefix.name, [0, 1], whole=True)
    await marks.end_partition(prefix.client, prefix.name, 0)
    assert await prefix.lost() == [LostPartition(1, segmenter=True, router=True)]
    assert marks.is_rebuilding(await prefix.held())


@pytest.mark.parametrize("mark_left", [False, True])
async def test_where_the_record_of_the_prefix_is_gone_too_the_worker_ends(
    prefix: Prefix, mark_left: bool
) -> None:
    await prefix.work(0)
    await prefix.client.delete(prefix_key(prefix.name))
    if mark_left:
        await marks.mark_waiting(prefix.client, prefix.name, "segmenter", 0, [])
    taking = asyncio.create_task(prefix.take(0))
    assert isinstance(await asyncio.wait_for(prefix.failure.wait(), 60), StateLost)
    assert not taking.done()
    taking.cancel()
