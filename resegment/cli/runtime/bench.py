"""`resegment bench`: throughput and latency, next to a hand-written loop and stock faust."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import AsJson
from resegment.cli.servers import Kafka, Redis

if TYPE_CHECKING:
    from resegment.benchmarks.peers.comparison import Compared
    from resegment.benchmarks.run import Plan, Results, Servers

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment bench --kafka localhost:9092 --redis redis://localhost:6379/15

resegment bench --full --json

resegment bench --latency --no-drain

resegment bench --peers

resegment bench --growth --accounts 1000000 --redis redis://localhost:6379/15

resegment bench --profile flame.svg
"""

FULL: Final = (50_000, 500_000)


class NoServers(WrongUse):
    """The benchmark has no Kafka and Redis to run on; `problem` says why it cannot start them."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"the benchmark has no servers to run on: {problem}",
            remedy="Pass --kafka HOST:PORT and --redis URL, an Apache Kafka and a Redis that nothing else uses, or --embedded.",
        )
        self.problem = problem


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(bench)


def bench(
    kafka: Kafka = None,
    redis: Redis = None,
    accounts: Annotated[
        int, typer.Option("--accounts", min=1, help="Number of accounts; each has one snapshot.")
    ] = 10_000,
    events: Annotated[
        int, typer.Option("--events", min=1, help="Number of trigger events after the snapshots.")
    ] = 100_000,
    *,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="50,000 accounts and 500,000 triggers: the size of the published figures."
        ),
    ] = False,
    drain: Annotated[
        bool, typer.Option("--drain/--no-drain", help="Measure how fast preloaded topics drain.")
    ] = True,
    latency: Annotated[
        bool, typer.Option("--latency", help="Also measure latency at 100, 1,000 and 5,000 events/s.")
    ] = False,
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Also compare two workers with one, each on its own core.")
    ] = False,
    growth: Annotated[
        bool,
        typer.Option(
            "--growth",
            help="Measure nothing but what an event costs for accounts with 10 to 2,000 facts, and for 10,000 accounts "
            "up to --accounts. Needs no Kafka.",
        ),
    ] = False,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers",
            help="Run the job by hand, stock faust and Quix Streams beside a worker instead, in turns and twice.",
        ),
    ] = False,
    embedded: Annotated[
        bool,
        typer.Option("--embedded", help="Start the embedded broker and Redis instead of Apache Kafka."),
    ] = False,
    repeat: Annotated[
        int, typer.Option("--repeat", min=1, help="How many times to run the loop and the segmenter.")
    ] = 1,
    core: Annotated[
        int | None, typer.Option("--core", min=0, help="Pin the worker to this core. Default: the last one.")
    ] = None,
    stock: Annotated[
        int,
        typer.Option("--stock", min=0, help="Number of events for stock faust, which is slow; 0 skips it."),
    ] = 10_000,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Compare the result with a backtest.")
    ] = True,
    profile: Annotated[
        Path | None,
        typer.Option(
            "--profile",
            metavar="FILE",
            help="Write flame graphs with py-spy, or cProfile figures without it.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure throughput, CPU time, memory and latency on a real Kafka and Redis.

    CPU time matters most: compare within one run, and repeat. Without --kafka and --redis, a checkout starts
    Apache Kafka (Java 17, Maven) and Redis for the run.
    """
    import os

    from resegment.benchmarks.run import Plan

    if embedded and (kafka is not None or redis is not None):
        raise typer.BadParameter("--embedded starts its own servers: leave out --kafka and --redis")
    if full:
        accounts, events = FULL
    if growth:
        asyncio.run(_grow(redis, accounts, as_json=as_json))
        return
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    plan = Plan(
        accounts=accounts,
        triggers=events,
        stock_events=stock,
        core=core if core is not None else (cores[-1] if len(cores) > 1 else None),
        repeat=repeat,
        check=check,
        flame=profile,
    )
    wrong = asyncio.run(
        _run(
            plan,
            _servers(kafka, redis, embedded=embedded),
            peers=peers,
            drain=drain and not peers,
            latency=latency,
            scaling=scaling,
            as_json=as_json,
        )
    )
    if wrong:
        raise typer.Exit(1)


