"""The values that the parts of a segments file are written with: texts, durations, shares, days, hours."""

from __future__ import annotations

import datetime as dt
import re
from difflib import get_close_matches
from typing import Annotated, Final, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr, model_validator

from resegment.schemas.times import parse_duration


def _check_duration(text: str) -> str:
    parse_duration(text)
    return text


def _check_positive(text: str) -> str:
    if parse_duration(text) == 0:
        raise ValueError("a duration of zero")
    return text


Text = Annotated[StrictStr, Field(min_length=1, max_length=4000)]
Word = Annotated[StrictStr, Field(min_length=1, max_length=128)]
Duration = Annotated[
    StrictStr, AfterValidator(_check_duration), Field(json_schema_extra={"pattern": "^[0-9]{1,12}[smhdw]$"})
]
PositiveDuration = Annotated[
    StrictStr, AfterValidator(_check_positive), Field(json_schema_extra={"pattern": "^[0-9]{1,12}[smhdw]$"})
]


def read_share(text: str) -> float:
    """Return `10%` as 0.1. Raises ValueError."""
    number = float(text.removesuffix("%")) / 100 if text.endswith("%") else -1.0
    if not 0 < number < 1:
        raise ValueError("expected a share between 0% and 100%, like 10%")
    return number


def _check_share(text: str) -> str:
    read_share(text)
    return text


def _check_day(text: str) -> str:
    try:
        dt.date.fromisoformat(text if len(text) == len("2026-12-24") else "")
    except ValueError:
        raise ValueError(f"expected a day like 2026-12-24, not {text!r}") from None
    return text


Share = Annotated[
    StrictStr,
    AfterValidator(_check_share),
    Field(json_schema_extra={"pattern": r"^[0-9]{1,2}(\.[0-9]+)?%$", "examples": ["10%"]}),
]
Day = Annotated[
    StrictStr,
    AfterValidator(_check_day),
    Field(json_schema_extra={"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "examples": ["2026-12-24"]}),
]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

_DAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)
_MINUTES_A_DAY: Final = 1440
_TIMES: Final = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])-([01]?[0-9]|2[0-4]):([0-5][0-9])")
_HOURS_LIKE: Final = "expected hours like mon-fri 09:00-17:00"


def read_hours(text: str) -> list[tuple[int, int, int]]:
    """Return hours like `mon-fri 09:00-12:00,13:00-17:00` as weekday (Monday is 0) and minutes from and to.

    Times that end on the next day are two entries. Raises ValueError.
    """
    days, _, times = text.strip().partition(" ")
    found = []
    for day in (one for part in days.split(",") for one in _read_days(part)):
        for part in times.strip().split(","):
            match = _TIMES.fullmatch(part.strip())
            if match is None:
                raise ValueError(f"{_HOURS_LIKE}, not {text!r}")
            start, end = (int(match[one]) * 60 + int(match[one + 1]) for one in (1, 3))
            if max(start, end) > _MINUTES_A_DAY or start in (end, _MINUTES_A_DAY):
                raise ValueError(f"{_HOURS_LIKE}, not {text!r}")
            if start < end:
                found.append((day, start, end))
            else:
                found.append((day, start, _MINUTES_A_DAY))
                found += [((day + 1) % 7, 0, end)] if end else []
    return found


def _read_days(text: str) -> list[int]:
    first, _, last = text.partition("-")
    try:
        start, end = (_DAYS.index(one) for one in (first, last or first))
    except ValueError:
        raise ValueError(f"{_HOURS_LIKE}, not days {text!r}") from None
    return [one % 7 for one in range(start, end + 1 if start <= end else end + 8)]


def _check_hours(text: str) -> str:
    read_hours(text)
    return text


class WrongZone(ValueError):
    """No time zone of the IANA database has that name, or what it means depends on the machine."""

    def __init__(self, text: str) -> None:
        super().__init__(f"expected a time zone like America/New_York, not {text[:80]!r}")
        meant = find_zone(text)
        self.remedy = None if meant is None else f"did you mean {meant!r}?"


def find_zone(text: str) -> str | None:
    """Return the time zone that was probably meant: by a misspelled name, a city or an abbreviation; None if none is close."""
    wanted = text[:80].strip().casefold().replace(" ", "_")
    if wanted in _ABBREVIATED:
        return _ABBREVIATED[wanted]
    zones = sorted(one for one in available_timezones() if "/" in one and not one.startswith("Etc/"))
    whole = {one.casefold(): one for one in zones}
    cities = {one.rpartition("/")[2]: zone for one, zone in reversed(whole.items())}
    for names in (whole, cities):
        if wanted in names:
            return names[wanted]
    for names, name in ((whole, wanted), (cities, wanted.rpartition("/")[2])):
        if close := get_close_matches(name, names, 1, 0.8):
            return names[close[0]]
    return None


_ABBREVIATED: Final = {
    "pst": "America/Los_Angeles",
    "pdt": "America/Los_Angeles",
    "mdt": "America/Denver",
    "cst": "America/Chicago",
    "cdt": "America/Chicago",
    "edt": "America/New_York",
    "bst": "Europe/London",
    "cest": "Europe/Berlin",
    "ist": "Asia/Kolkata",
    "jst": "Asia/Tokyo",
}
_OF_THE_MACHINE: Final = ("localtime", "posixrules", "Factory")


def _check_zone(text: str) -> str:
    if text in _OF_THE_MACHINE or text.startswith(("posix/", "right/")):
        raise WrongZone(text)
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise WrongZone(text) from None
    return text


def _check_settle(text: str) -> str:
    if parse_duration(text) > parse_duration("10m"):
        raise ValueError("a duration of more than 10m: a line settles within 10 minutes")
    return text


Hours = Annotated[
    StrictStr, AfterValidator(_check_hours), Field(json_schema_extra={"examples": ["mon-fri 09:00-17:00"]})
]
TimeZone = Annotated[
    StrictStr, AfterValidator(_check_zone), Field(json_schema_extra={"examples": ["America/New_York"]})
]
SettleTime = Annotated[Duration, AfterValidator(_check_settle)]
Domain = Annotated[StrictStr, Field(min_length=1, max_length=253)]


class Absence(BaseModel):
    """Days from one to another, both included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first: Day = Field(alias="from")
    last: Day = Field(alias="to")

    @model_validator(mode="after")
    def _check_order(self) -> Absence:
        if self.last < self.first:
            raise ValueError("an absence ends on its first day or later")
        return self
