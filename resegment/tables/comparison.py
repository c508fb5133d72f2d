"""Compare the rows of two stores: the tables as they are with what the topics say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from resegment.tables.columns import COLUMNS, INSTANT, KEYS, TABLES
from resegment.tables.store import TableStore
from resegment.tables.transaction import Transaction

SHOWN: Final = 5
"""Keys of rows that differ, for each table."""

_DERIVED: Final[dict[str, dict[str, str]]] = {
    "account_segment_current": {
        **dict.fromkeys(("account", "segment", "change_id", "definition_version", "cause"), "text"),
        **dict.fromkeys(("play", "workflow", "team", "merged_into"), "text"),
        "since": INSTANT,
        "sequence_number": "bigint",
        "holdout": "boolean",
    },
    "account_segment_history": {
        **dict.fromkeys(("account", "segment", "change_id", "definition_version", "cause", "play"), "text"),
        **dict.fromkeys(("valid_from", "valid_to", "recorded_at"), INSTANT),
        "sequence_number": "bigint",
        "is_current": "boolean",
    },
    "segment_event": COLUMNS["segment_event"] | {"superseded_by": "text"},
    "fct_touch": COLUMNS["fct_touch"] | {"is_void": "boolean"},
    "touch_void": COLUMNS["touch_void"],
    "touch_key": COLUMNS["touch_key"],
    "command": COLUMNS["command"],
    "outcome": COLUMNS["outcome"] | dict.fromkeys(("touch", "credited_by", "uncredited_reason"), "text"),
}
"""What is compared: all but `updated_at`, which says when a row was written."""


@dataclass(frozen=True, slots=True)
class TableComparison:
    """How a table differs from what it should hold; `examples` are keys of rows."""

    table: str
    rows: int
    missing: int
    unexpected: int
    different: int
    examples: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Return whether the table holds what it should, and nothing else."""
        return not (self.missing or self.unexpected or self.different)


def compare_tables(held: TableStore, wanted: TableStore) -> list[TableComparison]:
    """Return how each table of `held` differs from that of `wanted`."""
    return [_compare(table, held, wanted) for table in TABLES]


def _compare(table: str, held: TableStore, wanted: TableStore) -> TableComparison:
    mine, theirs = _digests(table, held), _digests(table, wanted)
    missing = theirs.keys() - mine.keys()
    unexpected = mine.keys() - theirs.keys()
    different = {key for key in mine.keys() & theirs.keys() if mine[key] != theirs[key]}
    examples = sorted([*missing, *unexpected, *different])[:SHOWN]
    return TableComparison(
        table,
        len(mine),
        len(missing),
        len(unexpected),
        len(different),
        tuple(" ".join(one) for one in examples),
    )


def _digests(table: str, store: TableStore) -> dict[tuple[str, ...], bytes]:
    """Return a digest of each row, by its key."""
    columns = _DERIVED[table]
    names = sorted(columns)
    at = [names.index(name) for name in KEYS[table]]
    with store.transaction() as transaction:
        spelled = ", ".join(transaction.spell(name, columns[name]) for name in names)
        query = f"SELECT {spelled} FROM {table}"  # noqa: S608  # names of columns
        return {tuple(str(row[number]) for number in at): _digest(row) for row in _scan(transaction, query)}


def _scan(transaction: Transaction, query: str) -> Iterator[Sequence[Any]]:
    for rows in transaction.scan(query):
        yield from rows


def _digest(row: Sequence[Any]) -> bytes:
    return hashlib.blake2b(repr(tuple(row)).encode("utf-8", "surrogatepass"), digest_size=16).digest()
