"""A faust transport that hands over whole chunks of a partition instead of single messages.

faust's own consumer spends four tasks on each message and can commit past one that is still being worked
on. Here a fetch of one partition travels as one faust message whose value is a `Chunk`, and an offset is
committed only when every chunk before it was acknowledged. Group membership, rebalances and the order of
start and stop stay faust's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar

from aiokafka import ConsumerRecord
from aiokafka.errors import ConsumerStoppedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import Service

from resegment.agents.batch import Batch
from resegment.streams.consumer.config import Hooks, Standing, feed_of
from resegment.streams.consumer.consumer_thread import ConsumerThread
from resegment.streams.consumer.offset_tracker import Chunk, Lane


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
        self._drained_by: float | None = None
        self._gave_up = False

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
            placement = self._begin([tp])
            # a rebalance or a stop need not wait until the position is known, and must not cancel the caller
            suspended = asyncio.ensure_future(self.suspend_flow.wait())
            await asyncio.wait([placement, suspended], return_when=asyncio.FIRST_COMPLETED)
            suspended.cancel()

    def owned(self) -> list[tuple[str, int]]:
        """Return topic and partition of what this worker owns now."""
        return [(tp.topic, tp.partition) for tp in sorted(self._lanes)]

    async def standings(self) -> list[Standing]:
        """Return how far each owned partition is, asking the broker for the ends."""
        lanes = dict(self._lanes)
        ends = await self._thread.run(self._thread.ends(lanes)) if lanes else {}
        return [Standing(tp.topic, tp.partition, lanes[tp].done, ends[tp]) for tp in sorted(ends)]

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
                if self._lanes.get(tp) is wanted[tp]:
                    await self._hand_over(tp, wanted[tp], records)

    async def _hand_over(self, tp: TP, lane: Lane, records: list[ConsumerRecord]) -> None:
        chunk = lane.push(Batch(tp.topic, tp.partition, records))
        last = records[-1]
        message = ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000,
            last.timestamp_type,
            headers=None,
            key=None,
            value=chunk,
            checksum=None,
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

        It only starts the search for the positions: if it took longer than a request may, faust would end
        its own recovery for good without a word.
        """
        assigned = [TP(*tp) for tp in self.assignment()]
        if plain := [tp for tp in assigned if not self._hooks(tp).positions]:
            self._begin(plain)
        for tp in assigned:
            if self._hooks(tp).positions:
                self._begin([tp])

    def _begin(self, tps: Collection[TP]) -> asyncio.Task[None]:
        for tp in tps:
            self._close(tp)
        lanes = {tp: Lane() for tp in tps}
        self._lanes.update(lanes)
        task = asyncio.get_running_loop().create_task(self._place(lanes))
        self._placements.update(dict.fromkeys(lanes.values(), task))
        return task

    def _close(self, tp: TP) -> Lane | None:
        """Make the chunks of a partition stale."""
        lane = self._lanes.pop(tp, None)
        placement = self._placements.pop(lane, None) if lane else None
        if placement is not None and not any(other is placement for other in self._placements.values()):
            placement.cancel()
        return lane

    async def _place(self, lanes: Mapping[TP, Lane]) -> None:
        starts = await self._find_starts(lanes)
        if starts is None:
            return
        # no fetch may run during the seek: it could take records from after it, and they would be dropped
        self._thread.wake()
        async with self._fetching:
            current = {tp: lane for tp, lane in lanes.items() if self._lanes.get(tp) is lane}
            await self._thread.run(self._thread.seek_all({tp: starts[tp] for tp in current}))
            for tp, lane in current.items():
                lane.place(starts[tp])
                self._placements.pop(lane, None)
        self._wake()

    async def _find_starts(self, tps: Collection[TP]) -> Mapping[TP, int] | None:
        clock = asyncio.get_running_loop().time
        give_up, delay = clock() + self.feed.placement_timeout, 0.1
        while True:
            try:
                return await self._starts(tps)
            except Exception as error:  # noqa: BLE001 - a hook may raise anything
                if clock() >= give_up:
                    await self.app.crash(error)
                    return None
                self.log.warning("Where to read %s is not known yet: %r", sorted(tps), error)
                await asyncio.sleep(delay)
                delay = min(2 * delay, 5.0)

    async def _starts(self, tps: Collection[TP]) -> Mapping[TP, int]:
        hooked: dict[TP, int] = {}
        for tp in tps:
            if positions := self._hooks(tp).positions:
                offset = await positions(tp.topic, tp.partition)
                if offset is not None:
                    hooked[tp] = offset
        rest = [tp for tp in tps if tp not in hooked]
        if not rest:
            return hooked
        starts, lost = await self._thread.run(self._thread.starts(rest))
        for tp, count in lost.items():
            self.log.error("%d records of %s/%d are not there any more", count, tp.topic, tp.partition)
            if self.feed.lost is not None:
                self.feed.lost(tp.topic, tp.partition, count)
        return hooked | starts

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
            released = self._hooks(tp).released if self._close(tp) else None
            if released:
                try:
                    await released(tp.topic, tp.partition)
                except Exception:  # the partition is gone, whatever its owner's farewell met
                    self.log.exception("Releasing %s failed", tp)

    # --- committing and stopping

    async def force_commit(self, topics: Any = None, **_: Any) -> bool:
        """Commit the end of each lane's longest acknowledged prefix."""
        offsets: dict[TP, int] = {}
        lanes = dict(self._lanes)
        for tp, lane in lanes.items():
            if lane.committable is not None and (topics is None or tp in topics or tp.topic in topics):
                offsets[tp] = lane.committable
        if not offsets or not await self._commit(offsets):
            return False
        for tp, offset in offsets.items():
            lanes[tp].committed = offset
        return True

    async def maybe_wait_for_commit_to_finish(self) -> bool:
        """Wait for the commit that is under way, if any; tell whether it came to an end.

        faust's own takes a cancelled wait for a cancelled commit, and begins another that nobody limits.
        """
        under_way = self._commit_fut
        if under_way is None:
            return False
        await asyncio.wait([under_way])
        return not under_way.cancelled()

    async def wait_empty(self) -> None:
        """Wait until no chunk is in work, then commit. A stop waits `drain_timeout` seconds at most, over all calls."""
        if self.app.should_stop and self._drained_by is None:
            self._drained_by = asyncio.get_running_loop().time() + self.feed.drain_timeout
        try:
            async with asyncio.timeout_at(self._drained_by):
                await self._idle.wait()
                await self.commit()
        except TimeoutError:
            self.log.warning("Stopping with work left over: the next owner of the partitions does it again")
            if not self._gave_up:
                self._gave_up = True
                with suppress(TimeoutError):  # what is done is not to be done again, where the broker answers
                    async with asyncio.timeout(0.5):
                        await self.commit()

    @Service.task  # type: ignore[untyped-decorator]
    async def _watch_membership(self) -> None:
        while not self.should_stop:
            await self.sleep(1.0)
            if not self.should_stop and self._thread._consumer is not None:
                await self._thread.run(self._thread.check())

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: faust's own check for standstill counts messages, which are chunks here."""


class Transport(driver.Transport):  # type: ignore[misc]
    """Kafka by aiokafka, in chunks. Broker URLs: `aiokafka-batched://host:port`."""

    Consumer: ClassVar[type[Consumer]] = Consumer
