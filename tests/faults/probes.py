"""A low, steady load of probes: events that each move an account, and how long each move takes to be announced."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from resegment.agents.batch import PublishFailed
from resegment.schemas.times import format_instant
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.operations.ingest import send_live
from resegment.streams.worker.loops.worker_clock import host_clock
from tests.events import read_fact
from tests.faults.scenario import PARTITIONS, Scenario

RATE = 20.0
"""Probes a second, sent on time whether or not earlier ones have come back."""
WINDOW = 100
"""Probes that one p99 is of: five seconds of them."""


@dataclass(slots=True)
class Probe:
    """Times are seconds of the monotonic clock."""

    sent: float
    answered: float | None = None

    def latency(self, now: float) -> float:
        """What it took, or has taken up to now."""
        return (now if self.answered is None else self.answered) - self.sent


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a fault did to the latency. `back` counts from when the fault was over, seconds."""

    fault: str
    lasted: float
    before: float
    worst: float
    back: float


class Probes:
    """Those of one scenario, oldest first."""

    def __init__(self, run: Scenario) -> None:
        self._run = run
        self._sent: list[Probe] = []
        self._open: dict[str, Probe] = {}

    async def keep_up(self) -> None:
        """Send and listen until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            async with KafkaPublisher(self._run.kafka, timeout=5.0) as publisher:
                due = time.monotonic()
                for number in count():
                    tasks.create_task(self._send(publisher, f"probe-{number}.example"))
                    due += 1 / RATE
                    await asyncio.sleep(due - time.monotonic())

    async def _send(self, publisher: KafkaPublisher, account: str) -> None:
        raw = {
            "specversion": "1.0",
            "id": account,
            "source": "/probes",
            "subject": account,
            "type": "gtm.firmographic.v1",
            "time": format_instant(host_clock()),
            "data": {"name": account, "status": "active", "employees": 60},
        }
        fact = read_fact(raw)
        probe = self._open[account] = Probe(time.monotonic())
        self._sent.append(probe)
        sent = 0
        while not sent:
            with suppress(PublishFailed):  # as sources must, it sends again
                sent = await send_live([(fact, orjson.dumps(raw))], publisher, self._run.topics)

    async def _listen(self) -> None:
        topic = self._run.topics.segment_changes.name
        async with AIOKafkaConsumer(
            bootstrap_servers=self._run.kafka, request_timeout_ms=5_000, fetch_max_wait_ms=50
        ) as consumer:
            partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            while True:
                with suppress(KafkaError):
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        for record in records:
                            self._note(record.key)

    def _note(self, key: bytes | None) -> None:
        probe = self._open.pop((key or b"").decode(errors="replace"), None)
        if probe is not None:
            probe.answered = time.monotonic()

    def steady(self, since: float, limit: float) -> float | None:
        """Since when p99 has been within `limit` up to now, of those sent from `since` on; None: it is not, or too few."""
        now = time.monotonic()
        told = [one for one in self._sent if one.sent >= since and (one.answered or now - one.sent > limit)]
        good: float | None = None
        for last in range(len(told), WINDOW - 1, -1):
            window = told[last - WINDOW : last]
            if p99([one.latency(now) for one in window]) > limit:
                break
            good = window[0].sent
        return good

    def latencies(self, since: float) -> list[float]:
        """Of those sent since, in order."""
        now = time.monotonic()
        return [one.latency(now) for one in self._sent if one.sent >= since]

    def level(self) -> float:
        """The p99 of the last ones that came back."""
        now = time.monotonic()
        return p99([one.latency(now) for one in self._sent if one.answered is not None][-WINDOW:])


def p99(latencies: Sequence[float]) -> float:
    """The latency that 99 in 100 don't exceed."""
    return sorted(latencies)[math.ceil(0.99 * len(latencies)) - 1]
