"""A summary of a history of changes, for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from resegment.console.counts import count
from resegment.console.dates import spell_day
from resegment.console.tables import make_table
from resegment.schemas.times import spell_length
from resegment.segmentation.inspection.summary import Flow, Restless, SegmentHistory, Summary

MAX_FLOWS = 12
"""How many flows to show, the largest first."""

_MAX_NAME = 30
_BARS = "▁▂▃▄▅▆▇█"
_FIRST_SEEN = "first seen"


def chart_width(columns: int, names: Iterable[str], *, with_targets: bool = False) -> int:
    """Return how many buckets of a chart fit into a terminal of that width, beside a column of targets or not."""
    longest = min(_MAX_NAME, max(map(len, names), default=0))
    return max(25, min(60, columns - longest - (34 if with_targets else 24)))


def render(summary: Summary) -> RenderableType:
    """Render tables: sizes over time, lengths of stay, moves between segments, and the accounts that move most."""
    if not summary.accounts:
        return Text("No accounts: no event could be used.")
    begin, end = spell_day(summary.begin), spell_day(summary.end)
    head = Text.assemble(
        (f"{summary.accounts:,}", "bold"),
        f" {_plural(summary.accounts, 'account')}, ",
        (f"{summary.moves:,}", "bold"),
        f" {_plural(summary.moves, 'move')} from {begin} to {end}",
    )
    parts: list[RenderableType] = [head, Text()]
    parts += [
        render_sizes(summary.segments, begin, end),
        Text(),
        _dwell(summary.segments),
        Text(),
        render_flows(summary.flows),
    ]
    if summary.flapping:
        parts += [Text(), _flapping(summary.flapping)]
    if summary.later:
        parts += [
            Text(),
            Text(
                f"{count(summary.later, 'more move')} would follow after {end} without new events, as windows close; "
                "--until shows them.",
                style="dim",
            ),
        ]
    return Group(*parts)


def sparkline(sizes: Sequence[int]) -> Text:
    """Draw a chart of one line, scaled to the largest size; a dot means zero."""
    top = max(sizes, default=0)
    text = Text(no_wrap=True)
    for size in sizes:
        if size == 0:
            text.append("·", style="dim")
        else:
            text.append(_BARS[min(len(_BARS) - 1, size * len(_BARS) // (top + 1))], style="cyan")
    return text


def _show_length(ms: int | None) -> str:
    return "–" if ms is None else spell_length(ms)


def render_sizes(segments: Sequence[SegmentHistory], begin: str, end: str) -> Table:
    """Render how many accounts each segment has over time."""
    table = make_table("Accounts in each segment", "each chart has its own scale")
    table.add_column("segment", no_wrap=True, overflow="ellipsis", max_width=_MAX_NAME)
    width = max((len(one.sizes) for one in segments), default=0)
    label = f"{begin}{end:>{max(width - len(begin), len(end) + 1)}}"
    table.add_column(Text(label, style="not bold dim"), no_wrap=True)
    table.add_column("peak", justify="right")
    table.add_column("at end", justify="right")
    aims = any(one.target is not None for one in segments)
    if aims:
        table.add_column("target", justify="right")
    for one in segments:
        aim = [""] if one.target is None else [f"{one.target:,}"]
        size = Text(f"{one.size:,}", style="bold")
        table.add_row(one.name, sparkline(one.sizes), f"{one.peak:,}", size, *(aim if aims else ()))
    return table


def _dwell(segments: Sequence[SegmentHistory]) -> Table:
    table = make_table("How long accounts stay", "finished stays only")
    table.add_column("segment", no_wrap=True, overflow="ellipsis", max_width=_MAX_NAME)
    for name in ("entries", "stays", "median", "p90"):
        table.add_column(name, justify="right")
    for one in segments:
        table.add_row(
            one.name, f"{one.entries:,}", f"{one.stays:,}", _show_length(one.median), _show_length(one.p90)
        )
    return table


def render_flows(flows: Sequence[Flow]) -> Table:
    """Render how many accounts moved from which segment to which."""
    shown, hidden = flows[:MAX_FLOWS], flows[MAX_FLOWS:]
    note = f"the largest {len(shown)} of {len(flows)}" if hidden else ""
    table = make_table("Moves between segments", note)
    for name in ("from", "to"):
        table.add_column(name, overflow="fold", max_width=_MAX_NAME)
    table.add_column("moves", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    top = max((flow.count for flow in shown if flow.from_ is not None), default=0)
    for flow in shown:
        first = flow.from_ is None
        bar = "" if first else "█" * max(1, round(16 * flow.count / top))
        start = Text(_FIRST_SEEN, style="dim italic") if first else Text(flow.from_ or "")
        table.add_row(start, flow.to, f"{flow.count:,}", Text(bar, style="cyan"))
    return table


def _flapping(accounts: Sequence[Restless]) -> Table:
    table = make_table(
        "Accounts that move most", "which segments they enter, and how often; `hold` keeps them from flapping"
    )
    table.add_column("account", overflow="fold", max_width=28)
    table.add_column("moves", justify="right", no_wrap=True)
    table.add_column("now in", overflow="fold", max_width=_MAX_NAME)
    table.add_column("entered", overflow="fold")
    for one in accounts:
        visited = ", ".join(f"{name} {times}×" if times > 1 else name for name, times in one.visited)
        table.add_row(one.account, str(one.moves), one.segment, Text(visited, style="dim"))
    return table


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"
