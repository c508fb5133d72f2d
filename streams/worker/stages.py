"""The stages of a worker: what each does with the partitions of its topics.

A stage is told when a partition is assigned (it returns the offset to read from), when a batch has come, when a
deadline is due, and when the partition is revoked. An exception of `on_batch` has the same batch delivered again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from time import thread_time
from typing import Final, Protocol

from resegment.agents.batch import Batch, Publisher
from resegment.agents.deciding.decided import Owned as SegmentedPartition
from resegment.agents.deciding.folding import changeover_of
from resegment.agents.deciding.sweep import find_due_sweep, sweep
from resegment.agents.intake import IntakeRules, ingest
from resegment.agents.router import Owned as RoutedPartition
from resegment.agents.router import Routed, Router, handle_events, look_again, route, route_due
from resegment.agents.segmenter import Segmented, decide_due, segment, set_aside
from resegment.errors import FatalError, PartitionLost, TransientError
from resegment.routing.account import RoutedAccount
from resegment.segmentation.evaluation.account import Account
from resegment.state.sources.arrivals import Arrivals
from resegment.streams.ahead import AheadRecords
from resegment.streams.definitions.announcing import Announcer
from resegment.streams.definitions.log import DefinitionWriter
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.definitions.settling import Settler
from resegment.streams.kafka.topics import Topics
from resegment.streams.runtime import YoungObjects
from resegment.streams.worker.batch_divider import BatchDivider, divide_batch
from resegment.streams.worker.committed_partitions import CommittedPartitions
from resegment.streams.worker.loops.input_topics import InputTopics
from resegment.streams.worker.partitions import PartitionManager
from resegment.streams.worker.progress import Progress

ROUTER_PATIENCE: Final = 4.0
"""Seconds that changes wait while deadlines are due: a late change is worse than late commands."""
ROUTED_AT_ONCE: Final = 200
"""Changes that the router commits at once: about ten milliseconds, so that live events don't wait long."""
BATCH_DEADLINE: Final = 45.0
"""Seconds for one batch. A rebalance waits for the batch in work, and takes at most a minute."""
COMPUTING: Final = 0.8
"""The share of the deadline that the thread must have computed for a record to be what is slow, not a server."""
TOO_SLOW: Final = "decision-too-slow", f"deciding this fact alone took over {BATCH_DEADLINE:.0f} s, twice"


class BatchTooSlow(TransientError):
    """A batch was not done within its deadline. It is retried, in smaller parts where the stage can divide it."""

    def __init__(self, batch: Batch) -> None:
        first, last = batch.records[0].offset, batch.records[-1].offset
        super().__init__(
            f"records {first} to {last} of {batch.topic}, partition {batch.partition}, took longer than "
            f"the {BATCH_DEADLINE:.0f} s of a batch",
            remedy="If this does not end: look for a slow Redis or broker, and for accounts with very many facts.",
        )
        self.topic, self.partition, self.offset = batch.topic, batch.partition, first


@asynccontextmanager
async def within_deadline(batch: Batch, until: float | None = None) -> AsyncIterator[None]:
    """Cancel the block at the deadline; `until` is that of the batch that this one is a part of. Raises BatchTooSlow."""
    try:
        async with (
            asyncio.timeout(BATCH_DEADLINE) if until is None else asyncio.timeout_at(until) as deadline
        ):
            yield
    except TimeoutError as error:
        if deadline.expired():
            raise BatchTooSlow(batch) from error
        raise


class StageHandler(Protocol):
    """What the consumer drives. Batches of one partition come one at a time and in order."""

    name: str
    topics: Sequence[str]
    has_positions: bool
    """Whether its state says where to read. Otherwise the committed offsets do, and all are looked up at once."""

    async def on_assigned(self, topic: str, partition: int) -> int | None:
        """Return the offset to read from; None means the committed one, else the earliest."""
        ...

    async def on_batch(self, batch: Batch) -> None:
        """Do all that the batch asks for. When this returns, the batch is acknowledged."""
        ...

    async def on_revoked(self, topic: str, partition: int) -> None:
        """Let go of the partition."""
        ...


class IntakeStage:
    """Turns triggers into signals. It keeps no state, so the committed offsets of the group say where to read."""

    name = "intake"
    has_positions = False

    def __init__(
        self,
        topics: Topics,
        *,
        rules: IntakeRules,
        publisher: Publisher,
        progress: Progress,
        arrivals: Arrivals | None = None,
    ) -> None:
        """`arrivals` notes from which sources something came."""
        self._arrivals = arrivals
        live = [one.name for one in topics.triggers if one is not topics.replay]
        self.topics: Sequence[str] = [topics.replay.name] if rules.clock == "facts" else live
        self._signals, self._dead_letters = topics.signals.name, topics.dead_letters.name
        self._unresolved = topics.unresolved.name
        self._rules, self._publisher, self._progress = rules, publisher, progress

    async def on_assigned(self, topic: str, partition: int) -> None:  # the port of a stage
        """Read on from the committed offset."""

    async def on_batch(self, batch: Batch) -> None:
        """Publish a signal or a dead letter for each record."""
        try:
            with self._progress.timed(self.name):
                async with within_deadline(batch):
                    done = await ingest(
                        batch,
                        self._rules,
                        publisher=self._publisher,
                        signals=self._signals,
                        dead_letters=self._dead_letters,
                        unresolved=self._unresolved,
                    )
        except Exception as error:
            self._progress.count_failure(self.name, error)
            raise
        self._progress.count_batch(self.name, batch, done.accepted, done.refused)
        self._progress.count_waiting(done.waiting, done.forgotten)
        self._progress.count_ahead(batch, done.ahead)
        self._progress.count_unlisted(done.unlisted)
        if self._arrivals is not None:
            self._arrivals.note(done.arrived)

    async def on_revoked(self, topic: str, partition: int) -> None:
        """Do nothing: no state is kept of the partition."""


