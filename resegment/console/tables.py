"""The look of tables."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text


def make_table(title: str | None = None, note: str = "") -> Table:
    """Return an empty table without borders, under a title and a note on it."""
    text = None
    if title is not None:
        text = Text(title, style="bold")
        if note:
            text.append(f"  {note}", style="not bold dim")
    return Table(title=text, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
