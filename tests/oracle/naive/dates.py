"""Dates: what is one, and how it stands to another date or to the instant that is judged."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
DAY = 86_400_000
FIRST_DAY_OF_THE_EPOCH = date(1970, 1, 1).toordinal()


def days(text: str) -> int | None:
    """The days from the epoch to a date; None for an impossible day and for anything that is no date."""
    match = DATE.fullmatch(text)
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).toordinal() - FIRST_DAY_OF_THE_EPOCH
    except ValueError:
        return None


def instant(value: Any) -> int | None:
    """The milliseconds of a date's first instant in UTC, or of an instant written as an event's time is."""
    if not isinstance(value, str):
        return None
    day = days(value)
    if day is not None:
        return day * DAY
    match = INSTANT.fullmatch(value)
    if match is None:
        return None
    day, hour, minute, second = days(match[1]), int(match[2]), int(match[3]), int(match[4])
    east_hour, east_minute = int(match[7] or 0), int(match[8] or 0)
    if day is None or hour > 23 or minute > 59 or second > 59 or east_hour > 23 or east_minute > 59:
        return None
    thousandths = int(((match[5] or "") + "000")[:3])
    offset = (east_hour * 60 + east_minute) * 60_000 * (-1 if match[6] == "-" else 1)
    return day * DAY + ((hour * 60 + minute) * 60 + second) * 1_000 + thousandths - offset


def spelled(at: int) -> str:
    """An instant as text, for the value of a trait that is a time."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)
    return moment.isoformat(timespec="milliseconds")


def before(value: int, other: int) -> bool:
    return value < other


def after(value: int, other: int) -> bool:
    return value > other


def within_next(value: int, span: int, at: int) -> bool:
    return value - span <= at < value


def within_last(value: int, span: int, at: int) -> bool:
    return value <= at < value + span
