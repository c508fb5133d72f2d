"""What pages ask the index of accounts: who is in a segment since when, in which workflow, with which owner."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from resegment.streams.live.queries import Found


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account, its name, its segment since `entered` (ms), the workflow that it is in, and its owner there."""

    account: str
    name: str | None
    segment: str | None
    entered: int
    workflow: str | None = None
    owner: str | None = None
    team: str | None = None


@dataclass(frozen=True, slots=True)
class MemberFilter:
    """Which accounts are wanted: of a segment, with a text in their name or domain, of an owner or (`unowned`) of none.

    They entered their segment between two instants (ms), `since` included. `queues` are the queues of teams, as
    (team, queue): an account in one has no owner.
    """

    segment: str | None = None
    text: str = ""
    since: int | None = None
    until: int | None = None
    owner: str | None = None
    unowned: bool = False
    queues: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves out accounts of its segment."""
        return self != MemberFilter(self.segment)

    def where(self) -> tuple[str, list[Any]]:
        """Return the condition in SQL, and its values."""
        parts, values = ["segment is not null"], list[Any]()
        for text, value in (
            ("segment = ?", self.segment),
            ("entered >= ?", self.since),
            ("entered < ?", self.until),
            ("owner = ?", self.owner),
        ):
            if value is not None:
                parts.append(text)
                values.append(value)
        if self.unowned:
            queued, names = _in_queue(self.queues)
            parts.append(f"(owner is null or {queued})")
            values += names
        if self.text:
            parts.append("(instr(folded, ?) or instr(account, ?))")
            values += [self.text.casefold(), self.text.casefold()]
        return " and ".join(parts), values


def _in_queue(queues: Sequence[tuple[str, str]]) -> tuple[str, list[Any]]:
    """Return the condition in SQL that an account is in one of these queues, and its values."""
    text = " or ".join("(team is ? and owner = ?)" for _ in queues) or "false"
    return f"({text})", [one for queue in queues for one in queue]


_ORDERS: Final = {
    "account": "account {0}",
    "name": "folded {0}, account",
    "segment": "segment {0}, account",
    "since": "entered {0}, account",
    "workflow": "workflow {0}, account",
    "owner": "owner {0}, account",
}


def find_members(
    one: sqlite3.Connection, wanted: MemberFilter, order: str, *, descending: bool, start: int, size: int
) -> Found:
    """Return accounts in an order, from a row on, and how many there are."""
    where, values = wanted.where()
    by = _ORDERS[order].format("desc" if descending else "asc")
    # the rows that are passed over are read from an index alone
    page = f"select account from accounts where {where} order by {by} limit ? offset ?"  # noqa: S608  # texts of this module
    rows = one.execute(
        f"select account, name, segment, entered, workflow, owner, team from accounts where account in ({page}) order by {by}",  # noqa: S608  # as above
        [*values, size, start],
    )
    found = [AccountRow(*row) for row in rows]
    total = one.execute(f"select count(*) from accounts where {where}", values).fetchone()[0]  # noqa: S608  # as above
    return Found(found, total)


def find_owners(
    one: sqlite3.Connection, segment: str | None, queues: Sequence[tuple[str, str]] = ()
) -> list[tuple[str, int]]:
    """Return the owners of accounts of a segment, or of all, and how many each has; by name. A queue is none."""
    queued, values = _in_queue(queues)
    text = f"select owner, count(*) from accounts where owner is not null and not {queued} and {{}} group by owner order by owner"  # noqa: S608  # texts of this module
    if segment is None:
        return list(one.execute(text.format("segment is not null"), values))
    return list(one.execute(text.format("segment = ?"), [*values, segment]))


def draw_accounts(one: sqlite3.Connection, most: int) -> list[str]:
    """Return so many accounts, drawn at random."""
    text = "select account from accounts where segment is not null order by random() limit ?"
    return [name for (name,) in one.execute(text, (most,))]


def find_name_of(one: sqlite3.Connection, account: str) -> str | None:
    """Return the name of an account, None where none is known."""
    row = one.execute("select name from accounts where account = ?", (account,)).fetchone()
    return None if row is None else row[0]
