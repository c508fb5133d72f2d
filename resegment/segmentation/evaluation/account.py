"""Hold one account in memory: its state, and the indexes that make evaluation cheap."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Final

import msgspec

from resegment.schemas.logs.state_log import MAX_FACT, StateLog, encoded_size
from resegment.schemas.state import AccountState, Entry
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.groups.groups import Groups

TECHNOLOGIES: Final = "technologies"

SCANNED: Final = 16
"""The ids of so many facts are looked through one by one; those of more are indexed."""
CHUNK: Final = 32
"""How many consecutive facts of a series share one summary, so that a large window is not read fact by fact."""

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

Summary = Any
"""What a measure computes from some consecutive facts; each measure has its own type."""

# An account and its parts are Structs with gc=False. A worker holds hundreds of thousands of them, and none refers back
# to its owner, so the garbage collector does not need to visit them.


class Series(msgspec.Struct, eq=False, gc=False):
    """The facts that match one matcher, in the order of (time, id, source). The newest `cap` of them count."""

    times: list[int] = []
    entries: list[Entry] = []
    cap: int = NEVER
    _summaries: dict[object, list[Summary]] | None = None

    def add(self, entry: Entry) -> None:
        times, time = self.times, entry.time
        if not times or times[-1] < time:
            times.append(time)
            self.entries.append(entry)
            return
        place = bisect_right(times, time)
        key = (entry.id, entry.source)
        while place and times[place - 1] == time and _key(self.entries[place - 1]) > key:
            place -= 1
        times.insert(place, time)
        self.entries.insert(place, entry)
        self._outdate(place)

    def remove(self, entry: Entry) -> None:
        place = bisect_left(self.times, entry.time)
        while self.entries[place] is not entry:
            place += 1
        del self.times[place]
        del self.entries[place]
        self._outdate(place)

    def _outdate(self, place: int) -> None:
        if self._summaries is not None:
            for summaries in self._summaries.values():
                del summaries[place // CHUNK :]

    def keep(self, kept: set[int]) -> None:
        """Forget all facts but some, which `kept` has by their `id()`."""
        self.entries = [entry for entry in self.entries if id(entry) in kept]
        self.times = [entry.time for entry in self.entries]
        self._summaries = None

    @property
    def floor(self) -> int:
        """The index of the first fact that counts: those before it are more than the newest `cap`."""
        return max(0, len(self.times) - self.cap)

    def reach(self, t: int) -> int:
        """Return the index after the last fact whose time is not after t."""
        times = self.times
        return len(times) if not times or times[-1] <= t else bisect_right(times, t)

    def span(self, opens: int, closes: int, t: int) -> tuple[int, int]:
        """Return the range of the facts that count at t: the first index, and the one after the last."""
        high = self.reach(t - opens)
        low = 0 if closes == NEVER else bisect_right(self.times, t - closes)
        return min(max(low, self.floor), high), high

    def summarize(
        self, key: object, low: int, high: int, summary: Callable[[list[Entry]], Summary]
    ) -> list[Summary]:
        """Summarize the facts from index `low` to before `high`, in order. Whole chunks are summarized once and kept."""
        entries = self.entries
        first, last = -(-low // CHUNK), high // CHUNK
        if last - first < 2:
            return [summary(entries[low:high])]
        if self._summaries is None:
            self._summaries = {}
        known = self._summaries.setdefault(key, [])
        while len(known) < last:
            start = len(known) * CHUNK
            known.append(summary(entries[start : start + CHUNK]))
        head, tail = entries[low : first * CHUNK], entries[last * CHUNK : high]
        return [summary(head), *known[first:last], summary(tail)]

    def newest_at(self, t: int) -> Entry | None:
        """Return the newest fact whose time is not after t."""
        place = bisect_right(self.times, t)
        return self.entries[place - 1] if place > self.floor else None

    def next_after(self, t: int) -> int:
        """Return the first time after t, or NEVER."""
        times = self.times
        if not times or times[-1] <= t:
            return NEVER
        return times[bisect_right(times, t)]

    def boundary(self, opens: int, closes: int, t: int) -> int:
        """Return the next instant after t at which a fact starts or stops counting."""
        opening = self.next_after(t - opens)
        instant = opening + opens if opening != NEVER else NEVER
        if closes == NEVER:
            return instant
        closing = self.next_after(t - closes)
        return min(instant, closing + closes) if closing != NEVER else instant


class History(Series, eq=False, gc=False, kw_only=True):
    """The snapshots that carry an attribute, or several that the same snapshots carry: so many `users`."""

    users: int = 1

    def part(self, users: int) -> History:
        """Return a history of its own for some of the users."""
        self.users -= users
        return History(self.times.copy(), self.entries.copy(), self.cap, users=users)

    def newest(self, field: str) -> Any:
        """Return the value of the newest snapshot; None if there is none, or if it clears the attribute."""
        return (self.entries[-1].data or {})[field] if self.entries else None

    def value_at(self, t: int, field: str) -> Any:
        """Return the newest value whose time is not after t; None if there is none, or if it was cleared."""
        times = self.times
        if not times:
            return None
        place = len(times) if times[-1] <= t else bisect_right(times, t)
        return (self.entries[place - 1].data or {})[field] if place > self.floor else None


class Inventory(Series, eq=False, gc=False):
    """The set of technologies: snapshots replace it, tech facts add to it and remove from it."""

    _names: set[Any] | None = None
    _applied: int = 0

    def add(self, entry: Entry) -> None:
        times = self.times
        if (
            times
            and entry.time <= times[-1]
            and (entry.time, *_key(entry)) < (times[-1], *_key(self.entries[-1]))
        ):
            self._restart()
        super().add(entry)

    def remove(self, entry: Entry) -> None:
        self._restart()
        super().remove(entry)

    def keep(self, kept: set[int]) -> None:
        self._restart()
        super().keep(kept)

    def _restart(self) -> None:
        self._names, self._applied = None, 0

    def value_at(self, t: int, field: str) -> set[Any] | None:  # noqa: ARG002  # a history's signature
        """Return the set at t; None before anything is known about it."""
        return self._reach(bisect_right(self.times, t))

    def newest(self, field: str) -> set[Any] | None:  # noqa: ARG002  # a history's signature
        """Return the set after all facts."""
        return self._reach(len(self.times))

    def _reach(self, reach: int) -> set[Any] | None:
        if reach == self._applied:
            return self._names
        if reach < self._applied:
            self._restart()
        names = self._names
        for entry in self.entries[self._applied : reach]:
            names = _apply(names, entry.data or {})
        self._names, self._applied = names, reach
        return names


def _apply(names: set[Any] | None, data: dict[str, Any]) -> set[Any]:
    if TECHNOLOGIES in data:
        return set(data[TECHNOLOGIES] or ())
    names = set() if names is None else names
    if data["change"] == "added":
        names.add(data["technology"])
    else:
        names.discard(data["technology"])
    return names


class Account(msgspec.Struct, eq=False, gc=False):
    """An account's state with its indexes. `values` and `untils` hold the value of each test and until when it lasts."""

    name: str
    state: AccountState
    values: list[bool | None]
    untils: list[int]
    deadline: int = NEVER
    next_leaf: int = NEVER
    """The least of `untils`."""
    series: dict[int, Series] = {}
    attributes: dict[str, History | Inventory] = {}
    folded: AccountState | None = None
    """Facts that were folded in from the log, for the next version of the definition."""
    log: StateLog = msgspec.field(default_factory=StateLog)
    """What the store has of the state, and what has changed since."""
    refused: set[tuple[str, str]] | None = None
    """(source, id) of facts that were not taken because the account would become too large."""
    groups: Groups | None = None
    """The groups of facts that are one fact, if the file has `same` and there are facts that it speaks of."""
    cached: int = 0
    _ids: dict[tuple[str, str], Entry] | None = None
    """(source, id) of every revision that is remembered, to the fact that it belongs to."""
    _records: dict[tuple[str, str], Entry] | None = None
    """(source, record) of the facts whose record is not their id."""

    @property
    def histories(self) -> Iterable[History | Inventory]:
        """The histories of the attributes, each once."""
        return {id(one): one for one in self.attributes.values()}.values()

    def holder(self, source: str, name: str) -> Entry | None:
        """Return the fact that the revision with this id belongs to; None if it is not remembered."""
        if self._ids is None:
            if len(self.state.entries) <= SCANNED:
                for entry in self.state.entries:
                    if (
                        entry.id == name or (entry.older is not None and name in entry.older)
                    ) and entry.source == source:
                        return entry
                return None
            self._index()
        return None if self._ids is None else self._ids.get((source, name))

    def of_record(self, source: str, record: str) -> Entry | None:
        """Return the fact of a record that is not the fact's id."""
        if self._records is None:
            if len(self.state.entries) <= SCANNED:
                for entry in self.state.entries:
                    if entry.record == record and entry.source == source:
                        return entry
                return None
            self._index()
        return None if self._records is None else self._records.get((source, record))

    def _index(self) -> None:
        self._ids, self._records = {}, {}
        for entry in self.state.entries:
            self.remember(entry)

    def remember(self, entry: Entry) -> None:
        """Index the ids of a fact, if there are many."""
        if self._ids is None or self._records is None:
            return
        source = entry.source
        self._ids[source, entry.id] = entry
        for one in entry.older or ():
            self._ids[source, one] = entry
        if entry.record is not None:
            self._records[source, entry.record] = entry

    def forget(self, entry: Entry) -> None:
        """Forget the ids of a fact."""
        if self._ids is None or self._records is None:
            return
        source = entry.source
        for one in (entry.id, *(entry.older or ())):
            self._ids.pop((source, one), None)
        if entry.record is not None:
            self._records.pop((source, entry.record), None)

    def reindex(self, other: Account) -> None:
        """Take over the indexes of the same account that was opened otherwise."""
        self.values, self.untils, self.next_leaf = other.values, other.untils, other.next_leaf
        self.series, self.attributes, self.groups = other.series, other.attributes, other.groups
        self._ids = self._records = None

    @property
    def kept_deadline(self) -> int | None:
        """The deadline as it was last stored."""
        return self.state.deadline

    def add(self, entry: Entry) -> None:
        """Remember a fact."""
        self.state.entries.append(entry)
        self.log.add(self.state.entries)
        if self._ids is not None:
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

    def is_near(self, limit: int) -> bool:
        """Return whether one more fact may bring all facts beyond so many bytes, as they are stored."""
        return self.log.size > limit - MAX_FACT

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


def _key(entry: Entry) -> tuple[str, str]:
    return entry.id, entry.source
