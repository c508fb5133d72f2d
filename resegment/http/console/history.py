"""Sizes, entries and exits of segments over time, from how many accounts moved in each hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from resegment.schemas.times import format_instant, format_second, parse_duration

HOUR: Final = 3_600_000
SPANS: Final = ("24h", "7d", "30d", "90d", "all")
_WORDS: Final = {
    "24h": "last 24 hours",
    "7d": "last 7 days",
    "30d": "last 30 days",
    "90d": "last 90 days",
    "all": "everything",
}
_BUCKETS: Final = 84
"""About how many buckets a chart has."""

Moves = tuple[int, str, str, int]
"""The beginning of an hour (ms), from which segment, to which, and how many accounts."""


@dataclass(frozen=True, slots=True)
class Window:
    """The time that is shown (ms), and the length of one bucket of its charts. `name` is as in `SPANS`."""

    name: str
    since: int
    until: int
    bucket: int

    @property
    def hours(self) -> int:
        """How many hours a bucket has."""
        return self.bucket // HOUR

    @property
    def starts(self) -> range:
        """Where each bucket begins."""
        return range(self.since, max(self.until, self.since + 1), self.bucket)

    @staticmethod
    def words(name: str) -> str:
        """Return one of `SPANS` in words.

        >>> Window.words("30d"), Window.words("all")
        ('last 30 days', 'everything')
        """
        return _WORDS[name]

    def tell(self) -> str:
        """Say which time is shown; instants are in RFC 3339."""
        return f"from {format_instant(self.since)} to {format_second(self.until)}"


def choose_window(name: str | None, *, begin: int | None, now: int, replayed: bool) -> Window:
    """Return the window of a name; what is in none is the last 7 days, or all of a replay.

    `begin` is the oldest change that is known. Buckets begin at whole hours.
    """
    chosen = name if name in SPANS else "all" if replayed else "7d"
    oldest = now if begin is None else begin
    since = oldest if chosen == "all" else max(oldest, now - parse_duration(chosen))
    since = since // HOUR * HOUR
    hours = max(1, -(-(now - since) // (HOUR * _BUCKETS)))
    return Window(chosen, since, now, _round(hours) * HOUR)


def _round(hours: int) -> int:
    """Return a length that people count in: hours of a day, or whole days."""
    for length in (1, 2, 3, 4, 6, 12, 24):
        if hours <= length:
            return length
    return -(-hours // 24) * 24


@dataclass(frozen=True, slots=True)
class SegmentPast:
    """A segment in a window: its size at the end of each bucket, and how many accounts entered and left it in all."""

    name: str
    sizes: tuple[int, ...]
    entries: int
    exits: int

    @property
    def net(self) -> int:
        """By how many accounts it grew; negative where it shrank."""
        return self.entries - self.exits


@dataclass(frozen=True, slots=True)
class Past:
    """What happened in a window. `moves` counts changes of segment by bucket, `first` those of accounts seen first."""

    window: Window
    segments: Mapping[str, SegmentPast]
    moves: tuple[int, ...]
    first: tuple[int, ...]

    def gained(self, most: int) -> list[SegmentPast]:
        """Return the segments that grew most, those of one size by name."""
        grown = sorted(self.segments.values(), key=lambda one: (-one.net, one.name))
        return [one for one in grown[:most] if one.net > 0]

    def lost(self, most: int) -> list[SegmentPast]:
        """Return the segments that shrank most."""
        shrunk = sorted(self.segments.values(), key=lambda one: (one.net, one.name))
        return [one for one in shrunk[:most] if one.net < 0]


def trace(window: Window, hours: Iterable[Moves], sizes: Mapping[str, int], names: Sequence[str]) -> Past:
    """Return the past of a window; `sizes` are those at its end, from which earlier ones are counted back.

    `hours` has at least every move of the window. Segments that are not among `names` are those of earlier versions.
    """
    count = len(window.starts)
    changed = [Counter[str]() for _ in range(count)]
    moves, first = [0] * count, [0] * count
    entries: Counter[str] = Counter()
    exits: Counter[str] = Counter()
    for hour, from_, to, number in hours:
        place = (hour - window.since) // window.bucket
        if not 0 <= place < count:
            continue
        changed[place][to] += number
        changed[place][from_] -= number
        entries[to] += number
        exits[from_] += number
        if from_:
            moves[place] += number
        else:
            first[place] += number
    every = list(dict.fromkeys([*names, *sorted(entries | exits | Counter(sizes))]))
    found = {}
    for name in every:
        if not name:
            continue
        size, back = sizes.get(name, 0), []
        for place in range(count - 1, -1, -1):
            back.append(max(0, size))
            size -= changed[place][name]
        found[name] = SegmentPast(name, tuple(reversed(back)), entries[name], exits[name])
    return Past(window, found, tuple(moves), tuple(first))
