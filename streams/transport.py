"""A faust transport that hands over whole chunks of a partition instead of single messages.

faust's own consumer spends four tasks on each message and can commit past one that is still being worked
on. Here a fetch of one partition travels as one faust message whose value is a `Chunk`, and an offset is
committed only when every chunk before it was acknowledged. Group membership, rebalances and the order of
start and stop stay faust's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from resegment.agents.batch import Batch
from resegment.streams.chunks import Chunk, Lane

Positions = Callable[[str, int], Awaitable[int | None]]
Released = Callable[[str, int], Awaitable[None]]
_T = TypeVar("_T")


class Hooks(NamedTuple):
    """What a topic's owner wants to be asked and told about its partitions."""

    positions: Positions | None = None
    """Offset at which reading begins; None: the committed one, else the earliest."""
    released: Released | None = None
    """Called after a partition was revoked, lost or given back at the end."""


@dataclass(frozen=True, slots=True)
class Feed:
    """How records are handed to agents."""

    chunk_size: int = 1000
    """Most records in a chunk."""
    chunks_ahead: int = 2
    """Most chunks of one partition that are handed out and not yet acknowledged."""
    fetch_wait: float = 0.1
    """Seconds that a broker may hold an empty fetch. A broker that polls (Tansu) answers after half of it."""
    drain_timeout: float = 5.0
    """Seconds that a stop waits for the chunk in work before it cancels it."""
    placement_timeout: float = 300.0
    """Seconds that a partition's position may stay unknown before the worker gives up."""
    hooks: dict[str, Hooks] = field(default_factory=dict)
    """By topic."""


