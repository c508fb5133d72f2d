"""A key store in PostgreSQL: one table, made by `resegment privacy init`."""

# ruff: noqa: PLC0415 -- psycopg comes with an extra
from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, LiteralString

from resegment.errors import UserError
from resegment.state.keys.records import (
    KeyRecord,
    create_version,
    destroy_versions,
    parse_record,
    replace_version,
    spell_record,
)
from resegment.state.keys.store import KeyStoreMissing, KeyStoreNotDurable, KeyStoreUnavailable, NewVersion

if TYPE_CHECKING:
    import psycopg

CONNECT_TIMEOUT: Final = 5
PATIENCE: Final = 10.0
"""Seconds that one operation may take."""
SCANNED: Final = 5_000
"""Records that are read at once."""

_TABLE: Final = """CREATE TABLE IF NOT EXISTS resegment_keys (
  prefix text NOT NULL, kind text NOT NULL, name text NOT NULL, value text NOT NULL, PRIMARY KEY (prefix, kind, name)
)"""
_READ: Final = "SELECT name, value FROM resegment_keys WHERE prefix = %s AND kind = %s AND name = ANY(%s)"
_LOCK: Final = f"{_READ} ORDER BY name FOR UPDATE"
_ALL: Final = "SELECT name, value FROM resegment_keys WHERE prefix = %s AND kind = %s"
_PAGE: Final = f"{_ALL} AND name > %s ORDER BY name LIMIT {SCANNED}"
_FORGOTTEN: Final = f"{_ALL} AND value LIKE 'F%%'"
_INSERT: Final = "INSERT INTO resegment_keys VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
_UPDATE: Final = "UPDATE resegment_keys SET value = %s WHERE prefix = %s AND kind = %s AND name = %s"
_DELETE: Final = "DELETE FROM resegment_keys WHERE prefix = %s AND kind = %s AND name = %s"

_Change = Callable[[str, KeyRecord], KeyRecord]


