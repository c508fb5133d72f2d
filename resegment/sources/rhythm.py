"""Learn how often a source sends events, and say when its silence is no longer like it.

Counts of events say little: a nightly export sends thousands in one hour. So an hour counts as one with events or one
without. From the last eight weeks follows how likely each hour of the day is to have some, apart for weekdays and
weekends, in UTC. A source is silent once the hours since its last event would all be empty with a chance of at most one in
a thousand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

HOUR: Final = 3_600_000
DAY_HOURS: Final = 24
REMEMBERED: Final = 8 * 7 * DAY_HOURS
"""How many hours are looked back on."""
LEARNED_AFTER: Final = 14 * DAY_HOURS
"""A source is known once so many hours lie between its first and its last event,"""
LEARNED_FROM: Final = 10
"""and so many of them had events."""
SUREST: Final = 0.9
"""No hour is expected to have events with more certainty: one that lacks them is never a surprise by itself."""
SURPRISE: Final = 0.001 * (1 + 1e-9)
"""The chance of a silence below which it is not like the source."""

Cell = tuple[bool, int]
"""Weekend or not, and the hour of the day."""


class Usual(NamedTuple):
    """How far apart (ms) the hours with events of a source were in the last eight weeks; `hours` had some."""

    median: int
    longest: int
    hours: int


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The hours (since the epoch) with events of a source, and when (ms) the last one came."""

    hours: Collection[int]
    last: int

    def find_due(self, every: int | None = None) -> int | None:
        """Return from when on (ms) the source is silent if nothing comes; None if nothing is known of it yet.

        `every` (ms) is how often something comes, as people say it: then nothing is learned.
        """
        if every is not None:
            return self.last + every
        chances = self._chances()
        if chances is None:
            return None
        left, last = 1.0, self.last // HOUR
        for hour in range(last + 1, last + 1 + REMEMBERED):
            left *= 1 - chances.get(cell_of(hour), 0.0)
            if left <= SURPRISE:
                return (hour + 1) * HOUR
        return None

    def find_usual(self) -> Usual | None:
        """Return how far apart the hours with events usually are; None while too little is known."""
        if self._chances() is None:
            return None
        last = self.last // HOUR
        found = sorted(one for one in self.hours if last - REMEMBERED < one <= last)
        gaps = sorted(later - earlier for earlier, later in pairwise(found))
        return Usual(gaps[len(gaps) // 2] * HOUR, gaps[-1] * HOUR, len(found))

    def _chances(self) -> dict[Cell, float] | None:
        """Return how likely each hour of the day has events; None while too little is known."""
        last = self.last // HOUR
        found = sorted(one for one in self.hours if last - REMEMBERED < one <= last)
        if len(found) < LEARNED_FROM or last - found[0] < LEARNED_AFTER:
            return None
        active = Counter(map(cell_of, found))
        seen = Counter(_cells(found[0], last))
        return {cell: min(SUREST, number / (seen[cell] + 1)) for cell, number in active.items()}


def _cells(first: int, last: int) -> Iterator[Cell]:
    for hour in range(first, last + 1):
        yield cell_of(hour)


def cell_of(hour: int) -> Cell:
    """Return what kind of hour an hour since the epoch is."""
    weekday = (hour // DAY_HOURS + 3) % 7  # the epoch began on a Thursday
    return weekday >= 5, hour % DAY_HOURS
