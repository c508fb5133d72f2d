"""Show what an archiver has written."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from resegment.console.tables import make_table
from resegment.streams.archiving.archiver import TopicProgress


def render(progress: Mapping[str, TopicProgress]) -> Table:
    """Return a table: by topic, the records written now and those that are not archived yet."""
    table = make_table()
    table.add_column("topic")
    table.add_column("written", justify="right")
    table.add_column("behind", justify="right")
    table.add_column("gaps", justify="right")
    for name, one in progress.items():
        table.add_row(name, f"{one.written:,}", f"{one.lag:,}", f"{one.gaps:,}" if one.gaps else "")
    return table
