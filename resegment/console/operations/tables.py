"""Show what was written to tables, and how they compare with the topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from resegment.console.tables import make_table
from resegment.streams.tables.writer import TableProgress
from resegment.tables.comparison import TableComparison


def render_progress(progress: Mapping[str, TableProgress]) -> Table:
    """Return a table: by topic, the rows written now, the records behind, and those that became no row."""
    table = make_table()
    table.add_column("topic")
    for name in ("rows", "behind", "refused"):
        table.add_column(name, justify="right")
    for name, one in progress.items():
        table.add_row(name, f"{one.rows:,}", f"{one.lag:,}", f"{one.refused:,}" if one.refused else "")
    return table


def render_comparison(found: Sequence[TableComparison]) -> Table:
    """Return a table: by table, its rows, and how many are missing, unexpected or different."""
    table = make_table()
    table.add_column("table")
    for name in ("rows", "missing", "unexpected", "different"):
        table.add_column(name, justify="right")
    table.add_column("for example")
    for one in found:
        counts = (one.missing, one.unexpected, one.different)
        table.add_row(
            one.table,
            f"{one.rows:,}",
            *(f"{count:,}" if count else "" for count in counts),
            "; ".join(one.examples),
        )
    return table


def describe_comparison(one: TableComparison) -> dict[str, Any]:
    """Return a comparison as plain data."""
    return asdict(one) | {"agrees": one.agrees}
