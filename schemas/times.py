"""Instants and durations as whole milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH: Final = EPOCH.replace(tzinfo=None)
_MINUTES: Final = tuple(f"{hour:02d}:{minute:02d}" for hour in range(24) for minute in range(60))
_SECONDS: Final = tuple(f":{second:02d}" for second in range(60))
_MILLIS: Final = ("Z", *(f".{millis:03d}Z" for millis in range(1, 1000)))
_HOUR_OF: Final = {f"T{hour:02d}:": hour * 3_600_000 for hour in range(24)}
_MINUTE_OF: Final = {f"{minute:02d}:": minute * 60_000 for minute in range(60)}
_SECOND_OF: Final = {f"{second:02d}": second * 1000 for second in range(60)}
_MILLIS_OF: Final = {"Z": 0} | {f".{millis:03d}Z": millis for millis in range(1000)}
_MOST_DAYS: Final = 4096
_days: Final[dict[str, int]] = {}
"""When days that were read begin, ms."""
NEVER: Final = 1 << 62
"""Later than every instant."""

HORIZON: Final = 253_402_300_799_999
"""The end of the year 9999, in ms. A change after it never happens."""

_MILLISECOND: Final = timedelta(milliseconds=1)
# datetime alone does not hold these bounds: it takes the offset +01:60 and, from Python 3.14 on, the hour 24.
_HOUR: Final = r"(?:[01]\d|2[0-3])"
_CLOCK: Final = rf"{_HOUR}:[0-5]\d:[0-5]\d"
_RFC3339: Final = re.compile(
    rf"(\d{{4}}-\d\d-\d\d)[Tt ]({_CLOCK})(?:\.(\d{{1,18}}))?([Zz]|[+-]{_HOUR}:[0-5]\d)", re.ASCII
)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_FIRST_DAY: Final = EPOCH.toordinal()
_DURATION: Final = re.compile(r"([0-9]{1,12})([smhdw])", re.ASCII)
_UNITS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def parse_instant(text: str) -> int:
    """Return the milliseconds since the epoch of an RFC 3339 time; finer digits are cut off.

    Raises ValueError if the text is not RFC 3339, has no offset, or is not a real date.
    """
    try:
        # The usual spelling: UTC, to the second or millisecond.
        known = _days[text[:10]] + _HOUR_OF[text[10:14]] + _MINUTE_OF[text[14:17]] + _SECOND_OF[text[17:19]]
        return known + _MILLIS_OF[text[19:]]
    except KeyError:
        pass
    return _parse_any(text)


def _parse_any(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not an RFC 3339 time with an offset, like 2026-01-31T09:00:00Z")
    day, clock, fraction, offset = match.groups()
    zone = "+00:00" if offset in "Zz" else offset
    whole = datetime.fromisoformat(f"{day}T{clock}{zone}")
    millis = fraction[:3].ljust(3, "0") if fraction else "0"
    if zone == "+00:00":
        if len(_days) >= _MOST_DAYS:
            _days.clear()
        _days[day] = (date.fromisoformat(day).toordinal() - _FIRST_DAY) * 86_400_000
    return (whole - EPOCH) // _MILLISECOND + int(millis)


def read_moment(text: str) -> int | None:
    """Return the milliseconds of an RFC 3339 time, or of the first instant (UTC) of a date; None for other texts."""
    return _read_short(text) if len(text) <= _LONGEST_REMEMBERED else _read_moment(text)


def _read_moment(text: str) -> int | None:
    try:
        if _DATE.fullmatch(text) is not None:
            return (date.fromisoformat(text).toordinal() - _FIRST_DAY) * 86_400_000
        return parse_instant(text)
    except (ValueError, OverflowError):
        return None


_LONGEST_REMEMBERED: Final = 64
_read_short: Final = lru_cache(maxsize=4096)(_read_moment)


def format_instant(ms: int) -> str:
    """Return an instant as RFC 3339 in UTC, with milliseconds only if there are any."""
    day, rest = divmod(ms, 86_400_000)
    minute, rest = divmod(rest, 60_000)
    second, millis = divmod(rest, 1000)
    return f"{_format_day(day)}T{_MINUTES[minute]}{_SECONDS[second]}{_MILLIS[millis]}"


def format_second(ms: int) -> str:
    """Return the second that an instant is in, as RFC 3339 in UTC.

    >>> format_second(1_700_000_000_999)
    '2023-11-14T22:13:20Z'
    """
    return format_instant(ms // 1000 * 1000)


@lru_cache(maxsize=4096)
def _format_day(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()


def parse_duration(text: object) -> int:
    """Return the milliseconds of a duration like `90d` (`s m h d w`); a day has 86,400 seconds. Raises ValueError."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a duration: a whole number with s, m, h, d or w, like 90d")
    return int(match[1]) * _UNITS[match[2]]


def format_duration(ms: int) -> str:
    """Return the shortest spelling in one unit, like `90d`, or in `ms` if no other unit fits."""
    if ms == 0:
        return "0s"
    for unit in ("d", "h", "m", "s"):
        if ms % _UNITS[unit] == 0:
            return f"{ms // _UNITS[unit]}{unit}"
    return f"{ms}ms"


def spell_duration(ms: int) -> str:
    """Return an exact duration in words, `90 days`; as `format_duration` does if it is no whole number of days."""
    days, rest = divmod(ms, _UNITS["d"])
    return format_duration(ms) if rest or not days else f"{days} day{'' if days == 1 else 's'}"


def spell_length(ms: int) -> str:
    """Return about how long something takes, in the largest unit that fits twice: `42 s`, `3 min`, `5 h`, `12 d`."""
    for unit, name in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min")):
        if ms >= 2 * unit:
            return f"{ms // unit:,} {name}"
    return f"{ms // 1000} s"
