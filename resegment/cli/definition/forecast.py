"""`resegment forecast`: entries and exits to come, if nothing new becomes known."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.options import AsJson, EventFormat, SomeEvents, SomeSegments, time_option
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.cli.options import Format
    from resegment.segmentation.outlook.forecast import Forecaster

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment forecast

resegment forecast --days 90 --segment in-market

resegment forecast --json | jq '.moves[] | select(.to == "in-market")'

resegment forecast --segments segments.yaml --events history.jsonl.gz --at 2026-01-31
"""

DAY: Final = 86_400_000
LONGEST: Final = 3_660


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(forecast)


@takes_servers
def forecast(
    *,
    days: Annotated[
        int, typer.Option("--days", min=1, max=LONGEST, metavar="N", help="How many days to look ahead.")
    ] = 30,
    segment: Annotated[
        str | None,
        typer.Option("--segment", metavar="NAME", help="Only entries into this segment and exits from it."),
    ] = None,
    segments: SomeSegments = None,
    events: SomeEvents = None,
    at: Annotated[
        int | None,
        time_option("With --events: look ahead from this time. Default: the time of the last event."),
    ] = None,
    switch: Annotated[
        list[str] | None,
        typer.Option(
            "--switch",
            metavar="TIME=FILE",
            help="With --events: let this segments file take over at this time. Repeatable.",
        ),
    ] = None,
    form: EventFormat = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print which accounts enter and leave which segments in the coming days, if nothing new becomes known.

    Looks ahead by the same deadlines by which workers decide. An apply that takes effect later counts too. Nothing is
    changed. With --events only the recorded events are read.
    """
    from resegment.console.definition.forecast import render
    from resegment.console.terminal import screen, write_json
    from resegment.segmentation.outlook.forecast import describe_forecast

    length = days * DAY
    if events:
        if segments is None:
            raise typer.BadParameter("--events requires --segments: the file that decides about those events")
        made = _forecast_files(segments, events, switch or [], at, length, form)
    else:
        if at is not None or switch or form is not None:
            raise typer.BadParameter(
                "--at, --switch and --format look ahead from recorded events: add --events"
            )
        made = asyncio.run(_forecast_live(servers, segments, length))
    check_segment(made.names, segment)
    found = made.finish(segment)
    if as_json:
        write_json(sys.stdout.buffer, describe_forecast(found))
    else:
        console = screen()
        console.print(render(found, console.width))


def check_segment(names: Sequence[str], segment: str | None) -> None:
    """Raise typer.BadParameter where there is no such segment."""
    if segment is not None and segment not in names:
        raise typer.BadParameter(
            f"there is no segment {segment}: choose one of {', '.join(names)}", param_hint="--segment"
        )


async def _forecast_live(servers: ServerOptions, segments: str | None, length: int) -> Forecaster:
    from resegment.cli.operations.session import open_session
    from resegment.console.progress import show_progress
    from resegment.streams.operations.outlook import forecast_prefix

    async with open_session(servers, segments=segments) as session:
        timeline = (await session.load_registry()).timeline
        now = await session.now()
        with show_progress() as bars:
            total = sum(one.accounts for one in await session.reader.look())
            progress = bars.count("looking ahead", total)
            return await forecast_prefix(session.reader, timeline, now, now + length, progress)


def _forecast_files(
    segments: str, events: list[str], switches: list[str], at: int | None, length: int, form: Format | None
) -> Forecaster:
    from resegment.cli.definition.backtest import read_timeline
    from resegment.cli.definition.facts import read_facts, report
    from resegment.console.progress import show_progress
    from resegment.schemas.times import HORIZON
    from resegment.segmentation.inspection.backtest import backtest
    from resegment.segmentation.outlook.forecast import Forecaster

    timeline = read_timeline(segments, switches)
    with show_progress() as bars:
        facts, refusals = read_facts(
            events,
            form,
            bars,
            definition=timeline.eras[0].definition,
            receive=timeline.receive if switches else None,
        )
        if at is None:
            at = max((fact.recorded for fact in facts), default=0)
        if at + length > HORIZON:
            raise typer.BadParameter("the forecast would end after the year 9999", param_hint="--at")
        forecaster = Forecaster(timeline, at, at + length)
        for account, _ in backtest(timeline, facts, at, bars.count("replaying", len(facts))):
            forecaster.take(account)
    report(refusals, len(facts))
    return forecaster
