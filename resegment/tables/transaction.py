"""The port of a transaction of a database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol


class Transaction(Protocol):
    """Runs statements that are committed together."""

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement with parameters $1, $2 ...; return how many rows it changed."""
        ...

    def read(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows that a query finds."""
        ...

    def scan(self, statement: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yield the rows that a query finds, some at a time."""
        ...

    def spell(self, name: str, kind: str) -> str:
        """Return the SQL of a column's value, the same in every store: instants as ms."""
        ...
