"""The migrations of the tables: numbered SQL files, which alembic runs on PostgreSQL, and DuckDB as they are."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any, Final

MIGRATIONS: Final = ((1, "tables"),)
"""Number and name of each, in their order. A release never changes one that another has shipped."""
LATEST: Final = MIGRATIONS[-1][0]


def read_migration(number: int, name: str) -> str:
    """Return the statements of a migration."""
    folder = resources.files("resegment.tables") / "migrations" / "versions"
    return (folder / f"{number:04d}_{name}.sql").read_text(encoding="utf-8")


def read_version(read: Callable[[str], list[tuple[Any, ...]]]) -> int:
    """Return the version of the tables; 0 where there are none. `read` runs a query, and finds nothing without the table."""
    found = read("SELECT max(version) FROM schema_version")
    return (found[0][0] or 0) if found else 0
