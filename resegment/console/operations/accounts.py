"""The segment of each account, for people."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.table import Table
from rich.text import Text

from resegment.console.dates import spell_moment
from resegment.schemas.times import spell_length
from resegment.state.redis.reader import PlacedAccount


def render(places: Iterable[PlacedAccount], now: int) -> Table:
    """Render a table; `now` (ms) gives how long each account has been there."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("account", overflow="fold")
    table.add_column("segment", overflow="fold")
    table.add_column("since (UTC)", no_wrap=True)
    table.add_column("for", no_wrap=True, justify="right")
    for place in places:
        length = Text(spell_length(max(0, now - place.entered)), style="dim")
        table.add_row(place.account, place.segment, spell_moment(place.entered), length)
    return table
