"""`resegment status`: the health of a prefix at a glance."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.options import AsJson
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from resegment.cli.operations.session import Session
    from resegment.streams.definitions.history import Definitions
    from resegment.streams.operations.overview import Overview

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment status

resegment status --watch

resegment status --json | jq .problems
"""

PACE: Final = 2.0
"""Seconds between two refreshes of --watch."""

RECOUNT: Final = 15
"""How many refreshes pass between two counts of dead letters."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(status)


@takes_servers
def status(
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help=f"Refresh every {PACE:.0f} seconds, until Ctrl-C.")
    ] = False,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print the state of workers, partitions and segments, and every problem. Exits with 1 if there is a problem.

    With --watch and --json, print one line for each refresh.
    """
    from resegment.streams.operations.overview import find_problems

    problems: list[str] = []

    async def run() -> None:
        with _output(as_json=as_json, watch=watch) as write:
            async for overview in _look(servers, watch=watch):
                write(overview)
                problems[:] = find_problems(overview)

    with suppress(KeyboardInterrupt):
        asyncio.run(run())
    if problems:
        raise typer.Exit(1)


async def _look(servers: ServerOptions, *, watch: bool) -> AsyncIterator[Overview]:
    from resegment.cli.operations.session import open_session
    from resegment.streams.operations.dead_letters import DeadLetterCount, count_dead_letters
    from resegment.streams.operations.overview import look
    from resegment.streams.prefix import read_prefix

    async with open_session(servers) as session:
        letters, grown, turn = DeadLetterCount(), {}, 0
        while True:
            if turn % RECOUNT == 0 or letters.problem is not None:
                letters = await count_dead_letters(
                    session.bootstrap, session.topics.dead_letters.name, security=session.security
                )
                grown = {} if letters.problem is not None else await _find_grown(session)
            turn += 1
            held = await read_prefix(session.client, session.prefix)  # the mode of routing may have changed
            definitions = await _read_definitions(session)
            yield await look(session.client, session.reader, held, letters, grown, definitions)
            if not watch:
                return
            await asyncio.sleep(PACE)


async def _read_definitions(session: Session) -> Definitions | None:
    from resegment.streams.definitions.log import read_definitions
    from resegment.streams.kafka.topic_reader import TopicUnreadable

    with suppress(TopicUnreadable):  # the dead letters say so, if Kafka is away
        return await read_definitions(session.bootstrap, session.topics, session.security)
    return None


async def _find_grown(session: Session) -> dict[str, int]:
    from resegment.streams.kafka.admin import TopicsUnavailable, find_grown

    topics, partitions = list(session.topics), session.reader.partitions
    with suppress(TopicsUnavailable):  # the dead letters could be read: this user may not describe topics
        return await asyncio.to_thread(find_grown, session.bootstrap, topics, partitions, **session.security)
    return {}


def _output(*, as_json: bool, watch: bool) -> AbstractContextManager[Callable[[Overview], None]]:
    from resegment.console.terminal import screen

    if as_json:
        return _json(lines=watch)
    console = screen()
    return _live() if watch and console.is_terminal else _plain()


@contextmanager
def _json(*, lines: bool) -> Iterator[Callable[[Overview], None]]:
    from resegment.console.terminal import write_json, write_json_lines
    from resegment.streams.operations.overview import describe_overview
    from resegment.streams.reports.freshness import find_freshness

    def write(overview: Overview) -> None:
        fresh = find_freshness(overview)
        described = describe_overview(overview) | {
            "fresh": {"decided_ms_ago": fresh.age, "allowed_ms": fresh.allowed, "is_good": fresh.is_good}
        }
        if lines:
            write_json_lines(sys.stdout.buffer, [described])
        else:
            write_json(sys.stdout.buffer, described)

    yield write


@contextmanager
def _plain() -> Iterator[Callable[[Overview], None]]:
    from resegment.console.operations.status import render
    from resegment.console.terminal import screen

    yield lambda overview: screen().print(render(overview))


@contextmanager
def _live() -> Iterator[Callable[[Overview], None]]:
    from rich.live import Live

    from resegment.console.operations.status import render
    from resegment.console.terminal import screen

    with Live(console=screen(), auto_refresh=False, vertical_overflow="crop") as live:
        yield lambda overview: live.update(render(overview), refresh=True)