class SegmenterStage:
    """Folds `signals` into accounts and decides their segments."""

    name = "segmenter"
    has_positions = True

    def __init__(
        self,
        topics: Topics,
        registry: DefinitionRegistry,
        partitions: PartitionManager[Account],
        *,
        inputs: InputTopics,
        committed: CommittedPartitions,
        publisher: Publisher,
        progress: Progress,
        ahead: AheadRecords | None = None,
    ) -> None:
        """`ahead` finds records of the future; None on the clock of the facts, where time is what records say."""
        self._ahead = ahead
        self.topics: Sequence[str] = [topics.signals.name]
        self._registry, self._partitions, self._inputs = registry, partitions, inputs
        self._announcer = Announcer(registry)
        self._settler = Settler(registry, DefinitionWriter(publisher, topics))
        self._committed, self._dead_letters = committed, topics.dead_letters.name
        self._publisher, self._progress = publisher, progress
        self._divider, self._young = BatchDivider(), YoungObjects()
        self._cursors: dict[int, tuple[tuple[int | None, int], int]] = {}
        """How far the sweep of each partition is, under which fence and to which version."""

    async def on_assigned(self, topic: str, partition: int) -> int | None:
        """Take the partition, once Redis has its whole state."""
        try:
            await self._inputs.refuse_new_partition(topic, partition)
        except FatalError as error:
            await self._partitions.end_worker(error)
        if self._ahead is not None:
            await self._ahead.load(partition)
        log = self._inputs.log_of(topic)
        return await self._committed.take(
            "segmenter",
            partition,
            lambda known: self._partitions.take(
                partition, log, self.on_due, known=known, holds=self._inputs.holding(partition, topic)
            ),
        )

    async def on_batch(self, batch: Batch) -> None:
        """Commit the accounts and changes of a batch of facts."""
        partitions = self._partitions
        owned, before = partitions.get(batch.partition), thread_time()
        if owned is None:
            return
        try:
            fence = owned.expect_held()
            async with within_deadline(batch):
                await partitions.wait_for_room(owned)
                for part in self._divider.divide(batch, owned.position.offset):
                    await self._do(part, owned, fence)
        except PartitionLost as error:
            await partitions.retake(owned, error)
            return
        except Exception as error:
            if isinstance(error, BatchTooSlow):
                computed = thread_time() - before >= COMPUTING * BATCH_DEADLINE
                self._divider.slow_down(batch, owned.position.offset, computed=computed)
            self._progress.count_failure(self.name, error)
            partitions.note_failure(owned, error)
            raise
        self._divider.speed_up(batch)
        self._young.collect()

    async def _do(self, batch: Batch, owned: SegmentedPartition, fence: int) -> None:
        while (apply := (await self._decide(batch, owned, fence)).waits_for) is not None:
            pending = changeover_of(owned.position).pending
            await self._settler.settle(apply, is_marked=pending is not None and pending.apply == apply)

    async def _decide(self, batch: Batch, owned: SegmentedPartition, fence: int) -> Segmented:
        with self._progress.timed(self.name):
            ahead = frozenset[int]() if self._ahead is None else await self._ahead.find(batch)
            if self._divider.is_stuck_at(batch.partition, owned.position.offset):
                done = await set_aside(
                    batch,
                    owned,
                    self._registry,
                    *TOO_SLOW,
                    publisher=self._publisher,
                    factory=self._announcer,
                    dead_letters=self._dead_letters,
                    fence=fence,
                    ahead=ahead,
                )
            else:
                done = await segment(
                    batch,
                    owned,
                    self._registry,
                    publisher=self._publisher,
                    factory=self._announcer,
                    dead_letters=self._dead_letters,
                    fence=fence,
                    ahead=ahead,
                )
        self._progress.count_batch(self.name, batch, len(done.changes), done.refused)
        self._progress.count_changes(done.changes)
        self._partitions.note_success(owned)
        return done

    async def on_due(self, owned: SegmentedPartition) -> None:
        """Decide one slice of the accounts whose deadline has come, else switch one slice to the version in force."""
        if owned.due:
            changes = await decide_due(owned, self._registry, factory=self._announcer)
            self._progress.count_due(changes)
        elif (number := find_due_sweep(owned.position, self._registry.timeline)) is not None:
            await self._sweep(owned, number)

    async def _sweep(self, owned: SegmentedPartition, number: int) -> None:
        """Continue with the sweep where the last slice ended; after the partition was taken again, from the beginning."""
        place = (owned.fence, number)
        before, cursor = self._cursors.get(owned.number, (place, 0))
        done = await sweep(
            owned, self._registry, cursor if before == place else 0, number, factory=self._announcer
        )
        self._cursors[owned.number] = place, done.cursor
        self._progress.count_due(done.changes)

    async def on_revoked(self, topic: str, partition: int) -> None:  # noqa: ARG002  # the port of a stage
        """Release the partition."""
        await self._partitions.release(partition)


