"""The composition root: one worker, from its settings to running agents. Nothing here outlives `run`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from redis.asyncio import Redis

from resegment.agents.batch import Batch
from resegment.agents.deadlines import tick
from resegment.agents.intake import take_in
from resegment.agents.ownership import OutOfStep, OwnedPartition
from resegment.agents.relay import relay
from resegment.agents.router import route
from resegment.agents.segmenter import Segmented, decide_due, segment
from resegment.errors import RefusedEvent, ResegmentError
from resegment.metrics import Metrics
from resegment.schemas.change import SegmentChange
from resegment.schemas.times import parse_instant
from resegment.segmentation.definition import Definition
from resegment.segmentation.engine import Engine
from resegment.segmentation.program import Limits, Program
from resegment.settings import Settings
from resegment.state.port import Fenced, RolledBack, StoreUnavailable
from resegment.state.redis import PartitionStore
from resegment.streams import topics as topics_module
from resegment.streams.announcing import announcer
from resegment.streams.application import Application, create_app, running
from resegment.streams.binding import bind
from resegment.streams.feed import Feed, Standing
from resegment.streams.identity import identify
from resegment.streams.prefix import Rebuilding, StateLost, agree, forget_prefix, read_prefix
from resegment.streams.publisher import KafkaPublisher, PublishFailed
from resegment.streams.reading import has_records
from resegment.streams.registry import Registry
from resegment.streams.security import connect_redis, secure_kafka
from resegment.streams.topics import Topics

log = structlog.get_logger(__name__)

LOST = (Fenced, RolledBack, OutOfStep)
"""Errors after which a partition is taken anew."""


class Stalled(ResegmentError):
    """There was lag and no progress for too long: better to end and be started anew than to stand still."""


def wall_clock() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass
class _Owned:
    partition: OwnedPartition
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Worker:
    """One worker of a prefix. Enter `running`, wait for `ended`, and leave."""

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
    ) -> None:
        self.settings = settings
        self.definition = definition
        self.metrics = Metrics()
        self.topics = Topics(settings.prefix)
        self.program = Program(definition, Limits(facts=settings.facts_per_kind))
        self.engine = Engine(self.program)
        self.owned: dict[int, _Owned] = {}
        self.changes_decided = 0
        self._dropped = 0
        self._bootstrap, self._redis_url = bootstrap, redis_url
        self._log_identity = log_identity
        self._aliases = aliases
        self._now = now
        self._announce = announcer(definition, self.topics.segment_changes.name)
        self._fatal: asyncio.Future[BaseException] | None = None
        self._progress = 0
        self._still_since: float | None = None
        self.lag = 0
        """Records of the partitions owned that are not done yet, as of the last look, each second."""
        self.app: Application
        self._publisher: KafkaPublisher
        self._redis: Redis

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Worker]:
        """Connect, take partitions, work; leaving stops it cleanly."""
        settings = self.settings
        security = secure_kafka(settings)
        self._fatal = asyncio.get_running_loop().create_future()
        async with AsyncExitStack() as stack:
            self._redis = connect_redis(settings, self._redis_url)
            stack.push_async_callback(self._redis.aclose)
            held = await read_prefix(self._redis, settings.prefix)
            if "rebuilding" in held:
                raise Rebuilding(settings.prefix)
            await agree(
                self._redis,
                settings.prefix,
                partitions=settings.partitions,
                clock=settings.clock,
                definition=self.definition.version,
            )
            await asyncio.to_thread(
                topics_module.create,
                self._bootstrap,
                self.topics,
                partitions=settings.partitions,
                replication=settings.replication,
                **security.clients(),
            )
            if not held and await has_records(
                self._bootstrap, self.topics.signals.name, security=security.clients()
            ):
                await forget_prefix(self._redis, settings.prefix)
                raise StateLost(settings.prefix)
            if self._log_identity is None:
                self._log_identity = await asyncio.to_thread(
                    identify, self._bootstrap, self.topics.signals.name, **security.clients()
                )
            embedded = settings.kafka is None
            self._publisher = KafkaPublisher(
                self._bootstrap,
                client_id=f"{settings.prefix}-publisher",
                idempotent=not embedded,
                security=security.clients(),
            )
            await stack.enter_async_context(self._publisher)
            self.app = create_app(
                settings.prefix,
                self._bootstrap,
                credentials=security.credentials(),
                feed=Feed(chunk_size=settings.chunk, fetch_wait=0.04 if embedded else 0.1),
                session_timeout=6.0 if embedded else settings.session_timeout,
                heartbeat_interval=2.0 if embedded else 3.0,
            )
            self._bind()
            registry = Registry(self._redis, settings.prefix)
            stack.push_async_callback(registry.leave)
            await stack.enter_async_context(running(self.app))
            loops = [self._tick(), self._measure(registry), self._watch(), self._crash()]
            if settings.clock == "facts":
                loops.pop(0).close()
            tasks = [asyncio.create_task(self._guard(one)) for one in loops]
            stack.push_async_callback(_cancel, tasks)
            stack.push_async_callback(self._finish)
            yield self

    async def ended(self) -> BaseException:
        """Wait until something ends the worker, and return what."""
        assert self._fatal is not None
        return await asyncio.shield(self._fatal)

    @property
    def failure(self) -> BaseException | None:
        """What has ended the worker; None while it runs."""
        return self._fatal.result() if self._fatal is not None and self._fatal.done() else None

    @property
    def stalled_for(self) -> float:
        """Seconds for which there has been lag and no progress; 0 while things move."""
        return 0.0 if self._still_since is None else time.monotonic() - self._still_since

    def _bind(self) -> None:
        topics = self.topics
        triggers = [one.name for one in topics.triggers if one is not topics.replay]
        if self.settings.clock == "facts":
            triggers = [topics.replay.name]
        bind(self.app, triggers, self._take_in, name="intake", on_fatal=self._die)
        bind(
            self.app,
            [topics.signals.name],
            self._segment,
            name="segmenter",
            on_fatal=self._die,
            positions=self._assigned,
            released=self._released,
        )
        bind(self.app, [topics.segment_changes.name], self._route, name="router", on_fatal=self._die)

    def _die(self, error: BaseException) -> None:
        if self._fatal is not None and not self._fatal.done():
            self._fatal.set_result(error)

    async def _guard(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  # a task that ends would end in silence
            log.error("worker task failed", error=repr(error))
            self._die(error)

    # Agents

    async def _take_in(self, batch: Batch) -> None:
        with self.metrics.batch_seconds.labels("intake").time():
            taken = await take_in(
                batch,
                publisher=self._publisher,
                signals=self.topics.signals.name,
                dead_letters=self.topics.dead_letters.name,
                clock=self.settings.clock,
                now=self._now,
                aliases=self._aliases,
            )
        self._count("intake", batch, taken.accepted, taken.refused)

    async def _segment(self, batch: Batch) -> None:
        held = self.owned.get(batch.partition)
        if held is None:
            return
        owned = held.partition
        try:
            with self.metrics.batch_seconds.labels("segmenter").time():
                done = await segment(
                    batch,
                    owned,
                    publisher=self._publisher,
                    announce=self._announce,
                    dead_letters=self.topics.dead_letters.name,
                )
        except LOST as error:
            await self._retake(owned, error)
            return
        except ResegmentError as error:
            self.metrics.failures.labels("segmenter", type(error).__name__).inc()
            raise
        self._record(owned, batch, done)

    async def _route(self, batch: Batch) -> None:
        with self.metrics.batch_seconds.labels("router").time():
            routed = await route(
                batch,
                publisher=self._publisher,
                commands=self.topics.workflow_commands.name,
                dead_letters=self.topics.dead_letters.name,
            )
        self._count("router", batch, len(routed.actions), routed.refused)

    def _count(self, stage: str, batch: Batch, made: int, refused: Sequence[RefusedEvent]) -> None:
        self._progress += 1
        self.metrics.events_in.labels(stage).inc(len(batch.records))
        self.metrics.events_out.labels(stage).inc(made)
        for one in refused:
            self.metrics.refused.labels(stage, one.reason).inc()
            log.warning("refused", stage=stage, reason=one.reason, field=one.field, message=one.message[:200])

    def _record(self, owned: OwnedPartition, batch: Batch, done: Segmented) -> None:
        self._count("segmenter", batch, len(done.changes), done.refused)
        self._tally(done.changes)
        self._tell(owned)

    def _tell(self, owned: OwnedPartition) -> None:
        """Log and count what nobody may overlook."""
        notices = owned.notices
        self.metrics.log_gaps.inc(notices.gaps)
        self.metrics.new_logs.inc(notices.new_logs)
        # an embedded broker is a new one at each start: `up` says so, once
        expected = self.settings.kafka is None and not notices.gaps
        for message in notices.messages:
            (log.debug if expected else log.error)("log", message=message)
        notices.gaps = notices.new_logs = 0
        notices.messages.clear()

    def _tally(self, changes: Sequence[SegmentChange]) -> None:
        live = self.settings.clock == "wall"
        for change in changes:
            self.changes_decided += 1
            self.metrics.flows.labels(change.from_ or "", change.to).inc()
            if live and change.cause.deadline is not None:
                late = self._now() - parse_instant(change.cause.deadline)
                self.metrics.deadline_lateness.observe(late / 1000)

    # Partitions

    async def _assigned(self, _: str, partition: int) -> int | None:
        held = self.owned.get(partition)
        if held is None:
            store = PartitionStore(
                self._redis, self.settings.prefix, partition, timed=self.metrics.commit_seconds.time
            )
            owned = OwnedPartition(
                partition, store, self.engine, cached_accounts=self.settings.cached_accounts
            )
            held = self.owned[partition] = _Owned(owned)
            held.tasks = [
                asyncio.create_task(self._guard(self._relay(owned))),
                asyncio.create_task(self._guard(self._decide(owned))),
            ]
        offset = await held.partition.take(self._log_identity or "")
        self._tell(held.partition)
        return offset

    async def _released(self, _: str, partition: int) -> None:
        held = self.owned.pop(partition, None)
        if held is not None:
            await _cancel(held.tasks)
            held.partition.forget()

    async def _retake(self, owned: OwnedPartition, error: ResegmentError) -> None:
        log.warning("taking a partition anew", partition=owned.number, reason=error.message)
        self.metrics.retakes.labels(type(error).__name__).inc()
        await self.app.restart(self.topics.signals.name, owned.number)

    async def _relay(self, owned: OwnedPartition) -> None:
        delay = 0.1
        while True:
            try:
                sent = await relay(owned, publisher=self._publisher)
                self.metrics.events_out.labels("relay").inc(sent)
                delay = 0.1
            except (PublishFailed, StoreUnavailable) as error:
                self.metrics.failures.labels("relay", type(error).__name__).inc()
                log.warning("outbox not published yet", partition=owned.number, reason=error.message)
                await asyncio.sleep(delay)
                delay = min(2 * delay, 5.0)

    async def _decide(self, owned: OwnedPartition) -> None:
        while True:
            await owned.wait_due()
            try:
                changes = await decide_due(owned, announce=self._announce)
                self._tally(changes)
                self._progress += 1
                self.metrics.events_out.labels("deadlines").inc(len(changes))
            except LOST as error:
                await self._retake(owned, error)
            except StoreUnavailable as error:
                self.metrics.failures.labels("deadlines", type(error).__name__).inc()
                await self._retake(owned, error)
            await asyncio.sleep(0)

    # Loops

    async def _tick(self) -> None:
        while True:
            late = []
            with suppress(PublishFailed):
                late = await tick(
                    [one.partition for one in self.owned.values()],
                    publisher=self._publisher,
                    signals=self.topics.signals.name,
                    now=self._now(),
                )
            self.metrics.ticks.inc(len(late))
            await asyncio.sleep(0.5 if late else 0.1)

    async def _measure(self, registry: Registry) -> None:
        while True:
            with suppress(StoreUnavailable, ConnectionError):
                await self._refresh(registry)
            await asyncio.sleep(1.0)

    async def _refresh(self, registry: Registry) -> None:
        metrics = self.metrics
        standings = await self.app.standings()
        self.lag = sum(one.lag or 0 for one in standings)
        for gauge in (metrics.lag, metrics.clock, metrics.outbox, metrics.freshness):
            gauge.clear()  # of partitions that went to another worker nothing is known here
        for one in standings:
            metrics.lag.labels(one.topic, str(one.partition)).set(one.lag or 0)
        sizes: dict[str, int] = {segment.name: 0 for segment in self.program.segments}
        metrics.owned.set(len(self.owned))
        for number, held in list(self.owned.items()):
            owned = held.partition
            metrics.clock.labels(str(number)).set(owned.position.clock / 1000)
            if owned.position.timestamp >= 0:
                metrics.freshness.labels(str(number)).set((self._now() - owned.position.timestamp) / 1000)
            metrics.outbox.labels(str(number)).set(len(owned.outgoing.entries))
            for name, size in (await owned.store.sizes()).items():
                sizes[name] = sizes.get(name, 0) + size
            await self._check(owned)
        metrics.facts_dropped.inc(self.engine.dropped - self._dropped)
        self._dropped = self.engine.dropped
        memory: Any = await self._redis.info("memory")
        metrics.redis_memory.set(memory["used_memory"])
        for name, size in sizes.items():
            metrics.segment_size.labels(name).set(size)
        await registry.report(sorted(self.owned), {f"{s.topic}:{s.partition}": s.lag or 0 for s in standings})

    async def _check(self, owned: OwnedPartition) -> None:
        """An idle partition, too, notices that it was fenced off or rolled back."""
        if owned.lock.locked() or owned.fence is None:
            return
        try:
            async with owned.lock:
                if owned.fence is not None:
                    await owned.store.check(owned.fence, owned.position.commit)
        except LOST as error:
            await self._retake(owned, error)

    async def _watch(self) -> None:
        """End the worker where there is lag and nothing moves."""
        seen = -1
        while True:
            await asyncio.sleep(1.0)
            if seen != self._progress or not await self._has_lag():
                seen, self._still_since = self._progress, None
            elif self._still_since is None:
                self._still_since = time.monotonic()
            elif self.stalled_for > self.settings.stalled_after:
                raise Stalled(
                    f"there is lag, and no batch was done for {self.settings.stalled_after:.0f} s",
                    remedy="The worker ends, so that whoever runs it starts it anew.",
                )

    async def _has_lag(self) -> bool:
        return any(one.lag for one in await self.app.standings())

    async def _crash(self) -> None:
        self._die(await self.app.crashed())

    # Draining

    async def standings(self) -> list[Standing]:
        """How far each owned partition of each topic is."""
        return await self.app.standings()

    async def is_drained(self) -> bool:
        """Whether everything that was sent has come out at the end, and stays so between two looks."""
        first = await self._look()
        return first is not None and first == await self._look()

    async def _look(self) -> tuple[tuple[str, int, int | None], ...] | None:
        expected = self.settings.partitions
        if not all(one.partition.is_idle for one in self.owned.values()) or len(self.owned) < expected:
            return None
        standings = await self.app.standings()
        if any(one.lag != 0 for one in standings):
            return None
        return tuple((one.topic, one.partition, one.offset) for one in standings)

    async def drain(self, timeout: float | None = None) -> bool:
        """Wait until all is drained; False where that takes longer than `timeout` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not await self.is_drained():
                    await asyncio.sleep(0.05)
                return True
        return False

    async def _finish(self) -> None:
        """Publish what waits in the outboxes before the producer goes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(3.0):
                while any(one.partition.outgoing.entries for one in self.owned.values()):
                    await asyncio.sleep(0.01)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    # again and again: the `wait_for` of Python 3.11, with which redis-py sends, may swallow a cancellation
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=0.1)
