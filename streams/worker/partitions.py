"""The partitions that a worker owns for one stage: taken, worked on in the background, released."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Generic, NoReturn, TypeVar

import structlog

from resegment.agents.batch import Publisher, PublishFailed
from resegment.agents.partition import Holds, OwnedPartition
from resegment.agents.relay import relay
from resegment.errors import PartitionLost, ResegmentError, TransientError
from resegment.metrics import Metrics
from resegment.state.partition_store import StoreUnavailable
from resegment.state.writes import StoredAccount
from resegment.streams.transport.config import GIVE_UP_AFTER
from resegment.streams.worker.failure import Failure

log = structlog.get_logger(__name__)

A = TypeVar("A", bound=StoredAccount)

OnDue = Callable[[OwnedPartition[A]], Awaitable[None]]
"""Decides one slice of the accounts whose deadline has come."""

UNPUBLISHED: Final = 16
"""How many commits may wait for the relay before a partition decides nothing more: Redis and memory are finite."""
ROOM_WITHIN: Final = 20.0
"""Seconds that a batch waits for the relay before it counts as failed."""
TURN: Final = 1.0
"""Seconds after which another partition may decide too."""
DUE_WITHIN: Final = 45.0
"""Seconds for one slice of due deadlines, as for a batch."""
DUE_AT_ONCE: Final = 2
"""Partitions that decide deadlines at the same time: one computes while the other commits."""


class RelayBehind(TransientError):
    """Too many changes of a partition wait to be published for more to be decided."""

    def __init__(self, partition: int) -> None:
        super().__init__(
            f"{UNPUBLISHED} batches of changes of partition {partition} are not published yet",
            remedy="Check that the brokers accept messages to `segment-changes`. Nothing is lost meanwhile.",
        )
        self.partition = partition


class DueTooSlow(TransientError):
    """A slice of due deadlines was not decided in time. The partition is taken again."""

    def __init__(self, partition: int) -> None:
        super().__init__(f"deadlines of partition {partition} were not decided within {DUE_WITHIN:.0f} s")
        self.partition = partition


@dataclass(slots=True)
class _Held(Generic[A]):
    partition: OwnedPartition[A]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    retaking: asyncio.Task[None] | None = None
    failing: tuple[int, float] | None = None
    """The offset at which batches fail, and since when."""


class PartitionManager(Generic[A]):
    """Keeps the owned partitions of one stage, and runs their background work: the relay and due deadlines.

    `open_partition` makes the owner's view of a partition, `restart` has the consumer read it again from the position
    in the store. `label` comes before the names of this stage's work in metrics. A partition that fails at one offset
    for `patience` seconds is reported to `failure`.
    """

    def __init__(
        self,
        open_partition: Callable[[int], OwnedPartition[A]],
        restart: Callable[[int], Awaitable[None]],
        *,
        publisher: Publisher,
        metrics: Metrics,
        failure: Failure,
        label: str = "",
        patience: float = GIVE_UP_AFTER,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """`now` is the wall clock, ms, by which the age of what waits for the relay is measured."""
        self._open, self._restart = open_partition, restart
        self._publisher, self._metrics, self._failure = publisher, metrics, failure
        self._label, self._patience, self._now = label, patience, now
        self._held: dict[int, _Held[A]] = {}
        self._taken = asyncio.Event()
        self._turn = asyncio.Semaphore(DUE_AT_ONCE)  # more at a time would only delay live events

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[OwnedPartition[A]]:
        return iter([held.partition for held in self._held.values()])

    def get(self, number: int) -> OwnedPartition[A] | None:
        """Return the partition, or None where this worker does not own it."""
        held = self._held.get(number)
        return None if held is None else held.partition

    @property
    def numbers(self) -> list[int]:
        """Return which partitions are owned."""
        return sorted(self._held)

    # Taking and releasing

    async def take(
        self,
        number: int,
        log_id: str,
        on_due: OnDue[A],
        *,
        known: bool = False,
        holds: Holds | None = None,
    ) -> int:
        """Take an assigned partition and return the offset to read from. Raises StateMissing and StoreUnavailable.

        `log_id` names the incarnation of its topic, and `holds` looks into it. `known`: the partition has committed
        before.
        """
        held = self._held.get(number)
        if held is None:
            owned = self._open(number)
            held = self._held[number] = _Held(owned)
            work = (self._relay(owned), self._decide(owned, on_due))
            held.tasks = [asyncio.create_task(self._failure.guard(one, "partition")) for one in work]
        offset = await held.partition.take(log_id, known=known, holds=holds)
        self._report_notices(held.partition)
        self._taken.set()
        return offset

    async def wait_taken(self, number: int) -> OwnedPartition[A]:
        """Wait until the partition is taken, and return it."""
        while (owned := self.get(number)) is None or owned.fence is None:
            self._taken.clear()
            await self._taken.wait()
        return owned

    async def release(self, number: int) -> None:
        """Let go of a partition that was revoked."""
        held = self._held.pop(number, None)
        if held is not None:
            await cancel([*held.tasks, *([held.retaking] if held.retaking else [])])
            held.partition.forget()

    async def retake(self, owned: OwnedPartition[A], error: ResegmentError) -> None:
        """Drop what is in memory and begin again from what the store has."""
        log.warning("taking a partition again", partition=owned.number, reason=error.message)
        self._metrics.retakes.labels(type(error).__name__).inc()
        owned.forget()  # no one may read a position that the store does not have
        await self._restart(owned.number)

    async def check(self, owned: OwnedPartition[A]) -> None:
        """Notice that another worker took the partition or that the store was rolled back, even when it is idle.

        The partition is then taken again in the background. Raises StoreUnavailable.
        """
        if owned.lock.locked() or owned.fence is None:
            return
        try:
            async with owned.lock:
                if owned.fence is not None:
                    await owned.store.check(owned.fence, owned.position.commit)
        except PartitionLost as error:
            held = self._held.get(owned.number)
            if held is not None and (held.retaking is None or held.retaking.done()):
                work = self._failure.guard(self.retake(owned, error), "partition")
                held.retaking = asyncio.create_task(work)

    # Batches

    async def wait_for_room(self, owned: OwnedPartition[A]) -> None:
        """Wait until the relay has nearly caught up. Raises RelayBehind where that takes too long."""
        try:
            async with asyncio.timeout(ROOM_WITHIN):
                await owned.outbox.fewer_than(UNPUBLISHED)
        except TimeoutError:
            raise RelayBehind(owned.number) from None

    def note_success(self, owned: OwnedPartition[A]) -> None:
        """Note that a batch was done."""
        if (held := self._held.get(owned.number)) is not None:
            held.failing = None
        self._report_notices(owned)

    def note_failure(self, owned: OwnedPartition[A], error: BaseException) -> None:
        """Note that a batch failed. Taking the partition again does not reset the patience."""
        held = self._held.get(owned.number)
        if held is None:
            return
        offset, now = owned.position.offset, time.monotonic()
        if held.failing is None or held.failing[0] != offset:
            held.failing = offset, now
        elif now - held.failing[1] >= self._patience:
            self._failure.report(error)

    async def end_worker(self, error: BaseException) -> NoReturn:
        """Report an error that ends the worker, and never return: nothing more may be taken."""
        self._failure.report(error)
        await asyncio.Event().wait()
        raise AssertionError

    def _report_notices(self, owned: OwnedPartition[A]) -> None:
        """Log and count what people must see: new logs and gaps."""
        notices = owned.notices
        self._metrics.log_gaps.inc(notices.gaps)
        self._metrics.new_logs.inc(notices.new_logs)
        for message in notices.messages:
            log.error("log", message=message)
        notices.gaps = notices.new_logs = 0
        notices.messages.clear()

    # Background work

    async def wait_decided(self, patience: float) -> None:
        """Wait until no deadline is due in any partition, for at most `patience` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while any(owned.due for owned in self):  # noqa: ASYNC110  # cheap, and rare
                    await asyncio.sleep(0.02)

    async def _relay(self, owned: OwnedPartition[A]) -> None:
        name, delay = f"{self._label}relay", 0.1
        while True:
            try:
                oldest = await owned.outbox.first(1)  # the wait is not part of what is measured
                with self._metrics.batch_seconds.labels(name).time():
                    sent = await relay(owned, publisher=self._publisher)
                self._metrics.events_out.labels(name).inc(sent)
                if oldest:
                    self._metrics.stage_delay.labels(name).observe(oldest[0].age(self._now()) / 1000)
                delay = 0.1
            except (PublishFailed, StoreUnavailable) as error:
                self._metrics.failures.labels(name, type(error).__name__).inc()
                log.warning("outbox not published yet", partition=owned.number, reason=error.message)
                await asyncio.sleep(delay)
                delay = min(2 * delay, 5.0)

    async def _take_turn(self, owned: OwnedPartition[A], on_due: OnDue[A]) -> None:
        """Decide when it is its turn. A store that does not answer uses up the turn; then the others decide."""

        async def work() -> None:
            with self._metrics.batch_seconds.labels(f"{self._label}deadlines").time():
                await on_due(owned)

        async with self._turn:
            task = asyncio.create_task(work())
            try:
                await asyncio.wait([task], timeout=TURN)
            except asyncio.CancelledError:
                await cancel([task])
                raise
        try:
            async with asyncio.timeout(DUE_WITHIN):
                await task
        except TimeoutError:
            raise DueTooSlow(owned.number) from None

    async def _decide(self, owned: OwnedPartition[A], on_due: OnDue[A]) -> None:
        name = f"{self._label}deadlines"
        while True:
            await owned.wait_due()
            await owned.outbox.fewer_than(UNPUBLISHED)
            try:
                await self._take_turn(owned, on_due)
            except PartitionLost as error:
                await self.retake(owned, error)
            except TransientError as error:
                self._metrics.failures.labels(name, type(error).__name__).inc()
                self.note_failure(owned, error)
                await self.retake(owned, error)
            await asyncio.sleep(0)  # live events come between two slices


async def cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel the tasks and wait until all are done."""
    # repeated, as the `wait_for` of Python 3.11, with which redis-py sends, may swallow a cancellation
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=0.1)
