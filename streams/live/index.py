"""What pages search, sort and count: the accounts, changes and commands of a prefix, in a SQLite file.

The file is made when somebody opens the console, filled from Redis and from the topics, and deleted at the end: nothing
is in it that is not kept elsewhere. One thread writes; every other one reads with a connection of its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar

from resegment.errors import ResegmentError, TransientError
from resegment.streams.live.decoding import Change, Command, Enrolled

T = TypeVar("T")

HOUR: Final = 3_600_000
MOST_CHANGES: Final = 1_000_000
"""How many changes are kept, the newest; pages say since when."""
MOST_COMMANDS: Final = 1_000_000
"""How many commands are kept, the newest: their topic keeps them forever."""
_TRIMMED: Final = 50_000
"""How many more there may be before the oldest are deleted."""

_SCHEMA: Final = """
create table accounts (
  account text primary key, name text, folded text, segment text, entered integer, workflow text, owner text, team text
) without rowid;
create table changes (
  seq integer primary key, part integer, off integer, id text, account text, number integer, from_ text, to_ text,
  at integer, decided integer, stay integer, void integer default 0, holdout integer, told blob, definition integer
);
create unique index changes_by_account on changes (account, number);
create index changes_by_place on changes (part, off);
create index changes_by_time on changes (at);
create index changes_by_stay on changes (from_, stay);
create index changes_by_entry on changes (to_);
create index changes_by_version on changes (definition, at) where definition is not null;
create table flows (hour integer, from_ text, to_ text, n integer, primary key (hour, from_, to_)) without rowid;
create table commands (
  seq integer primary key, id text unique, account text, at integer, action text, workflow text, segment text, owner text,
  reason text, sent integer
);
create index commands_by_account on commands (account, at);
create index commands_by_time on commands (at);
"""

_NOTHING_TOLD: Final = b'{"cause":{},"reason":{},"moved":false}'

_ORDERS: Final = """
create index if not exists accounts_by_segment on accounts (segment, entered);
create index if not exists accounts_by_segment_and_name on accounts (segment, folded);
create index if not exists accounts_by_name on accounts (folded, segment);
create index if not exists accounts_by_time on accounts (entered, segment);
create index if not exists accounts_by_owner on accounts (owner, segment) where owner is not null;
"""
"""Made once all accounts are there: that is several times faster than to keep them in order meanwhile."""

_PUT: Final = """
insert into accounts (account, name, folded, segment, entered) values (?, ?, ?, ?, ?) on conflict do update set name = excluded.name, folded = excluded.folded,
  segment = iif(excluded.entered >= entered, excluded.segment, segment), entered = max(excluded.entered, entered)
"""
"""A change that came after the account was read stays."""
_PUT_ENROLLED: Final = """
insert into accounts (account, folded, entered, workflow, owner, team) values (?1, ?1, 0, ?2, ?3, ?4) on conflict do update
  set workflow = excluded.workflow, owner = excluded.owner, team = excluded.team
"""
"""An account that is not there yet gets its name and segment later."""


class IndexUnavailable(TransientError):
    """The file of the index cannot be written or read, as when the disk is full."""

    def __init__(self, cause: sqlite3.Error) -> None:
        super().__init__(
            f"the console's index cannot be used: {cause}",
            remedy="Free space where temporary files are (TMPDIR), and restart the console if it does not recover.",
        )
        self.cause = cause


class LogReplaced(ResegmentError):
    """A topic was deleted and made again, so that the index has to be made again too."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"topic {topic} is a new one")
        self.topic = topic


