"""Read the topics of one webhook endpoint or sink, in its own consumer group: no one waits for another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from resegment.agents.batch import Batch, Record
from resegment.agents.circuit_breaker import CircuitBreaker
from resegment.agents.delivery import Command, EndpointGone, Job, read_command, read_only
from resegment.agents.keyed_queue import KeyedQueue
from resegment.errors import RefusedEvent, ResegmentError
from resegment.metrics import Metrics
from resegment.redaction import tell_error
from resegment.schemas.times import format_instant
from resegment.streams.kafka.group_offsets import leave, place
from resegment.streams.kafka.timeouts import Pace
from resegment.streams.sealing.opener import PLAIN, RecordOpener
from resegment.streams.transport.offset_tracker import OffsetTracker

log = structlog.get_logger(__name__)

DeliveryState = Literal["delivering", "probing", "left alone", "disabled", "starting"]

POLL_MS: Final = 200
METADATA_AGE_MS: Final = 5_000
"""Milliseconds that a new partition may go unnoticed."""
MAX_UNSETTLED: Final = 1_000
"""Records of one partition that may be read and not settled; more is left in Kafka."""
MAX_UNSETTLED_BYTES: Final = 64 * 1024 * 1024
"""Bytes of records that may be read and not settled, over all partitions; more is left in Kafka."""
COMMIT_EVERY: Final = 0.25
"""Seconds between two commits: what was delivered since the last one is delivered again after a kill."""
COMMIT_TIMEOUT: Final = 1.0
"""Seconds that a commit may take; the next one carries the same offsets or later ones."""
SEND_PATIENCE: Final = 3.0
"""Seconds that running requests may still take when partitions are revoked or the process ends."""
RESTART_PAUSE: Final = 5.0
"""Seconds between a failure and the next start."""
STATES: Final[Mapping[str, DeliveryState]] = {
    "closed": "delivering",
    "half-open": "probing",
    "open": "left alone",
}
NUMBERS: Final[Mapping[DeliveryState, int]] = {
    "delivering": 0,
    "starting": 0,
    "probing": 1,
    "left alone": 2,
    "disabled": 3,
}


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where an endpoint's consumer reads from, in which group, how quickly, and how much is sent at once.

    `topics` are names of topics, each with the type of its events.
    """

    bootstrap: str
    topics: Mapping[str, str]
    group: str
    security: Mapping[str, Any]
    pace: Pace
    concurrency: int = 8
    stage: Literal["webhooks", "sinks"] = "webhooks"
    opener: RecordOpener = PLAIN

    def make_consumer(self, **more: Any) -> AIOKafkaConsumer:
        """Return a consumer of the group, which begins at what retention has left; `more` is what else it takes."""
        return AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            group_id=self.group,
            client_id=self.group,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            session_timeout_ms=int(self.pace.session_timeout * 1000),
            heartbeat_interval_ms=int(self.pace.heartbeat_interval * 1000),
            fetch_max_wait_ms=int(self.pace.fetch_wait * 1000),
            **self.security,
            **more,
        )


class Sender(Protocol):
    """Sends what an endpoint's consumer reads."""

    @property
    def breaker(self) -> CircuitBreaker:
        """The breaker that pauses it."""
        ...

    @property
    def failing_since(self) -> float | None:
        """Since when every attempt has failed, in seconds since the epoch."""
        ...

    @property
    def problem(self) -> str | None:
        """Why the last attempt failed, until one succeeds."""
        ...

    @property
    def undelivered(self) -> int:
        """How many commands in a row went to the dead letters."""
        ...

    def wants(self, command: Command) -> bool:
        """Return whether the command is for it."""
        ...

    async def attempt(self, job: Job) -> float | None:
        """Try once. Return the seconds until the next attempt, or None if the job is settled."""
        ...


class Gone(NamedTuple):
    """Since when (RFC 3339) an endpoint is gone, and what it answered."""

    at: str
    why: str


