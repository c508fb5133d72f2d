"""Deliver workflow commands and segment changes to webhooks: build the consumers from the settings and run them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import structlog

from resegment.agents.delivery import EndpointSender, Timing
from resegment.errors import ResegmentError
from resegment.metrics import Metrics
from resegment.schemas.outgoing import CHANGE_TYPE, COMMAND_TYPE
from resegment.settings import Settings
from resegment.sinks.webhook.client import HttpWebhook
from resegment.sinks.webhook.endpoints import LoadedEndpoint
from resegment.sinks.webhook.port import Webhook
from resegment.state.redis.client import connect_redis
from resegment.state.redis.webhooks import EndpointState, WebhookStates
from resegment.streams.delivery.attempt_reporter import AttemptReporter
from resegment.streams.delivery.endpoint_consumer import NUMBERS, EndpointConsumer, Subscription
from resegment.streams.heartbeat import name_process
from resegment.streams.kafka.connectivity import check_access
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.security import secure_kafka
from resegment.streams.kafka.timeouts import pace_of
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.keys import ProcessKeys
from resegment.streams.tracing.opening import exporting_traces

log = structlog.get_logger(__name__)

SYNC_INTERVAL: Final = 1.0
"""Seconds between two reads of which endpoints are disabled."""
STOP_TIMEOUT: Final = 6.0
"""Seconds that the consumers may take to stop."""


_KINDS: Final = {COMMAND_TYPE: "workflow-commands", CHANGE_TYPE: "segment-changes"}


def group_of(prefix: str, endpoint: str) -> str:
    """Return the consumer group of an endpoint."""
    return f"{prefix}-webhooks-{endpoint}"


class DeliveryService:
    """The endpoints of one process, kept in sync with Redis."""

    def __init__(
        self, consumers: Mapping[str, EndpointConsumer], states: WebhookStates, metrics: Metrics
    ) -> None:
        self.consumers, self.metrics = consumers, metrics
        self.reachable = True
        """Whether Redis answered at the last sync."""
        self._states = states
        self._process = name_process()
        self._ending = False

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return the state of each endpoint as plain JSON data."""
        return {name: consumer.describe() for name, consumer in self.consumers.items()}

    async def caught_up(self, ends: Mapping[tuple[str, int], int], limit: float) -> bool:
        """Wait until everything before these offsets, by topic and partition, is delivered or dead-lettered.

        Return False if that takes longer than `limit` seconds. Disabled endpoints do not count.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, limit)):
                while not all(one.disabled or one.is_past(ends) for one in self.consumers.values()):  # noqa: ASYNC110  # rare
                    await asyncio.sleep(0.1)
                return True
        return False

    async def watch(self) -> None:
        """Keep Redis and the endpoint consumers in sync until canceled. If Redis is down, they continue unchanged."""
        while True:
            try:
                await self._sync()
                self.reachable = True
            except ResegmentError as error:
                self.reachable = False
                log.warning("cannot sync the state of webhooks with Redis", error=error.message)
            self.metrics.servers_away.set(not self.reachable)
            for name, consumer in self.consumers.items():
                since = consumer.sender.failing_since
                failing = 0.0 if since is None else max(0.0, time.time() - since)
                self.metrics.webhook_state.labels(name).set(NUMBERS[consumer.state])
                self.metrics.webhook_failing.labels(name).set(failing)
                self.metrics.webhook_undelivered.labels(name).set(consumer.sender.undelivered)
            if self._ending:
                return
            await asyncio.sleep(SYNC_INTERVAL)

    async def _sync(self) -> None:
        await self._record_gone()
        records = await self._states.read()
        for name, consumer in self.consumers.items():
            record = records.get(name, EndpointState())
            if consumer.positioned:
                for topic in {_KINDS[kind] for kind in consumer.kinds} - record.topics:
                    await self._states.begin(name, topic)
            wanted = record.disabled is not None
            if wanted != consumer.disabled and consumer.gone is None:
                log.info("webhook disabled" if wanted else "webhook enabled", endpoint=name)
                consumer.disable(wanted)
        await self._states.report(self._process, self.describe())

    async def _record_gone(self) -> None:
        for name, consumer in self.consumers.items():
            if consumer.gone is not None:
                await self._states.disable(name, *consumer.gone)
                consumer.gone = None

    def end(self) -> None:
        """Let `watch` end, even if its cancellation gets lost in the client of Redis."""
        self._ending = True

    async def leave(self) -> None:
        """Record which endpoints are gone, and remove this process's reports."""
        try:
            async with asyncio.timeout(1.0):
                await self._record_gone()
                await self._states.leave(self._process, list(self.consumers))
        except (ResegmentError, TimeoutError):
            log.warning("cannot save the state of webhooks before stopping")