async def _run(
    plan: Plan,
    starting: AbstractAsyncContextManager[Servers],
    *,
    peers: bool,
    drain: bool,
    latency: bool,
    scaling: bool,
    as_json: bool,
) -> bool:
    from redis.asyncio import Redis as Client

    from resegment.benchmarks.latency import measure
    from resegment.benchmarks.peers.comparison import Comparison
    from resegment.benchmarks.report import render, render_latency, render_peers, render_scaling
    from resegment.benchmarks.run import Bench
    from resegment.benchmarks.scaling import scale
    from resegment.console.terminal import print_note, screen, write_json
    from resegment.state.redis.errors import answering

    results: Results | None = None
    compared: Compared | None = None
    described: dict[str, Any] = {}
    async with starting as servers, Client.from_url(servers.redis_url) as client:
        with answering("reach it"):
            await client.ping()
        bench = Bench(servers, plan, client, print_note)
        if peers:
            compared = await Comparison(bench, plan.repeat).run()
            described["peers"] = asdict(compared)
            if not as_json:
                screen().print(render_peers(compared))
        if drain:
            results = await bench.run()
            described["drain"] = asdict(results)
            if not as_json:
                screen().print(render(results))
        if latency:
            points = await measure(bench)
            described["latency"] = [asdict(point) for point in points]
            if not as_json:
                screen().print(render_latency(points))
        if scaling:
            scaled = await scale(bench)
            described["scaling"] = asdict(scaled)
            if not as_json:
                screen().print(render_scaling(scaled))
    if as_json:
        write_json(sys.stdout.buffer, described)
    if compared is not None and not compared.is_right:
        return True
    return results is not None and any(one.verdict and not one.verdict.is_right for one in results.rows)


async def _grow(redis: str | None, accounts: int, *, as_json: bool) -> None:
    from redis.asyncio import Redis as Client

    from resegment.benchmarks.growth import Growing
    from resegment.benchmarks.report import render_growth
    from resegment.console.terminal import print_note, screen, write_json
    from resegment.state.redis.errors import answering

    async with _redis(redis) as url, Client.from_url(url) as client:
        with answering("reach it"):
            await client.ping()
        growing = Growing(url, client, print_note)
        try:
            rows = [*await growing.by_facts(), *await growing.by_accounts(accounts)]
        finally:
            growing.close()
    if as_json:
        write_json(sys.stdout.buffer, {"growth": [asdict(one) for one in rows]})
    else:
        screen().print(render_growth(rows))


@asynccontextmanager
async def _redis(redis: str | None) -> AsyncIterator[str]:
    if redis is not None:
        yield redis
        return
    import tempfile

    _, debian = _launchers()
    with tempfile.TemporaryDirectory(prefix="resegment-bench-") as folder:
        store = debian.SystemRedis(Path(folder))
        await store.start()
        try:
            yield store.url
        finally:
            await store.stop()


@asynccontextmanager
async def _servers(kafka: str | None, redis: str | None, *, embedded: bool) -> AsyncIterator[Servers]:
    import tempfile

    from resegment.benchmarks.run import Servers

    if embedded:
        from resegment.embedded.servers import embedded as start

        with tempfile.TemporaryDirectory(prefix="resegment-bench-") as name:
            async with start(Path(name)) as both:
                yield Servers(both.bootstrap, both.redis_url)
        return
    if kafka is not None and redis is not None:
        yield Servers(kafka, redis)
        return
    if kafka is not None or redis is not None:
        raise NoServers("--kafka and --redis must be given together")
    apache, debian = _launchers()
    if not apache.is_possible():
        raise NoServers("Apache Kafka needs Java 17 and Maven, which are not on this machine")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="resegment-bench-")))
        (broker,) = await stack.enter_async_context(apache.cluster(folder))
        store = debian.SystemRedis(folder)
        await store.start()
        stack.push_async_callback(store.stop)
        yield Servers(broker.bootstrap, store.url, broker.pid)


def _launchers() -> tuple[Any, Any]:
    """Return the modules of a checkout that start Apache Kafka and Redis. Raises NoServers."""
    import resegment
    from resegment.benchmarks.servers import apache, debian

    if not (Path(resegment.__file__).resolve().parents[1] / "pyproject.toml").is_file():
        raise NoServers("only a checkout of the repository can start them")
    return apache, debian
