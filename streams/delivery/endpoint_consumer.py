"""Reads the topic of commands for one webhook endpoint, in its own consumer group, so that no endpoint waits for another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from resegment.agents.batch import Batch
from resegment.agents.delivery import Courier, EndpointGone, Job, Outcome, read_command, wants
from resegment.agents.keyed_queue import Lanes
from resegment.errors import RefusedEvent, ResegmentError
from resegment.metrics import Metrics
from resegment.sinks.webhook.endpoints import Endpoint
from resegment.sinks.webhook.port import Answer
from resegment.streams.consumer.offset_tracker import OffsetTracker
from resegment.streams.kafka.group_offsets import leave, place
from resegment.streams.kafka.timeouts import Pace

log = structlog.get_logger(__name__)

State = Literal["delivering", "probing", "left alone", "disabled", "starting"]

POLL_MS: Final = 200
METADATA_AGE_MS: Final = 5_000
"""How long a new partition may go unnoticed."""
MOST_HELD: Final = 1_000
"""Records of one partition that may be read and not settled; more is left in Kafka."""
COMMIT_EVERY: Final = 0.25
"""Seconds between two commits: what was delivered since the last one is delivered again after a kill."""
COMMITTING: Final = 1.0
"""Seconds that a commit may take; the next one carries the same offsets or later ones."""
SENDING: Final = 3.0
"""Seconds that a request may still take when the partitions go, or the process ends."""
REST: Final = 5.0
"""Seconds between two starts of one that has failed."""
STATES: Final[Mapping[str, State]] = {"closed": "delivering", "half-open": "probing", "open": "left alone"}
NUMBERS: Final[Mapping[State, int]] = {
    "delivering": 0,
    "starting": 0,
    "probing": 1,
    "left alone": 2,
    "disabled": 3,
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where an endpoint's consumer reads from, and in which group."""

    bootstrap: str
    topic: str
    group: str
    security: Mapping[str, Any]
    pace: Pace


