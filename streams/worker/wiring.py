"""The composition root of a worker: which part gets what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from resegment.agents.deciding.sweep import find_due_sweep
from resegment.agents.intake import IntakeRules
from resegment.agents.partition import OwnedPartition
from resegment.agents.router import Router, has_to_look
from resegment.metrics import Metrics
from resegment.routing.account import RoutedAccount
from resegment.routing.enrollment import EnrollmentMachine
from resegment.segmentation.definition import Definition
from resegment.segmentation.evaluation.account import Account
from resegment.settings import Settings
from resegment.sources.suppressions import ListFiles
from resegment.state.account_cache import CacheBudget
from resegment.state.redis.keys import Stage
from resegment.state.redis.owners import OwnerStore
from resegment.state.redis.partition import PartitionStore
from resegment.state.redis.reader import PrefixReader
from resegment.state.sources.arrivals import Arrivals
from resegment.state.writes import A, AccountCodec
from resegment.streams.ahead import find_ahead_records
from resegment.streams.consumer.application import Application, create_app
from resegment.streams.consumer.binding import bind
from resegment.streams.consumer.credentials import credentials_of
from resegment.streams.definitions.follower import DefinitionFollower
from resegment.streams.definitions.log import DefinitionWriter
from resegment.streams.definitions.policies import VersionPolicies, files_of_lists
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.definitions.starting import warn_if_different
from resegment.streams.heartbeat import Heartbeat
from resegment.streams.identities.follower import IdentityFollower
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.security import KafkaSecurity
from resegment.streams.kafka.timeouts import pace_of
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.keys import ProcessKeys
from resegment.streams.transport.binding import Retry
from resegment.streams.transport.config import ConsumerConfig
from resegment.streams.worker.committed_partitions import CommittedPartitions
from resegment.streams.worker.connections import check_lists, open_log, open_publisher, seal_by
from resegment.streams.worker.failure import Failure
from resegment.streams.worker.housekeeping import Housekeeping
from resegment.streams.worker.key_watch import KeyWatch
from resegment.streams.worker.loops.apply_closer import ApplyCloser
from resegment.streams.worker.loops.input_topics import InputTopics
from resegment.streams.worker.loops.monitor import Gauges, Monitor
from resegment.streams.worker.loops.policy_reloader import PolicyReloader
from resegment.streams.worker.loops.preparer import Preparer
from resegment.streams.worker.loops.shadow_follower import ShadowFollower
from resegment.streams.worker.loops.source_watcher import SourceWatcher, watch_sources
from resegment.streams.worker.loops.ticker import Ticker
from resegment.streams.worker.partitions import PartitionManager
from resegment.streams.worker.progress import Progress
from resegment.streams.worker.stages import (
    BATCH_DEADLINE,
    IntakeStage,
    RouterStage,
    RoutingEventStage,
    SegmenterStage,
    StageHandler,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from resegment.streams.tracing.tracing import Tracing

AGENTS: Final = frozenset({"intake", "segmenter", "router"})
"""What a worker runs. There is always a segmenter."""


@dataclass(frozen=True, slots=True)
class PartClasses:
    """The classes that a worker is made of. A test replaces some by subclasses that fail on purpose."""

    publisher: type[KafkaPublisher] = KafkaPublisher
    store: type[PartitionStore] = PartitionStore
    intake: type[IntakeStage] = IntakeStage
    segmenter: type[SegmenterStage] = SegmenterStage
    router: type[RouterStage] = RouterStage


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker is made from. `agents`: which of AGENTS run. `now` is the wall clock, ms.

    `given` is the worker's own file, None if it could not be read.
    """

    settings: Settings
    given: Definition | None
    topics: Topics
    bootstrap: str
    redis_url: str
    now: Callable[[], int]
    agents: Collection[str] = AGENTS

    @property
    def live(self) -> bool:
        """Return whether time is the wall's."""
        return self.settings.clock == "wall"


