"""The composition root: one worker, from its settings to running agents. Nothing here outlives `running`."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, ClassVar

import structlog
from redis.asyncio import Redis

from resegment.agents.batch import Batch, PublishFailed
from resegment.agents.deadlines import tick
from resegment.agents.intake import ingest
from resegment.agents.partition import A, AccountCodec, OwnedPartition
from resegment.agents.router import Owned as RoutedPartition
from resegment.agents.router import Routed, Router, handle_events, pass_time, route, route_due
from resegment.agents.segmenter import Owned as SegmentedPartition
from resegment.agents.segmenter import decide_due, segment
from resegment.errors import RefusedEvent
from resegment.metrics import Metrics
from resegment.routing.account import RoutedAccount
from resegment.routing.enrollment import EnrollmentMachine
from resegment.routing.policy import Policy, list_files
from resegment.schemas.change import SegmentChange
from resegment.segmentation.definition import Definition
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Limits, Program
from resegment.settings import Settings
from resegment.sources.suppressions import ListFiles
from resegment.state.partition_store import StoreUnavailable
from resegment.state.redis.client import connect_redis, read_memory
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import Stage
from resegment.state.redis.owners import OwnerStore
from resegment.state.redis.partition import PartitionStore
from resegment.streams.consumer.application import Application, create_app, running
from resegment.streams.consumer.binding import bind
from resegment.streams.consumer.config import ConsumerConfig, PartitionProgress
from resegment.streams.consumer.credentials import credentials_of
from resegment.streams.heartbeat import Heartbeat
from resegment.streams.kafka import admin
from resegment.streams.kafka.admin import (
    NO_TOPIC,
    LogReplaced,
    TopicsUnavailable,
    join_topic_ids,
    read_topic_id,
)
from resegment.streams.kafka.connectivity import check_access
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.security import KafkaSecurity, secure_kafka
from resegment.streams.kafka.timeouts import pace_of
from resegment.streams.kafka.topic_reader import has_records
from resegment.streams.kafka.topics import Topics
from resegment.streams.message_factory import MessageFactory
from resegment.streams.prefix import Rebuilding, StateLost, agree, read_prefix
from resegment.streams.shutdown import Stopping
from resegment.streams.worker.monitor import Monitor, Stalled
from resegment.streams.worker.partitions import LOST, PartitionManager, cancel
from resegment.streams.worker.policy_reloader import PolicyReloader

__all__ = ["Stalled", "Worker", "wall_clock"]

log = structlog.get_logger(__name__)

AGENTS = frozenset({"intake", "segmenter", "router"})
"""What a worker runs. There is always a segmenter."""
LOG_LOOKED_AT = 30.0
"""Seconds between two looks at whether `signals` is still the same topic."""

ROUTER_PATIENCE = 2.0
"""Seconds that a batch of changes waits while others are due: a change that is late is worse than its commands."""


def wall_clock() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Worker:
    """One worker of a prefix. Enter `running`, wait for `ended`, and leave.

    The classes of its ports may be replaced by subclasses.
    """

    Publisher: ClassVar[type[KafkaPublisher]] = KafkaPublisher
    Store: ClassVar[type[PartitionStore]] = PartitionStore

    def __init__(
        self,
        settings: Settings,
        definition: Definition,
        *,
        bootstrap: str,
        redis_url: str,
        log_identity: str | None = None,
        aliases: Mapping[str, str] | None = None,
        now: Callable[[], int] = wall_clock,
        agents: Collection[str] = AGENTS,
        stopping: Stopping | None = None,
    ) -> None:
        """`agents`: which of AGENTS run; a benchmark leaves some out. `stopping`: the deadline of a stop."""
        self.settings = settings
        self.definition = definition
        self.metrics = Metrics()
        self.topics = Topics(settings.prefix)
        self.program = Program(definition, Limits(facts=settings.facts_per_kind))
        self.engine = Engine(self.program)
        self.changes_decided = 0
        self._bootstrap, self._redis_url = bootstrap, redis_url
        self._routed_topics = self.topics.segment_changes.name, self.topics.routing_events.name
        self._logs: dict[str, str] = {}
        """Which incarnation of a topic is read."""
        if log_identity is not None:
            self._logs = dict.fromkeys((self.topics.signals.name, *self._routed_topics), log_identity)
        self.policy = Policy(definition)
        self._aliases = aliases
        self._now = now
        self._agents = agents
        self._stopping = stopping or Stopping()
        self._factory = MessageFactory(definition, self.topics)
        self._fatal: asyncio.Future[BaseException] | None = None
        self.app: Application
        self.owned: PartitionManager[Account]
        self.routed: PartitionManager[RoutedAccount]
        self._router: Router
        self._watch: Monitor
        self._publisher: KafkaPublisher
        self._redis: Redis

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Worker]:
        """Connect, take partitions, work; leaving stops it cleanly."""
        settings = self.settings
        security, stop = secure_kafka(settings), self._stopping.step
        self._fatal = asyncio.get_running_loop().create_future()
        async with AsyncExitStack() as stack:
            self._redis = connect_redis(settings, self._redis_url)
            stack.push_async_callback(stop, "the client of Redis", 0.5, self._redis.aclose)
            await self._prepare(security)
            self._compose(security)
            await self._publisher.start()
            stack.push_async_callback(stop, "the publisher", 1.5, self._publisher.stop)
            steering = self._make_steering()
            await steering.begin(settings.route)
            heartbeat = Heartbeat(self._redis, settings.prefix)
            stack.push_async_callback(stop, "the heartbeat", 0.5, heartbeat.leave)
            self._watch = self._make_watch(heartbeat)
            await stack.enter_async_context(running(self.app, stopping=self._stopping))
            loops: list[Coroutine[Any, Any, None]] = [self._watch.run(), self._crash(), steering.run()]
            if settings.clock == "wall":
                loops.append(self._tick())
            if settings.kafka is not None:
                loops.append(self._watch_logs(security.clients()))
            tasks = [asyncio.create_task(self._guard(one)) for one in loops]
            stack.push_async_callback(stop, "the watch", 0.5, lambda: cancel(tasks))
            stack.push_async_callback(stop, "the relay", 2.0, self._finish)
            yield self

    async def _prepare(self, security: KafkaSecurity) -> None:
        """Agree on the prefix, make the topics, and refuse to go on where state was lost."""
        settings, kafka = self.settings, security.clients()
        held = await self._read_held()
        if settings.kafka is not None:
            await check_access(self._bootstrap, kafka)
        if held:
            await self._agree()  # who differs is refused before any topic is made
        await asyncio.to_thread(
            admin.create_topics,
            self._bootstrap,
            self.topics,
            partitions=settings.partitions,
            replication=settings.replication,
            retention={one.name: settings.retention for one in self.topics if one.retention is not None},
            **kafka,
        )
        if not held:
            # Nothing is written before it is sure that nothing was lost: the next start would take it for state.
            signals = self.topics.signals.name
            if await has_records(self._bootstrap, signals, security=kafka) and not await self._read_held():
                raise StateLost(settings.prefix)
            await self._agree()
        if not self._logs:
            names = [self.topics.signals.name, *self._routed_topics]
            identities = (asyncio.to_thread(read_topic_id, self._bootstrap, name, **kafka) for name in names)
            self._logs = dict(zip(names, await asyncio.gather(*identities), strict=True))

    async def _read_held(self) -> dict[str, str]:
        held = await read_prefix(self._redis, self.settings.prefix)
        if "rebuilding" in held:
            raise Rebuilding(self.settings.prefix)
        return held

    async def _agree(self) -> None:
        settings, version = self.settings, self.definition.version
        await agree(
            self._redis,
            settings.prefix,
            partitions=settings.partitions,
            clock=settings.clock,
            definition=version,
        )

    def _compose(self, security: KafkaSecurity) -> None:
        settings, topics = self.settings, self.topics
        embedded, pace = settings.kafka is None, pace_of(settings)
        self._publisher = self.Publisher(
            self._bootstrap,
            client_id=f"{settings.prefix}-publisher",
            idempotent=not embedded,
            security=security.clients(),
        )
        self.app = create_app(
            settings.prefix,
            self._bootstrap,
            credentials=credentials_of(security),
            config=ConsumerConfig(
                chunk_size=settings.chunk,
                fetch_wait=pace.fetch_wait,
                lost=lambda *_: self.metrics.log_gaps.inc(),
            ),
            session_timeout=pace.session_timeout,
            heartbeat_interval=pace.heartbeat_interval,
        )
        self.owned = PartitionManager(
            own=lambda number: self._own(number, "segmenter", self.engine),
            decide=self._decide,
            publisher=self._publisher,
            metrics=self.metrics,
            restart=lambda number: self.app.restart(topics.signals.name, number),
            failed=self._die,
            new_logs_are_expected=embedded,  # its broker is a new one at each start: `up` says so, once
        )
        self._compose_router(embedded=embedded)
        triggers = [one.name for one in topics.triggers if one is not topics.replay]
        if settings.clock == "facts":
            triggers = [topics.replay.name]
        if "intake" in self._agents:
            bind(self.app, triggers, self._take_in, name="intake", on_fatal=self._die)
        bind(
            self.app,
            [topics.signals.name],
            self._segment,
            name="segmenter",
            on_fatal=self._die,
            positions=self._assigned,
            released=lambda _, number: self.owned.release(number),
        )
        if "router" in self._agents:
            bind(
                self.app,
                [topics.segment_changes.name],
                self._route,
                name="router",
                on_fatal=self._die,
                positions=self._assigned_changes,
                released=lambda _, number: self.routed.release(number),
            )
            bind(
                self.app,
                [topics.routing_events.name],
                self._hear,
                name="router-events",
                on_fatal=self._die,
                positions=self._assigned_events,
            )

    def _compose_router(self, *, embedded: bool) -> None:
        self._router = Router(
            EnrollmentMachine(self.policy, live=self.settings.clock == "wall"),
            OwnerStore(self._redis, self.settings.prefix),
            self._publisher,
            self.topics.workflow_commands.name,
            self.topics.dead_letters.name,
            self._now if self.settings.clock == "wall" else None,
        )
        self.routed = PartitionManager(
            own=lambda number: self._own(number, "router", self._router.machine),
            decide=self._decide_routing,
            publisher=self._publisher,
            metrics=self.metrics,
            restart=self._restart_routing,
            failed=self._die,
            new_logs_are_expected=embedded,
            relay="router-relay",
            due="router-deadlines",
        )

    def _own(self, number: int, stage: Stage, codec: AccountCodec[A]) -> OwnedPartition[A]:
        timed, cached = self.metrics.commit_seconds.time, self.settings.cached_accounts
        store = self.Store(self._redis, self.settings.prefix, number, stage=stage, timed=timed)
        return OwnedPartition(number, store, codec, cached_accounts=cached)

    async def _restart_routing(self, number: int) -> None:
        await self.app.restart(self.topics.segment_changes.name, number)
        await self.app.restart(self.topics.routing_events.name, number)

    def _make_steering(self) -> PolicyReloader:
        lists = ListFiles(list_files(self.definition), self.settings.segments)
        return PolicyReloader(
            self.policy,
            self._redis,
            self.settings.prefix,
            self._publisher,
            self.topics.routing_events.name,
            lists.load,
            self._now,
        )

    def _make_watch(self, heartbeat: Heartbeat) -> Monitor:
        return Monitor(
            manager=self.owned,
            metrics=self.metrics,
            heartbeat=heartbeat,
            routed=self.routed,
            segments=[segment.name for segment in self.program.segments],
            partition_progress=self.partition_progress,
            redis_memory=self._redis_memory,
            dropped=lambda: self.engine.dropped,
            now=self._now,
            stalled_after=self.settings.stalled_after,
        )

    # How it is

    async def ended(self) -> BaseException:
        """Wait until something ends the worker, and return what."""
        assert self._fatal is not None
        return await asyncio.shield(self._fatal)

    @property
    def failure(self) -> BaseException | None:
        """What has ended the worker; None while it runs."""
        return self._fatal.result() if self._fatal is not None and self._fatal.done() else None

    @property
    def lag(self) -> int:
        """Records of the partitions owned that are not done yet, as of the last look, each second."""
        return self._watch.lag

    @property
    def reachable(self) -> bool:
        """Whether Kafka and Redis answered at the last look."""
        return self._watch.reachable

    @property
    def stalled_for(self) -> float:
        """Seconds for which there has been lag and no progress; 0 while things move."""
        return self._watch.stalled_for

    async def partition_progress(self) -> list[PartitionProgress]:
        """How far each owned partition of each topic is."""
        return await self.app.partition_progress()

    def _die(self, error: BaseException) -> None:
        if self._fatal is not None and not self._fatal.done():
            self._fatal.set_result(error)

    async def _guard(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:  # a task that ends would end in silence
            log.exception("worker task failed")
            self._die(error)

    # Agents

    async def _take_in(self, batch: Batch) -> None:
        try:
            with self.metrics.batch_seconds.labels("intake").time():
                taken = await ingest(
                    batch,
                    publisher=self._publisher,
                    signals=self.topics.signals.name,
                    dead_letters=self.topics.dead_letters.name,
                    clock=self.settings.clock,
                    now=self._now,
                    aliases=self._aliases,
                )
        except Exception as error:
            self.metrics.failures.labels("intake", type(error).__name__).inc()
            raise
        self._count("intake", batch, taken.accepted, taken.refused)

    async def _segment(self, batch: Batch) -> None:
        owned = self.owned.get(batch.partition)
        if owned is None:
            return
        try:
            await self.owned.room(owned)
            with self.metrics.batch_seconds.labels("segmenter").time():
                done = await segment(
                    batch,
                    owned,
                    self.engine,
                    publisher=self._publisher,
                    factory=self._factory,
                    dead_letters=self.topics.dead_letters.name,
                )
        except LOST as error:
            await self.owned.retake(owned, error)
            return
        except Exception as error:
            self.metrics.failures.labels("segmenter", type(error).__name__).inc()
            self.owned.fail(owned, error)
            raise
        self._count("segmenter", batch, len(done.changes), done.refused)
        self._tally(done.changes)
        self.owned.done(owned)

    async def _route(self, batch: Batch) -> None:
        await self.owned.decided(ROUTER_PATIENCE)
        await self._follow(batch, route)

    async def _hear(self, batch: Batch) -> None:
        await self._follow(batch, handle_events)

    async def _follow(
        self, batch: Batch, work: Callable[[Batch, RoutedPartition, Router], Awaitable[Routed]]
    ) -> None:
        owned = self.routed.get(batch.partition)
        if owned is None:
            return
        try:
            with self.metrics.batch_seconds.labels("router").time():
                routed = await work(batch, owned, self._router)
        except LOST as error:
            await self.routed.retake(owned, error)
            return
        except Exception as error:
            self.metrics.failures.labels("router", type(error).__name__).inc()
            self.routed.fail(owned, error)
            raise
        # the offset that Kafka keeps is that of what was commanded: from there on a rebuilt prefix goes on
        await owned.outbox.flushed()
        self._count("router", batch, len(routed.actions), routed.refused)
        self._routed(routed)
        self.routed.done(owned)

    def _routed(self, routed: Routed) -> None:
        for decision, count in routed.decisions:
            self.metrics.routed.labels(decision).inc(count)
        for action, count in Counter(routed.actions).items():
            self.metrics.commands.labels(action).inc(count)

    async def _decide(self, owned: SegmentedPartition) -> None:
        self._decided(await decide_due(owned, self.engine, factory=self._factory))

    async def _decide_routing(self, owned: RoutedPartition) -> None:
        self._routed(await route_due(owned, self._router))
        self._watch.progress += 1

    async def _assigned_changes(self, _: str, partition: int) -> int | None:
        return await self.routed.take(
            partition, join_topic_ids(*[self._logs[one] for one in self._routed_topics])
        )

    async def _assigned_events(self, _: str, partition: int) -> int | None:
        return (await self.routed.taken(partition)).position.side

    async def _assigned(self, _: str, partition: int) -> int | None:
        if not await read_prefix(self._redis, self.settings.prefix):
            self._die(StateLost(self.settings.prefix))
            await asyncio.Event().wait()  # nothing may be taken any more: the worker ends
        return await self.owned.take(partition, self._logs[self.topics.signals.name])

    async def _tick(self) -> None:
        while True:
            late: Sequence[int] = ()
            for owned in list(self.routed):
                if owned.next_deadline is not None and owned.next_deadline <= self._now():
                    await self._pass_time(owned)
            with suppress(PublishFailed):
                late = await tick(
                    self.owned, publisher=self._publisher, signals=self.topics.signals.name, now=self._now()
                )
            self.metrics.ticks.inc(len(late))
            await asyncio.sleep(0.5 if late else 0.1)

    async def _pass_time(self, owned: RoutedPartition) -> None:
        try:
            await pass_time(owned, self._now())
        except (*LOST, StoreUnavailable) as error:
            await self.routed.retake(owned, error)

    async def _watch_logs(self, kafka: Mapping[str, Any]) -> None:
        """End where an input was made anew: if the new log is long enough, no reader would ever see it."""
        while True:
            await asyncio.sleep(LOG_LOOKED_AT)
            for topic, held in self._logs.items():
                with suppress(TopicsUnavailable):
                    if await asyncio.to_thread(read_topic_id, self._bootstrap, topic, **kafka) not in {
                        held,
                        NO_TOPIC,
                    }:
                        self._die(LogReplaced(topic))
                        return

    async def _crash(self) -> None:
        self._die(await self.app.crashed())

    async def _redis_memory(self) -> int:
        with answering("tell its memory"):
            return await read_memory(self._redis)

    # Counting

    def _count(self, stage: str, batch: Batch, made: int, refused: Sequence[RefusedEvent]) -> None:
        self._watch.progress += 1
        self.metrics.events_in.labels(stage).inc(len(batch.records))
        self.metrics.events_out.labels(stage).inc(made)
        for one in refused:
            self.metrics.refused.labels(stage, one.reason).inc()
            log.warning("refused", stage=stage, reason=one.reason, field=one.field, message=one.message[:200])

    def _decided(self, changes: Sequence[SegmentChange]) -> None:
        self._watch.progress += 1
        self.metrics.events_out.labels("deadlines").inc(len(changes))
        self._tally(changes)

    def _tally(self, changes: Sequence[SegmentChange]) -> None:
        self.changes_decided += len(changes)
        for (left, taken), count in Counter((change.from_ or "", change.to) for change in changes).items():
            self.metrics.flows.labels(left, taken).inc(count)
        if self.settings.clock == "wall":
            now, lateness = self._now(), self.metrics.deadline_lateness
            for change in changes:
                if change.cause.deadline is not None:
                    lateness.observe((now - change.effective_at) / 1000)

    # Draining

    async def is_drained(self) -> bool:
        """Whether everything that was sent has come out at the end, and stays so between two looks."""
        first = await self._look()
        return first is not None and first == await self._look()

    async def _look(self) -> tuple[tuple[str, int, int | None], ...] | None:
        if not all(one.is_idle for one in (*self.owned, *self.routed)):
            return None
        if len(self.owned) < self.settings.partitions:
            return None
        partitions = await self.app.partition_progress()
        if any(one.lag != 0 for one in partitions):
            return None
        return tuple((one.topic, one.partition, one.offset) for one in partitions)

    async def drain(self, limit: float | None = None) -> bool:
        """Wait until all is drained; False where that takes longer than `limit` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while not await self.is_drained():  # noqa: ASYNC110  # it is the broker that knows
                    await asyncio.sleep(0.05)
                return True
        return False

    async def _finish(self) -> None:
        """Publish what waits in the outboxes before the producer goes."""
        while any(one.outbox.entries for one in (*self.owned, *self.routed)):  # noqa: ASYNC110  # the relays empty them
            await asyncio.sleep(0.01)
