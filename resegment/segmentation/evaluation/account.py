"""Hold one account in memory: its state, and the indexes that make evaluation cheap."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from operator import attrgetter
from typing import Any, Final

from mypy_extensions import mypyc_attr

from resegment.schemas.logs.state_log import StateLog, StateWrite, encoded_size
from resegment.schemas.state import AccountState, Entry
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.groups.groups import Groups
from resegment.segmentation.evaluation.measures.series import History, Inventory, Series

SCANNED: Final = 16
"""The ids of so many facts are looked through one by one; those of more are indexed."""

IN_MEMORY: Final = 3_000
FACT_IN_MEMORY: Final = 220
BYTE_IN_MEMORY: Final = 1.1
"""About the bytes of memory that an account takes, each of its facts, and each byte of them as it is stored."""
INDEXED_IN_MEMORY: Final = 150
"""About the bytes that each fact takes beside that where there are so many that their ids are indexed."""
SHARED: Final = 100
HEAD: Final = 300
LONG_IN_MEMORY: Final = 4
"""A fact of more bytes than SHARED, as it is stored, shares no data with others: each byte more takes so many more. HEAD
is about what a state takes without facts."""


@mypyc_attr(acyclic=True)  # no part of an account refers back to it
class Account:
    """An account's state with its indexes. `values` and `untils` hold the value of each test and until when it lasts.

    `next_leaf` is the least of `untils`. `folded` are facts that were folded in from the log, for the next version of the
    definition. `log` says what the store has of the state, and what has changed since. `refused` are (source, id) of facts
    that were not taken because the account would become too large. `groups` are the groups of facts that are one fact, if
    the file has `same` and there are facts that it speaks of. `seen` has a bit for each name of a fact, by its hash.
    """

    __slots__ = (
        "_named",
        "attributes",
        "cached",
        "deadline",
        "folded",
        "groups",
        "log",
        "name",
        "next_leaf",
        "refused",
        "seen",
        "series",
        "state",
        "untils",
        "values",
    )

    def __init__(
        self,
        name: str,
        state: AccountState,
        values: list[bool | None],
        untils: list[int],
        next_leaf: int = NEVER,
    ) -> None:
        self.name, self.state = name, state
        self.values, self.untils, self.next_leaf = values, untils, next_leaf
        self.deadline = NEVER
        self.series: dict[int, Series] = {}
        self.attributes: dict[str, History | Inventory] = {}
        self.folded: AccountState | None = None
        self.log = StateLog()
        self.refused: set[tuple[str, str]] | None = None
        self.groups: Groups | None = None
        self.cached = 0
        self.seen = 0
        self._named: tuple[dict[tuple[str, str], Entry], dict[tuple[str, str], Entry]] | None = None
        """Where there are many facts: by (source, id), the fact of each revision that is remembered, and by
        (source, record) the facts whose record is not their id."""

    @property
    def histories(self) -> Iterable[History | Inventory]:
        """The histories of the attributes, each once."""
        return {id(one): one for one in self.attributes.values()}.values()

    def may_know(self, name: str) -> bool:
        """Whether a fact may have this name as an id, record or older id; if not, nothing has to be looked through."""
        return self.seen >> (hash(name) & 63) & 1 == 1

    def holder(self, source: str, name: str) -> Entry | None:
        """Return the fact that the revision with this id belongs to; None if it is not remembered."""
        if self._named is None:
            if len(self.state.entries) <= SCANNED:
                for entry in self.state.entries:
                    if (
                        entry.id == name or (entry.older is not None and name in entry.older)
                    ) and entry.source == source:
                        return entry
                return None
            self._index()
        return None if self._named is None else self._named[0].get((source, name))

    def of_record(self, source: str, record: str) -> Entry | None:
        """Return the fact of a record that is not the fact's id."""
        if self._named is None:
            if len(self.state.entries) <= SCANNED:
                for entry in self.state.entries:
                    if entry.record == record and entry.source == source:
                        return entry
                return None
            self._index()
        return None if self._named is None else self._named[1].get((source, record))

    def _index(self) -> None:
        self._named = {}, {}
        for entry in self.state.entries:
            self.remember(entry)

    def remember(self, entry: Entry) -> None:
        """Note the names of a fact, and index them if there are many."""
        self.seen |= 1 << (hash(entry.id) & 63)
        for one in entry.older or ():
            self.seen |= 1 << (hash(one) & 63)
        if entry.record is not None:
            self.seen |= 1 << (hash(entry.record) & 63)
        if self._named is None:
            return
        (ids, records), source = self._named, entry.source
        ids[source, entry.id] = entry
        for one in entry.older or ():
            ids[source, one] = entry
        if entry.record is not None:
            records[source, entry.record] = entry

    def forget(self, entry: Entry) -> None:
        """Forget the ids of a fact."""
        if self._named is None:
            return
        (ids, records), source = self._named, entry.source
        for one in (entry.id, *(entry.older or ())):
            ids.pop((source, one), None)
        if entry.record is not None:
            records.pop((source, entry.record), None)

    def reindex(self, other: Account) -> None:
        """Take over the indexes of the same account that was opened otherwise."""
        self.values, self.untils, self.next_leaf = other.values, other.untils, other.next_leaf
        self.series, self.attributes, self.groups = other.series, other.attributes, other.groups
        self._named, self.seen = None, other.seen

    def close(self) -> AccountState:
        """Return the state to store."""
        self.state.deadline = None if self.deadline == NEVER else self.deadline
        return self.state

    def write(self) -> StateWrite | None:
        """Return what to store, or None if the store has it. It counts as written."""
        return self.log.write(self.close())

    @property
    def kept_deadline(self) -> int | None:
        """The deadline as it was last stored."""
        return self.state.deadline

    def add(self, entry: Entry) -> None:
        """Remember a fact."""
        self.state.entries.append(entry)
        self.log.add(self.state.entries)
        self.remember(entry)

    def remove(self, entry: Entry) -> None:
        """Forget a fact."""
        place = self._place(entry)
        del self.state.entries[place]
        self.log.remove(place)
        self.forget(entry)

    def note(self, entry: Entry) -> None:
        """Note that a fact that is remembered has changed."""
        self.remember(entry)
        self.log.replace(self._place(entry), entry)

    def outdate(self) -> None:
        """Let the next write be of the whole state, which has changed in other ways."""
        self.log.outdate()

    def _place(self, entry: Entry) -> int:
        """Return the index of a fact. They are in the order in which they became known."""
        entries = self.state.entries
        place = bisect_left(entries, entry.known, key=_known)
        while entries[place] is not entry:
            place += 1
        return place

    def keep(self, kept: set[int]) -> None:
        """Forget all facts but some, which `kept` has by their `id()`."""
        entries = self.state.entries
        places = [place for place, one in enumerate(entries) if id(one) not in kept]
        for place in places:
            self.forget(entries[place])
        self.log.remove(*places)
        entries[:] = [one for one in entries if id(one) in kept]
        for series in (*self.series.values(), *self.histories):
            series.keep(kept)
        if self.groups is not None:
            self.groups.keep(kept)

    def fits(self, entry: Entry, replaced: Entry | None, limit: int) -> bool:
        """Return whether all facts take at most so many bytes with one more, in place of an older revision."""
        facts = encoded_size(self.state.entries)
        if facts < self.log.size // 2:
            self.log.outdate()
        return facts + encoded_size(entry) - (0 if replaced is None else encoded_size(replaced)) <= limit

    def measure(self) -> int:
        """Return about how many bytes of memory the account takes."""
        facts, stored = len(self.state.entries), self.log.whole
        size = IN_MEMORY + facts * FACT_IN_MEMORY + int(stored * BYTE_IN_MEMORY)
        if facts > SCANNED:
            size += facts * INDEXED_IN_MEMORY
        if self.groups is not None:
            size += self.groups.measure()
        return size + max(0, stored - HEAD - facts * SHARED) * LONG_IN_MEMORY

    def attribute_at(self, field: str, t: int) -> Any:
        """Return the attribute's value at t; None if it is unknown."""
        history = self.attributes.get(field)
        return None if history is None else history.value_at(t, field)

    def window(self, number: int, opens: int, closes: int, t: int) -> list[Entry]:
        """Return the facts of a series that count at t."""
        series = self.series.get(number)
        if series is None:
            return []
        low, high = series.span(opens, closes, t)
        return series.entries[low:high]

    def boundary(self, number: int, opens: int, closes: int, t: int) -> int:
        """Return the next instant after t at which a fact of a series starts or stops to count."""
        series = self.series.get(number)
        return NEVER if series is None else series.boundary(opens, closes, t)


_known = attrgetter("known")