class Standing(NamedTuple):
    """How far an owned partition is."""

    topic: str
    partition: int
    offset: int | None
    """Up to here all is acknowledged; None: it is not yet known where reading begins."""
    end: int
    """Offset of the next record that will be appended."""

    @property
    def lag(self) -> int | None:
        """Records not yet acknowledged; None while `offset` is unknown."""
        return None if self.offset is None else max(0, self.end - self.offset)


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread that the Kafka client lives in: heartbeats go on while an agent computes."""

    _waiter: asyncio.Future[None] | None = None
    _woken = False

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # faust fixes it at 1,500 ms: for so long a partition that has room again is not fetched
        consumer._fetch_max_wait_ms = int(feed_of(self.app).fetch_wait * 1000)
        return consumer

    async def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run in this thread, called from the main one; cancelling the call cancels it there."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self.thread_loop))

    def wake(self) -> None:
        """Let the running or the next `fetch` return at once."""
        if not self.thread_loop.is_closed():
            self.thread_loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def fetch(self, wanted: Collection[TP], limit: int) -> Mapping[TP, list[ConsumerRecord]]:
        """Take up to `limit` records of each wanted partition that has some; wait until one has or `wake`.

        Raises the client's error; what was taken before it is not acknowledged, so it is read again.
        """
        consumer = self._ensure_consumer()
        fetcher, subscription = consumer._fetcher, consumer._subscription
        while True:
            if consumer._closed or fetcher._closed:
                raise ConsumerStoppedError
            with subscription.fetch_context():
                taken = {} if subscription.reassignment_in_progress else _take(fetcher, wanted, limit)
                if not taken and not self._woken:
                    self._waiter = fetcher._create_fetch_waiter()
                    await self._waiter
                if taken or self._woken:
                    self._woken = False
                    return taken

    async def seek_to(self, tp: TP, offset: int) -> None:
        """Read on at `offset`; nothing happens if the partition is no longer assigned."""
        try:
            self._ensure_consumer().seek(TopicPartition(*tp), offset)
        except IllegalStateError:
            self.log.info("Not seeking %s: it was revoked meanwhile", tp)

    async def starts(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """Return the committed offset of each partition, the earliest where nothing was committed."""
        consumer = self._ensure_consumer()
        partitions = [TopicPartition(*tp) for tp in tps]
        committed = await asyncio.gather(*map(consumer.committed, partitions))
        found = {
            TP(*tp): offset for tp, offset in zip(partitions, committed, strict=True) if offset is not None
        }
        fresh = [tp for tp in partitions if tp not in found]
        earliest = await consumer.beginning_offsets(fresh) if fresh else {}
        return found | {TP(*tp): offset for tp, offset in earliest.items()}

    async def check(self) -> None:
        """Raise what ended the membership in the group (no permission, for one): faust never asks."""
        self._ensure_consumer()._coordinator.check_errors()

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        consumer = self._ensure_consumer()
        try:
            await consumer.commit(
                {TopicPartition(*tp): OffsetAndMetadata(o, "") for tp, o in offsets.items()}
            )
        except CommitFailedError:
            return False
        except KafkaError as error:
            # a commit is a hint: the next one carries the same offsets or later ones
            self.log.warning("Offsets not committed: %r", error)
            return False
        return True


def _take(fetcher: Any, wanted: Collection[TP], limit: int) -> dict[TP, list[ConsumerRecord]]:
    buffered = fetcher._records
    taken: dict[TP, list[ConsumerRecord]] = {}
    budget = 4 * limit
    for tp in list(buffered):
        if tp not in wanted:
            continue
        result = buffered[tp]
        if not isinstance(result, FetchResult):
            result.check_raise()
        records = result.getall(limit)
        if result.has_more():
            buffered.move_to_end(tp)  # the others come first next time
        else:
            del buffered[tp]
            fetcher._notify(fetcher._wait_consume_future)
        if records:
            taken[tp] = records
            budget -= len(records)
            if budget <= 0:
                break
    return taken


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Reads chunks, keeps a lane for each owned partition, commits what is acknowledged."""

    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.feed = feed_of(self.app)
        self._lanes: dict[TP, Lane] = {}
        self._placements: dict[Lane, asyncio.Task[None]] = {}
        self._fetching = asyncio.Lock()
        self._changed = asyncio.Event()
        self._handling = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.add_future(self._watch_membership())

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # --- for those who handle chunks

    def is_live(self, chunk: Chunk) -> bool:
        """Whether the chunk's partition is still owned and was not restarted since."""
        return self._lanes.get(TP(chunk.batch.topic, chunk.batch.partition)) is chunk.lane

    def settle(self, chunk: Chunk) -> None:
        """Acknowledge a chunk: all its effects are durable."""
        had_room = self._has_room(chunk.lane)
        chunk.lane.ack(chunk)
        if not had_room and self._has_room(chunk.lane):
            self._wake()

    @asynccontextmanager
    async def handling(self) -> AsyncIterator[None]:
        """Mark that a chunk is in work: a rebalance or a stop waits for it."""
        self._handling += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._handling -= 1
            if not self._handling:
                self._idle.set()

    async def restart(self, topic: str, partition: int) -> None:
        """Drop what was handed out of one partition and read it again from its position hook's offset."""
        tp = TP(topic, partition)
        if tp in self._lanes:
            await asyncio.shield(self._open(tp))

    def owned(self) -> list[tuple[str, int]]:
        """Return topic and partition of what this worker owns now."""
        return sorted(self._lanes)

    async def standings(self) -> list[Standing]:
        """Return how far each owned partition is, asking the broker for the ends."""
        lanes = dict(self._lanes)
        ends = await self.highwaters(*(TopicPartition(*tp) for tp in lanes)) if lanes else {}
        return [Standing(*tp, lane.done, ends[tp]) for tp, lane in sorted(lanes.items()) if tp in ends]

    # --- reading

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self.should_stop or fetcher.should_stop):
                if self.flow_active:
                    await fetcher.wait_first(self._pump(), self.suspend_flow)
                else:
                    await fetcher.wait(self.can_resume_flow)
        except ConsumerStoppedError:
            if not self.app.should_stop:
                raise

    async def _pump(self) -> None:
        while True:
            wanted = {tp: lane for tp, lane in self._lanes.items() if lane.placed and self._has_room(lane)}
            if not wanted:
                self._changed.clear()
                await self._changed.wait()
                continue
            async with self._fetching:
                taken = await self._thread.run(self._thread.fetch(wanted.keys(), self.feed.chunk_size))
            for tp, records in taken.items():
                lane = wanted[TP(*tp)]
                if self._lanes.get(TP(*tp)) is lane:
                    await self._hand_over(TP(*tp), lane, records)

    async def _hand_over(self, tp: TP, lane: Lane, records: list[ConsumerRecord]) -> None:
        last = records[-1]
        chunk = lane.push(Batch(tp.topic, tp.partition, records))
        message = ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000,
            last.timestamp_type,
            (),
            None,
            chunk,
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )
        await self.callback(message)

    def _has_room(self, lane: Lane) -> bool:
        return lane.unacked < self.feed.chunks_ahead

    def _wake(self) -> None:
        self._changed.set()
        self._thread.wake()

    # --- owning

    async def perform_seek(self) -> None:
        """Begin each assigned partition anew; faust calls it after each rebalance, before reading goes on.

        It only starts the search for the positions: faust would end its own recovery for good, without a
        word, if this took longer than a request may.
        """
        assigned = {TP(*tp) for tp in self.assignment()}
        hooked = {tp for tp in assigned if self._hooks(tp).positions}
        if plain := assigned - hooked:
            self._start_placing({tp: self._new_lane(tp) for tp in plain})
        for tp in hooked:
            self._open(tp)

    def _open(self, tp: TP) -> asyncio.Task[None]:
        return self._start_placing({tp: self._new_lane(tp)})

    def _new_lane(self, tp: TP) -> Lane:
        old, lane = self._lanes.get(tp), Lane()
        self._lanes[tp] = lane
        if old is not None and (placement := self._placements.get(old)):
            placement.cancel()
        self._thread.wake()
        return lane

    def _start_placing(self, lanes: Mapping[TP, Lane]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._place(lanes))
        self._placements.update(dict.fromkeys(lanes.values(), task))
        task.add_done_callback(lambda _: [self._placements.pop(lane, None) for lane in lanes.values()])
        return task

    async def _place(self, lanes: Mapping[TP, Lane]) -> None:
        clock = asyncio.get_running_loop().time
        give_up, delay = clock() + self.feed.placement_timeout, 0.1
        while True:
            try:
                starts = await self._starts(lanes)
            except Exception as error:  # the hook's own kinds are not known here
                if clock() >= give_up:
                    await self.app.crash(error)
                    raise
                self.log.warning("Where to read %s is not known yet: %r", sorted(lanes), error)
                await asyncio.sleep(delay)
                delay = min(2 * delay, 5.0)
            else:
                break
        # no fetch may run meanwhile: it could take records from before the seek, or after it and drop them
        self._thread.wake()
        async with self._fetching:
            for tp, lane in lanes.items():
                if self._lanes.get(tp) is lane:
                    await self._thread.run(self._thread.seek_to(tp, starts[tp]))
                    lane.place(starts[tp])
        self._wake()

    async def _starts(self, tps: Collection[TP]) -> Mapping[TP, int]:
        wanted: dict[TP, int] = {}
        for tp in tps:
            if positions := self._hooks(tp).positions:
                offset = await positions(tp.topic, tp.partition)
                if offset is not None:
                    wanted[tp] = offset
        if rest := [tp for tp in tps if tp not in wanted]:
            wanted.update(await self._thread.run(self._thread.starts(rest)))
        return wanted

    def _hooks(self, tp: TP) -> Hooks:
        return self.feed.hooks.get(tp.topic, Hooks())

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Wait for the chunk in work, commit, then let the partitions go."""
        await super().on_partitions_revoked(revoked)
        await self._release(revoked)

    async def on_stop(self) -> None:
        """Wait for the chunk in work, commit, let all partitions go."""
        await super().on_stop()
        await self._release(list(self._lanes))

    async def _release(self, tps: Iterable[TP]) -> None:
        for tp in tps:
            lane = self._lanes.pop(TP(*tp), None)
            if lane is None:
                continue
            if placement := self._placements.get(lane):
                placement.cancel()
            if released := self._hooks(TP(*tp)).released:
                try:
                    await released(tp.topic, tp.partition)
                except Exception:  # the partition is gone whatever its owner's farewell met
                    self.log.exception("Releasing %s failed", tp)

    # --- committing and stopping

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit the end of each lane's longest acknowledged prefix."""
        offsets = {
            tp: lane.committable
            for tp, lane in self._lanes.items()
            if lane.committable is not None and (topics is None or tp in topics or tp.topic in topics)
        }
        lanes = {tp: self._lanes[tp] for tp in offsets}
        if not offsets or not await self._commit(offsets):
            return False
        for tp, lane in lanes.items():
            lane.committed = offsets[tp]
        return True

    async def wait_empty(self) -> None:
        """Wait until no chunk is in work, then commit. A stop waits `drain_timeout` seconds at most."""
        limit = self.feed.drain_timeout if self.app.should_stop else None
        try:
            async with asyncio.timeout(limit):
                await self._idle.wait()
            async with asyncio.timeout(limit):
                await self.commit()
        except TimeoutError:
            self.log.warning("Stopping with work left over: the next owner of the partitions does it again")

    async def _watch_membership(self) -> None:
        while not self.should_stop:
            await self.sleep(1.0)
            if not self.should_stop and self._thread._consumer is not None:
                await self._thread.run(self._thread.check())

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: faust's livelock check counts messages, which are chunks here."""


class Transport(driver.Transport):  # type: ignore[misc]
    """Kafka by aiokafka, in chunks. Broker URLs: `aiokafka-batched://host:port`."""

    Consumer: ClassVar[type[Consumer]] = Consumer


def feed_of(app: Any) -> Feed:
    """Return how records are to be handed over: the application's own `feed`, or the defaults."""
    feed = getattr(app, "feed", None)
    return feed if isinstance(feed, Feed) else Feed()