@dataclass(slots=True)
class Progress:
    """How much of the topics and of the accounts was read; `read` and `total` count records."""

    accounts: int = 0
    accounts_total: int = 0
    accounts_done: bool = False
    read: dict[str, int] = field(default_factory=dict)
    total: dict[str, int] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    problem: str | None = None
    generation: int = 0
    """How often the topics turned out to be new ones, so that everything is read again."""

    @property
    def is_complete(self) -> bool:
        """Whether everything that was there when somebody began to look is in the index."""
        return self.accounts_done and len(self.done) == 2

    def begin(self) -> None:
        """Count from the beginning again."""
        self.generation += 1
        self.accounts = self.accounts_total = 0
        self.accounts_done = False
        for one in (self.read, self.total, self.done):
            one.clear()

    def tell(self) -> str | None:
        """Return what is still missing, in words; None where everything is there."""
        if self.problem is not None:
            return f"the index waits: {self.problem}"
        if self.is_complete:
            return None
        parts = []
        if not self.accounts_done:
            parts.append(f"{self.accounts:,} of {self.accounts_total:,} accounts")
        parts += [
            f"{self.read.get(name, 0):,} of {self.total.get(name, 0):,} {name}"
            for name in ("changes", "commands")
            if name not in self.done
        ]
        return f"still reading: {', '.join(parts)}"


