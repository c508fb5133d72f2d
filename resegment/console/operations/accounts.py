"""The segment of each account, for people."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from resegment.console.dates import spell_moment
from resegment.console.tables import make_table
from resegment.schemas.times import spell_length
from resegment.state.redis.reader import PlacedAccount


def render(placed: Iterable[PlacedAccount], now: int) -> Table:
    """Render a table; `now` (ms) gives how long each account has been there."""
    table = make_table()
    table.add_column("account", overflow="fold")
    table.add_column("segment", overflow="fold")
    table.add_column("since (UTC)", no_wrap=True)
    table.add_column("for", no_wrap=True, justify="right")
    for one in placed:
        length = Text(spell_length(max(0, now - one.entered)), style="dim")
        table.add_row(one.account, one.segment, spell_moment(one.entered), length)
    return table
