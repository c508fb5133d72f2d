"""Send commands to sinks: build the consumers from the file of sinks, run them, and report how each is doing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from resegment.agents.sending.runner import Clock
from resegment.agents.sending.sender import Condition, SinkSender
from resegment.agents.sending.work import Performer
from resegment.errors import ResegmentError
from resegment.metrics import Metrics
from resegment.schemas.outgoing import CHANGE_TYPE, COMMAND_TYPE
from resegment.settings import Settings
from resegment.sinks.loading import LoadedSinks
from resegment.sinks.port import FieldWriter
from resegment.state.redis.client import connect_redis
from resegment.state.redis.reader import PrefixReader
from resegment.state.sinks.fields import FieldStore
from resegment.state.sinks.people import PeopleStore
from resegment.state.sinks.states import SinkState, SinkStates
from resegment.streams.delivery.endpoint_consumer import EndpointConsumer, Subscription
from resegment.streams.delivery.service import stop_tasks
from resegment.streams.heartbeat import name_process
from resegment.streams.kafka.connectivity import check_access
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.security import secure_kafka
from resegment.streams.kafka.timeouts import pace_of
from resegment.streams.kafka.topics import Topics
from resegment.streams.prefix import read_prefix
from resegment.streams.sealing.keys import ProcessKeys
from resegment.streams.sending.contacts import UnforgottenContacts
from resegment.streams.sending.field_writer import FieldsWriter, topics_of
from resegment.streams.sending.people_reader import PeopleReader
from resegment.streams.sending.performers import (
    describe_vendor,
    find_people,
    make_finder,
    make_performers,
    make_work,
)
from resegment.streams.sending.reporter import SinkReporter

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

SYNC_INTERVAL: Final = 1.0
"""Seconds between two reports."""
COMMANDS: Final = "workflow-commands"
NUMBERS: Final = {"sending": 0, "starting": 0, "probing": 1, "paused": 2, "signed out": 3}
_STATES: Final = {"delivering": "sending", "left alone": "paused", "disabled": "paused"}


def group_of(prefix: str, sink: str) -> str:
    """Return the consumer group of a sink."""
    return f"{prefix}-sinks-{sink}"


class SendingService:
    """The sinks of one process."""

    def __init__(
        self,
        performers: Mapping[str, Performer],
        consumers: Mapping[str, EndpointConsumer],
        fields: Mapping[str, FieldsWriter],
        states: SinkStates,
        metrics: Metrics,
    ) -> None:
        self.consumers, self.fields, self.metrics = consumers, fields, metrics
        self.reachable = True
        """Whether Redis answered at the last sync."""
        self._performers, self._states = performers, states
        self._process = name_process()
        self._ending = False

    @property
    def served(self) -> bool:
        """Whether the commands of every sink can be read from Kafka."""
        return all(one.failure is None for one in self.consumers.values())

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return the state of each sink as plain JSON data."""
        return {name: self._describe(name) for name in self._performers}

    def _describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = describe_vendor(self._performers[name].loaded)
        consumer, fields = self.consumers.get(name), self.fields.get(name)
        found |= {"state": "sending", "lag": 0, "failing_since": None, "problem": None, "undelivered": 0}
        if consumer is not None:
            found |= consumer.describe()
            found["state"] = _STATES.get(found["state"], found["state"])
        if fields is not None:
            found |= fields.describe()
            found["problem"] = found["problem"] or found["fields_problem"]
            found["failing_since"] = found["failing_since"] or fields.condition.failing_since
        if any(one.signed_out is not None for one in self._conditions(name)):
            found["state"] = "signed out"
        return found

    def _conditions(self, name: str) -> list[Condition]:
        consumer, fields = self.consumers.get(name), self.fields.get(name)
        found = [] if fields is None else [fields.condition]
        if consumer is not None:
            found.append(cast("SinkSender", consumer.sender).condition)
        return found

    async def watch(self) -> None:
        """Report to Redis and the metrics until canceled. If Redis is down, sinks continue as far as they can."""
        while True:
            try:
                await self._sync()
                self.reachable = True
            except ResegmentError as error:
                self.reachable = False
                log.warning("cannot report the state of sinks to Redis", error=error.message)
            now = time.time()
            for name, found in self.describe().items():
                since = found["failing_since"]
                self.metrics.sink_state.labels(name).set(NUMBERS[found["state"]])
                self.metrics.sink_failing.labels(name).set(0.0 if since is None else max(0.0, now - since))
                self.metrics.sink_undelivered.labels(name).set(found["undelivered"])
            if self._ending:
                return
            await asyncio.sleep(SYNC_INTERVAL)

    async def _sync(self) -> None:
        records = await self._states.read()
        for name in self._performers:
            consumer = self.consumers.get(name)
            if consumer is not None and consumer.positioned:
                if COMMANDS not in records.get(name, SinkState()).begun:
                    await self._states.begin(name, COMMANDS)
            for condition in self._conditions(name):
                if condition.notes:
                    notes = list(condition.notes)
                    condition.notes.clear()
                    try:
                        await self._states.note(name, notes)
                    except ResegmentError:
                        condition.notes.extendleft(reversed(notes))
                        raise
        await self._states.report(self._process, self.describe())

    def end(self) -> None:
        """Let `watch` end, even if its cancellation gets lost in the client of Redis."""
        self._ending = True

    async def leave(self) -> None:
        """Remove this process's reports."""
        try:
            async with asyncio.timeout(1.0):
                await self._states.leave(self._process, list(self._performers))
        except (ResegmentError, TimeoutError):
            log.warning("cannot save the state of sinks before stopping")