class DriverMissing(UserError):
    """The library for PostgreSQL is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "a key store in PostgreSQL needs psycopg, which is not installed",
            remedy="Install the extra: pip install 'resegment[privacy,tables]'.",
        )


class PostgresKeyStore:
    """See `resegment.state.keys.store.KeyStore`. It holds one connection, and makes a new one after an error."""

    def __init__(self, url: str, prefix: str, address: str, *, durable: bool = True) -> None:
        """With `durable` a server that acknowledges before it has written to disk is refused."""
        if importlib.util.find_spec("psycopg") is None:
            raise DriverMissing
        self.address = address
        self._url, self._prefix, self._durable = url, prefix, durable
        self._lock = asyncio.Lock()
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def init(self) -> None:
        async with self._cursor("make its table") as cursor:
            await cursor.execute(_TABLE)

    async def check(self) -> None:
        if not self._durable:
            return
        async with self._cursor("tell its settings") as cursor:
            for name in ("fsync", "synchronous_commit"):
                (value,) = await self._one(cursor, "SELECT current_setting(%s)", name)
                if value == "off":
                    raise KeyStoreNotDurable(
                        f"the PostgreSQL of the key store ({self.address}) has {name} off: a crash would lose keys, and "
                        "with them all that they sealed",
                        remedy=f"Set {name} to on. RESEGMENT_KEYS_ALLOW_LOSS=true accepts the risk, for a trial.",
                    )

    async def read_secret(self) -> str | None:
        async with self._cursor("read the secret") as cursor:
            found = await self._read(cursor, "secret", [""])
            return found.get("")

    async def keep_secret(self, wrapped: str, *, instead_of: str | None = None) -> str:
        async with self._cursor("keep the secret") as cursor:
            if instead_of is None:
                await cursor.execute(_INSERT, [self._prefix, "secret", "", wrapped])
            await cursor.execute(_LOCK, [self._prefix, "secret", [""]])
            ((_, kept),) = await cursor.fetchall()
            if instead_of is not None and kept == instead_of:
                await cursor.execute(_UPDATE, [wrapped, self._prefix, "secret", ""])
                return wrapped
            return str(kept)

    async def read(self, names: Sequence[str]) -> Sequence[KeyRecord | None]:
        if not names:
            return []
        async with self._cursor("read keys") as cursor:
            found = await self._read(cursor, "key", list(names))
        return [parse_record(found[name]) if name in found else None for name in names]

    async def create(self, versions: Sequence[NewVersion]) -> Sequence[KeyRecord]:
        wanted = {one.name: one for one in versions}
        found = await self._change(
            "make keys",
            list(wanted),
            lambda name, record: create_version(record, wanted[name].version, wanted[name].wrapped),
        )
        return [found[one.name][1] for one in versions]

    async def destroy(self, names: Collection[str], *, forget: bool = False) -> int:
        found = await self._change(
            "destroy keys",
            list(names),
            lambda _, record: destroy_versions(record, forget=forget),
            made=forget,
        )
        return sum(one is not None for before, _ in found.values() for one in before.versions)

    async def lift(self, names: Collection[str]) -> None:
        await self._change(
            "lift what is forgotten", list(names), lambda _, record: KeyRecord(record.versions), made=False
        )

    async def forgotten(self) -> frozenset[str]:
        async with self._cursor("read what is forgotten") as cursor:
            await cursor.execute(_FORGOTTEN, [self._prefix, "key"])
            return frozenset([name for name, _ in await cursor.fetchall()])

    async def put(self, records: Mapping[str, KeyRecord]) -> None:
        if records:
            rows = [[self._prefix, "key", name, spell_record(one)] for name, one in records.items()]
            async with self._cursor("copy keys") as cursor:
                await cursor.executemany(_INSERT, rows)

    async def scan(self) -> AsyncIterator[tuple[str, KeyRecord]]:
        after = ""
        while True:
            async with self._cursor("read keys") as cursor:
                await cursor.execute(_PAGE, [self._prefix, "key", after])
                found = await cursor.fetchall()
            for name, text in found:
                yield name, parse_record(text)
            if not found:
                return
            after = found[-1][0]

    async def rewrap(self, name: str, version: int, old: str, new: str) -> None:
        await self._change(
            "wrap keys", [name], lambda _, record: replace_version(record, version, old, new), made=False
        )

    async def put_pending(self, id: str, wrapped: str) -> None:  # noqa: A002  # the port
        async with self._cursor("keep an operation") as cursor:
            await cursor.execute(_INSERT, [self._prefix, "pending", id, wrapped])
            await cursor.execute(_UPDATE, [wrapped, self._prefix, "pending", id])

    async def pending(self) -> Mapping[str, str]:
        async with self._cursor("read operations") as cursor:
            await cursor.execute(_ALL, [self._prefix, "pending"])
            return dict(await cursor.fetchall())

    async def remove_pending(self, id: str) -> None:  # noqa: A002  # the port
        async with self._cursor("remove an operation") as cursor:
            await cursor.execute(_DELETE, [self._prefix, "pending", id])

    async def aclose(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _change(
        self, what: str, names: Sequence[str], change: _Change, *, made: bool = True
    ) -> dict[str, tuple[KeyRecord, KeyRecord]]:
        """Change records under their locks; return each before and after. `made`: those that are missing are made."""
        changed: dict[str, tuple[KeyRecord, KeyRecord]] = {}
        if not names:
            return changed
        names = sorted(
            set(names)
        )  # one order for all writers, so that they never wait for each other in a circle
        async with self._cursor(what) as cursor:
            if made:
                await cursor.executemany(_INSERT, [[self._prefix, "key", name, "."] for name in names])
            await cursor.execute(_LOCK, [self._prefix, "key", names])
            updates = []
            for name, text in await cursor.fetchall():
                before = parse_record(text)
                after = change(name, before)
                changed[name] = before, after
                if after != before:
                    updates.append([spell_record(after), self._prefix, "key", name])
            if updates:
                await cursor.executemany(_UPDATE, updates)
        return changed

    async def _read(self, cursor: Any, kind: str, names: list[str]) -> dict[str, str]:
        await cursor.execute(_READ, [self._prefix, kind, names])
        return dict(await cursor.fetchall())

    async def _one(self, cursor: Any, query: LiteralString, *parts: Any) -> tuple[Any, ...]:
        await cursor.execute(query, parts)
        found: tuple[Any, ...] = await cursor.fetchone()
        return found

    @asynccontextmanager
    async def _cursor(self, what: str) -> AsyncIterator[Any]:
        """Give a cursor in one transaction. Raises KeyStoreUnavailable, and KeyStoreMissing without the table."""
        import psycopg

        async with self._lock:
            try:
                async with asyncio.timeout(PATIENCE):
                    connection = self._connection
                    if connection is None or connection.broken:
                        connection = self._connection = await psycopg.AsyncConnection.connect(
                            self._url, connect_timeout=CONNECT_TIMEOUT
                        )
                    async with connection.transaction(), connection.cursor() as cursor:
                        yield cursor
            except psycopg.errors.UndefinedTable as error:
                raise KeyStoreMissing(self.address, self._prefix) from error
            except (psycopg.Error, OSError) as error:
                await self._drop()
                raise KeyStoreUnavailable(
                    f"the key store in PostgreSQL ({self.address}): cannot {what}: {str(error).strip()}",
                    remedy="Check RESEGMENT_KEYS, and that the server is up and the user may write to resegment_keys.",
                ) from error
            except asyncio.CancelledError:
                await self._drop()  # in the middle of an answer it cannot be used any more
                raise

    async def _drop(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()
