"""Compare the worker of another checkout with this one's, in turns on the same servers: CPU time and latency.

A machine differs from minute to minute, so figures of two runs can't be compared. Here each round lets the job by hand,
then both workers' segmenters, then both whole pipelines do the same events, and after that measures the latency of both
workers with the same sender. Give it the folder of the other checkout:

    git worktree add /tmp/before v1.2.3
    python -m tests.benchmarks.versions --before /tmp/before

It starts Apache Kafka and Redis, and prints Markdown tables with a figure for each round.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import typer
from redis.asyncio import Redis

from resegment.benchmarks import latency
from resegment.benchmarks.checking import compare, expect
from resegment.benchmarks.events import Event, make_events
from resegment.benchmarks.latency import Point, measure
from resegment.benchmarks.loading import clear, load_events, make_prefix
from resegment.benchmarks.run import END, PARTITIONS, SEGMENTS, Bench, Figures, Plan, Servers
from resegment.benchmarks.servers import apache, debian
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.fact import Fact
from resegment.sources.segments import load_definition

VERSIONS: Final = ("before", "now")
HERE: Final = Path(__file__).resolve().parents[2]


@dataclass(slots=True)
class Work:
    """What all do."""

    events: list[Event]
    facts: list[Fact]
    folders: dict[str, Path]

    @contextmanager
    def of(self, version: str) -> Iterator[None]:
        """Start participants of a version inside this context."""
        kept = {name: os.environ.get(name) for name in ("PYTHONPATH", "PYTHONSAFEPATH")}
        os.environ |= {"PYTHONPATH": str(self.folders[version]), "PYTHONSAFEPATH": "1"}
        try:
            yield
        finally:
            for name, value in kept.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def say(text: str) -> None:
    """Tell what is done."""
    typer.echo(text, err=True)


async def drain(servers: Servers, client: Redis, work: Work, core: int | None) -> dict[str, Figures]:
    """One round of throughput: what each took."""
    plan = Plan(len(work.facts), 0, core=core)
    expected = expect(load_definition(SEGMENTS), work.facts, END)
    found: dict[str, Figures] = {}
    for version in VERSIONS:
        bench = Bench(servers, plan, client, lambda text, version=version: say(f"{version}: {text}"))
        source = f"{bench.prefix}-whole"
        try:
            topics = await make_prefix(
                servers.bootstrap, client, source, partitions=PARTITIONS, clock="facts"
            )
            await load_events(servers.bootstrap, topics.replay.name, work.events, PARTITIONS, END)
            with work.of("now"):
                task = bench.task(f"{bench.prefix}-hand", topics.replay.name, len(work.facts))
                hand = await bench.drain("by hand", "peers.byhand", task)
            found.setdefault("by hand", hand)
            if hand.worker < found["by hand"].worker:
                found["by hand"] = hand
            with work.of(version):
                found[f"segmenter, {version}"] = await bench.drain_signals(0, work.facts, expected)
                task = bench.task(
                    source,
                    topics.replay.name,
                    len(work.facts) + PARTITIONS,
                    agents=("intake", "segmenter"),
                )
                whole = await bench.drain("whole pipeline", "drain", task)
            verdict = await compare(servers.bootstrap, client, topics, PARTITIONS, expected)
            if not verdict.is_right:
                raise SystemExit(f"{version}: the changes are not those of a backtest")
            found[f"whole pipeline, {version}"] = whole
        finally:
            await clear(servers.bootstrap, client, bench.prefix)
    return found


async def run(options: argparse.Namespace) -> None:
    """Do all rounds, and print the tables."""
    events = list(make_events(options.accounts, options.events))
    facts = [resolve_event(decode_event(event.value)) for event in events]
    work = Work(events, facts, {"before": options.before, "now": HERE})
    latency.SECONDS = options.seconds  # type: ignore[misc]
    drained: dict[str, list[Figures]] = defaultdict(list)
    points: dict[tuple[int, str], list[Point]] = defaultdict(list)
    loads: list[float] = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="resegment-versions-")))
        (broker,) = await stack.enter_async_context(apache.cluster(folder))
        store = debian.SystemRedis(folder)
        await store.start()
        stack.push_async_callback(store.stop)
        client = await stack.enter_async_context(Redis.from_url(store.url))
        servers = Servers(broker.bootstrap, store.url, broker.pid)
        for _ in range(options.rounds if options.drain else 0):
            for name, figures in (await drain(servers, client, work, options.core)).items():
                drained[name].append(figures)
            loads.append(os.getloadavg()[0])
        for _ in range(options.rounds if options.rates else 0):
            for version in VERSIONS:
                bench = Bench(servers, Plan(1, 1), client, say)
                with work.of(version):
                    for point in await measure(bench, options.rates):
                        points[point.rate, version].append(point)
            loads.append(os.getloadavg()[0])
    print_tables(drained, points)
    typer.echo(f"\n{len(facts):,} events; load after each round: {', '.join(f'{one:.1f}' for one in loads)}")


def print_tables(drained: dict[str, list[Figures]], points: dict[tuple[int, str], list[Point]]) -> None:
    """Print a figure for each round."""
    if drained:
        hands = drained["by hand"]
        typer.echo("| | CPU-s per million | ratio to by hand | events/s | peak MB |\n|---|---|---|---|---|")
        for name, rows in drained.items():
            cells = (
                ", ".join(f"{one.worker:.1f}" for one in rows),
                ", ".join(f"{one.worker / hand.worker:.2f}" for one, hand in zip(rows, hands, strict=True)),
                ", ".join(f"{one.per_second:,.0f}" for one in rows),
                ", ".join(f"{one.peak_mb:.0f}" for one in rows),
            )
            typer.echo(f"| {name} | {' | '.join(cells)} |")
    if points:
        typer.echo("\n| events/s | version | p50, ms | p99 | p99.9 | max |\n|---|---|---|---|---|---|")
        for (rate, version), measured in sorted(points.items()):
            cells = tuple(
                ", ".join(f"{value:.1f}" for value in values)
                for values in zip(*((one.p50, one.p99, one.p999, one.most) for one in measured), strict=True)
            )
            typer.echo(f"| {rate:,} | {version} | {' | '.join(cells)} |")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="the folder of the other checkout")
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--core", type=int, help="pin the workers to this core")
    parser.add_argument("--no-drain", dest="drain", action="store_false")
    parser.add_argument("--rates", type=int, nargs="*", default=[100, 1_000, 5_000])
    parser.add_argument("--seconds", type=float, default=10, help="of each rate that count")
    options = parser.parse_args()
    if not (options.before / "benchmarks" / "drain.py").is_file():
        sys.exit(f"{options.before} is no checkout of the project")
    options.before = options.before.resolve()
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
