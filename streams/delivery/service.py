"""Delivery of workflow commands to webhooks, from settings to running outlets."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import structlog

from resegment.agents.delivery import Courier, EndpointGone
from resegment.errors import ResegmentError
from resegment.metrics import Metrics
from resegment.schemas.times import format_instant
from resegment.settings import Settings
from resegment.sinks.webhook.client import Webhook
from resegment.sinks.webhook.endpoints import Target
from resegment.state.redis.client import connect_redis
from resegment.state.redis.webhooks import WebhookStates
from resegment.streams.delivery.endpoint_consumer import NUMBERS, Outlet, Source
from resegment.streams.kafka.connectivity import check_access
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.security import secure_kafka
from resegment.streams.kafka.timeouts import pace_of
from resegment.streams.kafka.topics import Topics

log = structlog.get_logger(__name__)

LOOKED_AT: Final = 1.0
"""Seconds between two looks at which endpoints are disabled."""
STOPPING: Final = 6.0
"""Seconds that the outlets may take to tidy up."""


def group_of(prefix: str, endpoint: str) -> str:
    """The consumer group of an endpoint."""
    return f"{prefix}-webhooks-{endpoint}"


class Deliveries:
    """The endpoints that are served."""

    def __init__(self, outlets: Mapping[str, Outlet], states: WebhookStates, metrics: Metrics) -> None:
        self.outlets, self.metrics = outlets, metrics
        self.reachable = True
        """Whether Redis answered at the last look."""
        self._states = states
        self._process = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"
        self._begun: set[str] = set()
        self._gone: dict[str, tuple[str, str]] = {}
        self._ending = False

    def describe(self) -> dict[str, dict[str, Any]]:
        """How each endpoint is, as plain JSON data."""
        return {name: outlet.describe() for name, outlet in self.outlets.items()}

    async def caught_up(self, ends: Mapping[int, int], limit: float) -> bool:
        """Wait until everything before these offsets of the topic's partitions is delivered or buried.

        False where that takes longer than `limit` seconds; what is disabled is not waited for.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, limit)):
                while not all(outlet.disabled or outlet.is_past(ends) for outlet in self.outlets.values()):  # noqa: ASYNC110  # rare
                    await asyncio.sleep(0.1)
                return True
        return False

    def note_gone(self, gone: EndpointGone) -> None:
        """Have it kept that an endpoint disabled itself."""
        self._gone[gone.name] = format_instant(time.time_ns() // 1_000_000), gone.message

    def note_begun(self, name: str) -> None:
        """Have it kept that an endpoint has its place in the topic."""
        self._begun.add(name)

    async def watch(self) -> None:
        """Keep Redis and the endpoint consumers in sync until canceled. If Redis is down, they continue unchanged."""
        while True:
            try:
                await self._look()
                self.reachable = True
            except ResegmentError as error:
                self.reachable = False
                log.warning("the state of webhooks cannot be kept", error=error.message)
            for name, outlet in self.outlets.items():
                self.metrics.webhook_state.labels(name).set(NUMBERS[outlet.state])
            if self._ending:
                return
            await asyncio.sleep(LOOKED_AT)

    async def _look(self) -> None:
        for name, (at, why) in list(self._gone.items()):
            await self._states.disable(name, at, why)
            del self._gone[name]
        for name in list(self._begun):
            await self._states.begin(name)
            self._begun.discard(name)
        held = await self._states.read()
        for name, outlet in self.outlets.items():
            wanted = name in held and held[name].disabled is not None
            if wanted != outlet.disabled and name not in self._gone:
                log.info("webhook disabled" if wanted else "webhook enabled", endpoint=name)
                outlet.disable(wanted)
        await self._states.report(self._process, self.describe())

    def end(self) -> None:
        """Let `watch` end, even if it does not hear that it is cancelled: the client of Redis may swallow that."""
        self._ending = True

    async def leave(self) -> None:
        """Keep what is not kept yet, and take back what was reported."""
        try:
            async with asyncio.timeout(1.0):
                for name, (at, why) in self._gone.items():
                    await self._states.disable(name, at, why)
                await self._states.leave(self._process, list(self.outlets))
        except (ResegmentError, TimeoutError):
            log.warning("the state of webhooks could not be kept at the end")


@asynccontextmanager
async def delivering(
    settings: Settings,
    targets: Mapping[str, Target],
    *,
    bootstrap: str,
    redis_url: str,
    metrics: Metrics | None = None,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[Deliveries]:
    """Deliver commands to the targets while the block runs; leaving ends it cleanly within 8 seconds.

    Raises KafkaRefused, PublishFailed, StoreUnavailable, InsecureSettings or WrongAuthorities at the start; what goes
    wrong later is tried again.
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
        held = await states.read()
        publisher = KafkaPublisher(
            bootstrap, client_id=f"{settings.prefix}-webhooks", idempotent=not embedded, security=security
        )
        await stack.enter_async_context(publisher)
        outlets: dict[str, Outlet] = {}
        deliveries = Deliveries(outlets, states, metrics)
        for name, target in targets.items():
            endpoint = target.endpoint
            webhook = await stack.enter_async_context(
                Webhook(endpoint, target.secrets, target.guard, now=now)
            )
            begun = name in held and held[name].begun
            outlets[name] = Outlet(
                name,
                endpoint,
                Source(
                    bootstrap,
                    topics.workflow_commands.name,
                    group_of(settings.prefix, name),
                    security,
                    pace_of(settings),
                ),
                partial(
                    _courier,
                    target,
                    webhook,
                    publisher=publisher,
                    dead_letters=topics.dead_letters.name,
                    now=now,
                ),
                metrics=metrics,
                # one that has a place and whose group has forgotten it has not got what is still there
                from_earliest=begun or endpoint.start == "earliest",
                gone=deliveries.note_gone,
                begun=partial(deliveries.note_begun, name),
            )
            outlets[name].disable(name in held and held[name].disabled is not None)
        stack.push_async_callback(deliveries.leave)
        tasks = [
            asyncio.create_task(outlet.run(), name=f"webhook {name}") for name, outlet in outlets.items()
        ]
        tasks.append(asyncio.create_task(deliveries.watch(), name="webhooks"))
        stack.push_async_callback(_stop, tasks)
        stack.callback(deliveries.end)
        yield deliveries


def _courier(target: Target, webhook: Webhook, told: Any, **given: Any) -> Courier:
    return Courier(
        target.name,
        target.endpoint,
        webhook,
        told=told,
        sleep=asyncio.sleep,
        chance=random.random,
        **given,
    )


async def _stop(tasks: list[asyncio.Task[None]]) -> None:
    late = set(tasks)
    for patience in (STOPPING, 1.0):  # a cancellation may get lost in a client: then once more
        for task in late:
            task.cancel()
        _, late = await asyncio.wait(late, timeout=patience)
        if not late:
            return
        log.warning("delivery is slow to stop", tasks=[task.get_name() for task in late])
