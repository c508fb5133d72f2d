"""How late exits and timed entries are, and what live events feel of it.

Starts both embedded servers and a worker of its own, tells it of many accounts, and then lets time pass: half of
the accounts leave a segment by a window that closes, half enter one by a window that opens. Meanwhile new accounts
send live events. Run it as `python -m tests.benchmarks.deadlines`; it prints a Markdown table.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson
import typer
from aiokafka import AIOKafkaConsumer

from resegment.agents.batch import Message
from resegment.embedded.servers import Embedded, embedded
from resegment.schemas.times import format_instant, parse_instant
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topics import Topics
from tests.servers.workers import workers

WINDOW: Final = 1_800_000
"""Of both segments, ms: longer than it takes to tell of the accounts."""

FILE: Final = """
version: 1
plays:
  one: {message: {pain: p, value_prop: v, proof_points: [p]}, channels: {primary: email}}
segments:
  - name: leaving
    when: {event: hiring, where: {function: sales}, within: 30m}
    play: one
    route: {workflow: leaving}
  - name: entering
    when: {event: funding, where: {round: seed}, ago: [30m, 2h]}
    play: one
    route: {workflow: entering}
  - name: live
    when: {event: strategy, within: 90d}
    play: one
    route: {workflow: live}
fallback: {name: none, play: one, route: {workflow: none}}
"""
HEADERS: Final = [("content-type", b"application/cloudevents+json")]


@dataclass(slots=True)
class Seen:
    """Changes as they arrived: when (ms), and what."""

    arrived: list[tuple[int, bytes]] = field(default_factory=list)

    async def at_least(self, count: int, patience: float) -> None:
        """Wait for so many. Raises TimeoutError."""
        async with asyncio.timeout(patience):
            while len(self.arrived) < count:
                await asyncio.sleep(0.1)


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def event(kind: str, account: str, at: int, data: dict[str, Any], id_: str | None = None) -> bytes:
    """A trigger event; without an id, the only one of its kind and account."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": id_ or f"{kind}-{account}",
            "source": "bench",
            "type": f"gtm.{kind}.v1",
            "subject": account,
            "time": format_instant(at),
            "data": data,
        }
    )


def preparation(topics: Topics, count: int, begin: int, spread: float) -> list[Message]:
    """One event an account; from `begin` on, over `spread` seconds, each becomes due."""
    messages = []
    for number in range(count):
        account = f"company-{number}.com"
        at = begin + int(number * spread * 1_000) // count - WINDOW
        kind, data = ("hiring", {"function": "sales"}) if number % 2 else ("funding", {"round": "seed"})
        value = event(kind, account, at, data)
        messages.append(Message(topics.of_kind(kind).name, account.encode(), value, HEADERS))
    return messages


def others(topics: Topics, count: int) -> Iterator[list[Message]]:
    """Accounts of which nothing is due before half an hour from now, a thousand at a time."""
    for first in range(0, count, 1_000):
        at, messages = now(), []
        for number in range(first, min(first + 1_000, count)):
            account = f"other-{number}.com"
            value = event("hiring", account, at, {"function": "sales"})
            messages.append(Message(topics.of_kind("hiring").name, account.encode(), value, HEADERS))
        yield messages


@asynccontextmanager
async def watching(servers: Embedded, topic: str) -> AsyncIterator[Seen]:
    """The changes of a topic, from now on."""
    seen = Seen()
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=servers.bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=20
    )

    async def take() -> None:
        while True:
            batches = await consumer.getmany(timeout_ms=1_000)
            at = now()
            seen.arrived.extend((at, record.value) for records in batches.values() for record in records)

    await consumer.start()
    task = asyncio.create_task(take())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await consumer.stop()