@dataclass(frozen=True, slots=True)
class Shared:
    """What all parts share: connections, and where they count and report."""

    client: Redis
    security: KafkaSecurity
    inputs: InputTopics
    registry: DefinitionRegistry
    metrics: Metrics
    progress: Progress
    failure: Failure
    budget: CacheBudget
    arrivals: Arrivals = field(default_factory=Arrivals)
    tracing: Tracing | None = None
    keys: ProcessKeys = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one running worker."""

    publisher: KafkaPublisher
    app: Application
    registry: DefinitionRegistry
    follower: DefinitionFollower
    segmented: PartitionManager[Account]
    routed: PartitionManager[RoutedAccount]
    committed: CommittedPartitions
    monitor: Monitor
    heartbeat: Heartbeat
    reloader: PolicyReloader
    preparer: Preparer
    identities: IdentityFollower
    closer: ApplyCloser
    shadow: ShadowFollower
    housekeeping: Housekeeping
    ticker: Ticker
    sources: SourceWatcher


def compose(plan: Plan, shared: Shared, classes: PartClasses) -> Parts:
    """Build all parts and bind the stages to their topics. Nothing is connected yet."""
    settings, topics, registry = plan.settings, plan.topics, shared.registry
    runtime = registry.current
    publisher = open_publisher(classes.publisher, settings, plan.bootstrap, shared.security, shared.keys)
    writer = DefinitionWriter(publisher, topics)
    log = open_log(settings, plan.bootstrap, topics, shared.security, shared.client, plan.now, shared.keys)
    app = _create_app(plan, shared)
    segmented: PartitionManager[Account] = PartitionManager(
        lambda number: _open(plan, shared, classes, number, "segmenter", registry),
        lambda number: app.restart(topics.signals.name, number),
        publisher=publisher,
        metrics=shared.metrics,
        failure=shared.failure,
        now=plan.now,
    )
    router = Router(
        EnrollmentMachine(VersionPolicies(registry), live=plan.live),
        OwnerStore(shared.client, settings.prefix),
        publisher,
        topics.workflow_commands.name,
        topics.dead_letters.name,
        plan.now if plan.live else None,
        topics.routing_events.name,
        settings.tolerance,
        topics.touches.name,
        shared.keys.record_opener(strict=True).open if shared.keys.are_set else None,
    )

    async def restart_routing(number: int) -> None:
        # both at once: what was delivered of either is stale before the partition is taken again
        await asyncio.gather(
            app.restart(topics.segment_changes.name, number),
            app.restart(topics.routing_events.name, number),
        )

    routed: PartitionManager[RoutedAccount] = PartitionManager(
        lambda number: _open(plan, shared, classes, number, "router", router.machine),
        restart_routing,
        publisher=publisher,
        metrics=shared.metrics,
        failure=shared.failure,
        label="router-",
        now=plan.now,
    )
    committed = CommittedPartitions(shared.client, settings.prefix, shared.failure, shared.metrics.waiting)
    for stage in _stages(plan, shared, classes, publisher, segmented, routed, router, committed):
        bind(
            app,
            stage.topics,
            stage.on_batch if shared.tracing is None else shared.tracing.traced(stage.name, stage.on_batch),
            name=stage.name,
            on_fatal=shared.failure.report,
            positions=stage.on_assigned if stage.has_positions else None,
            released=stage.on_revoked,
            retry=Retry(deadline=BATCH_DEADLINE + 5),  # the stage has its own, which it counts
        )
    heartbeat = Heartbeat(shared.client, settings.prefix)
    heartbeat.note_version(registry.definitions.current, warn_if_different(plan.given, registry.definitions))
    gauges = Gauges(
        shared.metrics,
        runtime.engine,
        segmented,
        routed,
        client=shared.client,
        now=plan.now,
        counts=lambda: registry.timeline,
        prefix=settings.prefix,
    )
    gauges.keys = KeyWatch(shared.keys.held, shared.metrics)

    def note_skipped(lines: Mapping[str, int]) -> None:
        heartbeat.note_skipped(lines)
        for name, count in lines.items():
            shared.metrics.list_lines_skipped.labels(name).set(count)

    lists = ListFiles(settings.segments, note_skipped)

    async def note_definitions() -> None:
        if registry.definitions.current == heartbeat.version:
            return
        heartbeat.note_version(
            registry.definitions.current, warn_if_different(plan.given, registry.definitions)
        )

    return Parts(
        publisher=publisher,
        app=app,
        registry=registry,
        follower=DefinitionFollower(
            registry,
            plan.bootstrap,
            topics,
            shared.security.clients(),
            on_change=note_definitions,
        ),
        segmented=segmented,
        routed=routed,
        committed=committed,
        monitor=Monitor(
            gauges,
            heartbeat,
            shared.progress,
            partition_progress=app.partition_progress,
            stalled_after=settings.stalled_after,
            kept=lambda: shared.budget.used,
        ),
        heartbeat=heartbeat,
        reloader=PolicyReloader(
            *(registry.controls, shared.client, settings.prefix, publisher, topics.routing_events.name),
            lambda: lists.load(files_of_lists(registry)),
            plan.now,
            heartbeat.note_frozen,
        ),
        closer=ApplyCloser(
            registry,
            segmented,
            writer,
            shared.client,
            PrefixReader(shared.client, settings.prefix, settings.partitions),
        ),
        shadow=ShadowFollower(
            registry,
            segmented,
            lambda number: PartitionStore(shared.client, settings.prefix, number, stage="shadow"),
            log,
            cache_bytes=settings.cache_bytes // 8,
        ),
        housekeeping=Housekeeping.of(
            settings, shared.client, registry, shared.metrics, segmented, log, publisher, plan.now
        ),
        preparer=Preparer(
            registry, segmented, writer, log, lambda definition: check_lists(settings, definition)
        ),
        identities=IdentityFollower(
            *(shared.client, settings.partitions, publisher, log, lambda: segmented.get(0) is not None),
            *(shared.metrics.unresolved_waiting.set, shared.keys),
        ),
        ticker=Ticker(
            segmented,
            routed,
            publisher=publisher,
            signals=topics.signals.name,
            metrics=shared.metrics,
            now=plan.now,
            router=router,
        ),
        sources=watch_sources(plan, shared, segmented, publisher),
    )


def _create_app(plan: Plan, shared: Shared) -> Application:
    settings, pace = plan.settings, pace_of(plan.settings)
    return create_app(
        settings.prefix,
        plan.bootstrap,
        credentials=credentials_of(shared.security),
        config=ConsumerConfig(
            chunk_size=settings.chunk,
            fetch_wait=pace.fetch_wait,
            rolling=settings.kafka
            is not None,  # the embedded broker takes seconds to agree on one of two ways
            lost=lambda *_: shared.metrics.log_gaps.inc(),
        ),
        session_timeout=pace.session_timeout,
        heartbeat_interval=pace.heartbeat_interval,
    )


def _open(
    plan: Plan, shared: Shared, classes: PartClasses, number: int, stage: Stage, codec: AccountCodec[A]
) -> OwnedPartition[A]:
    timed = shared.metrics.commit_seconds.time
    store = classes.store(shared.client, plan.settings.prefix, number, stage=stage, timed=timed)
    return OwnedPartition(
        number,
        store,
        codec,
        budget=shared.budget,
        has_more=has_to_look
        if stage == "router"
        else lambda position: find_due_sweep(position, shared.registry.timeline) is not None,
    )


def _stages(
    plan: Plan,
    shared: Shared,
    classes: PartClasses,
    publisher: KafkaPublisher,
    segmented: PartitionManager[Account],
    routed: PartitionManager[RoutedAccount],
    router: Router,
    committed: CommittedPartitions,
) -> list[StageHandler]:
    topics, progress = plan.topics, shared.progress
    stages: list[StageHandler] = []
    if "intake" in plan.agents:
        intake = classes.intake(
            topics,
            rules=IntakeRules(
                plan.settings.clock,
                plan.now,
                plan.settings.tolerance,
                topics.kinds,
                shared.registry.dropped_at,
                seal_by(shared.keys.held, shared.registry),
            ),
            publisher=publisher,
            progress=progress,
            arrivals=shared.arrivals,
        )
        stages.append(intake)
    stages.append(
        classes.segmenter(
            topics,
            shared.registry,
            segmented,
            inputs=shared.inputs,
            committed=committed,
            publisher=publisher,
            progress=progress,
            ahead=find_ahead_records(
                shared.client,
                plan.settings.prefix,
                plan.settings.clock,
                lambda: plan.now() + plan.settings.tolerance,
            ),
        )
    )
    if "router" in plan.agents:
        routing = classes.router(
            topics,
            router,
            routed,
            segmented=segmented,
            inputs=shared.inputs,
            committed=committed,
            progress=progress,
        )
        stages += [routing, RoutingEventStage(topics, routing)]
    return stages
