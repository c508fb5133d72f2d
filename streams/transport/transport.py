"""A faust transport that hands over whole chunks of a partition instead of single messages.

faust's own consumer spends four tasks on each message and can commit past one that is still in progress.
Here a fetch of one partition travels as one faust message whose value is a `Chunk`, and an offset is
committed only when every chunk before it was acknowledged. faust still handles group membership, rebalances,
and the order of start and stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar

from aiokafka.errors import ConsumerStoppedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import Service

from resegment.streams.transport.chunk import Chunk
from resegment.streams.transport.config import Hooks, PartitionProgress, config_of
from resegment.streams.transport.consumer_thread import ConsumerThread
from resegment.streams.transport.offset_tracker import OffsetTracker
from resegment.streams.transport.taking import Taken


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Read chunks, track the offsets of each owned partition, and commit what is acknowledged."""

    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config = config_of(self.app)
        self._trackers: dict[TP, OffsetTracker] = {}
        self._placed_by_owner: set[TP] = set()
        self._placements: dict[OffsetTracker, asyncio.Task[None]] = {}
        self._fetching = asyncio.Lock()
        self._changed = asyncio.Event()
        self._handling = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._drained_by: float | None = None
        self._gave_up = False

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def is_live(self, chunk: Chunk) -> bool:
        """Return whether the chunk's partition is still owned and was not restarted since."""
        return self._trackers.get(TP(chunk.topic, chunk.partition)) is chunk.tracker

    def acknowledge(self, chunk: Chunk) -> None:
        """Acknowledge a chunk: all its effects are durable."""
        had_room = self._has_room(chunk.tracker)
        chunk.complete()
        if not had_room and self._has_room(chunk.tracker):
            self._wake()

    @asynccontextmanager
    async def handling(self) -> AsyncIterator[None]:
        """Mark that a chunk is in progress: a rebalance or a stop waits for it."""
        self._handling += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._handling -= 1
            if not self._handling:
                self._idle.set()

    async def restart(self, topic: str, partition: int) -> None:
        """Drop what was handed out of one partition, and read it again from the offset that its hook returns."""
        tp = TP(topic, partition)
        if tp in self._trackers:
            placement = self._begin([tp])
            # a rebalance or a stop does not wait until the position is known, and must not cancel the caller
            suspended = asyncio.ensure_future(self.suspend_flow.wait())
            await asyncio.wait([placement, suspended], return_when=asyncio.FIRST_COMPLETED)
            suspended.cancel()

    def owned(self) -> list[tuple[str, int]]:
        """Return topic and partition of everything that this worker owns now."""
        return [(tp.topic, tp.partition) for tp in sorted(self._trackers)]

    async def partition_progress(self) -> list[PartitionProgress]:
        """Return how far each owned partition is; the broker is asked for the ends."""
        trackers = dict(self._trackers)
        ends = await self._thread.run(self._thread.ends(trackers)) if trackers else {}
        return [PartitionProgress(tp.topic, tp.partition, trackers[tp].done, ends[tp]) for tp in sorted(ends)]

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
            wanted = {
                tp: tracker
                for tp, tracker in self._trackers.items()
                if tracker.placed and self._has_room(tracker)
            }
            if not wanted:
                self._changed.clear()
                await self._changed.wait()
                continue
            async with self._fetching:
                taken = await self._thread.run(self._thread.fetch(wanted.keys(), self.config.chunk_size))
            for tp, fetched in taken.items():
                tracker = wanted[tp]
                if self._trackers.get(tp) is tracker:
                    self._notice_gap(tp, tracker, fetched)
                    if fetched.records:
                        await self._hand_over(tp, tracker, fetched)
                    tracker.skip_to(fetched.position)

    def _notice_gap(self, tp: TP, tracker: OffsetTracker, fetched: Taken) -> None:
        """Report records that retention deleted while the worker ran: the client then reads on at the earliest."""
        if tracker.position is not None and fetched.begin > tracker.position:
            tracker.start = fetched.begin
            if tp not in self._placed_by_owner:  # an owner that keeps the position notices by itself
                self._report_lost(tp, fetched.begin - tracker.position)

    async def _hand_over(self, tp: TP, tracker: OffsetTracker, fetched: Taken) -> None:
        chunk = Chunk(tp.topic, tp.partition, fetched.records, tracker)
        last = fetched.records[-1]
        message = ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000,
            0,  # the type of the timestamp, which nothing reads
            headers=None,
            key=None,
            value=chunk,
            checksum=None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )
        await self.callback(message)

    def _has_room(self, tracker: OffsetTracker) -> bool:
        return tracker.pending < self.config.chunks_ahead

    def _wake(self) -> None:
        self._changed.set()
        self._thread.wake()

    # --- owning

    async def perform_seek(self) -> None:
        """Restart each assigned partition; faust calls this after each rebalance, before reading continues.

        Only start to look for the positions here: if it took longer than a request may, faust would silently end
        its own recovery for good.
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
        trackers = {tp: OffsetTracker() for tp in tps}
        self._trackers.update(trackers)
        task = asyncio.get_running_loop().create_task(self._place(trackers))
        self._placements.update(dict.fromkeys(trackers.values(), task))
        return task

    def _close(self, tp: TP) -> OffsetTracker | None:
        """Make the chunks of a partition stale."""
        tracker = self._trackers.pop(tp, None)
        placement = self._placements.pop(tracker, None) if tracker else None
        if placement is not None and not any(other is placement for other in self._placements.values()):
            placement.cancel()
        return tracker

    async def _place(self, trackers: Mapping[TP, OffsetTracker]) -> None:
        starts = await self._find_starts(trackers)
        if starts is None:
            return
        # no fetch may run during the seek: it could take records of the new position, and they would be dropped
        self._thread.wake()
        async with self._fetching:
            current = {tp: tracker for tp, tracker in trackers.items() if self._trackers.get(tp) is tracker}
            await self._thread.run(self._thread.seek_all({tp: starts[tp] for tp in current}))
            for tp, tracker in current.items():
                tracker.place(starts[tp])
                self._placements.pop(tracker, None)
        self._wake()

    async def _find_starts(self, tps: Collection[TP]) -> Mapping[TP, int] | None:
        clock = asyncio.get_running_loop().time
        give_up, delay = clock() + self.config.placement_timeout, 0.1
        while True:
            try:
                return await self._starts(tps)
            except Exception as error:  # noqa: BLE001 - a hook may raise anything
                if clock() >= give_up:
                    await self.app.crash(error)
                    return None
                self.log.warning("The position of %s is not known yet: %r", sorted(tps), error)
                await asyncio.sleep(delay)
                delay = min(2 * delay, 5.0)

    async def _starts(self, tps: Collection[TP]) -> Mapping[TP, int]:
        hooked: dict[TP, int] = {}
        for tp in tps:
            if positions := self._hooks(tp).positions:
                offset = await positions(tp.topic, tp.partition)
                if offset is not None:
                    hooked[tp] = offset
        self._placed_by_owner = (self._placed_by_owner - set(tps)) | hooked.keys()
        rest = [tp for tp in tps if tp not in hooked]
        if not rest:
            return hooked
        starts, lost = await self._thread.run(self._thread.starts(rest))
        for tp, count in lost.items():
            self._report_lost(tp, count)
        return hooked | starts

    def _report_lost(self, tp: TP, count: int) -> None:
        self.log.error(
            "Retention deleted %d records of %s/%d before they were read", count, tp.topic, tp.partition
        )
        if self.config.lost is not None:
            self.config.lost(tp.topic, tp.partition, count)

    def _hooks(self, tp: TP) -> Hooks:
        return self.config.hooks.get(tp.topic, Hooks())

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Wait for the chunks in progress, commit, then release the partitions."""
        await super().on_partitions_revoked(revoked)
        await self._release(revoked)

    async def on_stop(self) -> None:
        """Wait for the chunks in progress, commit, and release all partitions."""
        await super().on_stop()
        await self._release(list(self._trackers))

    async def _release(self, tps: Iterable[TP]) -> None:
        for tp in tps:
            released = self._hooks(tp).released if self._close(tp) else None
            if released:
                try:
                    await released(tp.topic, tp.partition)
                except Exception:  # the partition is gone, whatever its owner's hook met
                    self.log.exception("Releasing %s failed", tp)

    # --- committing and stopping

    async def force_commit(self, topics: Any = None, **_: Any) -> bool:
        """Commit, for each partition, the offset before which everything is acknowledged."""
        offsets: dict[TP, int] = {}
        trackers = dict(self._trackers)
        for tp, tracker in trackers.items():
            if tracker.committable is not None and (topics is None or tp in topics or tp.topic in topics):
                offsets[tp] = tracker.committable
        if not offsets or not await self._commit(offsets):
            return False
        for tp, offset in offsets.items():
            trackers[tp].committed = offset
        return True

    async def maybe_wait_for_commit_to_finish(self) -> bool:
        """Wait for the commit that is under way, if any; return whether it came to an end.

        faust's own version takes a canceled wait for a canceled commit, and begins another without a limit.
        """
        under_way = self._commit_fut
        if under_way is None:
            return False
        await asyncio.wait([under_way])
        return not under_way.cancelled()

    async def wait_empty(self) -> None:
        """Wait until no chunk is in progress, then commit. A stop waits up to `drain_timeout` seconds, over all calls."""
        if self.app.should_stop and self._drained_by is None:
            self._drained_by = asyncio.get_running_loop().time() + self.config.drain_timeout
        try:
            async with asyncio.timeout_at(self._drained_by):
                await self._idle.wait()
                await self.commit()
        except TimeoutError:
            self.log.warning(
                "Stopping with unfinished batches: the next owner of the partitions repeats them"
            )
            if not self._gave_up:
                self._gave_up = True
                with suppress(TimeoutError):  # do not repeat what is done, where the broker answers
                    async with asyncio.timeout(0.5):
                        await self.commit()

    @Service.task  # type: ignore[untyped-decorator]
    async def _watch_membership(self) -> None:
        while not self.should_stop:
            await self.sleep(1.0)
            if not self.should_stop and self._thread._consumer is not None:
                await self._thread.run(self._thread.check())

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: faust's own check for stalls counts messages, which are chunks here."""


class Transport(driver.Transport):  # type: ignore[misc]
    """Kafka by aiokafka, in chunks. Broker URLs are `aiokafka-batched://host:port`."""

    Consumer: ClassVar[type[Consumer]] = Consumer
