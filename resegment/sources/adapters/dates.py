"""Read dates and times in the spellings of exports and interfaces. A day is its first instant in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, NamedTuple

from resegment.schemas.fact import LATEST
from resegment.schemas.times import EPOCH

Order = Literal["mdy", "dmy"]
"""Which comes first in 03/04/2026: the month or the day."""

_MILLISECOND: Final = timedelta(milliseconds=1)
_ISO: Final = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})"
    r"(?:[Tt ,]+(\d{1,2}):(\d\d)(?::(\d\d)(?::\d\d)?(?:[.,](\d+))?)?\s*([AaPp]\.?[Mm]\.?)?)?"
    r"\s*(Z|z|UTC|GMT|[+-]\d\d(?:[:.]?\d\d)?)?"
)
_BASIC: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z|[+-]\d{4})?)?")
_SLASHED: Final = re.compile(
    r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d\d)"
    r"(?:[T ,]+(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d+)?)?\s*([AaPp]\.?[Mm]\.?)?)?\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)?"
)
_NAMED: Final = re.compile(
    r"(?:[A-Za-z]{3,9},?\s+)?(?:([A-Za-z]{3,9})\.?\s+(\d{1,2})(?:st|nd|rd|th)?|(\d{1,2})(?:st|nd|rd|th)?[ -]([A-Za-z]{3,9})\.?)"
    r",?[ -]+(\d{4})(?:,?\s+(?:at\s+)?(\d{1,2}):(\d\d)(?::(\d\d))?\s*([AaPp]\.?[Mm]\.?)?)?\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)?"
)
_NUMBER: Final = re.compile(r"-?\d{1,20}(?:\.\d{1,9})?")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class Moment(NamedTuple):
    """An instant in ms. `zoned` tells whether its text has a zone, or is a day."""

    ms: int
    zoned: bool


def read_moment(  # noqa: C901  # one branch for each spelling
    value: Any, *, zone: tzinfo | None = None, order: Order | None = None
) -> Moment:
    """Read a time: ISO 8601 and its relatives, epoch seconds to nanoseconds, or a date with names or slashes.

    A time without a zone is in `zone`, by default UTC, and is not `zoned`. Raises ValueError for anything else, also
    for 03/04/2026 where `order` is not known.
    """
    if isinstance(value, datetime):
        return _of(value, zone)
    if isinstance(value, bool):
        raise ValueError("true or false is no time")  # noqa: TRY004  # a wrong value of a file, like the others
    if isinstance(value, int | float):
        return _epoch(value)
    if not isinstance(value, str):
        raise ValueError(f"a {'list' if isinstance(value, list) else 'value of another type'} is no time")  # noqa: TRY004
    text = value.strip()
    if len(text) > 80:
        raise ValueError(f"{text[:40]!r}... is no time")
    if (match := _ISO.fullmatch(text)) is not None:
        year, month, day, hour, minute, second, fraction, half, offset = match.groups()
        return _build((year, month, day), (hour, minute, second, half), offset, zone, text, fraction)
    if (match := _BASIC.fullmatch(text)) is not None and text[:2] in ("19", "20"):
        year, month, day, hour, minute, second, offset = match.groups()
        return _build((year, month, day), (hour, minute, second, None), offset, zone, text)
    if _NUMBER.fullmatch(text):
        return _epoch(float(text) if "." in text else int(text))
    if (match := _SLASHED.fullmatch(text)) is not None:
        first, separator, second_part, year, hour, minute, second, half, offset = match.groups()
        month, day = _order(int(first), int(second_part), "dmy" if separator == "." else order, text)
        whole = year if len(year) == 4 else f"20{year}"
        return _build((whole, str(month), str(day)), (hour, minute, second, half), offset, zone, text)
    if (match := _NAMED.fullmatch(text)) is not None:
        name, day_after, day_before, name_after, year, hour, minute, second, half, offset = match.groups()
        word = (name or name_after).lower()[:3]
        if word in _MONTHS:
            month = _MONTHS.index(word) + 1
            return _build(
                (year, str(month), day_after or day_before),
                (hour, minute, second, half),
                offset,
                zone,
                text,
            )
    if "," in text:
        try:
            return _of(parsedate_to_datetime(text), zone)
        except (ValueError, TypeError, IndexError):
            pass
    raise ValueError(f"{text[:40]!r} is no time that is known: write 2026-01-31T09:00:00Z")


def _order(first: int, second: int, order: Order | None, text: str) -> tuple[int, int]:
    """Return month and day of a date with slashes."""
    if order == "dmy" or first > 12:
        return second, first
    if order == "mdy" or second > 12 or first == second:
        return first, second
    raise ValueError(
        f"{text[:40]!r} may be a day of either month: say which comes first with --dates mdy or --dates dmy"
    )


def _build(
    date: tuple[str, str, str],
    clock: tuple[str | None, str | None, str | None, str | None],
    offset: str | None,
    zone: tzinfo | None,
    text: str,
    fraction: str | None = None,
) -> Moment:
    year, month, day = map(int, date)
    hour, minute, second, half = clock
    try:
        if hour is None:
            return Moment(_ms(datetime(year, month, day, tzinfo=UTC)), zoned=True)
        hours = int(hour)
        if half is not None:
            if not 1 <= hours <= 12:
                raise ValueError("hour of a half day")  # noqa: TRY301
            hours = hours % 12 + (12 if half[0] in "Pp" else 0)
        micros = int((fraction or "0")[:6].ljust(6, "0"))
        own = None if offset is None else _zone(offset)
        moment = datetime(year, month, day, hours, int(minute or 0), int(second or 0), micros)  # noqa: DTZ001
        return Moment(_ms(moment.replace(tzinfo=own or zone or UTC)), zoned=own is not None)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is no real time") from None


def _zone(offset: str) -> tzinfo:
    if offset in ("Z", "z", "UTC", "GMT"):
        return UTC
    digits = offset[1:].replace(":", "").replace(".", "")
    minutes = int(digits[:2]) * 60 + int(digits[2:4] or 0)
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


def _of(moment: datetime, zone: tzinfo | None) -> Moment:
    zoned = moment.tzinfo is not None
    try:
        return Moment(_ms(moment if zoned else moment.replace(tzinfo=zone or UTC)), zoned)
    except (ValueError, OverflowError):
        raise ValueError("a time out of range") from None


def _ms(moment: datetime) -> int:
    ms = (moment - EPOCH) // _MILLISECOND
    if not 0 <= ms < LATEST:
        raise ValueError("a time out of range")
    return ms


def _epoch(value: float) -> Moment:
    """Read a number of seconds, milliseconds, microseconds or nanoseconds since 1970, whichever gives a sane year."""
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124  # NaN
        raise ValueError("no finite number")
    for unit in (1, 1_000, 1_000_000, 1_000_000_000):
        seconds = value / unit
        if 100_000_000 <= seconds < LATEST // 1000:
            exact = int(value) * 1000 // unit if isinstance(value, int) else round(seconds * 1000)
            return Moment(exact, zoned=True)
    raise ValueError(f"{str(value)[:30]} is no time: seconds or milliseconds since 1970 are expected")
