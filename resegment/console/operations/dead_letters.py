"""Dead letters on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import orjson
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from resegment.console.dates import spell_instant
from resegment.streams.operations.dead_letters import DeadLetter

_ABOUT: Final = ("reason", "field", "message", "topic", "partition", "offset", "timestamp", "key")


def render_list(letters: Iterable[DeadLetter]) -> RenderableType:
    """Render two lines for each: its id, reason and time, then what is wrong, so that both fit on any terminal."""
    lines: list[RenderableType] = []
    for letter in letters:
        about = letter.about
        head = Text(letter.id, style="bold", overflow="fold")
        head.append(f"  {about.get('reason', '')}", style="yellow not bold")
        head.append(f"  {spell_instant(letter.refused_at // 1000 * 1000)}", style="dim not bold")
        field = f"{about['field']}: " if about.get("field") else ""
        lines += [head, Padding(Text(f"{field}{about.get('message', '')}", overflow="fold"), (0, 0, 0, 4))]
    return Group(*lines)


def render(letter: DeadLetter) -> RenderableType:
    """Render one dead letter: why and where it was refused, and the original bytes."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("id", letter.id)
    times = f", {letter.times} times" if letter.times > 1 else ""
    facts.add_row("refused at", f"{spell_instant(letter.refused_at)}{times}")
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
