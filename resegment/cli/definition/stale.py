"""`resegment stale`: attributes that are unknown or old, ranked by what knowing them could change."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.definition.forecast import check_segment
from resegment.cli.options import AsJson, EventFormat, SomeEvents, SomeSegments, limit_option, time_option
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.cli.options import Format
    from resegment.segmentation.outlook.staleness import StaleFinder, StaleReport

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment stale

resegment stale --older 90d --segment in-market

resegment stale --json | jq -r '.requests[] | select(.could_win) | .account'

resegment stale --publish --limit 500
"""

SHOWN: Final = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(stale)


def parse_age(text: str) -> int:
    """Return a length of time in ms. Raises typer.BadParameter."""
    from resegment.schemas.times import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@takes_servers
def stale(
    *,
    older: Annotated[
        int,
        typer.Option(
            "--older", parser=parse_age, metavar="AGE", help="From which age on a value is old, like 180d."
        ),
    ] = "180d",  # type: ignore[assignment]  # the parser reads it
    segment: Annotated[
        str | None,
        typer.Option("--segment", metavar="NAME", help="Only accounts that are in it or could come into it."),
    ] = None,
    limit: Annotated[
        int | None,
        limit_option("At most N accounts.", SHOWN),
    ] = None,
    publish: Annotated[
        bool,
        typer.Option(
            "--publish",
            help="Write a request to the topic refresh-requests for each account that could change.",
        ),
    ] = False,
    segments: SomeSegments = None,
    events: SomeEvents = None,
    at: Annotated[
        int | None,
        time_option("With --events: look at the accounts at this time. Default: the time of the last event."),
    ] = None,
    form: EventFormat = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print which tested attributes of which accounts are unknown or old, first those that could change a segment.

    Says for each test for how many accounts it can't tell. With --publish, enrichment tools are asked for the accounts
    whose segment could change, by the topic refresh-requests. With --events only the recorded events are read.
    """
    from resegment.console.definition.staleness import render
    from resegment.console.terminal import screen, write_json
    from resegment.segmentation.outlook.staleness import describe_report

    if events:
        if segments is None:
            raise typer.BadParameter("--events requires --segments: the file that decides about those events")
        if publish:
            raise typer.BadParameter("--publish needs a running prefix: leave --events out")
        finder = _find_in_files(segments, events, at, older, form)
        check_segment(finder.names, segment)
        report = finder.report(segment)
    else:
        if at is not None or form is not None:
            raise typer.BadParameter("--at and --format look at recorded events: add --events")
        report = asyncio.run(_find_live(servers, segments, older, segment, limit, publish=publish))
    if as_json:
        described = describe_report(report)
        write_json(sys.stdout.buffer, {**described, "requests": described["requests"][:limit]})
    else:
        screen().print(render(report, SHOWN if limit is None else limit))


async def _find_live(
    servers: ServerOptions,
    segments: str | None,
    older: int,
    segment: str | None,
    limit: int | None,
    *,
    publish: bool,
) -> StaleReport:
    from resegment.cli.operations.session import open_session
    from resegment.console.counts import count
    from resegment.console.progress import show_progress
    from resegment.console.terminal import print_note
    from resegment.streams.operations.outlook import find_stale
    from resegment.streams.refresh import RefreshAsker

    async with open_session(servers, segments=segments) as session:
        timeline = (await session.load_registry()).timeline
        now = await session.now()
        with show_progress() as bars:
            total = sum(one.accounts for one in await session.reader.look())
            finder = await find_stale(session.reader, timeline, now, older, bars.count("looking", total))
        check_segment(finder.names, segment)
        report = finder.report(segment)
        if publish:
            every = int(session.settings.refresh_every.total_seconds() * 1000)
            wanted = [one for one in report.requests if one.matters]
            async with session.publisher("resegment-stale") as publisher:
                asker = RefreshAsker(session.client, session.reader, session.topics, publisher, every)
                asked = await asker.ask(wanted, now, limit)
            print_note(f"{count(asked, 'request')} written to {session.topics.refresh_requests.name}")
        return report


def _find_in_files(
    segments: str, events: list[str], at: int | None, older: int, form: Format | None
) -> StaleFinder:
    from resegment.cli.connection import read_limits
    from resegment.cli.definition.facts import read_facts, report
    from resegment.console.progress import show_progress
    from resegment.segmentation.evaluation.engine import Engine
    from resegment.segmentation.evaluation.program import Program
    from resegment.segmentation.inspection.backtest import backtest
    from resegment.segmentation.outlook.staleness import StaleFinder
    from resegment.sources.segments import load_definition

    program = Program(load_definition(segments), read_limits())
    with show_progress() as bars:
        facts, refusals = read_facts(events, form, bars, definition=program.definition)
        if at is None:
            at = max((fact.recorded for fact in facts), default=0)
        finder = StaleFinder(Engine(program), at, older)
        for account, _ in backtest(program, facts, at, bars.count("replaying", len(facts))):
            finder.take(account)
    report(refusals, len(facts))
    return finder
