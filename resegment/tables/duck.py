"""The tables in a DuckDB file, which one process at a time can open, or in memory."""

# ruff: noqa: PLC0415 -- duckdb comes with an extra
from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from resegment.tables import statements
from resegment.tables.columns import INSTANT
from resegment.tables.migrating import LATEST, MIGRATIONS, read_migration, read_version
from resegment.tables.store import (
    DatabaseRefused,
    DatabaseUnreachable,
    NotMigrated,
    TablesBusy,
    TablesOfAnotherPrefix,
)

if TYPE_CHECKING:
    import duckdb

IN_MEMORY = ":memory:"
STORAGE = "v1.0.0"
"""The oldest release of DuckDB that can read the file."""
SCANNED = 10_000
"""Rows that are fetched at once."""


class Duck:
    """See `TableStore`."""

    def __init__(self, path: str = IN_MEMORY) -> None:
        self.address = path
        self._connection: duckdb.DuckDBPyConnection | None = None

    def migrate(self) -> list[str]:
        with self.transaction() as transaction:
            held = self._version()
            for number, name in MIGRATIONS:
                if number > held:
                    transaction.script(read_migration(number, name))
                    transaction.run(
                        "INSERT INTO schema_version (version, name, applied_at) VALUES ($1, $2, now())",
                        [number, name],
                    )
        return [name for number, name in MIGRATIONS if number > held]

    def open(self, prefix: str, partitions: int) -> None:
        with self.transaction() as transaction:
            held = self._version()
            if held != LATEST:
                raise NotMigrated(self.address, held, LATEST)
            found = transaction.read(statements.PREFIX)
            if not found:
                transaction.run(statements.PUT_PREFIX, [prefix, partitions])
            elif found[0][0] != prefix:
                raise TablesOfAnotherPrefix(self.address, found[0][0], prefix)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[_Transaction]:
        import duckdb

        connection = self._connected()
        try:
            connection.begin()
            try:
                yield _Transaction(connection)
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
        except duckdb.IOException as error:
            raise DatabaseUnreachable(self.address, str(error)) from error
        except duckdb.Error as error:
            raise DatabaseRefused(self.address, str(error)) from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def write_parquet(self, table: str, path: str) -> None:
        """Write a table to a Parquet file."""
        target = path.replace("'", "''")
        self._connected().execute(f"COPY {table} TO '{target}' (FORMAT parquet, COMPRESSION zstd)")

    def _connected(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        if self._connection is None:
            try:
                self._connection = duckdb.connect(
                    self.address, config={"storage_compatibility_version": STORAGE}
                )
            except duckdb.IOException as error:
                if "lock" in str(error).lower():
                    raise TablesBusy(self.address) from error
                raise DatabaseUnreachable(self.address, str(error)) from error
            self._connection.execute("SET TimeZone = 'UTC'")
        return self._connection

    def _version(self) -> int:
        connection = self._connected()
        tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        if "schema_version" not in tables:
            return 0
        return read_version(lambda query: connection.execute(query).fetchall())


class _Transaction:
    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        found = self._connection.execute(statement, list(parameters)).fetchone()
        return int(found[0]) if found and isinstance(found[0], int) else 0

    def read(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, list(parameters)).fetchall()

    def spell(self, name: str, kind: str) -> str:
        return f"epoch_ms({name}) AS {name}" if kind == INSTANT else name

    def scan(self, statement: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        found = self._connection.execute(statement)
        while rows := found.fetchmany(SCANNED):
            yield rows

    def script(self, statements: str) -> None:
        """Run several statements."""
        self._connection.execute(statements)
