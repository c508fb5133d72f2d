"""What pages ask of the index. Each function is a query for `Index.read`."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from resegment.schemas.times import NEVER
from resegment.streams.live.index import HOUR


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A change in the order in which the index took it; instants and lengths in ms. `from_` is None at first sight.

    `told` has its cause and its reason, as `give_reason` of the console reads them.
    """

    seq: int
    place: tuple[int, int]
    account: str
    name: str | None
    from_: str | None
    to: str | None
    at: int
    decided: int
    stay: int | None
    is_void: bool
    holdout: bool
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command to a workflow. `at` (ms) is the time of its change, `sent` when it was sent, None if not known."""

    seq: int
    account: str
    at: int
    action: str
    workflow: str
    segment: str
    owner: str | None
    reason: str
    sent: int | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which changes are wanted: of an account, into or out of a segment, from one, into one, between two instants (ms)."""

    account: str | None = None
    segment: str | None = None
    from_: str | None = None
    to: str | None = None
    since: int | None = None
    until: int | None = None
    with_void: bool = False

    @property
    def is_of_segments(self) -> bool:
        """Whether it asks for nothing but segments."""
        return (self.account, self.since, self.until, self.with_void) == (None, None, None, False)

    def where(self) -> tuple[str, list[Any]]:
        """Return the condition in SQL, and its values."""
        parts: list[str] = [] if self.with_void else ["c.void = 0"]
        values: list[Any] = []
        for text, value in (
            ("c.account = ?", self.account),
            ("c.from_ = ?", self.from_),
            ("c.to_ = ?", self.to),
            ("c.at >= ?", self.since),
            ("c.at < ?", self.until),
        ):
            if value is not None:
                parts.append(text)
                values.append(value)
        if self.segment is not None:
            parts.append("(c.from_ = ? or c.to_ = ?)")
            values += [self.segment, self.segment]
        return " and ".join(parts) or "1", values


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of a page, and how many there are."""

    rows: Sequence[Any]
    total: int


_CHANGE: Final = (
    "select c.seq, c.part, c.off, c.account, a.name, c.from_, c.to_, c.at, c.decided, c.stay, c.void, c.holdout, c.told "
    "from changes c left join accounts a on a.account = c.account"
)
_CHANGE_ORDERS: Final = {
    "at": "c.at {0}, c.seq {0}",
    "account": "c.account {0}, c.number {0}",
    "from": "c.from_ {0}, c.seq {0}",
    "to": "c.to_ {0}, c.seq {0}",
}


def _change(row: Sequence[Any]) -> ChangeRow:
    seq, part, off, account, name, from_, to, at, decided, stay, void, holdout, told = row
    read = msgspec.json.decode(told)
    return ChangeRow(
        seq, (part, off), account, name, from_ or None, to or None, at, decided, stay, bool(void), bool(holdout), read
    )  # fmt: skip


def find_changes(
    one: sqlite3.Connection, wanted: Filter, order: str, *, descending: bool, start: int, size: int
) -> Found:
    """Return changes in an order, from a row on, and how many there are."""
    where, values = wanted.where()
    by = _CHANGE_ORDERS[order].format("desc" if descending else "asc")
    rows = one.execute(f"{_CHANGE} where {where} order by {by} limit ? offset ?", [*values, size, start])
    found = [_change(row) for row in rows]
    return Found(found, _count_changes(one, wanted))


def _count_changes(one: sqlite3.Connection, wanted: Filter) -> int:
    """Return how many changes are wanted; where that is about segments alone, the hours have counted them."""
    if wanted.is_of_segments:
        parts, values = ["1"], list[str]()
        for text, value in (("from_ = ?", wanted.from_), ("to_ = ?", wanted.to)):
            if value is not None:
                parts.append(text)
                values.append(value)
        if wanted.segment is not None:
            parts.append("(from_ = ? or to_ = ?)")
            values += [wanted.segment, wanted.segment]
        text = f"select coalesce(sum(n), 0) from flows where {' and '.join(parts)}"  # noqa: S608  # texts of this module
        return int(one.execute(text, values).fetchone()[0])
    where, found = wanted.where()
    return int(one.execute(f"select count(*) from changes c where {where}", found).fetchone()[0])  # noqa: S608  # as above


def changes_after(one: sqlite3.Connection, seq: int, most: int) -> list[ChangeRow]:
    """Return the changes that came after one, in the order in which they came."""
    return [
        _change(row) for row in one.execute(f"{_CHANGE} where c.seq > ? order by c.seq limit ?", (seq, most))
    ]


def seq_before(one: sqlite3.Connection, places: Mapping[int, int], upto: int) -> int:
    """Return the `seq` after which every change up to `upto` came that has not been read at these offsets.

    A partition that has no offset is taken from its beginning.
    """
    first = "select seq from changes where part = ? and off >= ? and seq <= ? order by off limit 1"
    found = (
        one.execute(first, (part, places.get(part, 0), upto)).fetchone() for part in places_upto(one, upto)
    )
    return min((row[0] - 1 for row in found if row is not None), default=upto)


def places_upto(one: sqlite3.Connection, upto: int) -> dict[int, int]:
    """Return the offset after the newest change of each partition, of those up to a `seq`."""
    rows = one.execute("select part, max(off) + 1 from changes where seq <= ? group by part", (upto,))
    return dict(rows)


def change_at(one: sqlite3.Connection, part: int, off: int) -> ChangeRow | None:
    """Return the change at an offset of a partition; None where the index has none there."""
    found = one.execute(f"{_CHANGE} where c.part = ? and c.off = ?", (part, off)).fetchone()
    return None if found is None else _change(found)


def has_after(one: sqlite3.Connection, part: int, off: int) -> bool:
    """Return whether the index has a change of a partition after an offset."""
    text = "select 1 from changes where part = ? and off > ? limit 1"
    return one.execute(text, (part, off)).fetchone() is not None


def newest_seq(one: sqlite3.Connection) -> int:
    """Return the `seq` of the newest change, 0 without any."""
    return int(one.execute("select coalesce(max(seq), 0) from changes").fetchone()[0])


def find_commands(one: sqlite3.Connection, account: str, until: int | None, most: int) -> list[CommandRow]:
    """Return the newest commands about an account before an instant (ms), None for all; the newest first."""
    rows = one.execute(
        "select seq, account, at, action, workflow, segment, owner, reason, sent from commands where account = ? and at < ? "
        "order by at desc, seq desc limit ?",
        (account, NEVER if until is None else until, most),
    )
    return [CommandRow(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Span:
    """The time that the index covers (ms): its oldest and newest change, None without any."""

    begin: int | None
    end: int | None


def find_span(one: sqlite3.Connection) -> Span:
    """Return the time that the index covers."""
    begin = one.execute("select min(at) from changes").fetchone()[0]
    return Span(begin, one.execute("select max(at) from changes").fetchone()[0])


def find_flows(one: sqlite3.Connection, since: int, until: int) -> list[tuple[str, str, int]]:
    """Return how many accounts moved from one segment to another in the hours between two instants (ms); the most first.

    A segment is empty where an account was seen for the first time, or ended.
    """
    rows = one.execute(
        "select from_, to_, sum(n) as total from flows where hour >= ? and hour < ? group by from_, to_ "
        "having total > 0 order by total desc, from_, to_",
        (since // HOUR * HOUR, until),
    )
    return list(rows)


def find_hours(one: sqlite3.Connection, since: int) -> list[tuple[int, str, str, int]]:
    """Return the moves of each hour from an instant (ms) on: the hour's beginning, from where, to where, how many."""
    rows = one.execute(
        "select hour, from_, to_, n from flows where hour >= ? and n <> 0 order by hour",
        (since // HOUR * HOUR,),
    )
    return list(rows)


@dataclass(frozen=True, slots=True)
class Stays:
    """How long accounts stayed in a segment that they have left, since the index begins; lengths in ms."""

    count: int
    median: int | None
    p90: int | None


def find_stays(one: sqlite3.Connection, segment: str) -> Stays:
    """Return how long accounts stayed in a segment."""
    count = one.execute(
        "select count(stay) from changes where from_ = ? and stay is not null", (segment,)
    ).fetchone()[0]
    if not count:
        return Stays(0, None, None)
    text = "select stay from changes where from_ = ? and stay is not null order by stay limit 1 offset ?"
    median, p90 = (one.execute(text, (segment, int(count * share))).fetchone()[0] for share in (0.5, 0.9))
    return Stays(count, median, p90)


@dataclass(frozen=True, slots=True)
class Switch:
    """The switch to a version at an instant (ms)."""

    version: int
    at: int


def count_moved(one: sqlite3.Connection, switches: Sequence[Switch]) -> dict[Switch, int]:
    """Return how many accounts each switch moved to another segment, until the next switch to the same version."""
    found = {}
    for switch in switches:
        later = [other.at for other in switches if other.version == switch.version and other.at > switch.at]
        found[switch] = one.execute(
            "select count(distinct account) from changes where definition = ? and at >= ? and at < ? "
            "and from_ <> to_ and void = 0",
            (switch.version, switch.at, min(later, default=NEVER)),
        ).fetchone()[0]
    return found