class RouterStage:
    """Routes `segment-changes`: decides which workflow each account is in."""

    name = "router"
    has_positions = True

    def __init__(
        self,
        topics: Topics,
        router: Router,
        partitions: PartitionManager[RoutedAccount],
        *,
        segmented: PartitionManager[Account],
        inputs: InputTopics,
        committed: CommittedPartitions,
        progress: Progress,
    ) -> None:
        self.topics: Sequence[str] = [topics.segment_changes.name]
        self._read_with = topics.segment_changes.name, topics.routing_events.name
        self._router, self._partitions, self._segmented = router, partitions, segmented
        self._inputs, self._committed, self._progress = inputs, committed, progress

    async def on_assigned(self, topic: str, partition: int) -> int | None:  # noqa: ARG002  # the port of a stage
        """Take the partition, once Redis has its whole state."""
        log = self._inputs.log_of(*self._read_with)
        return await self._committed.take(
            "router",
            partition,
            lambda known: self._partitions.take(
                partition,
                log,
                self.on_due,
                known=known,
                holds=self._inputs.holding(partition, *self._read_with),
            ),
        )

    async def on_batch(self, batch: Batch) -> None:
        """Commit the commands that a batch of changes leads to, some changes at a time, all within one deadline."""
        until = asyncio.get_running_loop().time() + BATCH_DEADLINE
        owned = self._partitions.get(batch.partition)
        position, patience = 0 if owned is None else owned.position.offset, ROUTER_PATIENCE
        for part in divide_batch(batch, position, lambda: ROUTED_AT_ONCE):
            if not await self.work(part, route, patience=patience, until=until):
                return
            patience = 0.0

    async def on_due(self, owned: RoutedPartition) -> None:
        """Decide one slice of the accounts whose wait or acknowledgment is due, or that a switch concerns."""
        do = route_due if owned.due else look_again
        self._progress.count_routed_due(await do(owned, self._router))

    async def on_revoked(self, topic: str, partition: int) -> None:  # noqa: ARG002  # the port of a stage
        """Release the partition."""
        await self._partitions.release(partition)

    async def position_beside(self, partition: int) -> int:
        """Return the offset to read from in `routing-events`, once the partition is taken: one before the position."""
        position = (await self._partitions.wait_taken(partition)).position
        return max(0, position.side - 1) if position.side_mark else position.side

    async def work(
        self,
        batch: Batch,
        do: Callable[[Batch, RoutedPartition, Router, int], Awaitable[Routed]],
        *,
        patience: float = 0.0,
        until: float | None = None,
    ) -> bool:
        """Do a batch of either topic of the router, and wait until its commands are published.

        Return False if the partition is lost. Deadlines that are due come first, for up to `patience` seconds.
        """
        owned = self._partitions.get(batch.partition)
        if owned is None:
            return False
        try:
            fence = owned.expect_held()
            async with within_deadline(batch, until):
                if patience:
                    await self._segmented.wait_decided(patience)
                with self._progress.timed(self.name):
                    routed = await do(batch, owned, self._router, fence)
                self._progress.count_batch(self.name, batch, len(routed.actions), routed.refused)
                self._progress.count_routed(routed)
                # Kafka's offset is that of the commands that are published: a rebuilt prefix starts from there
                await owned.outbox.flushed()
        except PartitionLost as error:
            await self._partitions.retake(owned, error)
            return False
        except Exception as error:
            self._progress.count_failure(self.name, error)
            self._partitions.note_failure(owned, error)
            raise
        self._partitions.note_success(owned)
        return True


class RoutingEventStage:
    """Feeds `routing-events` to the router, in the partitions that its stage has taken."""

    name = "router-events"
    has_positions = True

    def __init__(self, topics: Topics, router: RouterStage) -> None:
        self.topics: Sequence[str] = [topics.routing_events.name]
        self._router = router

    async def on_assigned(self, topic: str, partition: int) -> int | None:  # noqa: ARG002  # the port of a stage
        """Read on from the offset that the router's commits hold."""
        return await self._router.position_beside(partition)

    async def on_batch(self, batch: Batch) -> None:
        """Commit what the events change."""
        await self._router.work(batch, handle_events)

    async def on_revoked(self, topic: str, partition: int) -> None:
        """Do nothing: the partition is released with its changes."""
