"""Count in the time that people work: days and hours on the wall clock of a time zone, across its changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_DAY: Final = 86_400_000
_EPOCH: Final = dt.date(1970, 1, 1)
_FIRST_WEEKDAY: Final = 3
"""The weekday of day 0, a Thursday, where Monday is 0."""

LONGEST_SEARCH: Final = 3_700 * _DAY
"""How far ahead (ms) working time is looked for. Holidays of ten years leave none."""

Span = tuple[int, int]
"""From and to, in ms of the day."""

ALL_WEEK: Final[tuple[tuple[Span, ...], ...]] = (((0, _DAY),),) * 7


@dataclass(frozen=True, slots=True)
class WorkingTime:
    """When people work: spans for each weekday from Monday on, apart from holidays (days since 1970)."""

    zone: str = "UTC"
    week: tuple[tuple[Span, ...], ...] = ALL_WEEK
    holidays: frozenset[int] = frozenset()

    @property
    def is_always(self) -> bool:
        """Whether all time is working time."""
        return self.week == ALL_WEEK and not self.holidays

    def is_open(self, at: int) -> bool:
        """Return whether people work at `at` (ms)."""
        local = at + _offset(self.zone, at)
        return any(start <= local % _DAY < end for start, end in self._spans(local // _DAY))

    def add(self, at: int, duration: int) -> int:
        """Return the instant (ms) at which `duration` (ms, more than 0) of working time since `at` is over.

        Time that is not found within ten years is counted without regard to hours.
        """
        if self.is_always:
            return at + duration
        left = duration
        for start, end, offset in _pieces(self.zone, at):
            if start - at > LONGEST_SEARCH:
                break
            day = (start + offset) // _DAY
            for opens, closes in self._spans(day):
                begin = max(start, day * _DAY + opens - offset)
                worked = min(end, day * _DAY + closes - offset) - begin
                if worked >= left:
                    return begin + left
                left -= max(worked, 0)
        return at + duration

    def _spans(self, day: int) -> tuple[Span, ...]:
        return () if day in self.holidays else self.week[(day + _FIRST_WEEKDAY) % 7]


def day_of(at: int, zone: str = "UTC") -> str:
    """Return the local day of an instant (ms), YYYY-MM-DD."""
    return date_of(at, zone).isoformat()


def date_of(at: int, zone: str = "UTC") -> dt.date:
    """Return the local date of an instant (ms)."""
    return _EPOCH + dt.timedelta(days=(at + _offset(zone, at)) // _DAY)


def next_day(at: int, zone: str = "UTC") -> int:
    """Return the first instant (ms) after `at` that is on a later local day."""
    day = (at + _offset(zone, at)) // _DAY
    for start, _, offset in _pieces(zone, at):
        if (start + offset) // _DAY > day:
            return start
    raise AssertionError("days never end")


def number_of(day: dt.date) -> int:
    """Return the number of a day since 1970, as `WorkingTime.holidays` has it."""
    return (day - _EPOCH).days


def _pieces(zone: str, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield pieces of time from `at` on, each within one local day and with one offset: from, to and offset, ms."""
    while True:
        offset = _offset(zone, at)
        midnight = ((at + offset) // _DAY + 1) * _DAY - offset
        end = _same_offset_until(zone, at, midnight, offset)
        yield at, end, offset
        at = end


def _same_offset_until(zone: str, at: int, end: int, offset: int) -> int:
    """Return the first instant in (at, end] with another offset than `at` has; `end` if there is none."""
    if zone == "UTC" or _offset(zone, end - 1) == offset:
        return end
    same, other = at, end - 1
    while other - same > 1:
        middle = (same + other) // 2
        if _offset(zone, middle) == offset:
            same = middle
        else:
            other = middle
    return other


def _offset(zone: str, at: int) -> int:
    """Return what local time is ahead of UTC at an instant; both in ms."""
    if zone == "UTC":
        return 0
    ahead = dt.datetime.fromtimestamp(at // 1000, _zone(zone)).utcoffset()
    assert ahead is not None
    return int(ahead.total_seconds()) * 1000


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
