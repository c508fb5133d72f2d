"""Open the store that an address names."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from urllib.parse import urlsplit

from resegment.errors import UserError
from resegment.tables.duck import Duck
from resegment.tables.exporting import ParquetFolder
from resegment.tables.postgres import Postgres, hide_password
from resegment.tables.store import TableStore

FORMS = "postgresql://user@host/database, duckdb:FILE or parquet:FOLDER"


class WrongAddress(UserError):
    """The address names no database that this release can write to."""

    def __init__(self, address: str) -> None:
        shown = hide_password(address) if "://" in address else address
        super().__init__(f"{shown[:200]!r} names no place for tables", remedy=f"Write {FORMS}.")
        self.address = shown


class LibraryMissing(UserError):
    """The libraries that write tables are not installed."""

    def __init__(self, library: str) -> None:
        super().__init__(
            f"writing tables needs {library}, which is not installed",
            remedy="Install the extra: pip install 'resegment[tables]'.",
        )
        self.library = library


def open_store(address: str, schema: str) -> TableStore:
    """Return the store at an address; nothing is connected yet. Raises WrongAddress and LibraryMissing."""
    scheme, _, rest = address.partition(":")
    if scheme in ("postgresql", "postgres"):
        _require("psycopg", "alembic", "sqlalchemy")
        try:
            named = urlsplit(address).port is not None or address.startswith(f"{scheme}://")
        except ValueError:
            named = False
        if not named:
            raise WrongAddress(address)
        return Postgres(address, schema)
    if scheme in ("duckdb", "parquet") and rest:
        _require("duckdb")
        path = Path(rest.removeprefix("//"))
        return Duck(str(path)) if scheme == "duckdb" else ParquetFolder(path)
    raise WrongAddress(address)


def _require(*libraries: str) -> None:
    for name in libraries:
        if importlib.util.find_spec(name) is None:
            raise LibraryMissing(name)