class Outlet:
    """Reads the commands of one endpoint and has them delivered. `run` it, and tell it whether it is disabled.

    `gone` is called when the endpoint says that it is gone, `begun` when it has its place in the topic.
    """

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        source: Source,
        courier: Callable[[Callable[[Job, Outcome, Answer | None], None]], Courier],
        *,
        metrics: Metrics,
        from_earliest: bool,
        gone: Callable[[EndpointGone], None],
        begun: Callable[[], None],
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self.name, self.endpoint = name, endpoint
        self.lag = 0
        self.failure: Exception | None = None
        """What keeps it from reading, until it reads again."""
        self.courier = courier(self._told)
        self._source, self._metrics = source, metrics
        self._from_earliest = from_earliest
        self._gone, self._begun, self._sleep = gone, begun, sleep
        self._enabled, self._disabled = asyncio.Event(), asyncio.Event()
        self._enabled.set()
        self._trackers: dict[TopicPartition, OffsetTracker] = {}
        self._lanes: Lanes | None = None
        self._consumer: AIOKafkaConsumer | None = None

    @property
    def disabled(self) -> bool:
        return self._disabled.is_set()

    def disable(self, disabled: bool) -> None:
        """Stop reading and sending, or resume."""
        (self._disabled if disabled else self._enabled).set()
        (self._enabled if disabled else self._disabled).clear()

    @property
    def state(self) -> State:
        if self.disabled:
            return "disabled"
        return "starting" if self._lanes is None else STATES[self.courier.breaker.state]

    def is_past(self, ends: Mapping[int, int]) -> bool:
        """Whether all before these offsets is settled, of a topic of which nothing was settled before this run."""
        done = {tp.partition: tracker.done or 0 for tp, tracker in self._trackers.items()}
        return all(done.get(partition, 0) >= end for partition, end in ends.items())

    def describe(self) -> dict[str, Any]:
        """How it is, as plain JSON data."""
        failure = None if self.failure is None else str(self.failure) or type(self.failure).__name__
        return {
            "state": self.state,
            "lag": self.lag,
            "failing_since": self.courier.failing_since,
            "problem": failure or self.courier.problem,
        }

    async def run(self) -> None:
        """Deliver until canceled. Log each failure, and start over."""
        while True:
            await self._enabled.wait()
            consuming = asyncio.create_task(self._consume())
            stopping = asyncio.create_task(self._disabled.wait())
            try:
                await asyncio.wait((consuming, stopping), return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopping.cancel()
                consuming.cancel()
                await _over(consuming)
            ended = None if consuming.cancelled() else consuming.exception()
            if isinstance(ended, EndpointGone):
                log.error("webhook is gone: it is disabled", endpoint=self.name)
                self.disable(True)
                self._gone(ended)
            elif isinstance(
                ended, Exception
            ):  # whatever it is, the other endpoints go on, and it begins anew
                self.failure = ended
                self._metrics.failures.labels("webhooks", type(ended).__name__).inc()
                expected = isinstance(ended, ResegmentError | KafkaError | OSError)
                log.warning(
                    "webhook cannot be served",
                    endpoint=self.name,
                    error=str(ended) or repr(ended),
                    exc_info=None if expected else ended,
                )
                await asyncio.sleep(REST)

    async def _consume(self) -> None:
        while not await self._place():
            log.info("there are no commands yet", endpoint=self.name, topic=self._source.topic)
            self._from_earliest = True  # whatever comes, comes after us
            await asyncio.sleep(REST)
        self._begun()
        async with self._joined() as consumer:
            committed = time.monotonic()
            while True:
                fetched = await consumer.getmany(timeout_ms=POLL_MS)
                for tp, records in fetched.items():
                    self._hand_out(tp, records)
                self.failure = None
                if self._lanes is not None and self._lanes.failure is not None:
                    raise self._lanes.failure
                self._throttle(consumer)
                if time.monotonic() - committed >= COMMIT_EVERY:
                    await self._commit()
                    await self._measure(consumer)
                    committed = time.monotonic()

    async def _place(self) -> bool:
        source = self._source
        return await place(
            source.bootstrap,
            source.topic,
            source.group,
            earliest=self._from_earliest,
            security=source.security,
        )

    @asynccontextmanager
    async def _joined(self) -> AsyncIterator[AIOKafkaConsumer]:
        source = self._source
        consumer = self._consumer = AIOKafkaConsumer(
            bootstrap_servers=source.bootstrap,
            group_id=source.group,
            client_id=source.group,
            enable_auto_commit=False,
            isolation_level="read_committed",
            metadata_max_age_ms=METADATA_AGE_MS,
            auto_offset_reset="earliest",  # what is gone is gone, what is left is still to be delivered
            session_timeout_ms=int(source.pace.session_timeout * 1000),
            heartbeat_interval_ms=int(source.pace.heartbeat_interval * 1000),
            fetch_max_wait_ms=int(source.pace.fetch_wait * 1000),
            **source.security,
        )
        try:
            await consumer.start()
            consumer.subscribe([source.topic], listener=_Listener(self))
            yield consumer
        finally:
            await self.release()
            self._consumer = None
            await leave(consumer)

    # Partitions come and go

    def take(self) -> None:
        """Begin with the partitions that were given."""
        if self._lanes is None:
            self._lanes = Lanes(
                self.courier.attempt, self._settled, concurrency=self.endpoint.concurrency, sleep=self._sleep
            )

    async def release(self) -> None:
        """Bring what is being sent to its end, and commit, before another takes the partitions."""
        lanes, self._lanes = self._lanes, None
        if lanes is not None:
            await lanes.close(SENDING)
        await self._commit()
        self._trackers.clear()

    def _hand_out(self, tp: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        self.take()
        assert self._lanes is not None
        tracker = self._trackers.get(tp)
        if tracker is None:
            tracker = self._trackers[tp] = OffsetTracker(records[0].offset)
        batch = Batch(tp.topic, tp.partition, records)
        now = time.time()
        for record in records:
            tracker.hand_out(record.offset + 1)
            try:
                command = read_command(record)
            except RefusedEvent as refused:
                job = Job.of_no_command(batch, record, now, refused)
            else:
                if not wants(self.name, self.endpoint, command):
                    tracker.complete(record.offset + 1)
                    continue
                job = Job(command, batch, record, now)
            self._lanes.put(job)

    def _settled(self, job: Job) -> None:
        tracker = self._trackers.get(TopicPartition(job.batch.topic, job.batch.partition))
        if tracker is not None:
            tracker.complete(job.record.offset + 1)

    def _throttle(self, consumer: AIOKafkaConsumer) -> None:
        paused = consumer.paused()
        for tp, tracker in self._trackers.items():
            if tp not in paused and tracker.pending >= MOST_HELD:
                consumer.pause(tp)
            elif tp in paused and tracker.pending < MOST_HELD // 2:
                consumer.resume(tp)

    async def _commit(self) -> None:
        due = {tp: one.committable for tp, one in self._trackers.items() if one.committable is not None}
        if not due or self._consumer is None:
            return
        try:
            async with asyncio.timeout(COMMITTING):
                await self._consumer.commit(due)
        except (KafkaError, TimeoutError) as error:
            log.info("offsets not committed", endpoint=self.name, error=repr(error))
            return
        for tp, offset in due.items():
            if tp in self._trackers:
                self._trackers[tp].committed = offset

    # How it is

    async def _measure(self, consumer: AIOKafkaConsumer) -> None:
        lag = 0
        for tp, tracker in list(self._trackers.items()):
            end = consumer.last_stable_offset(tp) if tp in consumer.assignment() else None
            if end is not None:
                tracker.skip_to(await consumer.position(tp))
                lag += max(0, end - (tracker.done or 0))
        self.lag = lag
        self._metrics.webhook_lag.labels(self.name).set(self.lag)

    def _told(self, job: Job, outcome: Outcome, answer: Answer | None) -> None:
        metrics = self._metrics
        metrics.deliveries.labels(self.name, outcome).inc()
        if answer is not None:
            metrics.delivery_seconds.labels(self.name).observe(answer.took)
        about = {
            "endpoint": self.name,
            "id": job.command.id,
            "account": job.command.account,
            "tries": job.attempts,
        }
        if outcome == "delivered":
            metrics.delivery_delay.labels(self.name).observe(max(0.0, time.time() - job.written))
            log.debug("command delivered", **about)
        elif outcome == "buried":
            assert job.refused is not None
            log.error("command not delivered: it is in the dead letters", **about, why=job.refused.message)
        else:
            log.warning("command not delivered yet", **about, why=str(answer))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    async def on_partitions_revoked(self, _: object) -> None:
        await self._outlet.release()

    async def on_partitions_assigned(self, _: object) -> None:
        self._outlet.take()


async def _over(task: asyncio.Task[None]) -> None:
    """Wait until a canceled task has cleaned up, even if the caller is canceled in the meantime."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
