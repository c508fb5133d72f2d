"""The tables in PostgreSQL: psycopg for rows, alembic for migrations, an advisory lock for one writer at a time."""

# ruff: noqa: PLC0415 -- psycopg and alembic come with an extra
from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from resegment.tables import statements
from resegment.tables.columns import INSTANT
from resegment.tables.migrating import LATEST, read_version
from resegment.tables.store import (
    DatabaseRefused,
    DatabaseUnreachable,
    NotMigrated,
    TablesBusy,
    TablesOfAnotherPrefix,
)

if TYPE_CHECKING:
    import psycopg

CONNECT_TIMEOUT = 10
"""Seconds."""
SCANNED = 10_000
"""Rows that are fetched at once."""
_LOCK = 0x7265736567  # "reseg"


class Postgres:
    """See `TableStore`. Tables lie in a schema of their own."""

    def __init__(self, url: str, schema: str = "resegment") -> None:
        self._url, self._schema = url, schema
        self.address = f"{hide_password(url)} (schema {schema})"
        self._connection: psycopg.Connection[Any] | None = None

    def migrate(self) -> list[str]:
        from alembic import command
        from alembic.config import Config
        from sqlalchemy import create_engine
        from sqlalchemy.exc import SQLAlchemyError
        from sqlalchemy.pool import NullPool

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
        ran: list[str] = []
        with self._translating():
            engine = create_engine(
                "postgresql+psycopg://", creator=self._connect_for_sqlalchemy, poolclass=NullPool
            )
            try:
                with engine.begin() as connection:
                    config.attributes.update(connection=connection, schema=self._schema, ran=ran)
                    command.upgrade(config, "head")
            except SQLAlchemyError as error:
                cause = getattr(error, "orig", None)
                raise (cause if isinstance(cause, Exception) else error) from error
        return ran

    def _connect_for_sqlalchemy(self) -> Any:
        import psycopg

        return psycopg.connect(self._url, connect_timeout=CONNECT_TIMEOUT)

    def open(self, prefix: str, partitions: int) -> None:
        with self._translating():
            connection = self._connect()
            held = read_version(lambda query: _read_if_there(connection, query))
            if held != LATEST:
                raise NotMigrated(self.address, held, LATEST)
            locked = connection.execute(
                "SELECT pg_try_advisory_lock(hashtextextended($1, $2))",
                [self._schema, _LOCK],
            ).fetchone()
            connection.commit()
            if locked is None or not locked[0]:
                raise TablesBusy(self.address)
        with self.transaction() as transaction:
            found = transaction.read(statements.PREFIX)
            if not found:
                transaction.run(statements.PUT_PREFIX, [prefix, partitions])
            elif found[0][0] != prefix:
                raise TablesOfAnotherPrefix(self.address, found[0][0], prefix)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[_Transaction]:
        with self._translating():
            connection = self._connection
            if connection is None:
                raise DatabaseUnreachable(self.address, "the connection was lost")
            with connection.transaction():
                yield _Transaction(connection)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> psycopg.Connection[Any]:
        import psycopg
        from psycopg import sql

        self.close()
        connection: psycopg.Connection[Any] = psycopg.connect(
            self._url,
            connect_timeout=CONNECT_TIMEOUT,
            cursor_factory=psycopg.RawCursor,
            prepare_threshold=None,  # a plan that was made for empty tables would stay
            application_name="resegment",
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
        )
        self._connection = connection
        path = sql.SQL("SET search_path TO {}").format(sql.Identifier(self._schema)).as_string(connection)
        connection.execute(path)
        connection.execute("SET TIME ZONE 'UTC'")
        connection.commit()
        return connection

    @contextlib.contextmanager
    def _translating(self) -> Iterator[None]:
        """Turn what the driver raises into the errors of the port."""
        import psycopg

        try:
            yield
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self.close()
            raise DatabaseUnreachable(self.address, _tell(error)) from error
        except psycopg.Error as error:
            raise DatabaseRefused(self.address, _tell(error)) from error


class _Transaction:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(statement, list(parameters)).rowcount

    def read(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, list(parameters)).fetchall()

    def spell(self, name: str, kind: str) -> str:
        return f"round(extract(epoch FROM {name}) * 1000)::bigint AS {name}" if kind == INSTANT else name

    def scan(self, statement: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        import psycopg

        with psycopg.ServerCursor(self._connection, "scan") as cursor:
            cursor.execute(statement)
            while rows := cursor.fetchmany(SCANNED):
                yield rows


def _read_if_there(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    """Return what a query finds; nothing where its table is not there."""
    import psycopg

    try:
        with connection.transaction():
            return connection.execute(query).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return []


def hide_password(url: str) -> str:
    """Return a URL without its password and its parameters, which may hold one."""
    parts = urlsplit(url)
    if not parts.hostname:
        return f"{parts.scheme}://{parts.path}"
    user = f"{parts.username}@" if parts.username else ""
    return urlunsplit((parts.scheme, user + parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _tell(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
