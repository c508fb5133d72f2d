"""`resegment backtest`: what a segments file would have done with recorded events."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import EventFormat, Events, Segments, parse_time, time_option
from resegment.cli.source_options import Dates, DomainsFile, Empty, MapFile, SourceName, Zone
from resegment.errors import explain_os_error

if TYPE_CHECKING:
    from resegment.segmentation.inspection.summary import Move
    from resegment.segmentation.versions.timeline import Timeline

EXAMPLES = """
[bold]Examples[/bold]

resegment backtest --segments segments.yaml --events history.jsonl.gz

resegment backtest --segments segments.yaml --events examples/yc --summary

resegment backtest --segments segments.yaml --events history.csv --at 2026-01-31

resegment backtest --segments old.yaml --switch 2026-01-31=new.yaml --events history.csv
"""


class NotWritable(WrongUse):
    """The output file cannot be written."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"cannot write {path}: {problem}",
            remedy="Choose a file in an existing folder that you can write to, or leave --output out.",
        )
        self.path = path


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(backtest)


def backtest(
    segments: Segments,
    events: Events,
    *,
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="More files of events, so that --events *.csv works."),
    ] = None,
    until: Annotated[
        int | None,
        time_option("Let time pass up to and including this instant. Default: until no more change is due."),
    ] = None,
    at: Annotated[
        int | None,
        time_option("Print the segment of every account at this time instead."),
    ] = None,
    switch: Annotated[
        list[str] | None,
        typer.Option(
            "--switch",
            metavar="TIME=FILE",
            help="Let this segments file take over at this time, as an apply does. Repeatable.",
        ),
    ] = None,
    accounts: Annotated[
        bool, typer.Option("--accounts", help="Print the segment of every account at the end instead.")
    ] = False,
    summary: Annotated[
        bool,
        typer.Option(
            "--summary",
            help="Print tables: segment sizes, lengths of stay, moves, and the accounts that move most.",
        ),
    ] = False,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            max=256,
            metavar="N",
            help="Share the work among N processes. The output is the same for any N.",
        ),
    ] = 1,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if any event is refused.")] = False,
    form: EventFormat = None,
    source: SourceName = None,
    mapping: MapFile = None,
    domains: DomainsFile = None,
    zone: Zone = None,
    dates: Dates = None,
    empty: Empty = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            dir_okay=False,
            allow_dash=True,
            help="Write the JSON Lines to this file.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON. Everything else is JSON Lines already.")
    ] = False,
) -> None:
    """Replay recorded events and print the segment changes as JSON Lines.

    Needs neither Kafka nor Redis. Refused events are left out and counted on standard error.
    """
    from resegment.cli.definition.facts import open_files, report, report_misfits
    from resegment.cli.replaying.backtest import Backtest, run_backtest
    from resegment.cli.replaying.processes import open_workers
    from resegment.cli.replaying.replay import Wanted
    from resegment.cli.source_options import choose_source
    from resegment.console.progress import show_progress
    from resegment.sources.files.reader import Refusals

    if at is not None and (until is not None or accounts):
        raise typer.BadParameter("--at already means --accounts --until TIME: do not combine it with either")
    chosen = choose_source(source, mapping, domains, zone, dates, empty=empty)
    timeline = read_timeline(segments, switch or ())
    if output is not None:
        _check_writable(output)
    end = at if at is not None else until
    wanted = Wanted(end, accounts or at is not None, lines=not summary or output is not None, moves=summary)
    refusals = Refusals()
    paths = [*events, *(more or ())]
    # The processes are started before the progress bars, which have a thread.
    with open_workers(Backtest.of(timeline, wanted), jobs) as workers, show_progress() as bars:
        definition = timeline.eras[0].definition
        files = open_files(paths, form, bars, refusals, definition=definition, source=chosen)
        history = run_backtest(workers, files, refusals, bars)
    if output is not None:
        with _writing(output) as lines:
            history.lines.write(lines)
    elif not summary:
        history.lines.write(sys.stdout.buffer)
    if summary:
        _print_summary(timeline, history.moves, history.last if end is None else end, as_json=as_json)
    report(refusals, history.facts)
    report_misfits(history.misfits)
    if strict and refusals.total:
        raise typer.Exit(1)


def read_timeline(segments: str, switches: Sequence[str]) -> Timeline:
    """Return the versions in the order of their times. Raises BadParameter, and as `load_definition` does."""
    from resegment.cli.connection import read_limits
    from resegment.segmentation.versions.chain import follow
    from resegment.sources.segments import load_definition

    later: list[tuple[int, str]] = []
    for text in switches:
        time, sign, path = text.partition("=")
        if not sign or not path:
            raise typer.BadParameter(
                f"{text[:80]!r} is not a time and a file: write --switch 2026-01-31=new.yaml"
            )
        later.append((parse_time(time), path))
    later.sort(key=itemgetter(0))
    for (one, _), (other, path) in pairwise(later):
        if one == other:
            raise typer.BadParameter(f"two files take over at the same time: give {path} another time")
    return follow(
        load_definition(segments), [(at, load_definition(path)) for at, path in later], read_limits()
    )


def _check_writable(path: Path) -> None:
    """Fail before a long replay rather than after it. Raises NotWritable."""
    if path.is_file() or not path.exists():
        with _writing(path, "ab"):
            pass


@contextmanager
def _writing(path: Path, mode: Literal["ab", "wb"] = "wb") -> Iterator[BinaryIO]:
    if str(path) == "-":
        yield sys.stdout.buffer
        return
    try:
        with path.open(mode) as file:
            yield file
    except OSError as error:
        raise NotWritable(path, explain_os_error(error)) from error


def _print_summary(timeline: Timeline, moves: list[Move], end: int, *, as_json: bool) -> None:
    from resegment.console.definition.summary import chart_width, render
    from resegment.console.terminal import screen, write_json
    from resegment.segmentation.inspection.summary import describe_summary, summarise

    console = screen()
    segments = [one for era in reversed(timeline.eras) for one in era.definition.segments]
    names = list(dict.fromkeys(one.name for one in segments))
    targets = {one.name: one.target for one in timeline.newest.definition.segments if one.target is not None}
    buckets = 60 if as_json else chart_width(console.width, names, with_targets=bool(targets))
    made = summarise(moves, names, end=end, buckets=buckets, targets=targets)
    if as_json:
        write_json(sys.stdout.buffer, describe_summary(made))
    else:
        console.print(render(made))