async def send_live(
    publisher: KafkaPublisher, topics: Topics, rate: int, begin: int, seconds: float
) -> dict[str, int]:
    """Send events of new accounts at a rate; give when (ms) each was due to be sent."""
    sent: dict[str, int] = {}
    tasks: list[asyncio.Task[None]] = []
    for number in range(int(rate * seconds)):
        due = begin + number * 1_000 // rate
        await asyncio.sleep(max(0, due - now()) / 1_000)
        account = f"live-{number}.com"
        sent[account] = due
        value = event("strategy", account, due, {"priority": "crm"})
        message = Message(topics.of_kind("strategy").name, account.encode(), value, HEADERS)
        tasks.append(asyncio.create_task(publisher.publish([message])))
    await asyncio.gather(*tasks)
    return sent


async def measure(options: argparse.Namespace, spread: float, folder: Path) -> str:
    """One row: deadlines over `spread` seconds."""
    file = folder / "segments.yaml"
    file.write_text(FILE)
    settings = {"prefix": "bench", "segments": file, "partitions": options.partitions}
    async with (
        embedded(folder / "servers") as servers,
        workers(folder, kafka=servers.bootstrap, redis=servers.redis_url, **settings) as group,
        KafkaPublisher(servers.bootstrap) as publisher,
    ):
        topics = Topics("bench")
        started = [await group.start() for _ in range(options.workers)]
        async with watching(servers, topics.segment_changes.name) as seen:
            for messages in others(topics, options.others):
                await publisher.publish(messages)
            await seen.at_least(options.others, 30 + options.others / 1_000)
            seen.arrived.clear()
            begin = now() + int(options.head_start * 1_000)
            told = preparation(topics, options.accounts, begin, spread)
            for first in range(0, len(told), 1_000):
                await publisher.publish(told[first : first + 1_000])
            await seen.at_least(options.accounts, options.head_start)
            if now() > begin - 6_000:
                raise SystemExit(f"telling of the accounts took until {now() - begin} ms: raise --head-start")
            await asyncio.sleep((begin - 5_000 - now()) / 1_000)
            before = [_cpu_seconds(one.pid) for one in started]
            sent = await send_live(publisher, topics, options.rate, begin - 5_000, spread + 10)
            await seen.at_least(2 * options.accounts + len(sent), 120)
            group.check()
            used = sum(_cpu_seconds(one.pid) - was for one, was in zip(started, before, strict=True))
    return _row(spread, seen.arrived[options.accounts :], sent, options.accounts, used)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _row(
    spread: float, arrived: Sequence[tuple[int, bytes]], sent: dict[str, int], count: int, used: float
) -> str:
    decided: list[int] = []
    late: list[int] = []
    live: list[int] = []
    for at, value in arrived:
        change = orjson.loads(value)["data"]
        if change["account"] in sent:
            live.append(at - sent[change["account"]])
        else:
            due = parse_instant(change["effective_at"])
            decided.append(parse_instant(change["decided_at"]) - due)
            late.append(at - due)
    if len(late) != count or len(live) != len(sent):
        raise SystemExit(
            f"{len(late)} of {count} changes by time arrived, {len(live)} of {len(sent)} live ones"
        )
    cells = [
        f"{count:,} in {spread:g} s",
        str(min(decided)),
        *(f"{_share(late, share):,}" for share in (0.5, 0.99, 1)),
        *(f"{_share(live, share):,}" for share in (0.5, 0.99, 1)),
        f"{used:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def _share(values: list[int], share: float) -> int:
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=50_000)
    parser.add_argument("--others", type=int, default=0, help="accounts of which nothing is due")
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rate", type=int, default=200, help="live events a second")
    parser.add_argument("--head-start", type=float, default=60, help="seconds to tell of the accounts before")
    parser.add_argument(
        "--spread", type=float, nargs="*", default=[60, 1], help="seconds the deadlines fall into"
    )
    options = parser.parse_args()
    typer.echo(
        "| deadlines | earliest, ms | late p50, ms | p99 | most | live p50, ms | p99 | most | worker's CPU s |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for spread in options.spread:
        with TemporaryDirectory() as folder:
            typer.echo(asyncio.run(measure(options, spread, Path(folder))))


if __name__ == "__main__":
    main()
