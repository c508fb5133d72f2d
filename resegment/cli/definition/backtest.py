"""`resegment backtest`: what a segments file would have done with recorded events."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import EventFormat, Events, Segments, parse_time, time_option
from resegment.cli.source_options import Dates, DomainsFile, Empty, MapFile, SourceName, Zone
from resegment.errors import explain_os_error

if TYPE_CHECKING:
    from resegment.console.progress import Bars
    from resegment.schemas.change import SegmentChange
    from resegment.schemas.fact import Fact
    from resegment.segmentation.evaluation.account import Account
    from resegment.segmentation.inspection.summary import Move
    from resegment.segmentation.versions.timeline import Timeline

EXAMPLES = """
[bold]Examples[/bold]

resegment backtest --segments segments.yaml --events history.jsonl.gz

resegment backtest --segments segments.yaml --events examples/yc --summary

resegment backtest --segments segments.yaml --events history.csv --at 2026-01-31

resegment backtest --segments old.yaml --switch 2026-01-31=new.yaml --events history.csv
"""

FIRST = ("account", "from", "to", "effective_at", "sequence_number", "cause", "reason")
"""The keys that people look for come first."""


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
    from resegment.cli.definition.facts import read_facts, report, report_misfits
    from resegment.cli.source_options import choose_source
    from resegment.console.progress import show_progress

    if at is not None and (until is not None or accounts):
        raise typer.BadParameter("--at already means --accounts --until TIME: do not combine it with either")
    chosen = choose_source(source, mapping, domains, zone, dates, empty=empty)
    timeline = read_timeline(segments, switch or ())
    if output is not None:
        _check_writable(output)
    history = _History(
        accounts_only=accounts or at is not None,
        lines=None if summary and output is None else [],
        moves=[] if summary else None,
    )
    end = at if at is not None else until
    misfits: Counter[str] = Counter()
    with show_progress() as bars:
        facts, refusals = read_facts(
            [*events, *(more or ())],
            form,
            bars,
            definition=timeline.eras[0].definition,
            receive=timeline.receive if switch else None,
            source=chosen,
        )
        # The facts stay until the end: the garbage collector need not scan them again.
        gc.freeze()
        last = max((fact.recorded for fact in facts), default=0)
        for account, changes in _replay(timeline, facts, end, bars, misfits):
            history.take(account, changes)
    if output is not None:
        with _writing(output) as lines:
            history.write(lines)
    elif not summary:
        history.write(sys.stdout.buffer)
    if summary:
        _print_summary(timeline, history.moves or [], last if end is None else end, as_json=as_json)
    report(refusals, len(facts))
    report_misfits(misfits)
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


@dataclass(slots=True)
class _History:
    """What is kept of a replay: lines to write, in order of time (or of name), and moves to summarize."""

    accounts_only: bool
    lines: list[tuple[int, str, int, bytes]] | None
    moves: list[Move] | None

    def take(self, account: Account, changes: Sequence[SegmentChange]) -> None:
        from resegment.segmentation.inspection.summary import Move

        if self.moves is not None:
            self.moves.extend(Move.of(change) for change in changes)
        if self.lines is None:
            return
        if not self.accounts_only:
            self.lines.extend(
                (one.effective_at, one.account, one.sequence_number, _encode(_describe(one)))
                for one in changes
            )
        elif (described := _describe_account(account)) is not None:
            self.lines.append((0, account.name, 0, _encode(described)))

    def write(self, output: BinaryIO) -> None:
        self.lines = sorted(self.lines or ())
        output.writelines(line for _, _, _, line in self.lines)
        output.flush()


def _replay(
    timeline: Timeline, facts: list[Fact], end: int | None, bars: Bars, misfits: Counter[str]
) -> Iterator[tuple[Account, list[SegmentChange]]]:
    from resegment.segmentation.evaluation.engine import net_changes
    from resegment.segmentation.inspection.backtest import backtest as replay

    advance = bars.count("replaying", len(facts))
    for account, changes in replay(timeline, facts, end, advance, misfits):
        yield account, net_changes(changes)


def _describe(change: SegmentChange) -> dict[str, Any]:
    from resegment.segmentation.evaluation.engine import describe

    plain = describe(change)
    return {**{key: plain[key] for key in FIRST}, **plain}


def _describe_account(account: Account) -> dict[str, Any] | None:
    """Return the account's segment and since when; None before anything is known about it."""
    from resegment.schemas.times import format_instant

    member = account.state.membership
    if member.segment is None:
        return None
    return {"account": account.name, "segment": member.segment, "since": format_instant(member.entered)}


def _encode(row: dict[str, Any]) -> bytes:
    from resegment.console.terminal import encode_line

    return encode_line(row)


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