@asynccontextmanager
async def delivering(
    settings: Settings,
    endpoints: Mapping[str, LoadedEndpoint],
    *,
    bootstrap: str,
    redis_url: str,
    metrics: Metrics | None = None,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[DeliveryService]:
    """Deliver commands to the endpoints while the block runs; leaving ends it cleanly within 8 seconds.

    Raises KafkaRefused, PublishFailed, StoreUnavailable, InsecureSettings or WrongAuthorities at the start. Retries
    what fails later.
    """
    metrics = metrics or Metrics()
    security = secure_kafka(settings).clients()
    topics = Topics(settings.prefix)
    embedded = settings.kafka is None
    async with AsyncExitStack() as stack:
        redis = connect_redis(settings, redis_url)
        stack.push_async_callback(redis.aclose)
        states = WebhookStates(redis, settings.prefix)
        if not embedded:
            await check_access(bootstrap, security)
        await states.sweep()
        records = await states.read()
        keys = ProcessKeys(settings)
        stack.push_async_callback(keys.aclose)
        await keys.ring()
        publisher = KafkaPublisher(
            bootstrap,
            client_id=f"{settings.prefix}-webhooks",
            idempotent=not embedded,
            security=security,
            seal=keys.seal(topics),
        )
        await stack.enter_async_context(publisher)
        tracing = await stack.enter_async_context(exporting_traces(settings, "deliver"))
        consumers: dict[str, EndpointConsumer] = {}
        opener = keys.record_opener(strict=True)
        types: dict[str, tuple[str, str]] = {
            "workflow-commands": (topics.workflow_commands.name, COMMAND_TYPE),
            "segment-changes": (topics.segment_changes.name, CHANGE_TYPE),
        }
        for name, loaded in endpoints.items():
            endpoint, record = loaded.endpoint, records.get(name, EndpointState())
            http = await stack.enter_async_context(
                HttpWebhook(endpoint, loaded.secrets, loaded.guard, headers=loaded.headers, now=now)
            )
            webhook: Webhook = http if tracing is None else tracing.around(http, name)
            group = group_of(settings.prefix, name)
            consumers[name] = EndpointConsumer(
                name,
                Subscription(
                    bootstrap,
                    dict(types[one] for one in sorted(endpoint.topics)),
                    group,
                    security,
                    pace_of(settings),
                    endpoint.concurrency,
                    opener=opener,
                ),
                EndpointSender(
                    name,
                    endpoint,
                    webhook,
                    publisher=publisher,
                    dead_letters=topics.dead_letters.name,
                    report=AttemptReporter(name, metrics).report,
                    timing=Timing(now),
                ),
                metrics=metrics,
                # If Kafka forgot the group of an endpoint that has begun, deliver what the topics still have.
                from_earliest=[
                    types[one][0]
                    for one in endpoint.topics
                    if one in record.topics or endpoint.start == "earliest"
                ],
            )
            consumers[name].disable(record.disabled is not None)
        service = DeliveryService(consumers, states, metrics)
        stack.push_async_callback(service.leave)
        tasks = [asyncio.create_task(one.run(), name=f"webhook {name}") for name, one in consumers.items()]
        tasks.append(asyncio.create_task(service.watch(), name="webhooks"))
        stack.push_async_callback(stop_tasks, tasks)
        stack.callback(service.end)
        yield service


async def stop_tasks(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they have ended, for a few seconds at most."""
    late = set(tasks)
    for patience in (STOP_TIMEOUT, 1.0):  # a cancellation may get lost in a client: then once more
        for task in late:
            task.cancel()
        _, late = await asyncio.wait(late, timeout=patience)
        if not late:
            return
        log.warning("delivery is slow to stop", tasks=[task.get_name() for task in late])
