"""Whether a worker's memory stays level: its slope over a long run under a steady load, with a confidence interval.

Starts Apache Kafka, Redis and one worker with a small cache, so that its memory is soon as large as it gets, and sends
events at a steady rate. Of new accounts: a snapshot of each, and a trigger a moment later. In the last part, of accounts
that are known: what still grows there does not grow with the number of accounts, but with time. What is steeper before is
due to accounts that are added, with their changes, commands and touches.

Every second the memory of the worker's process is read. The first part does not count:
caches fill, and the first spot check takes 32 MB for some minutes. Two slopes are fitted (see
`slopes.py`): of what is used on average, and of the least, which is what is kept. Run it as `python -m tests.benchmarks.soak`;
it prints a Markdown table.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import typer

from resegment.agents.batch import Message
from resegment.benchmarks.servers import apache, debian
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topics import Topics
from tests.benchmarks.deadlines import FILE, HEADERS, event, now
from tests.benchmarks.slopes import Samples, Slope, fit_least, fit_means, subtract
from tests.servers.workers import workers

MB: Final = 1_000_000
STRIDE: Final = 7_919
"""From one known account to the next: a prime, so that all get their turn in an order that no cache follows."""


def resident(pid: int) -> int:
    """Return the bytes of memory that a process uses."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Sender:
    """Sends events at a rate."""

    def __init__(self, publisher: KafkaPublisher, topics: Topics, rate: int) -> None:
        self._publisher, self._topics, self._rate = publisher, topics, rate
        self.sent = self.accounts = 0

    async def send_new(self, until: float) -> None:
        """Send two events of each new account until an instant of the monotonic clock."""
        await self._send(until, self._tell_new)

    async def send_known(self, until: float) -> None:
        """Send events of accounts that were sent before, until an instant of the monotonic clock."""
        await self._send(until, self._tell_known)

    async def _send(self, until: float, tell: Callable[[int], Message]) -> None:
        begin, first = time.monotonic(), self.sent
        while (at := time.monotonic()) < until:
            due = first + int((at - begin) * self._rate)
            await self._publisher.publish([tell(number) for number in range(self.sent, due)])
            self.sent = due
            await asyncio.sleep(0.05)

    def _tell_new(self, number: int) -> Message:
        self.accounts = number // 2 + 1
        return self._tell(number, number // 2 if number % 2 == 0 else max(0, number // 2 - 500))

    def _tell_known(self, number: int) -> Message:
        return self._tell(number, number * STRIDE % self.accounts, f"again-{number}")

    def _tell(self, number: int, place: int, id_: str | None = None) -> Message:
        kind, account = "hiring" if number % 2 else "strategy", f"company-{place}.com"
        data = {"function": "sales"} if number % 2 else {"priority": "crm"}
        value = event(kind, account, now(), data, id_)
        return Message(self._topics.of_kind(kind).name, account.encode(), value, HEADERS)


async def sample(pid: int, begin: float, samples: list[tuple[float, float]]) -> None:
    """Read the memory of a process every second, for as long as this runs."""
    while True:
        samples.append((time.monotonic() - begin, resident(pid) / MB))
        await asyncio.sleep(1)


async def measure(options: argparse.Namespace, folder: Path) -> str:
    """Return the table, and what accounts have to do with it."""
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
        sender = Sender(publisher, Topics("soak"), options.rate)
        turn = (options.minutes - options.known) * 60
        await sender.send_new(begin + turn)
        await sender.send_known(begin + options.minutes * 60)
        sampling.cancel()
        group.check()
    counted = [one for one in samples if one[0] >= options.warm * 60]
    run = f"{options.minutes:g} min, the first {options.warm:g} left out"
    lines = [
        "| run | events | accounts | memory at first | at last | most | slope an hour, 95% interval | of the least |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        row(run, counted, sender),
    ]
    if options.known:
        new, known = [one for one in counted if one[0] < turn], [one for one in counted if one[0] >= turn]
        lines += [row("of these, with new accounts", new), row("of these, with known accounts", known)]
        added = subtract(fit_least(new), fit_least(known))
        per = 100_000 / (options.rate / 2 * 3600)
        scaled = Slope(*(one * per for one in added))
        lines += ["", f"For 100,000 accounts that are added: {tell(scaled, digits=2)}."]
    return "\n".join(lines)


def row(name: str, samples: Samples, sender: Sender | None = None) -> str:
    """Return a row of the table."""
    cells = [
        name,
        "" if sender is None else f"{sender.sent:,}",
        "" if sender is None else f"{sender.accounts:,}",
        f"{samples[0][1]:.0f} MB",
        f"{samples[-1][1]:.0f} MB",
        f"{max(value for _, value in samples):.0f} MB",
        tell(fit_means(samples)),
        tell(fit_least(samples)),
    ]
    return f"| {' | '.join(cells)} |"


def tell(slope: Slope, digits: int = 1) -> str:
    """Return a slope with its interval, in words."""
    middle, low, high = (f"{one:+.{digits}f}" for one in slope)
    return f"{middle} MB ({low} to {high})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--warm", type=float, default=10, help="minutes at the beginning that do not count")
    parser.add_argument(
        "--known", type=float, default=0, help="minutes at the end with events of known accounts only"
    )
    parser.add_argument("--rate", type=int, default=500, help="events a second")
    parser.add_argument("--cache", type=int, default=40, help="the bound of the worker's cache, MB")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        typer.echo(asyncio.run(measure(options, Path(folder))))


if __name__ == "__main__":
    main()
