"""One worker, from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any, ClassVar

from redis.asyncio import Redis

from resegment.agents.batch import Publisher
from resegment.metrics import Metrics
from resegment.routing.account import RoutedAccount
from resegment.routing.policy import Policy
from resegment.segmentation.definition import Definition
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.settings import Settings
from resegment.state.account_cache import CacheBudget
from resegment.state.keys.keyring import Keyring
from resegment.state.redis.client import connect_redis, read_time
from resegment.streams.audit.trail import AuditTrail
from resegment.streams.consumer.application import running
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.definitions.starting import establish, name_user
from resegment.streams.kafka.partition_counts import PartitionCounts
from resegment.streams.kafka.security import KafkaSecurity, secure_kafka
from resegment.streams.kafka.topics import Topics
from resegment.streams.prefix import agree_on_keys, note_definition, read_prefix
from resegment.streams.sealing.keys import ProcessKeys
from resegment.streams.shutdown import Stopping
from resegment.streams.tracing.opening import exporting_traces
from resegment.streams.worker.connections import open_publisher
from resegment.streams.worker.failure import Failure
from resegment.streams.worker.loops.input_topics import InputTopics
from resegment.streams.worker.loops.worker_clock import WorkerClock
from resegment.streams.worker.partitions import PartitionManager, cancel
from resegment.streams.worker.progress import Progress
from resegment.streams.worker.startup import prepare_prefix
from resegment.streams.worker.wiring import (
    AGENTS,
    PartClasses,
    Parts,
    Plan,
    Shared,
    compose,
)


class Worker:
    """One worker of a prefix. Enter `running`, wait for `ended`, and leave."""

    classes: ClassVar[PartClasses] = PartClasses()

    def __init__(
        self,
        settings: Settings,
        definition: Definition | None,
        *,
        bootstrap: str,
        redis_url: str,
        agents: Collection[str] = AGENTS,
        stopping: Stopping | None = None,
    ) -> None:
        """`definition` is the worker's file: it becomes the first version of a prefix that has none.

        `agents`: which of AGENTS run; a benchmark leaves some out. `stopping`: the deadline of a stop.
        """
        self.settings = settings
        self.topics = Topics(settings.prefix)
        self.metrics = Metrics()
        self._clock = WorkerClock(settings.tolerance)
        self.plan = Plan(settings, definition, self.topics, bootstrap, redis_url, self._clock, agents)
        self._progress = Progress(self.metrics, self._clock if self.plan.live else None)
        self._stopping = stopping or Stopping()
        self._failure = Failure()
        self._parts: Parts | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Worker]:
        """Connect, take partitions and work; leaving stops the worker cleanly."""
        settings, plan, stop = self.settings, self.plan, self._stopping.step
        security = secure_kafka(settings)
        self._failure = Failure()
        async with AsyncExitStack() as stack:
            client = connect_redis(settings, plan.redis_url)
            stack.push_async_callback(stop, "the client of Redis", 0.5, client.aclose)
            tracing = await stack.enter_async_context(exporting_traces(settings, "worker"))
            keys = ProcessKeys(settings)
            stack.push_async_callback(stop, "the client of the key store", 0.5, keys.aclose)
            await keys.ring()
            shared = replace(await self._prepare(client, security, keys), tracing=tracing)
            parts = self._parts = compose(plan, shared, self.classes)
            await parts.publisher.start()
            stack.push_async_callback(stop, "the publisher", 1.5, parts.publisher.stop)
            await parts.reloader.begin(settings.route, self._open_trail(client, parts.publisher))
            stack.push_async_callback(stop, "the heartbeat", 0.5, lambda: self._leave(parts))
            await stack.enter_async_context(running(parts.app, stopping=self._stopping))
            loops: list[Coroutine[Any, Any, None]] = [
                parts.follower.run(),
                parts.preparer.run(),
                parts.identities.run(),
                parts.closer.run(),
                parts.shadow.run(),
                parts.housekeeping.spot_checker.run(),
                parts.housekeeping.refresher.run(),
                parts.housekeeping.credits.run(),
                parts.monitor.run(),
                self._report_crash(parts),
                parts.reloader.run(),
            ]
            if plan.live:
                loops += [
                    *(parts.ticker.run(), parts.sources.run(), parts.housekeeping.letters.run()),
                    self._clock.run(client),
                ]
            if settings.kafka is not None:
                loops += [shared.inputs.check(), self._count_partitions(security)]
            tasks = [asyncio.create_task(self._failure.guard(one, "worker")) for one in loops]
            stack.push_async_callback(stop, "the monitor", 0.5, lambda: cancel(tasks))
            stack.push_async_callback(stop, "the relay", 2.0, self._flush)
            yield self

    def _count_partitions(self, security: KafkaSecurity) -> Coroutine[Any, Any, None]:
        async def wanted() -> int:
            return self.settings.partitions

        surplus = self.metrics.partitions_surplus
        return PartitionCounts(self.plan.bootstrap, security.clients(), self.topics, wanted, surplus).run()

    def _open_trail(self, client: Redis, publisher: Publisher) -> AuditTrail:
        """Return the audit log, for who runs this process."""
        settings, topic = self.settings, self.topics.audit_log.name
        return AuditTrail(
            client, settings.prefix, topic, settings.actor or name_user(), lambda: nullcontext(publisher)
        )

    async def _prepare(self, client: Redis, security: KafkaSecurity, keys: ProcessKeys) -> Shared:
        plan = self.plan
        if plan.live:
            await self._clock.compare(lambda: read_time(client))
        await prepare_prefix(
            self.settings,
            client,
            self.topics,
            bootstrap=plan.bootstrap,
            security=security,
        )
        await agree_on_keys(client, self.settings.prefix, keys.held)
        registry = await self._establish(client, security, keys.held)
        inputs = await InputTopics.identify(plan.bootstrap, security.clients(), self.topics)
        budget = CacheBudget(self.settings.cache_bytes)
        self.metrics.cached_bytes.set_function(lambda: budget.used)
        self.metrics.partitions.set(self.settings.partitions)
        self.metrics.definition.set_function(lambda: registry.definitions.current)
        return Shared(
            *(client, security, inputs, registry, self.metrics, self._progress, self._failure, budget),
            keys=keys,
        )

    async def _establish(
        self, client: Redis, security: KafkaSecurity, keyring: Keyring | None
    ) -> DefinitionRegistry:
        """Return the versions of the prefix, of which there is at least one."""
        plan, settings = self.plan, self.settings
        definitions = await establish(
            plan.given,
            await read_prefix(client, settings.prefix),
            self.topics,
            plan.bootstrap,
            security.clients(),
            publishing=lambda: open_publisher(self.classes.publisher, settings, plan.bootstrap, security),
        )
        registry = DefinitionRegistry(
            definitions, self.topics, facts_per_test=settings.facts_per_test, keys=keyring
        )
        registry.folds_in = True
        await note_definition(client, settings.prefix, registry.current.definition.version)
        return registry

    async def _leave(self, parts: Parts) -> None:
        await parts.heartbeat.leave(failed=self.failure is not None)

    async def _report_crash(self, parts: Parts) -> None:
        self._failure.report(await parts.app.crashed())

    # How it is

    async def ended(self) -> BaseException:
        """Wait until something ends the worker, and return the error."""
        return await self._failure.wait()

    @property
    def failure(self) -> BaseException | None:
        """Return what has ended the worker; None while it runs."""
        return self._failure.error

    @property
    def owned(self) -> PartitionManager[Account]:
        """Return the owned partitions of `signals`."""
        return self._running.segmented

    @property
    def routed(self) -> PartitionManager[RoutedAccount]:
        """Return the owned partitions of `segment-changes`."""
        return self._running.routed

    @property
    def partitions(self) -> list[int]:
        """Return which partitions of `signals` are owned; none before the start."""
        return [] if self._parts is None else self._parts.segmented.numbers

    @property
    def waiting(self) -> list[int]:
        """Return the partitions that wait because Redis lost their state."""
        return [] if self._parts is None else self._parts.committed.waiting

    @property
    def differing(self) -> dict[str, str]:
        """Return the accounts that were found to differ from the log since the start, each with what does."""
        return {} if self._parts is None else self._parts.housekeeping.spot_checker.differing

    @property
    def engine(self) -> Engine:
        """Return what evaluates accounts by the version in force."""
        return self._running.registry.current.engine

    @property
    def registry(self) -> DefinitionRegistry:
        """Return the versions of the prefix."""
        return self._running.registry

    @property
    def definition(self) -> Definition:
        """Return the version in force."""
        return self._running.registry.current.definition

    @property
    def policy(self) -> Policy:
        """Return the routing policy, with the mode and the lists as they are now."""
        return self._running.registry.current.policy

    @property
    def changes_decided(self) -> int:
        """Return how many segment changes were decided since the start."""
        return self._progress.changes_decided

    @property
    def lag(self) -> int:
        """Return how many records of the owned partitions were not done at the last look, each second."""
        return 0 if self._parts is None else self._parts.monitor.lag

    @property
    def reachable(self) -> bool:
        """Return whether Kafka and Redis answered at the last look."""
        return self._parts is not None and self._parts.monitor.reachable

    @property
    def stalled_for(self) -> float:
        """Return for how many seconds there has been lag and no progress; 0 while things move."""
        return 0.0 if self._parts is None else self._parts.monitor.stalled_for

    @property
    def _running(self) -> Parts:
        assert self._parts is not None, "the worker has not started"
        return self._parts

    # Draining

    async def is_drained(self) -> bool:
        """Return whether everything that was sent has come out at the end, and stays so between two looks."""
        first = await self._settled_offsets()
        return first is not None and first == await self._settled_offsets()

    async def _settled_offsets(self) -> tuple[tuple[str, int, int | None], ...] | None:
        """Return where each partition is, or None while something is left to do."""
        parts = self._running
        if not all(one.is_idle for one in (*parts.segmented, *parts.routed)):
            return None
        if len(parts.segmented) < self.settings.partitions:
            return None
        partition_progress = await parts.app.partition_progress()
        if any(one.lag != 0 for one in partition_progress):
            return None
        return tuple((one.topic, one.partition, one.offset) for one in partition_progress)

    async def drain(self, limit: float | None = None) -> bool:
        """Wait until all is drained; return False where that takes longer than `limit` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while not await self.is_drained():  # noqa: ASYNC110  # it is the broker that knows
                    await asyncio.sleep(0.05)
                return True
        return False

    async def _flush(self) -> None:
        """Publish what waits in the outboxes before the producer goes."""
        parts = self._running
        while any(one.outbox.entries for one in (*parts.segmented, *parts.routed)):  # noqa: ASYNC110  # the relays empty them
            await asyncio.sleep(0.01)
