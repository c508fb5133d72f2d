"""Find the contacts of accounts: in a table, at a CRM, or among what `people` events said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from resegment.agents.sending.ports import ContactFinder, ContactsUnavailable
from resegment.agents.sending.runner import Later, SignedOut, SinkRunner, Unsettled
from resegment.errors import UserError, explain_os_error
from resegment.redaction import hide_quotes
from resegment.sinks.operation import Contact
from resegment.sinks.port import ContactSearch, SearchRefused

log = structlog.get_logger(__name__)

LOOK_AGAIN: Final = 5.0
"""Seconds between two looks whether the table was replaced."""
_COLUMNS: Final = ("email", "first_name", "last_name", "title", "role", "persona", "phone", "linkedin")
_TRUE: Final = frozenset({"true", "1", "yes", "y", "x"})


class InvalidTable(UserError):
    """The table of contacts cannot be read."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"cannot read the contacts in {path}: {why}",
            remedy="It is a CSV or Parquet file with the columns account and email, and any of "
            f"{', '.join(_COLUMNS[1:])}, opted_out and id:SINK.",
        )
        self.path = path


class ResolveAccount(Protocol):
    """Turns what a table calls an account into the account."""

    def __call__(self, written: str) -> str | None:
        """Return the account, or None if it means no company."""
        ...


class TableContacts:
    """The contacts of a CSV or Parquet file, read again when it is replaced."""

    def __init__(self, path: Path, resolve: ResolveAccount) -> None:
        """Read the file. Raises InvalidTable."""
        self._path, self._resolve = path, resolve
        self._found, self._stamp = read_table(path, resolve)
        self._looked = time.monotonic()
        self._lock = asyncio.Lock()

    async def find(self, account: str) -> Sequence[Contact]:
        """Return the persons of an account."""
        async with self._lock:
            if time.monotonic() - self._looked >= LOOK_AGAIN:
                self._looked = time.monotonic()
                await self._refresh()
        return self._found.get(account, ())

    async def _refresh(self) -> None:
        try:
            if await asyncio.to_thread(_stamp, self._path) != self._stamp:
                self._found, self._stamp = await asyncio.to_thread(read_table, self._path, self._resolve)
        except (InvalidTable, OSError) as error:  # half written: what was read last still counts
            log.warning(
                "the table of contacts cannot be read again",
                path=str(self._path),
                error=hide_quotes(str(error)),
            )


def read_table(path: Path, resolve: ResolveAccount) -> tuple[dict[str, list[Contact]], tuple[int, int]]:
    """Return the contacts by account, and what tells this state of the file from others. Raises InvalidTable."""
    import polars as pl  # noqa: PLC0415  # heavy

    try:
        stamp = _stamp(path)
        if path.suffix.lower() == ".parquet":
            frame = pl.read_parquet(path)
        else:
            frame = pl.read_csv(path, infer_schema=False, truncate_ragged_lines=True)
    except OSError as error:
        raise InvalidTable(path, explain_os_error(error)) from error
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise InvalidTable(path, str(error).splitlines()[0]) from error
    names = {name: name.strip().lower().replace(" ", "_") for name in frame.columns}
    if not {"account", "email"} <= set(names.values()):
        raise InvalidTable(path, f"its columns are {', '.join(frame.columns)}")
    found: dict[str, list[Contact]] = {}
    for row in frame.rename(names).iter_rows(named=True):
        account = resolve(str(row["account"] or ""))
        if account is not None and (contact := _read_row(row)) is not None:
            found.setdefault(account, []).append(contact)
    return found, stamp


def _read_row(row: dict[str, Any]) -> Contact | None:
    texts = {name: text for name in _COLUMNS if (text := str(row.get(name) or "").strip())}
    ids = {
        name.removeprefix("id:"): str(value)
        for name, value in row.items()
        if name.startswith("id:") and value
    }
    if not texts.get("email") and not ids:
        return None
    out = str(row.get("opted_out") or "").strip().lower() in _TRUE
    return Contact(**texts, ids=ids, opted_out=out)


def _stamp(path: Path) -> tuple[int, int]:
    there = path.stat()
    return there.st_mtime_ns, there.st_size


class SearchedContacts:
    """The contacts that a CRM has."""

    def __init__(self, name: str, search: ContactSearch, runner: SinkRunner) -> None:
        self._name, self._search, self._runner = name, search, runner

    async def find(self, account: str) -> Sequence[Contact]:
        """Return the persons of an account. Raises ContactsUnavailable."""
        try:
            return await self._runner.search(self._search.search(account))
        except (Later, Unsettled, SignedOut, SearchRefused) as error:
            raise ContactsUnavailable(
                f"the sink {self._name} cannot be asked for contacts: {error.message}"
            ) from error


class AllContacts:
    """Several finders: the first that has somebody counts, and an opt-out in any of them counts for all."""

    def __init__(self, finders: Sequence[ContactFinder]) -> None:
        self._finders = tuple(finders)

    async def find(self, account: str) -> Sequence[Contact]:
        """Return the persons of an account. Raises ContactsUnavailable."""
        found: Sequence[Contact] = ()
        out: set[str] = set()
        for finder in self._finders:
            some = await finder.find(account)
            out |= {one.key for one in some if one.opted_out}
            if not found:
                found = [one for one in some if not one.opted_out]
        return [replace(one, opted_out=True) if one.key in out else one for one in found]


class ForgottenPersons(Protocol):
    """Knows who is forgotten. Raises StoreUnavailable."""

    async def refresh_forgotten(self) -> None:
        """Learn who is forgotten, unless that is known for some seconds."""
        ...

    def forgets_person(self, account: str, person: str | None, data: Mapping[str, Any]) -> bool:
        """Return whether who is called so at an account is forgotten."""
        ...


class UnforgottenContacts:
    """Marks as opted out who is forgotten: a table or a CRM may still have them."""

    def __init__(self, finder: ContactFinder, keys: ForgottenPersons) -> None:
        self._finder, self._keys = finder, keys

    async def find(self, account: str) -> Sequence[Contact]:
        """Return the persons of an account. Raises ContactsUnavailable and StoreUnavailable."""
        found = await self._finder.find(account)
        await self._keys.refresh_forgotten()
        return [replace(one, opted_out=True) if self._is_forgotten(account, one) else one for one in found]

    def _is_forgotten(self, account: str, contact: Contact) -> bool:
        ways = {"email": contact.email, "full_name": contact.name, "linkedin": contact.linkedin}
        return self._keys.forgets_person(account, None, ways)