@asynccontextmanager
async def sending(
    settings: Settings,
    loaded: LoadedSinks,
    *,
    bootstrap: str,
    redis_url: str,
    metrics: Metrics | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[SendingService]:
    """Send commands to the sinks while the block runs; leaving ends it cleanly within 8 seconds.

    Raises KafkaRefused, PublishFailed, StoreUnavailable, InsecureSettings or InvalidTable at the start. Retries what
    fails later.
    """
    metrics = metrics or Metrics()
    security = secure_kafka(settings).clients()
    topics = Topics(settings.prefix)
    embedded = settings.kafka is None
    async with AsyncExitStack() as stack:
        redis = connect_redis(settings, redis_url)
        stack.push_async_callback(redis.aclose)
        states = SinkStates(redis, settings.prefix)
        if not embedded:
            await check_access(bootstrap, security)
        await states.sweep()
        records = await states.read()
        keys = ProcessKeys(settings)
        stack.push_async_callback(keys.aclose)
        ring = await keys.ring()
        publisher = KafkaPublisher(
            bootstrap,
            client_id=f"{settings.prefix}-sinks",
            idempotent=not embedded,
            security=security,
            seal=keys.seal(topics),
        )
        await stack.enter_async_context(publisher)
        performers = await make_performers(loaded, stack, redis, settings.prefix, name_process())
        finder = make_finder(loaded, performers, find_people(redis, settings.prefix))
        if finder is not None and ring is not None:
            finder = UnforgottenContacts(finder, ring)
        consumers: dict[str, EndpointConsumer] = {}
        opener = keys.record_opener(strict=True)
        fields: dict[str, FieldsWriter] = {}
        for name, performer in performers.items():
            entry = performer.loaded.entry
            reporter = SinkReporter(name, metrics)
            performer.runner.made, performer.runner.withheld = reporter.made, reporter.withheld
            group = group_of(settings.prefix, name)
            if performer.loaded.targets:
                begun = COMMANDS in records.get(name, SinkState()).begun
                topic = topics.workflow_commands.name
                consumers[name] = EndpointConsumer(
                    name,
                    Subscription(
                        bootstrap,
                        {topic: COMMAND_TYPE},
                        group,
                        security,
                        pace_of(settings),
                        entry.concurrency,
                        "sinks",
                        opener,
                    ),
                    SinkSender(
                        performer,
                        make_work(name, loaded, performers, finder),
                        publisher=publisher,
                        dead_letters=topics.dead_letters.name,
                        report=reporter.report,
                        clock=clock or Clock(),
                    ),
                    metrics=metrics,
                    from_earliest=[topic] if begun or entry.start == "earliest" else [],
                )
            if entry.fields is not None:
                read = topics_of(
                    topics.segment_changes.name,
                    topics.workflow_commands.name,
                    entry.fields.names,
                    (CHANGE_TYPE, COMMAND_TYPE),
                )
                fields[name] = FieldsWriter(
                    performer,
                    cast("FieldWriter", performer.loaded.sink),
                    Subscription(
                        bootstrap, read, f"{group}-fields", security, pace_of(settings), opener=opener
                    ),
                    FieldStore(redis, settings.prefix, name),
                    metrics,
                )
        service = SendingService(performers, consumers, fields, states, metrics)
        reader = None
        if any(one.people for one in loaded.file.contacts):
            reader = PeopleReader(
                Subscription(
                    bootstrap,
                    {topics.signals.name: ""},
                    f"{settings.prefix}-people",
                    security,
                    pace_of(settings),
                ),
                PeopleStore(redis, settings.prefix),
                metrics,
                await _open_states(redis, settings),
                keys.facts,
            )
        stack.push_async_callback(service.leave)
        tasks = [asyncio.create_task(one.run(), name=f"sink {name}") for name, one in consumers.items()]
        tasks += [asyncio.create_task(one.run(), name=f"fields {name}") for name, one in fields.items()]
        if reader is not None:
            tasks.append(asyncio.create_task(reader.run(), name="people"))
        tasks.append(asyncio.create_task(service.watch(), name="sinks"))
        stack.push_async_callback(stop_tasks, tasks)
        stack.callback(service.end)
        yield service


async def _open_states(redis: Redis, settings: Settings) -> PrefixReader:
    """Return what reads the states of accounts. Raises StoreUnavailable."""
    held = await read_prefix(redis, settings.prefix)
    return PrefixReader(redis, settings.prefix, int(held.get("partitions", settings.partitions)))
