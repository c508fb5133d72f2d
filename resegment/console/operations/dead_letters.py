"""Dead letters on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import orjson
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from resegment.schemas.times import format_instant
from resegment.streams.operations.dead_letters import DeadLetter

_ABOUT: Final = ("reason", "field", "message", "topic", "partition", "offset", "timestamp", "key")


def render_list(letters: Iterable[DeadLetter]) -> Table:
    """Render a table: when, what and why."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("refused at", no_wrap=True)
    table.add_column("id", no_wrap=True, min_width=24)
    table.add_column("reason", no_wrap=True)
    table.add_column("problem", overflow="fold", ratio=1)
    for letter in letters:
        about = letter.about
        wrong = Text(f"{about['field']}: " if about.get("field") else "", style="bold")
        wrong.append(str(about.get("message", "")), style="not bold")
        table.add_row(
            format_instant(letter.refused_at // 1000 * 1000),
            letter.id,
            Text(str(about.get("reason", "")), style="yellow"),
            wrong,
        )
    return table


def render(letter: DeadLetter) -> RenderableType:
    """Render one dead letter: why and where it was refused, and the original bytes."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("id", letter.id)
    times = f", {letter.times} times" if letter.times > 1 else ""
    facts.add_row("refused at", f"{format_instant(letter.refused_at)}{times}")
    for name in _ABOUT:
        value = letter.about.get(name)
        if value not in (None, ""):
            facts.add_row(name, str(value))
    return Group(facts, Text(), Text(_show(letter), overflow="fold"))


def _show(letter: DeadLetter) -> str:
    """Return the original, indented if it is JSON."""
    if letter.original is None:
        return "(the record had no value)"
    try:
        return orjson.dumps(orjson.loads(letter.original), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return str(letter.about["value"])
