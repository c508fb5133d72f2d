"""`resegment metrics`: what came of touches, and whether segments differ."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.options import (
    AsJson,
    EventFormat,
    PastArchive,
    RecordedCommands,
    SomeEvents,
    SomeSegments,
    time_option,
)
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.outcomes.measuring.names import By, Metric

if TYPE_CHECKING:
    from resegment.outcomes.measuring.report import Report

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment metrics

resegment metrics --by play --since 2026-01-01 --html outcomes.html

resegment metrics --events outcomes.jsonl --commands commands.jsonl --segments segments.yaml

resegment metrics --json | jq '.groups[] | {name, win: (.rates[] | select(.metric == "win"))}'
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(metrics)


def parse_window(text: str) -> tuple[str, int]:
    """Return the metric and the days of METRIC=DAYS."""
    name, _, days = text.partition("=")
    number = days.removesuffix("d")
    if name not in set(Metric) or not (number.isascii() and number.isdigit() and 0 < int(number) <= 3_660):
        raise typer.BadParameter(
            f"{text[:40]!r} is no window: write a metric and its days, like win=120. The metrics are {', '.join(Metric)}"
        )
    return name, int(number)


@takes_servers
def metrics(
    *,
    by: Annotated[
        By, typer.Option("--by", help="What touches are grouped by, as it was when they were made.")
    ] = By.segment,
    metric: Annotated[
        list[Metric] | None,
        typer.Option(
            "--metric",
            help="Show these metrics. Repeatable. Default: reply to win. --json and --html have all.",
        ),
    ] = None,
    since: Annotated[int | None, time_option("Only touches from this time on.")] = None,
    at: Annotated[
        int | None,
        time_option("Measure as of this time. Default: now, or with --events the time of the last outcome."),
    ] = None,
    mature: Annotated[
        bool,
        typer.Option(
            "--mature",
            help="Measure all metrics on the same touches: those that are old enough for all of them.",
        ),
    ] = False,
    window: Annotated[
        list[str] | None,
        typer.Option(
            "--window",
            metavar="METRIC=DAYS",
            help="For how many days after a touch an outcome counts. Repeatable.",
        ),
    ] = None,
    detect: Annotated[
        float,
        typer.Option(
            "--detect",
            min=0.01,
            max=1.0,
            metavar="SHARE",
            help="The difference worth finding, as a share of the rate of all.",
        ),
    ] = 0.25,
    power: Annotated[
        float,
        typer.Option("--power", min=0.5, max=0.99, metavar="SHARE", help="How likely it should be found."),
    ] = 0.8,
    confidence: Annotated[
        float,
        typer.Option(
            "--confidence", min=0.5, max=0.999, metavar="SHARE", help="How sure intervals and tests are."
        ),
    ] = 0.95,
    explore: Annotated[
        bool,
        typer.Option(
            "--explore",
            help="Also search groups for tests and numbers of the segments file that separate outcomes, as they were at each "
            "touch, and for tests that carry nothing. Reads all facts.",
        ),
    ] = False,
    events: SomeEvents = None,
    commands: RecordedCommands = None,
    segments: SomeSegments = None,
    archive: PastArchive = None,
    form: EventFormat = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", dir_okay=False, help="Also write the report as one HTML file."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    r"""Print what came of touches, and whether segments, plays or owners differ.

    Each rate is k of n touches that are old enough, with its window, an interval for one look (Wilson) and one that holds
    however often you look. Lift is against the accounts that were held out. Nothing is changed.

    Needs the extra: pip install 'resegment\[outcomes]'.
    """
    from resegment.cli.outcomes.measuring import Question, explore_files, measure_files, measure_past

    question = Question(
        by=by.value,
        since=None if since is None else _instant(since),
        at=None if at is None else _instant(at),
        mature=mature,
        windows=dict(map(parse_window, window or [])),
        detect=detect,
        power=power,
        confidence=confidence,
    )
    if events or commands:
        if not (events and commands):
            raise typer.BadParameter(
                "--events and --commands go together: outcomes are credited to the touches that commands made"
            )
        if archive is not None:
            raise typer.BadParameter("--archive and --events are two different pasts: give one of them")
        if not explore:
            report = measure_files(events, commands, form, segments, question)
        elif segments is None:
            raise typer.BadParameter("--explore needs --segments: the file whose tests are searched")
        else:
            report = explore_files(events, commands, form, segments, question)
    elif form is not None:
        raise typer.BadParameter("--format is that of recorded events: add --events and --commands")
    else:
        report = asyncio.run(measure_past(servers, segments, archive, question, explore=explore))
    if html is not None:
        _write_html(html, report)
    _show(report, metric, as_json=as_json)


def _show(report: Report, metric: list[Metric] | None, *, as_json: bool) -> None:
    import msgspec

    from resegment.console.outcomes.terminal_view import render
    from resegment.console.outcomes.words import CORE
    from resegment.console.terminal import screen, write_json

    if as_json:
        write_json(sys.stdout.buffer, msgspec.to_builtins(report))
    else:
        console = screen()
        console.print(render(report, console.width, [one.value for one in metric] if metric else CORE))


def _write_html(path: Path, report: Report) -> None:
    from resegment.console.outcomes.page import render_html
    from resegment.console.terminal import print_note
    from resegment.errors import FolderNotWritable

    try:
        path.write_text(render_html(report), encoding="utf-8")
    except OSError as error:
        raise FolderNotWritable(path.parent, error) from error
    print_note(f"wrote {path}")


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
