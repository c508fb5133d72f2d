"""Read the instants of addresses and forms."""

from __future__ import annotations

import datetime as dt
import re
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from resegment.errors import UserError
from resegment.schemas.fact import EARLIEST, LATEST
from resegment.schemas.times import format_instant, parse_instant

_LOCAL: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,3})?)?)?", re.ASCII)


class NoZone(UserError):
    """A text of an address is no time zone."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text[:40]!r} is no time zone",
            remedy="Write a name like Europe/Berlin, America/New_York or UTC.",
        )
        self.text = text


COMMON_ZONES: Final = (
    "UTC",
    "America/Los_Angeles",
    "America/Denver",
    "America/Chicago",
    "America/New_York",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Berlin",
    "Asia/Dubai",
    "Asia/Kolkata",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Sydney",
)
"""Time zones that a page proposes; it takes each that there is."""
_DAY: Final = 86_400_000
PERIODS: Final = {
    "last hour": _DAY // 24,
    "last 24 hours": _DAY,
    "last 7 days": 7 * _DAY,
    "last 30 days": 30 * _DAY,
}
"""Periods up to now that a page proposes where times are chosen, and their lengths (ms)."""
_MINUTE: Final = 60_000
TIMES: Final = ("since", "until", "at", "asked")
"""The parameters of addresses that are times."""


@cache
def find_zones() -> frozenset[str]:
    """Return the names of all time zones."""
    return frozenset(available_timezones())


class NoInstant(UserError):
    """A text of an address is no instant at which a fact can be."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text[:40]!r} is not a time between 1970 and 2100",
            remedy="Write a day (`2026-01-31`), a day and time (`2026-01-31T09:00`), or a time with its offset "
            "(`2026-01-31T09:00:00Z`).",
        )
        self.text = text


def read_instant(text: str | None, zone: str) -> int | None:
    """Return an instant (ms): RFC 3339, or a day with or without a time in a zone. None for nothing. Raises NoInstant."""
    if text is None or not text.strip():
        return None
    match = _LOCAL.fullmatch(text.strip())
    try:
        if match is None:
            found = parse_instant(text.strip().replace(" ", "+"))  # a plus sign of an offset
        else:
            day, clock, seconds = match.groups()
            local = dt.datetime.fromisoformat(f"{day}T{clock or '00:00'}{seconds or ':00'}")
            found = int(local.replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise NoInstant(text) from None
    if not EARLIEST <= found < LATEST:  # the edges of the calendar are no instants in every zone
        raise NoInstant(text)
    return found


def begin_period(now: int, length: int) -> int:
    """Return when (ms) a period began that ends now: at a whole minute, so that its address stays the same for a while.

    >>> begin_period(1_000_123_456, 3_600_000)
    996480000
    """
    return (now - length) // _MINUTE * _MINUTE


def is_period(since: int | None, now: int, length: int) -> bool:
    """Return whether a time of an address is about the beginning of a period that ends now.

    >>> is_period(996_480_000, 1_000_123_456, 3_600_000), is_period(None, 0, 3_600_000)
    (True, False)
    """
    return since is not None and abs(now - length - since) <= length // 20


def pin_instant(text: str, zone: str) -> str:
    """Return a time of an address as an instant with its offset, which any time zone reads alike.

    A text that is no time stays as it is.

    >>> pin_instant("2026-01-31T09:00", "Asia/Tokyo"), pin_instant("soon", "UTC")
    ('2026-01-31T00:00:00Z', 'soon')
    """
    try:
        found = read_instant(text, zone)
    except NoInstant:
        return text
    return text if found is None else format_instant(found)


def spell_field(text: str, zone: str) -> str:
    """Return a time of an address as a field of a form takes it, in a time zone; nothing for a text that is no time.

    >>> spell_field("2026-01-31T00:00:00.250Z", "Asia/Tokyo"), spell_field("2026-01-31", "UTC")
    ('2026-01-31T09:00:00.250', '2026-01-31T00:00:00')
    """
    try:
        found = read_instant(text, zone)
    except NoInstant:
        return ""
    if found is None:
        return ""
    return f"{spell_local(found, zone)}{f'.{found % 1000:03}' if found % 1000 else ''}"


def spell_local(ms: int, zone: str) -> str:
    """Return an instant as a field of a form takes it: `2026-01-31T09:00:00`."""
    local = dt.datetime.fromtimestamp(ms / 1000, ZoneInfo(zone))
    return local.strftime("%Y-%m-%dT%H:%M:%S")