class Index:
    """The file at `path`, and how it is written. Reads are in `resegment.streams.live.queries`."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is where the file is made; by default where the system keeps temporary files."""
        self._folder = TemporaryDirectory(prefix="resegment-console-", dir=folder)
        self.path = Path(self._folder.name) / "index.sqlite"
        self._writes = ThreadPoolExecutor(1, "index-write")
        self._reads = ThreadPoolExecutor(4, "index-read")
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        with closing(self._connect()) as made:
            made.execute("pragma journal_mode = wal")
            made.executescript(_SCHEMA)
        self._count = self._commands = 0

    def _connect(self) -> sqlite3.Connection:
        one = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        one.execute("pragma synchronous = off")
        one.execute("pragma busy_timeout = 10000")
        one.execute("pragma cache_size = -65536")
        return one

    def _own(self) -> sqlite3.Connection:
        """Return the connection of this thread."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self._connect()
            self._open.append(found)
        return found

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Return what a query finds, without keeping the loop waiting. Raises IndexUnavailable."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._reads, lambda: query(self._own()))
        except sqlite3.Error as error:
            raise IndexUnavailable(error) from error

    async def _write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            one = self._own()
            one.execute("begin immediate")
            try:
                found = change(one)
            except BaseException:
                one.execute("rollback")
                raise
            one.execute("commit")
            return found

        try:
            return await asyncio.get_running_loop().run_in_executor(self._writes, run)
        except sqlite3.Error as error:
            raise IndexUnavailable(error) from error

    async def _write_all(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        def write(one: sqlite3.Connection) -> None:
            # the cursor must not leave this thread: where it is freed, its statement is reset
            one.executemany(text, rows)

        await self._write(write)

    async def add_changes(self, changes: Sequence[Change]) -> int:
        """Add changes in the order of each partition, and return how many were new."""
        return await self._write(lambda one: self._add_changes(one, changes))

    async def add_commands(self, commands: Sequence[Command]) -> None:
        """Add commands; one that is there already is left as it is."""
        rows = [
            (
                one.id,
                one.account,
                one.at,
                one.action,
                one.workflow,
                one.segment,
                one.owner,
                one.reason,
                one.sent,
            )
            for one in commands
        ]
        text = (
            "insert or ignore into commands (id, account, at, action, workflow, segment, owner, reason, sent) "
            "values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )

        def add(one: sqlite3.Connection) -> None:
            self._commands += one.executemany(text, rows).rowcount
            if self._commands > MOST_COMMANDS + _TRIMMED:
                one.execute(
                    "delete from commands where seq <= (select max(seq) from commands) - ?", (MOST_COMMANDS,)
                )
                self._commands = MOST_COMMANDS

        await self._write(add)

    async def forget(self, account: str, until: int, *, person: bool) -> None:
        """Delete what is known of an account up to an instant (ms), or what may quote a person of it."""

        def forget(one: sqlite3.Connection) -> None:
            if person:
                one.execute(
                    "update changes set told = ? where account = ? and at <= ?",
                    (_NOTHING_TOLD, account, until),
                )
                return
            one.execute("delete from changes where account = ? and at < ?", (account, until))
            one.execute("delete from commands where account = ? and at < ?", (account, until))
            one.execute("delete from accounts where account = ? and entered <= ?", (account, until))

        await self._write(forget)

    async def put_accounts(self, rows: Iterable[tuple[str, str | None, str | None, int]]) -> None:
        """Put accounts: each with its name, its segment, and since when (ms)."""
        full = [
            (account, name, (name or account).casefold(), segment, entered)
            for account, name, segment, entered in rows
        ]
        await self._write_all(_PUT, full)

    async def put_enrolled(self, rows: Iterable[Enrolled]) -> None:
        """Put which workflow accounts are in, and who owns them there."""
        await self._write_all(_PUT_ENROLLED, list(rows))

    async def clear(self) -> None:
        """Delete all rows."""

        def clear(one: sqlite3.Connection) -> None:
            for table in ("accounts", "changes", "flows", "commands"):
                one.execute(f"delete from {table}")  # noqa: S608  # names of this module
            self._count = self._commands = 0

        await self._write(clear)

    async def order_accounts(self) -> None:
        """Order the accounts by segment and by name, once they are all there."""

        def order(one: sqlite3.Connection) -> None:
            for text in _ORDERS.split(";"):
                one.execute(text)

        await self._write(order)

    async def find_unnamed(self, accounts: Sequence[str]) -> list[str]:
        """Return those of the accounts that are not in the index, or have no name there."""

        def look(one: sqlite3.Connection) -> list[str]:
            text = "select 1 from accounts where account = ? and name is not null"
            return [name for name in accounts if one.execute(text, (name,)).fetchone() is None]

        return await self.read(look)

    def _add_changes(self, one: sqlite3.Connection, changes: Sequence[Change]) -> int:
        added = 0
        for change in changes:
            last = one.execute(
                "select number, to_, at, void from changes where account = ? order by number desc limit 1",
                (change.account,),
            ).fetchone()
            if last is not None and last[0] >= change.number:
                continue  # published twice
            if change.supersedes is not None:
                last = self._void(one, change) or last
            if last is None:
                last = one.execute(
                    "select 0, segment, entered, 0 from accounts where account = ? and entered < ?",
                    (change.account, change.at),
                ).fetchone()
            stay = change.at - last[2] if last is not None and last[1] == (change.from_ or "") else None
            one.execute(
                "insert into changes (part, off, id, account, number, from_, to_, at, decided, stay, holdout, told, definition) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *change.place, change.id, change.account, change.number, change.from_ or "", change.to or "",
                    change.at, change.decided, stay, change.holdout, change.told,
                    change.definition,
                ),
            )  # fmt: skip
            _count_flow(one, change.at, change.from_ or "", change.to or "", 1)
            one.execute(
                "update accounts set segment = ?, entered = ? where account = ? and entered <= ?",
                (change.to, change.at, change.account, change.at),
            )
            added += 1
        self._count += added
        if self._count > MOST_CHANGES + _TRIMMED:
            one.execute(
                "delete from changes where seq <= (select max(seq) from changes) - ?", (MOST_CHANGES,)
            )
            one.execute("delete from flows where hour < (select min(at) from changes)")
            self._count = MOST_CHANGES
        return added

    def _void(self, one: sqlite3.Connection, change: Change) -> tuple[int, str, int, int] | None:
        """Take back a change that another one at the same instant replaces; return the one before it."""
        found = one.execute(
            "select seq, at, from_, to_ from changes where account = ? and id = ? and void = 0",
            (change.account, change.supersedes),
        ).fetchone()
        if found is None:
            return None
        seq, at, from_, to = found
        one.execute("update changes set void = 1, stay = null where seq = ?", (seq,))
        _count_flow(one, at, from_, to, -1)
        before: tuple[int, str, int, int] | None = one.execute(
            "select number, to_, at, void from changes where account = ? and void = 0 order by number desc limit 1",
            (change.account,),
        ).fetchone()
        return before

    async def close(self) -> None:
        """Delete the file."""
        for pool in (self._reads, self._writes):
            await asyncio.to_thread(pool.shutdown)
        for one in self._open:
            one.close()
        await asyncio.to_thread(self._folder.cleanup)


def _count_flow(one: sqlite3.Connection, at: int, from_: str, to: str, by: int) -> None:
    one.execute(
        "insert into flows values (?, ?, ?, ?) on conflict do update set n = n + excluded.n",
        (at // HOUR * HOUR, from_, to, by),
    )