class EndpointConsumer:
    """Reads the commands of one endpoint and has them sent. Run it with `run`; `disable` pauses and resumes it."""

    def __init__(
        self,
        name: str,
        subscription: Subscription,
        sender: Sender,
        *,
        metrics: Metrics,
        from_earliest: Collection[str],
    ) -> None:
        """`from_earliest`: topics to start at the first event that Kafka still has, if the group has no offsets."""
        self.name, self.sender = name, sender
        self.lag = 0
        self.failure: Exception | None = None
        """What keeps it from reading, until it reads again."""
        self.positioned = False
        """Whether its group has offsets: from then on, no command is skipped."""
        self.gone: Gone | None = None
        """Set when the endpoint answered that it is gone, which disabled it, until that is recorded."""
        self._subscription, self._metrics = subscription, metrics
        self._from_earliest = set(from_earliest)
        self._enabled, self._disabled = asyncio.Event(), asyncio.Event()
        self._enabled.set()
        self._trackers: dict[TopicPartition, OffsetTracker] = {}
        self._queue: KeyedQueue | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._releases = 0

    @property
    def disabled(self) -> bool:
        """Return whether it is disabled."""
        return self._disabled.is_set()

    def disable(self, disabled: bool) -> None:
        """Stop reading and sending, or resume."""
        (self._disabled if disabled else self._enabled).set()
        (self._enabled if disabled else self._disabled).clear()

    @property
    def state(self) -> DeliveryState:
        """Return what it does now."""
        if self.disabled:
            return "disabled"
        return "starting" if self._queue is None else STATES[self.sender.breaker.state]

    def is_past(self, ends: Mapping[tuple[str, int], int]) -> bool:
        """Return whether everything before these offsets, by topic and partition, is settled.

        The topics must be new in this run; those that the endpoint doesn't read don't count.
        """
        done = {(tp.topic, tp.partition): tracker.done or 0 for tp, tracker in self._trackers.items()}
        return all(
            done.get(place, 0) >= end for place, end in ends.items() if place[0] in self._subscription.topics
        )

    @property
    def topics(self) -> Collection[str]:
        """Return the names of the topics that it reads."""
        return self._subscription.topics

    @property
    def kinds(self) -> Collection[str]:
        """Return the types of the events that it reads."""
        return self._subscription.topics.values()

    def describe(self) -> dict[str, Any]:
        """Return its state as plain JSON data."""
        failure = None if self.failure is None else str(self.failure) or type(self.failure).__name__
        return {
            "state": self.state,
            "lag": self.lag,
            "failing_since": self.sender.failing_since,
            "problem": failure or self.sender.problem,
            "failure": failure,
            "undelivered": self.sender.undelivered,
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
                await _finish(consuming)
            ended = None if consuming.cancelled() else consuming.exception()
            if isinstance(ended, EndpointGone):
                log.error("webhook is gone: it is disabled", endpoint=self.name)
                self.disable(True)
                self.gone = Gone(format_instant(time.time_ns() // 1_000_000), ended.message)
            elif isinstance(ended, Exception):  # whatever it is: start over, and let other endpoints continue
                self.failure = ended
                self._metrics.failures.labels(self._subscription.stage, type(ended).__name__).inc()
                expected = isinstance(ended, ResegmentError | KafkaError | OSError)
                log.warning(
                    "commands cannot be read",
                    stage=self._subscription.stage,
                    endpoint=self.name,
                    error=tell_error(ended),
                    exc_info=None if expected else ended,
                )
                await asyncio.sleep(RESTART_PAUSE)

    async def _consume(self) -> None:
        for topic in self._subscription.topics:
            while not await self._place(topic):
                log.info("the topic is not there yet", endpoint=self.name, topic=topic)
                self._from_earliest.add(topic)  # every event will be newer than this start
                await asyncio.sleep(RESTART_PAUSE)
        self.positioned = True
        async with self._joined() as consumer:
            committed = time.monotonic()
            while True:
                fetched = await consumer.getmany(timeout_ms=POLL_MS)
                for tp, records in fetched.items():
                    releases = self._releases
                    opened = await self._subscription.opener.open(records)
                    if releases == self._releases:  # else the partitions moved meanwhile: they are read again
                        self._enqueue(tp, records, opened)
                self.failure = None
                if self._queue is not None and self._queue.failure is not None:
                    raise self._queue.failure
                self._throttle(consumer)
                if time.monotonic() - committed >= COMMIT_EVERY:
                    await self._commit()
                    await self._measure(consumer)
                    committed = time.monotonic()

    async def _place(self, topic: str) -> bool:
        where = self._subscription
        return await place(
            where.bootstrap,
            topic,
            where.group,
            earliest=topic in self._from_earliest,
            security=where.security,
        )

    @asynccontextmanager
    async def _joined(self) -> AsyncIterator[AIOKafkaConsumer]:
        where = self._subscription
        consumer = self._consumer = where.make_consumer(metadata_max_age_ms=METADATA_AGE_MS)
        try:
            await consumer.start()
            consumer.subscribe(list(where.topics), listener=_Listener(self))
            yield consumer
        finally:
            await self.release()
            self._consumer = None
            await leave(consumer)

    # Partitions are assigned and revoked

    def take(self) -> None:
        """Start working on the partitions that were assigned."""
        if self._queue is None:
            self._queue = KeyedQueue(
                self.sender.attempt,
                self._settled,
                concurrency=self._subscription.concurrency,
                sleep=asyncio.sleep,
            )

    async def release(self) -> None:
        """Finish running requests and commit, before another consumer takes the partitions."""
        self._releases += 1
        queue, self._queue = self._queue, None
        if queue is not None:
            await queue.close(SEND_PATIENCE)
        await self._commit()
        self._trackers.clear()

    def _enqueue(
        self, tp: TopicPartition, records: Sequence[ConsumerRecord], opened: Sequence[Record]
    ) -> None:
        self.take()
        assert self._queue is not None
        tracker = self._trackers.get(tp)
        if tracker is None:
            tracker = self._trackers[tp] = OffsetTracker(records[0].offset)
        batch = Batch(tp.topic, tp.partition, ())  # a job must not keep its whole batch in memory
        now, kind = time.time(), self._subscription.topics[tp.topic]
        for record, plain in zip(records, opened, strict=True):
            tracker.hand_out(record.offset + 1)
            try:
                command = read_command(plain, kind)
            except RefusedEvent as refused:
                if read_only(record) not in (None, self.name):  # sent again to another endpoint
                    tracker.complete(record.offset + 1)
                    continue
                job = Job.of_no_command(batch, record, now, refused)
            else:
                if not self.sender.wants(command):
                    tracker.complete(record.offset + 1)
                    continue
                job = Job(command, batch, record, now)
            self._queue.put(job)

    def _settled(self, job: Job) -> None:
        tracker = self._trackers.get(TopicPartition(job.batch.topic, job.batch.partition))
        if tracker is not None:
            tracker.complete(job.record.offset + 1)

    def _throttle(self, consumer: AIOKafkaConsumer) -> None:
        paused = consumer.paused()
        size = 0 if self._queue is None else self._queue.size
        for tp, tracker in self._trackers.items():
            if tp not in paused and (tracker.pending >= MAX_UNSETTLED or size >= MAX_UNSETTLED_BYTES):
                consumer.pause(tp)
            elif tp in paused and tracker.pending < MAX_UNSETTLED // 2 and size < MAX_UNSETTLED_BYTES // 2:
                consumer.resume(tp)

    async def _commit(self) -> None:
        due = {tp: one.committable for tp, one in self._trackers.items() if one.committable is not None}
        if not due or self._consumer is None:
            return
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT):
                await self._consumer.commit(due)
        except (KafkaError, TimeoutError) as error:
            log.info("offsets not committed", endpoint=self.name, error=repr(error))
            return
        for tp, offset in due.items():
            if tp in self._trackers:
                self._trackers[tp].committed = offset

    async def _measure(self, consumer: AIOKafkaConsumer) -> None:
        lag = 0
        for tp, tracker in list(self._trackers.items()):
            end = consumer.last_stable_offset(tp) if tp in consumer.assignment() else None
            if end is not None:
                tracker.skip_to(await consumer.position(tp))
                lag += max(0, end - (tracker.done or 0))
        self.lag = lag
        gauge = (
            self._metrics.webhook_lag if self._subscription.stage == "webhooks" else self._metrics.sink_lag
        )
        gauge.labels(self.name).set(self.lag)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, consumer: EndpointConsumer) -> None:
        self._endpoint_consumer = consumer

    async def on_partitions_revoked(self, _: object) -> None:
        await self._endpoint_consumer.release()

    async def on_partitions_assigned(self, _: object) -> None:
        self._endpoint_consumer.take()


async def _finish(task: asyncio.Task[None]) -> None:
    """Wait until a canceled task has cleaned up, even if the caller is canceled in the meantime."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
