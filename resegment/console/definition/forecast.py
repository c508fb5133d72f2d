"""What is coming, for people: sizes over time, moves by day, and the first accounts to move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from resegment.console.counts import count
from resegment.console.dates import spell_day
from resegment.console.definition.summary import sparkline
from resegment.console.tables import make_table
from resegment.schemas.times import parse_instant
from resegment.segmentation.outlook.forecast import Forecast, ForecastDay, SegmentForecast

MAX_DAYS: Final = 14
"""How many days with moves are shown, the first ones."""
MAX_FLOWS: Final = 3
"""How many entries and exits of a day are named."""
BESIDE: Final = 38
"""Columns of the terminal that a chart leaves to the numbers beside it."""
_MAX_NAME: Final = 30


def render(forecast: Forecast, columns: int) -> RenderableType:
    """Render a forecast for a terminal of that width."""
    begin, end = spell_day(parse_instant(forecast.at)), spell_day(parse_instant(forecast.until))
    if not forecast.accounts and not forecast.moves:
        return Text("No accounts to look ahead on.")
    head = Text.assemble(
        (count(len(forecast.moves), "move"), "bold"),
        f" of {count(forecast.moving, 'account')} from {begin} to {end}, if nothing new becomes known. "
        f"{count(forecast.accounts, 'account')} now.",
    )
    parts: list[RenderableType] = [head, Text(), _chart(forecast.segments, columns, begin, end)]
    if forecast.moves:
        parts += [Text(), _days(forecast.days), Text(), _top(forecast)]
    return Group(*parts)


def _chart(segments: Sequence[SegmentForecast], columns: int, begin: str, end: str) -> Table:
    table = make_table("Accounts in each segment", "each chart has its own scale")
    table.add_column("segment", no_wrap=True, overflow="ellipsis", max_width=_MAX_NAME)
    longest = min(_MAX_NAME, max((len(one.name) for one in segments), default=0))
    points = _pick(len(segments[0].sizes) if segments else 0, max(10, min(60, columns - longest - BESIDE)))
    label = f"{begin}{end:>{max(len(points) - len(begin), len(end) + 1)}}"
    table.add_column("now", justify="right", no_wrap=True)
    table.add_column(Text(label, style="not bold dim"), no_wrap=True)
    for name in ("in", "out", "then"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in segments:
        table.add_row(
            one.name,
            f"{one.size:,}",
            sparkline([one.sizes[place] for place in points]),
            f"{one.entries:,}",
            f"{one.exits:,}",
            Text(f"{one.sizes[-1]:,}", style="bold"),
        )
    return table


def _pick(days: int, wide: int) -> list[int]:
    """Return which days are drawn: all, or evenly spread ones with the last."""
    if days <= wide:
        return list(range(days))
    return [(number + 1) * days // wide - 1 for number in range(wide)]


def _days(days: Sequence[ForecastDay]) -> Table:
    busy = [one for one in days if one.moves]
    shown = busy[:MAX_DAYS]
    note = f"the first {len(shown)} of {len(busy)} days with moves" if len(busy) > len(shown) else ""
    table = make_table("Moves by day (UTC)", note)
    table.add_column("day", no_wrap=True)
    table.add_column("moves", justify="right", no_wrap=True)
    table.add_column("into", overflow="fold")
    table.add_column("out of", overflow="fold")
    for one in shown:
        day = spell_day(parse_instant(f"{one.day}T00:00:00Z"))
        table.add_row(day, f"{one.moves:,}", _name(one.entries), _name(one.exits))
    return table


def _name(counts: Mapping[str, int]) -> str:
    shown = ", ".join(f"{name} {number:,}" for name, number in Counter(counts).most_common(MAX_FLOWS))
    more = len(counts) - MAX_FLOWS
    return f"{shown} and {more} more" if more > 0 else shown


def _top(forecast: Forecast) -> Table:
    more = forecast.moving - len(forecast.top)
    table = make_table(
        "First in the highest segments", f"{count(more, 'more account')} with --json" if more > 0 else ""
    )
    table.add_column("account", overflow="fold", max_width=24)
    table.add_column("on (UTC)", no_wrap=True)
    table.add_column("from", overflow="fold", max_width=_MAX_NAME)
    table.add_column("to", overflow="fold", max_width=_MAX_NAME)
    for one in forecast.top:
        to = one.to if one.definition is None else f"{one.to} (version {one.definition})"
        table.add_row(one.account, spell_day(parse_instant(one.at)), one.from_, to)
    return table
