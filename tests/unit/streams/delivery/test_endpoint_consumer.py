"""One endpoint's way from records to requests, offsets and reports, on a consumer in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition

from resegment.agents.batch import Message, RecordedMessage
from resegment.agents.delivery import EndpointSender
from resegment.metrics import Metrics
from resegment.schemas.outgoing import COMMAND_TYPE
from resegment.sinks.webhook.endpoint import Endpoint
from resegment.sinks.webhook.port import SendResult
from resegment.state.redis.webhooks import EndpointState
from resegment.streams.delivery import endpoint_consumer
from resegment.streams.delivery.attempt_reporter import AttemptReporter
from resegment.streams.delivery.endpoint_consumer import EndpointConsumer, Subscription
from resegment.streams.delivery.service import DeliveryService
from resegment.streams.kafka.timeouts import Pace

PLACE = TopicPartition("commands", 0)
START = 1_700_000_000_000


class Log:
    """A topic of one partition, and what its group has committed."""

    def __init__(self) -> None:
        self.records: list[RecordedMessage] = []
        self.committed = 0

    def write(self, value: bytes | None, headers: Sequence[tuple[str, bytes | None]] = ()) -> None:
        self.records.append(RecordedMessage(len(self.records), START, b"acme.com", value, list(headers)))


class MemoryConsumer:
    """What an endpoint's consumer uses of aiokafka's, over a `Log`."""

    def __init__(self, log: Log) -> None:
        self._log, self._next = log, log.committed

    async def start(self) -> None: ...

    def subscribe(self, topics: Sequence[str], listener: Any) -> None:
        self._listener = listener

    async def getmany(self, timeout_ms: int) -> Mapping[TopicPartition, Sequence[RecordedMessage]]:
        await asyncio.sleep(0)
        found = self._log.records[self._next :]
        self._next += len(found)
        return {PLACE: found} if found else {}

    def paused(self) -> set[TopicPartition]:
        return set()

    def assignment(self) -> set[TopicPartition]:
        return {PLACE}

    def last_stable_offset(self, place: TopicPartition) -> int:
        return len(self._log.records)

    async def position(self, place: TopicPartition) -> int:
        return self._next

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._log.committed = offsets[PLACE]


class Sink:
    """An endpoint and a publisher of dead letters in memory."""

    def __init__(self, answer: Callable[[str], SendResult]) -> None:
        self.answer = answer
        self.sent: list[str] = []
        self.dead_letters: list[Message] = []

    async def send(self, message: str, body: bytes) -> SendResult:
        self.sent.append(message)
        return self.answer(message)

    async def publish(self, messages: Sequence[Message]) -> None:
        self.dead_letters += messages


class States:
    """What Redis keeps of endpoints, in memory."""

    def __init__(self) -> None:
        self.disabled: dict[str, str] = {}
        self.begun: set[str] = set()
        self.reports: dict[str, Mapping[str, Any]] = {}

    async def read(self) -> dict[str, EndpointState]:
        names = self.begun | self.disabled.keys()
        return {
            name: EndpointState(
                {"at": "", "why": self.disabled[name]} if name in self.disabled else None, name in self.begun
            )
            for name in names
        }

    async def disable(self, name: str, at: str, why: str) -> None:
        self.disabled[name] = why

    async def begin(self, name: str, topic: str) -> None:
        self.begun.add(name)

    async def report(self, process: str, reports: Mapping[str, Mapping[str, Any]]) -> None:
        self.reports = dict(reports)


def command(message: str) -> bytes:
    return orjson.dumps(
        {"id": message, "subject": "acme.com", "data": {"workflow": "crm", "action": "enroll"}}
    )


@asynccontextmanager
async def running(
    monkeypatch: pytest.MonkeyPatch, log: Log, sink: Sink, states: States
) -> AsyncIterator[EndpointConsumer]:
    async def at_once(*_: object, **__: object) -> bool:
        return True

    monkeypatch.setattr(endpoint_consumer, "place", at_once)
    monkeypatch.setattr(endpoint_consumer, "leave", at_once)
    monkeypatch.setattr(endpoint_consumer, "AIOKafkaConsumer", lambda **_: MemoryConsumer(log))
    monkeypatch.setattr(endpoint_consumer, "COMMIT_EVERY", 0.0)
    monkeypatch.setattr("resegment.streams.delivery.service.SYNC_INTERVAL", 0.0)
    metrics = Metrics()
    endpoint = Endpoint.model_validate(
        {"url": "https://example.com/", "secrets": [{"env": "A"}], "concurrency": 1}
    )
    consumer = EndpointConsumer(
        "crm",
        Subscription("", {PLACE.topic: COMMAND_TYPE}, "group", {}, Pace(6.0, 2.0, 0.1), 1),
        EndpointSender(
            "crm",
            endpoint,
            sink,
            publisher=sink,
            dead_letters="dead-letters",
            report=AttemptReporter("crm", metrics).report,
        ),
        metrics=metrics,
        from_earliest=[PLACE.topic],
    )
    service = DeliveryService({"crm": consumer}, states, metrics)  # type: ignore[arg-type]  # what it uses
    tasks = [asyncio.create_task(consumer.run()), asyncio.create_task(service.watch())]
    try:
        yield consumer
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # the consumer runs in between
            await asyncio.sleep(0)


async def test_records_of_any_kind_are_settled_and_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    log, states = Log(), States()
    sink = Sink(lambda _: SendResult(200))
    for value in (b"nonsense", None, b"[]"):
        log.write(value)
    log.write(command("1"))
    log.write(command("2"), [("endpoint", b"other")])
    log.write(b"nonsense", [("endpoint", b"other")])
    log.write(command("3"), [("endpoint", None)])
    async with running(monkeypatch, log, sink, states) as consumer:
        await until(lambda: log.committed == 7 and consumer.lag == 0 and "crm" in states.begun)
    assert sink.sent == ["1", "3"]
    assert len(sink.dead_letters) == 3


async def test_commands_that_are_refused_show_in_the_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    log, states = Log(), States()
    sink = Sink(lambda _: SendResult(415))
    for number in range(4):
        log.write(command(str(number)))
    async with running(monkeypatch, log, sink, states) as consumer:
        await until(lambda: log.committed == 4)
        assert consumer.describe()["undelivered"] == 4
        assert consumer.describe()["problem"].startswith("status 415 (")
        assert consumer.state == "delivering"


async def test_an_endpoint_that_is_gone_is_disabled_and_recorded_and_keeps_its_commands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, states = Log(), States()
    sink = Sink(lambda _: SendResult(410))
    log.write(command("1"))
    async with running(monkeypatch, log, sink, states) as consumer:
        await until(lambda: "crm" in states.disabled and consumer.disabled)
        assert (log.committed, sink.dead_letters) == (0, [])
        sink.answer = lambda _: SendResult(200)
        del states.disabled["crm"]
        await until(lambda: log.committed == 1)
    assert sink.sent == ["1", "1"]
