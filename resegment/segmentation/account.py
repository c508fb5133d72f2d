"""One account in memory: its state, and the indexes that make evaluation cheap."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any, Final

from resegment.schemas.state import AccountState, Entry, append_entry
from resegment.schemas.times import NEVER

TECHNOLOGIES: Final = "technologies"


class Series:
    """The facts that match one matcher, in the order of (time, id, source)."""

    __slots__ = ("entries", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.entries: list[Entry] = []

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

    def remove(self, entry: Entry) -> None:
        place = bisect_left(self.times, entry.time)
        while self.entries[place] is not entry:
            place += 1
        del self.times[place]
        del self.entries[place]

    def newest_at(self, t: int) -> Entry | None:
        """The newest fact whose time is not after t."""
        place = bisect_right(self.times, t)
        return self.entries[place - 1] if place else None

    def next_after(self, t: int) -> int:
        """The least time greater than t, or NEVER."""
        place = bisect_right(self.times, t)
        return self.times[place] if place < len(self.times) else NEVER


class History(Series):
    """The snapshots that carry one attribute."""

    __slots__ = ("field",)

    def __init__(self, field: str) -> None:
        super().__init__()
        self.field = field

    def value_at(self, t: int) -> Any:
        """The newest value whose time is not after t; None where there is none, or it is gone."""
        times = self.times
        if not times:
            return None
        place = len(times) if times[-1] <= t else bisect_right(times, t)
        return (self.entries[place - 1].data or {})[self.field] if place else None


class Inventory(Series):
    """The set of technologies: snapshots replace it, tech facts add to it and take from it."""

    __slots__ = ("_applied", "_names")

    def __init__(self) -> None:
        super().__init__()
        self._names: set[Any] | None = None
        self._applied = 0

    def add(self, entry: Entry) -> None:
        if self.times and (entry.time, entry.id, entry.source) < (self.times[-1], *_key(self.entries[-1])):
            self._applied = 0
        super().add(entry)

    def remove(self, entry: Entry) -> None:
        self._applied = 0
        super().remove(entry)

    def value_at(self, t: int) -> set[Any] | None:
        """The set at t, or None before anything is known of it."""
        reach = bisect_right(self.times, t)
        if reach < self._applied or not self._applied:
            self._names, self._applied = None, 0
        for entry in self.entries[self._applied : reach]:
            self._names = _apply(self._names, entry.data or {})
        self._applied = reach
        return self._names


def _apply(names: set[Any] | None, data: dict[str, Any]) -> set[Any]:
    if TECHNOLOGIES in data:
        return set(data[TECHNOLOGIES] or ())
    names = set() if names is None else names
    if data["change"] == "added":
        names.add(data["technology"])
    else:
        names.discard(data["technology"])
    return names


class Account:
    """An account's state with its indexes; `values` and `untils` hold what each test says and until when."""

    __slots__ = (
        "attributes",
        "body",
        "deadline",
        "ids",
        "name",
        "next_leaf",
        "records",
        "series",
        "state",
        "untils",
        "values",
    )

    def __init__(self, name: str, state: AccountState, leaves: int) -> None:
        self.name = name
        self.state = state
        self.ids: dict[tuple[str, str], Entry] = {}
        """(source, id) of every revision that is remembered, to the fact that it belongs to."""
        self.records: dict[tuple[str, str], Entry] = {}
        """(source, record) of the facts whose record is not their id."""
        self.body: bytearray | None = None
        """The encoded entries, where they are at hand."""
        self.series: dict[int, Series] = {}
        self.attributes: dict[str, History | Inventory] = {}
        self.values: list[bool | None] = [None] * leaves
        self.untils: list[int] = [-1] * leaves
        self.next_leaf = -1
        self.deadline = NEVER if state.deadline is None else state.deadline

    def add(self, entry: Entry) -> None:
        """Remember a fact."""
        self.state.entries.append(entry)
        if self.body is not None:
            append_entry(self.body, entry)

    def remove(self, entry: Entry) -> None:
        """Forget a fact."""
        entries = self.state.entries
        del entries[next(place for place, one in enumerate(entries) if one is entry)]
        self.body = None

    def attribute_at(self, field: str, t: int) -> Any:
        """The attribute's value at t; None where it is unknown."""
        history = self.attributes.get(field)
        return None if history is None else history.value_at(t)

    def window(self, number: int, opens: int, closes: int, t: int) -> list[Entry]:
        """The facts of a series that count at t."""
        series = self.series.get(number)
        if series is None:
            return []
        times = series.times
        low = bisect_right(times, t - closes) if closes != NEVER else 0
        return series.entries[low : bisect_right(times, t - opens)]

    def boundary(self, number: int, opens: int, closes: int, t: int) -> int:
        """The next instant after t at which a fact of a series starts or stops to count."""
        series = self.series.get(number)
        if series is None:
            return NEVER
        opening = series.next_after(t - opens)
        instant = opening + opens if opening != NEVER else NEVER
        if closes == NEVER:
            return instant
        closing = series.next_after(t - closes)
        return min(instant, closing + closes) if closing != NEVER else instant


def _key(entry: Entry) -> tuple[str, str]:
    return entry.id, entry.source
