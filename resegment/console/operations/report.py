"""What happened in a prefix, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from resegment.console.dates import spell_instant
from resegment.console.operations.owners import TeamRow
from resegment.console.tables import make_table
from resegment.streams.reports.activity import CommandCount, Flow, OutcomeCount, SegmentActivity

SHOWN: Final = 15
"""The most flows that a table lists."""


class Report(msgspec.Struct, frozen=True):
    """The report of a time, as `--json` prints it.

    `kept_since` is set where the topics forgot the beginning of it; `unread` counts the records of their topics that are
    no changes or commands.
    """

    prefix: str
    since: str
    until: str
    segment: str | None
    owner: str | None
    segments: Sequence[SegmentActivity]
    flows: Sequence[Flow]
    commands: Sequence[CommandCount]
    owners: Sequence[TeamRow]
    dead_letters: Mapping[str, int]
    outcomes: Sequence[OutcomeCount]
    kept_since: str | None = None
    unread: Mapping[str, int] = msgspec.field(default_factory=dict)


def render_report(report: Report, since: int, until: int) -> RenderableType:
    """Return the report as tables. The instants are ms."""
    head = Text(report.prefix, style="bold")
    head.append(f"  {spell_instant(since)} to {spell_instant(until)}", style="not bold dim")
    for what, name in (("segment", report.segment), ("owner", report.owner)):
        if name is not None:
            head.append(f", {what} {name}", style="not bold dim")
    parts: list[RenderableType] = [head]
    if report.kept_since is not None:
        parts.append(
            Text("! ", style="bold yellow").append(
                f"Changes before {report.kept_since} are gone: the topics keep no older ones, and an archive does.",
                style="not bold",
            )
        )
    if report.unread:
        told = " and ".join(f"{number:,} of {name}" for name, number in report.unread.items())
        parts.append(
            Text("! ", style="bold yellow").append(
                f"Records that cannot be read were passed over: {told}. Workers of this release did not write them.",
                style="not bold",
            )
        )
    tables = (
        _segments(report.segments),
        _flows(report.flows),
        _commands(report.commands),
        _owners(report.owners),
        _outcomes(report.outcomes),
    )
    for table in tables:
        if table is not None:
            parts += [Text(), table]
    parts += [Text(), _letters(report.dead_letters)]
    return Group(*parts)


def _segments(rows: Sequence[SegmentActivity]) -> RenderableType | None:
    if not rows:
        return None
    table = make_table("Segments", f"{sum(one.accounts for one in rows):,} accounts now")
    table.add_column("segment", no_wrap=True, overflow="ellipsis")
    for name in ("accounts", "entered", "left", "change"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in rows:
        change = one.entered - one.left
        table.add_row(
            Text(one.segment),
            f"{one.accounts:,}",
            f"{one.entered:,}",
            f"{one.left:,}",
            f"{change:+,}" if change else "0",
        )
    return table


def _flows(rows: Sequence[Flow]) -> RenderableType:
    if not rows:
        return Text("No account moved.", style="dim")
    hidden = len(rows) - SHOWN
    table = make_table("Moves", f"the {SHOWN} greatest; --json has {hidden} more" if hidden > 0 else "")
    table.add_column("from", no_wrap=True, overflow="ellipsis")
    table.add_column("to", no_wrap=True, overflow="ellipsis")
    table.add_column("accounts", justify="right", no_wrap=True)
    for one in rows[:SHOWN]:
        table.add_row(
            Text("first seen", style="dim") if one.from_ is None else Text(one.from_),
            Text("ended", style="dim") if one.to is None else Text(one.to),
            f"{one.accounts:,}",
        )
    return table


def _commands(rows: Sequence[CommandCount]) -> RenderableType:
    if not rows:
        return Text("No commands.", style="dim")
    table = make_table("Commands")
    table.add_column("workflow", no_wrap=True, overflow="ellipsis")
    table.add_column("action", no_wrap=True)
    table.add_column("commands", justify="right", no_wrap=True)
    for one in rows:
        table.add_row(Text(one.workflow), one.action, f"{one.commands:,}")
    return table


def _owners(rows: Sequence[TeamRow]) -> RenderableType | None:
    if not any(row.members or row.waiting for row in rows):
        return None
    table = make_table("Owners")
    table.add_column("team", no_wrap=True, overflow="ellipsis")
    table.add_column("owner", no_wrap=True, overflow="ellipsis")
    table.add_column("accounts", justify="right", no_wrap=True)
    table.add_column("capacity", justify="right", no_wrap=True)
    for row in rows:
        for one in row.members:
            capacity = "–" if one.capacity is None else f"{one.capacity:,}"
            name = Text(one.name).append(
                " (left)" if one.gone else " (away today)" if one.away_today else "", "dim"
            )
            table.add_row(Text(row.team or "no team"), name, f"{one.open:,}", capacity)
        if row.waiting:
            table.add_row(Text(row.team or "no team"), Text("waiting", style="dim"), f"{row.waiting:,}", "–")
    return table


def _outcomes(rows: Sequence[OutcomeCount]) -> RenderableType | None:
    if not rows:
        return None
    table = make_table("Outcomes")
    table.add_column("outcome", no_wrap=True)
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("credited to a touch", justify="right", no_wrap=True)
    for one in rows:
        table.add_row(one.action, f"{one.outcomes:,}", f"{one.credited:,}")
    return table


def _letters(reasons: Mapping[str, int]) -> Text:
    if not reasons:
        return Text("No dead letters.", style="dim")
    told = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
    return Text(f"Dead letters: {sum(reasons.values()):,} ({told})", style="yellow")
