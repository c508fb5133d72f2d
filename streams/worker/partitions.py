"""The partitions that a worker owns: taken, worked on in the background, given back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import structlog

from resegment.agents.batch import Publisher, PublishFailed
from resegment.agents.partition import OutOfStep, OwnedPartition, StoredAccount
from resegment.agents.relay import relay
from resegment.errors import ResegmentError, TransientError
from resegment.metrics import Metrics
from resegment.state.partition_store import Fenced, RolledBack, StoreUnavailable
from resegment.streams.consumer.config import GIVE_UP_AFTER

log = structlog.get_logger(__name__)

LOST = (Fenced, RolledBack, OutOfStep)
"""Errors after which a partition is taken anew."""


A = TypeVar("A", bound=StoredAccount)


@dataclass(slots=True)
class _Held(Generic[A]):
    partition: OwnedPartition[A]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    failing: tuple[int, float] | None = None
    """The offset at which batches fail, and since when."""


UNPUBLISHED: Final = 16
"""How many batches of changes may wait for the relay before no more are decided: Redis and memory have an end."""
ROOM_WITHIN: Final = 20.0
"""Seconds that a batch waits for the relay before it counts as failed."""


class RelayBehind(TransientError):
    """Too many changes of a partition wait to be published for more to be decided."""

    def __init__(self, partition: int) -> None:
        super().__init__(
            f"{UNPUBLISHED} batches of changes of partition {partition} are not published yet",
            remedy="Check that the brokers take messages to `segment-changes`; nothing is lost meanwhile.",
        )
        self.partition = partition


class PartitionManager(Generic[A]):
    """What a worker owns for one stage. `own` makes a partition, `decide` decides a slice of what is due in it.

    `relay` and `due` name the two in metrics, `restart` reads a partition anew from its position, and `failed`
    is told of an error that no retry mends, or none within `patience` seconds.
    """

    def __init__(
        self,
        *,
        own: Callable[[int], OwnedPartition[A]],
        decide: Callable[[OwnedPartition[A]], Awaitable[None]],
        publisher: Publisher,
        metrics: Metrics,
        restart: Callable[[int], Awaitable[None]],
        failed: Callable[[BaseException], None],
        new_logs_are_expected: bool,
        relay: str = "relay",
        due: str = "deadlines",
        patience: float = GIVE_UP_AFTER,
    ) -> None:
        self._own, self._decide_due, self._publisher = own, decide, publisher
        self._metrics, self._restart, self._failed = metrics, restart, failed
        self._quiet = new_logs_are_expected
        self._relayed, self._due, self._patience = relay, due, patience
        self._held: dict[int, _Held[A]] = {}
        self._taken = asyncio.Event()
        # One is decided while another's commit is under way: more at a time would only keep live events waiting.
        self._turn = asyncio.Semaphore(2)

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[OwnedPartition[A]]:
        return iter([held.partition for held in self._held.values()])

    def get(self, partition: int) -> OwnedPartition[A] | None:
        """The partition, where it is owned."""
        held = self._held.get(partition)
        return None if held is None else held.partition

    @property
    def numbers(self) -> list[int]:
        """Which partitions are owned."""
        return sorted(self._held)

    async def take(self, partition: int, topic_id: str) -> int:
        """Take a partition that was assigned; the offset to read from is returned. Raises StoreUnavailable."""
        held = self._held.get(partition)
        if held is None:
            owned = self._own(partition)
            held = self._held[partition] = _Held(owned)
            work = (self._relay(owned), self._decide(owned))
            held.tasks = [asyncio.create_task(self._guard(one)) for one in work]
        offset = await held.partition.take(topic_id)
        self.tell(held.partition)
        self._taken.set()
        return offset

    async def taken(self, partition: int) -> OwnedPartition[A]:
        """Wait until the partition is taken."""
        while (owned := self.get(partition)) is None or owned.fence is None:
            self._taken.clear()
            await self._taken.wait()
        return owned

    async def release(self, partition: int) -> None:
        """Let a partition go that was revoked."""
        held = self._held.pop(partition, None)
        if held is not None:
            await cancel(held.tasks)
            held.partition.forget()

    async def retake(self, owned: OwnedPartition[A], error: ResegmentError) -> None:
        """Drop what is in memory and begin again from what the store says."""
        log.warning("taking a partition anew", partition=owned.number, reason=error.message)
        self._metrics.retakes.labels(type(error).__name__).inc()
        await self._restart(owned.number)

    async def room(self, owned: OwnedPartition[A]) -> None:
        """Wait until the relay has nearly caught up. Raises RelayBehind where it does not."""
        try:
            async with asyncio.timeout(ROOM_WITHIN):
                await owned.outbox.fewer_than(UNPUBLISHED)
        except TimeoutError:
            raise RelayBehind(owned.number) from None

    def done(self, owned: OwnedPartition[A]) -> None:
        """Note that a batch was done."""
        if (held := self._held.get(owned.number)) is not None:
            held.failing = None
        self.tell(owned)

    def fail(self, owned: OwnedPartition[A], error: BaseException) -> None:
        """Note that a batch failed: to take the partition anew begins the tries anew, but not the patience with it."""
        held = self._held.get(owned.number)
        if held is None:
            return
        place, now = owned.position.offset, time.monotonic()
        if held.failing is None or held.failing[0] != place:
            held.failing = place, now
        elif now - held.failing[1] >= self._patience:
            self._failed(error)

    async def check(self, owned: OwnedPartition[A]) -> None:
        """Notice, in an idle partition too, that it was fenced off or rolled back."""
        if owned.lock.locked() or owned.fence is None:
            return
        try:
            async with owned.lock:
                if owned.fence is not None:
                    await owned.store.check(owned.fence, owned.position.commit)
        except LOST as error:
            await self.retake(owned, error)

    def tell(self, owned: OwnedPartition[A]) -> None:
        """Log and count what nobody may overlook."""
        notices = owned.notices
        self._metrics.log_gaps.inc(notices.gaps)
        self._metrics.new_logs.inc(notices.new_logs)
        expected = self._quiet and not notices.gaps
        for message in notices.messages:
            (log.debug if expected else log.error)("log", message=message)
        notices.gaps = notices.new_logs = 0
        notices.messages.clear()

    async def decided(self, patience: float) -> None:
        """Wait until nothing that is due is left to decide, for so many seconds at the most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while any(owned.due for owned in self):  # noqa: ASYNC110  # cheap, and rare
                    await asyncio.sleep(0.02)

    async def _guard(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:  # a task that ends would end in silence
            log.exception("partition task failed")
            self._failed(error)

    async def _relay(self, owned: OwnedPartition[A]) -> None:
        delay = 0.1
        while True:
            try:
                await owned.outbox.first(1)  # so that what is measured is work
                with self._metrics.batch_seconds.labels(self._relayed).time():
                    sent = await relay(owned, publisher=self._publisher)
                self._metrics.events_out.labels(self._relayed).inc(sent)
                delay = 0.1
            except (PublishFailed, StoreUnavailable) as error:
                self._metrics.failures.labels(self._relayed, type(error).__name__).inc()
                log.warning("outbox not published yet", partition=owned.number, reason=error.message)
                await asyncio.sleep(delay)
                delay = min(2 * delay, 5.0)

    async def _decide(self, owned: OwnedPartition[A]) -> None:
        while True:
            await owned.wait_due()
            await owned.outbox.fewer_than(UNPUBLISHED)
            try:
                async with self._turn:
                    with self._metrics.batch_seconds.labels(self._due).time():
                        await self._decide_due(owned)
            except LOST as error:
                await self.retake(owned, error)
            except (PublishFailed, StoreUnavailable) as error:
                self._metrics.failures.labels(self._due, type(error).__name__).inc()
                await self.retake(owned, error)
            await asyncio.sleep(0)  # live events come between two slices


async def cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel and wait until all are done."""
    # again and again: the `wait_for` of Python 3.11, with which redis-py sends, may swallow a cancellation
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=0.1)
