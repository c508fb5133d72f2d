"""The transport by itself, over a thread that fetches from memory: what is handed over, held back and committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from faust.types import TP

from resegment.streams.transport.app import BatchedApp
from resegment.streams.transport.chunk import Chunk
from resegment.streams.transport.config import ConsumerConfig, Hooks
from resegment.streams.transport.taking import Taken
from resegment.streams.transport.transport import Consumer

A, B = TP("topic", 0), TP("topic", 1)


class Record(NamedTuple):
    offset: int
    timestamp: int = 1_000


class Thread:
    """Stands for the thread of the client: logs in memory, seeks and commits."""

    def __init__(self, logs: Mapping[TP, list[int]]) -> None:
        self.logs = dict(logs)
        self.earliest: dict[TP, int] = {}
        self.committed: dict[TP, int] = {}
        self.places: dict[TP, int] = {}
        self.woken = asyncio.Event()

    async def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return await coroutine

    def wake(self) -> None:
        self.woken.set()

    async def fetch(self, wanted: Collection[TP], limit: int) -> dict[TP, Taken]:
        while True:
            found: dict[TP, Taken] = {}
            for tp in wanted:
                begin = max(self.places[tp], self.earliest.get(tp, 0))
                records = [Record(one) for one in self.logs[tp] if one >= begin][:limit]
                if records:
                    self.places[tp] = records[-1].offset + 1
                    found[tp] = Taken(records, begin, self.places[tp], 0)
            if found or self.woken.is_set():
                self.woken.clear()
                return found
            await self.woken.wait()

    async def seek_all(self, offsets: Mapping[TP, int]) -> None:
        self.places.update(offsets)

    async def starts(self, tps: Collection[TP]) -> tuple[dict[TP, int], dict[TP, int]]:
        return {tp: self.committed.get(tp, 0) for tp in tps}, {}

    async def ends(self, tps: Collection[TP]) -> dict[TP, int]:
        return {tp: self.logs[tp][-1] + 1 for tp in tps}


class Given:
    """The consumer over the thread, and the chunks that it handed over."""

    def __init__(self, consumer: Consumer, thread: Thread, chunks: list[Chunk]) -> None:
        self.consumer, self.thread, self.chunks = consumer, thread, chunks

    async def handed_over(self, count: int) -> list[list[int]]:
        """Wait for so many chunks; return their offsets."""
        async with asyncio.timeout(60):
            while len(self.chunks) < count:
                await asyncio.sleep(0)
        for _ in range(20):  # what comes too early would come now
            await asyncio.sleep(0)
        return [[record.offset for record in chunk.records] for chunk in self.chunks]


@asynccontextmanager
async def given(logs: Mapping[TP, list[int]], **settings: Any) -> AsyncIterator[Given]:
    app = BatchedApp(
        "group",
        consumer_config=ConsumerConfig(chunk_size=2, **settings),
        broker="aiokafka-batched://localhost:1",
        store="memory://",
        loop=asyncio.get_running_loop(),
    )
    chunks: list[Chunk] = []

    async def take(message: Any) -> None:
        chunks.append(message.value)

    async def rebalance(_: set[TP]) -> None: ...

    consumer = app._new_transport().create_consumer(
        take, on_partitions_revoked=rebalance, on_partitions_assigned=rebalance
    )
    thread: Any = Thread(logs)
    consumer._thread = thread

    async def commit(offsets: Mapping[TP, int]) -> bool:
        thread.committed.update(offsets)
        return True

    consumer._commit = commit
    consumer._begin(list(logs))
    pumping = asyncio.create_task(consumer._pump())
    try:
        yield Given(consumer, thread, chunks)
    finally:
        pumping.cancel()
        await asyncio.gather(pumping, return_exceptions=True)


async def test_no_more_chunks_of_a_partition_are_open_than_the_settings_say() -> None:
    async with given({A: list(range(10))}, chunks_ahead=2) as one:
        assert await one.handed_over(2) == [[0, 1], [2, 3]]
        one.consumer.acknowledge(one.chunks[0])
        assert await one.handed_over(3) == [[0, 1], [2, 3], [4, 5]]


async def test_an_offset_is_committed_only_when_everything_before_it_is_acknowledged() -> None:
    async with given({A: list(range(6))}, chunks_ahead=3) as one:
        await one.handed_over(3)
        one.consumer.acknowledge(one.chunks[1])
        assert not await one.consumer.force_commit()
        assert one.thread.committed == {}
        one.consumer.acknowledge(one.chunks[0])
        assert await one.consumer.force_commit()
        assert one.thread.committed == {A: 4}
        assert not await one.consumer.force_commit()


async def test_a_slow_partition_holds_up_no_other() -> None:
    async with given({A: list(range(10)), B: list(range(4))}, chunks_ahead=1) as one:
        await one.handed_over(2)
        of_b = next(chunk for chunk in one.chunks if chunk.partition == 1)
        one.consumer.acknowledge(of_b)
        assert (await one.handed_over(3))[2] == [2, 3]
        assert [chunk.partition for chunk in one.chunks][2] == 1


async def test_a_chunk_of_a_partition_that_was_restarted_is_stale_and_its_records_come_again() -> None:
    async def position(topic: str, partition: int) -> int:
        return 1

    async with given({A: list(range(4))}, chunks_ahead=1, hooks={"topic": Hooks(position)}) as one:
        assert await one.handed_over(1) == [[1, 2]]
        await one.consumer.restart("topic", 0)
        assert await one.handed_over(2) == [[1, 2], [1, 2]]
        old, new = one.chunks
        assert [one.consumer.is_live(chunk) for chunk in one.chunks] == [False, True]
        old.complete()
        assert not await one.consumer.force_commit()
        one.consumer.acknowledge(new)
        assert await one.consumer.force_commit()
        assert one.thread.committed == {A: 3}


async def test_records_that_retention_deleted_are_reported() -> None:
    lost: list[tuple[str, int, int]] = []
    async with given({A: list(range(10))}, chunks_ahead=1, lost=lambda *what: lost.append(what)) as one:
        await one.handed_over(1)
        one.thread.earliest[A] = 5
        one.consumer.acknowledge(one.chunks[0])
        assert await one.handed_over(2) == [[0, 1], [5, 6]]
        assert lost == [("topic", 0, 3)]


async def test_progress_is_what_was_acknowledged_and_not_what_was_handed_over() -> None:
    async with given({A: list(range(6))}, chunks_ahead=2) as one:
        await one.handed_over(2)
        one.consumer.acknowledge(one.chunks[0])
        (progress,) = await one.consumer.partition_progress()
        assert (progress.offset, progress.end, progress.lag) == (2, 6, 4)
        assert one.consumer.owned() == [("topic", 0)]


async def test_a_stop_waits_for_the_chunk_in_progress() -> None:
    async with given({A: [0, 1]}) as one:
        await one.handed_over(1)
        async with one.consumer.handling():
            waiting = asyncio.create_task(one.consumer.wait_empty())
            await asyncio.sleep(0.01)
            assert not waiting.done()
            one.consumer.acknowledge(one.chunks[0])
        await asyncio.wait_for(waiting, 60)
        assert one.thread.committed == {A: 2}
