"""How long it takes from a signal to the segment change that it causes, at a steady rate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from resegment.agents.batch import Message
from resegment.benchmarks.loading import clear, make_prefix
from resegment.benchmarks.run import PARTITIONS, Bench, await_ready, started
from resegment.schemas.fact import Fact, encode_fact
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.runtime import settle

RATES: Final = (100, 1_000, 5_000)
SECONDS: Final = 10.0
WARM: Final = 2.0
"""Seconds at each rate that do not count."""
PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Point:
    """Latencies at one rate, ms."""

    rate: int
    signals: int
    p50: float
    p99: float
    p999: float
    most: float


async def measure(bench: Bench, rates: Sequence[int] = RATES) -> list[Point]:
    """Each signal is the first of its account, so that each causes one change. Raises ParticipantFailed."""
    settle()  # a pause of the sender would count as the worker's
    prefix = f"{bench.prefix}-latency"
    servers = bench.servers
    topics = await make_prefix(
        servers.bootstrap,
        bench.redis,
        prefix,
        partitions=PARTITIONS,
        clock="wall",
    )
    task = bench.task(prefix, topics.signals.name, None, agents=("segmenter",), clock="wall")
    points: list[Point] = []
    try:
        async with started("worker", "drain", task) as process:
            await await_ready(process)
            for rate in rates:
                bench.say(f"latency at {rate:,} events/s")
                points.append(
                    await _at(servers.bootstrap, topics.signals.name, topics.segment_changes.name, rate)
                )
            process.terminate()
            await process.communicate()
    finally:
        await clear(servers.bootstrap, bench.redis, prefix)
    return points


async def _at(bootstrap: str, signals: str, changes: str, rate: int) -> Point:
    count = int(rate * (SECONDS + WARM))
    sent: dict[bytes, float] = {}
    took: dict[bytes, float] = {}
    ready = asyncio.Event()

    async def follow() -> None:
        async with _following(bootstrap, changes) as consumer:
            ready.set()
            while len(took) < count:
                fetched = await consumer.getmany(timeout_ms=100)
                now = time.perf_counter()
                for record in (one for records in fetched.values() for one in records):
                    if record.key in sent:
                        took.setdefault(record.key, (now - sent[record.key]) * 1000)

    following = asyncio.create_task(follow())
    await ready.wait()
    async with KafkaPublisher(bootstrap, client_id="resegment-bench") as publisher:
        begin, done = time.perf_counter(), 0
        while done < count:
            due = min(count, int((time.perf_counter() - begin) * rate) + 1)
            messages = [_signal(signals, rate, number) for number in range(done, due)]
            # a signal is late from when it should have been sent: what the sender cannot keep up with counts
            sent.update(
                (message.key or b"", begin + number / rate)
                for number, message in zip(range(done, due), messages, strict=True)
            )
            # one after the other: at a high rate more go together, instead of waiting in line
            await publisher.publish(messages)
            done = due
            await asyncio.sleep(max(0.002, begin + (done + 1) / rate - time.perf_counter()))
    await asyncio.wait_for(following, PATIENCE)
    warm = f"{int(rate * WARM):09d}".encode()
    counted = sorted(ms for key, ms in took.items() if key[5 : 5 + 9] >= warm)
    p50, p99, p999 = (counted[int(len(counted) * share)] for share in (0.5, 0.99, 0.999))
    return Point(rate, len(counted), p50, p99, p999, counted[-1])


@asynccontextmanager
async def _following(bootstrap: str, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    # a fetch that waits for one partition holds up the next one of the others: it must not wait for long
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=5)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
        await consumer.seek_to_end()
        yield consumer
    finally:
        await consumer.stop()


def _signal(topic: str, rate: int, number: int) -> Message:
    account = f"acct-{number:09d}-{rate}.example"
    now = time.time_ns() // 1_000_000
    fact = Fact(
        account=account,
        kind="firmographic",
        id=f"ev-{rate}-{number}",
        source="/bench",
        record=f"ev-{rate}-{number}",
        time=now,
        recorded=now,
        data={"industry": "software", "employees": 300, "technologies": ["snowflake"]},
    )
    return Message(topic, account.encode(), encode_fact(fact), timestamp=now)
