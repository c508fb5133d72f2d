"""Whether a worker's memory stays level: its slope over a long run under a steady load, with a confidence interval.

Starts Apache Kafka, Redis and one worker with a small cache, so that its memory is soon as large as it gets, and sends
events of new accounts at a steady rate: a snapshot of each, and a trigger a moment later. Every second the memory of the
worker's process is read. The first part does not count. Of the rest, the means of twelve parts of equal length have a
line laid through them, because values that follow each other are alike: the interval is that of its slope, from the
twelve. Run it as `python -m tests.benchmarks.soak`; it prints a row of a Markdown table.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import typer

from resegment.agents.batch import Message
from resegment.benchmarks.servers import apache, debian
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topics import Topics
from tests.benchmarks.deadlines import FILE, HEADERS, event, now
from tests.servers.workers import workers

PARTS: Final = 12
T_95: Final = 2.228
"""Student's t for 95% with PARTS - 2 degrees of freedom."""
MB: Final = 1_000_000


class Slope(NamedTuple):
    """A slope per hour, and how far to each side its 95% interval reaches."""

    per_hour: float
    reach: float


def resident(pid: int) -> int:
    """Return the bytes of memory that a process uses."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def fit(samples: Sequence[tuple[float, float]]) -> Slope:
    """Lay a line through the means of equal parts of (seconds, value)."""
    size = len(samples) // PARTS
    parts = [samples[number * size : (number + 1) * size] for number in range(PARTS)]
    times = [sum(at for at, _ in one) / size for one in parts]
    values = [sum(value for _, value in one) / size for one in parts]
    mid, mean = sum(times) / PARTS, sum(values) / PARTS
    spread = sum((at - mid) ** 2 for at in times)
    slope = sum((at - mid) * (value - mean) for at, value in zip(times, values, strict=True)) / spread
    rest = sum((value - mean - slope * (at - mid)) ** 2 for at, value in zip(times, values, strict=True))
    return Slope(slope * 3600, T_95 * math.sqrt(rest / (PARTS - 2) / spread) * 3600)


async def send(publisher: KafkaPublisher, topics: Topics, rate: int, until: float) -> int:
    """Send events at a rate until an instant of the monotonic clock, and return how many."""
    begin, sent = time.monotonic(), 0
    while (at := time.monotonic()) < until:
        due = int((at - begin) * rate)
        messages: list[Message] = []
        for number in range(sent, due):
            kind = "hiring" if number % 2 else "strategy"
            account = f"company-{number // 2 if number % 2 == 0 else max(0, number // 2 - 500)}.com"
            data = {"function": "sales"} if number % 2 else {"priority": "crm"}
            value = event(kind, account, now(), data)
            messages.append(Message(topics.of_kind(kind).name, account.encode(), value, HEADERS))
        await publisher.publish(messages)
        sent = due
        await asyncio.sleep(0.05)
    return sent


async def sample(pid: int, begin: float, samples: list[tuple[float, float]]) -> None:
    """Read the memory of a process every second, for as long as this runs."""
    while True:
        samples.append((time.monotonic() - begin, resident(pid) / MB))
        await asyncio.sleep(1)


async def measure(options: argparse.Namespace, folder: Path) -> str:
    """Return the row."""
    file = folder / "segments.yaml"
    file.write_text(FILE)
    async with AsyncExitStack() as stack:
        (broker,) = await stack.enter_async_context(apache.cluster(folder / "kafka"))
        store = debian.SystemRedis(folder)
        await store.start()
        stack.push_async_callback(store.stop)
        settings = {
            "prefix": "soak",
            "segments": file,
            "partitions": 4,
            "cache_bytes": options.cache * MB,
            "kafka": broker.bootstrap,
            "redis": store.url,
        }
        group = await stack.enter_async_context(workers(folder, **settings))
        worker = await group.start()
        publisher = await stack.enter_async_context(KafkaPublisher(broker.bootstrap))
        samples: list[tuple[float, float]] = []
        begin = time.monotonic()
        sampling = asyncio.create_task(sample(worker.pid, begin, samples))
        sent = await send(publisher, Topics("soak"), options.rate, begin + options.minutes * 60)
        sampling.cancel()
        group.check()
    counted = [one for one in samples if one[0] >= options.warm * 60]
    slope = fit(counted)
    cells = [
        f"{options.minutes:g} min, the first {options.warm:g} left out",
        f"{sent:,}",
        f"{counted[0][1]:.0f} MB",
        f"{counted[-1][1]:.0f} MB",
        f"{max(value for _, value in counted):.0f} MB",
        f"{slope.per_hour:+.1f} MB",
        f"{slope.per_hour - slope.reach:+.1f} to {slope.per_hour + slope.reach:+.1f} MB",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--warm", type=float, default=10, help="minutes at the beginning that do not count")
    parser.add_argument("--rate", type=int, default=500, help="events a second")
    parser.add_argument("--cache", type=int, default=40, help="the bound of the worker's cache, MB")
    options = parser.parse_args()
    typer.echo(
        "| run | events | memory at first | at last | most | slope an hour | 95% interval |\n"
        "| --- | --- | --- | --- | --- | --- | --- |"
    )
    with TemporaryDirectory() as folder:
        typer.echo(asyncio.run(measure(options, Path(folder))))


if __name__ == "__main__":
    main()
