"""The health of a prefix at a glance, for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from resegment.console.counts import count
from resegment.console.dates import spell_dates, spell_day, spell_instant
from resegment.console.operations.routing import render_decisions, render_mode, render_teams
from resegment.console.tables import make_table
from resegment.schemas.times import spell_length
from resegment.state.redis.reader import PartitionLook
from resegment.streams.operations.overview import Overview, find_notes, find_problems
from resegment.streams.reports.freshness import find_freshness
from resegment.streams.reports.pace import look_at_backlog, look_at_stages, tell_trend
from resegment.streams.spot_checks import tell_promise

LISTED: Final = 16
"""With more partitions than this, list only those that need attention."""


def render(overview: Overview) -> RenderableType:
    """Render problems first, then workers, lag, partitions, segments, routing and dead letters."""
    head = Text(overview.prefix, style="bold")
    head.append(
        f"  {spell_instant(overview.now // 1000 * 1000)}, {_CLOCKS.get(overview.clock, overview.clock)}, "
        f"{_name_version(overview)}",
        style="not bold dim",
    )
    parts: list[RenderableType] = [head, _health(overview), _fresh(overview)]
    parts += [Text("! ", style="bold yellow").append(one, style="not bold") for one in find_notes(overview)]
    routing = overview.routing
    tables = (
        _workers(overview),
        _lag(overview),
        _partitions(overview),
        _segments(overview),
        render_mode(routing),
        render_decisions(routing),
        render_teams(routing),
    )
    for table in tables:
        if table is not None:
            parts += [Text(), table]
    backlog = look_at_backlog(overview.workers)
    if backlog.waiting and backlog.trend is not None:
        told = f"Lag of {backlog.waiting:,} records is {tell_trend(backlog)}."
        parts += [Text(), Text(spell_dates(told), style="dim")]
    if (slowest := look_at_stages(overview.workers).slowest) is not None:
        within = "longer than 30 min" if slowest.p95 is None else f"95 % within {slowest.p95 / 1000:.3g} s"
        parts += [Text(), Text(f"Slowest stage of the last hour: {slowest.name}, {within}.", style="dim")]
    parts += [Text(), _letters(overview)]
    promise = tell_promise(overview.spot_checks)
    if promise is not None:
        parts.append(Text(f"{promise}.", style="dim"))
    return Group(*parts)


_CLOCKS: Final = {"wall": "wall clock", "facts": "clock of the facts"}


def _health(overview: Overview) -> Text:
    problems = find_problems(overview)
    if not problems:
        return Text("✓ healthy", style="green")
    return Text("\n").join(
        Text("✗ ", style="bold red").append(spell_dates(one), style="not bold red") for one in problems
    )


def _fresh(overview: Overview) -> Text:
    """Return how long ago the slowest partition decided, and how long that may take."""
    found = find_freshness(overview)
    style = "dim" if found.is_good else "yellow"
    told = spell_dates(found.told)
    return Text(f"{found.title} {told}, {found.note}.", style=style)


def _workers(overview: Overview) -> Table | None:
    if not overview.workers:
        return None
    table = make_table("Workers")
    table.add_column("worker", overflow="fold")
    table.add_column("partitions", overflow="fold")
    table.add_column("lag", justify="right")
    table.add_column("last seen", justify="right")
    for one in overview.workers:
        silent = f"{spell_length(one.silent)} ago"
        table.add_row(one.name, spell_ranges(one.partitions) or "none", f"{sum(one.lag.values()):,}", silent)
    return table


def _lag(overview: Overview) -> Table | Text | None:
    behind = {topic: lag for topic, lag in overview.lag.items() if lag}
    if not overview.workers:
        return None
    if not behind:
        return Text(f"No lag in {count(len(overview.lag), 'topic')}.", style="dim")
    table = make_table("Lag")
    table.add_column("topic", no_wrap=True)
    table.add_column("records", justify="right")
    for topic, lag in sorted(behind.items()):
        table.add_row(topic, f"{lag:,}")
    return table


def _partitions(overview: Overview) -> Table:
    owners = overview.owners
    shown = [
        one
        for one in overview.partitions
        if len(overview.partitions) <= LISTED or one.outbox or one.due or one.number not in owners
    ]
    hidden = len(overview.partitions) - len(shown)
    table = make_table("Partitions", f"{hidden} more with nothing waiting" if hidden else "")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("owner", overflow="fold", max_width=20)
    table.add_column("clock", justify="right", no_wrap=True, min_width=8)
    for name in ("accounts", "outbox", "due"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("next due", justify="right", no_wrap=True)
    for one in shown:
        owner = owners.get(one.number)
        table.add_row(
            str(one.number),
            Text("none", style="bold red") if owner is None else Text(owner),
            _tell_clock(one, overview),
            f"{one.accounts:,}",
            _tell_outbox(one, overview),
            f"{one.due:,}",
            _tell_next(one, overview),
        )
    return table


def _tell_outbox(one: PartitionLook, overview: Overview) -> str:
    """Return how many commits wait to be published, and for how long the oldest has waited."""
    if not one.outbox or one.waiting_since is None:
        return f"{one.outbox:,}"
    return f"{one.outbox:,} ({spell_length(max(0, overview.now - one.waiting_since))})"


def _tell_next(one: PartitionLook, overview: Overview) -> str:
    if one.next_deadline is None or one.position is None:
        return "–"
    ahead = one.next_deadline - (overview.now if overview.clock == "wall" else one.position.clock)
    return f"in {spell_length(ahead)}" if ahead >= 0 else f"{spell_length(-ahead)} ago"


def _tell_clock(one: PartitionLook, overview: Overview) -> str:
    if one.position is None or not one.position.clock:
        return "–"
    if overview.clock == "wall":
        return f"{spell_length(max(0, overview.now - one.position.clock))} ago"
    return spell_day(one.position.clock)


def _segments(overview: Overview) -> Table | None:
    sizes = overview.sizes
    if not sizes:
        return None
    total = sum(one.accounts for one in overview.partitions)
    table = make_table("Accounts by segment", f"{total:,} in all")
    table.add_column("segment", no_wrap=True, overflow="ellipsis")
    table.add_column("accounts", justify="right")
    for name, size in sizes.items():
        table.add_row(name, f"{size:,}")
    return table


def _letters(overview: Overview) -> Text:
    letters = overview.letters
    total = sum(letters.reasons.values())
    if letters.problem is not None:
        return Text("Dead letters: not counted", style="dim")
    older = f"{count(letters.older, 'older record')} of their topic not counted" if letters.older else ""
    retried = (
        f"{letters.retried:,} {'was' if letters.retried == 1 else 'were'} sent again"
        if letters.retried
        else ""
    )
    rest = "".join(f"; {one}" for one in (retried, older) if one)
    if not total:
        return Text(f"No dead letters{' wait' if rest else ''}{rest}.", style="dim")
    reasons = ", ".join(f"{reason} {number:,}" for reason, number in letters.reasons.items())
    return Text(f"Dead letters: {total:,} ({reasons}){rest}", style="yellow")


def spell_ranges(numbers: Iterable[int]) -> str:
    """Return `0-3, 7`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _name_version(overview: Overview) -> str:
    number = overview.definitions.version
    return f"version {number} ({overview.definition})" if number else f"segments file {overview.definition}"
