"""Keep the facts of an account that match a test, and the snapshots of its attributes, in the order of their times."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from mypy_extensions import mypyc_attr

from resegment.schemas.state import Entry
from resegment.schemas.times import NEVER

TECHNOLOGIES: Final = "technologies"

CHUNK: Final = 32
"""How many consecutive facts of a series share one summary, so that a large window is not read fact by fact."""

Summary = Any
"""What a measure computes from some consecutive facts; each measure has its own type."""


# A worker holds hundreds of thousands of these, and none refers back to its owner. So where they are compiled, the
# garbage collector does not visit them: they are acyclic.


@mypyc_attr(acyclic=True)
class Series:
    """The facts that match one matcher, in the order of (time, id, source). The newest `cap` of them count."""

    __slots__ = ("_summaries", "cap", "entries")

    def __init__(self, entries: list[Entry], cap: int = NEVER) -> None:
        self.entries, self.cap = entries, cap
        self._summaries: dict[object, list[Summary]] | None = None

    def add(self, entry: Entry) -> None:
        entries, time = self.entries, entry.time
        if not entries or entries[-1].time < time:
            entries.append(entry)
            return
        place = self.reach(time)
        key = (entry.id, entry.source)
        while place and entries[place - 1].time == time and _key(entries[place - 1]) > key:
            place -= 1
        entries.insert(place, entry)
        self._outdate(place)

    def remove(self, entry: Entry) -> None:
        place = self.find(entry.time)
        while self.entries[place] is not entry:
            place += 1
        del self.entries[place]
        self._outdate(place)

    def _outdate(self, place: int) -> None:
        if self._summaries is not None:
            for summaries in self._summaries.values():
                del summaries[place // CHUNK :]

    def keep(self, kept: set[int]) -> None:
        """Forget all facts but some, which `kept` has by their `id()`."""
        self.entries = [entry for entry in self.entries if id(entry) in kept]
        self._summaries = None

    @property
    def floor(self) -> int:
        """The index of the first fact that counts: those before it are more than the newest `cap`."""
        return max(0, len(self.entries) - self.cap)

    def reach(self, t: int) -> int:
        """Return the index after the last fact whose time is not after t."""
        entries = self.entries
        size = len(entries)
        if not size or entries[-1].time <= t:
            return size
        return bisect_right(entries, t, 0, size, key=_time)

    def find(self, t: int) -> int:
        """Return the index of the first fact whose time is not before t."""
        return bisect_left(self.entries, t, key=_time)

    def span(self, opens: int, closes: int, t: int) -> tuple[int, int]:
        """Return the range of the facts that count at t: the first index, and the one after the last."""
        high = self.reach(t - opens)
        low = 0 if closes == NEVER else self.reach(t - closes)
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
        place = self.reach(t)
        return self.entries[place - 1] if place > self.floor else None

    def next_after(self, t: int) -> int:
        """Return the first time after t, or NEVER."""
        place = self.reach(t)
        return self.entries[place].time if place < len(self.entries) else NEVER

    def boundary(self, opens: int, closes: int, t: int) -> int:
        """Return the next instant after t at which a fact starts or stops counting."""
        opening = self.next_after(t - opens)
        instant = opening + opens if opening != NEVER else NEVER
        if closes == NEVER:
            return instant
        closing = self.next_after(t - closes)
        return min(instant, closing + closes) if closing != NEVER else instant


@mypyc_attr(acyclic=True)
class History(Series):
    """The snapshots that carry an attribute, or several that the same snapshots carry: so many `users`."""

    __slots__ = ("users",)

    def __init__(self, entries: list[Entry], cap: int, users: int) -> None:
        super().__init__(entries, cap)
        self.users = users

    def part(self, users: int) -> History:
        """Return a history of its own for some of the users."""
        self.users -= users
        return History(self.entries.copy(), self.cap, users)

    def newest(self, field: str) -> Any:
        """Return the value of the newest snapshot; None if there is none, or if it clears the attribute."""
        return (self.entries[-1].data or {})[field] if self.entries else None

    def value_at(self, t: int, field: str) -> Any:
        """Return the newest value whose time is not after t; None if there is none, or if it was cleared."""
        place = self.reach(t)
        return (self.entries[place - 1].data or {})[field] if place > self.floor else None


@mypyc_attr(acyclic=True)
class Inventory(Series):
    """The set of technologies: snapshots replace it, tech facts add to it and remove from it."""

    __slots__ = ("_applied", "_names")

    def __init__(self, entries: list[Entry]) -> None:
        super().__init__(entries)
        self._names: set[Any] | None = None
        self._applied = 0

    def add(self, entry: Entry) -> None:
        if self.entries:
            last = self.entries[-1]
            if entry.time <= last.time and (entry.time, *_key(entry)) < (last.time, *_key(last)):
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
        return self._apply_to(self.reach(t))

    def newest(self, field: str) -> set[Any] | None:  # noqa: ARG002  # a history's signature
        """Return the set after all facts."""
        return self._apply_to(len(self.entries))

    def _apply_to(self, reach: int) -> set[Any] | None:
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


def _key(entry: Entry) -> tuple[str, str]:
    return entry.id, entry.source


_time: Final = attrgetter("time")
