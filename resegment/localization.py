"""Dates and money for people, as their locale writes them. Programs get RFC 3339 and plain numbers instead.

>>> US.day(1_795_510_800_000)
'Nov 24, 2026'
>>> US.money(12_000_000, "USD")
'$12M'
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

import babel
from babel.dates import format_date, format_time
from babel.numbers import format_compact_currency

from resegment.errors import UserError
from resegment.schemas.times import EPOCH, parse_instant

DEFAULT: Final = "en_US"
UTC: Final = "UTC"

_DAY: Final = 86_400_000
_SPACES: Final = str.maketrans({"\u202f": " ", "\u00a0": " "})
"""Locale data has spaces that do not break; terminals and messages get plain ones."""

_INSTANT: Final = re.compile(
    r"(?<![\w./:@#=+%-])(?<!\bid )(\d{4}-\d\d-\d\d)(T\d\d:\d\d:\d\d(?:\.\d{3})?Z)?(?![\w/@#=+%-]|[.:]\w)",
    re.ASCII,
)


class UnknownLocale(UserError):
    """No locale has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"unknown locale {name!r}", remedy="Set RESEGMENT_LOCALE to a name like en_US, en_GB or de_DE."
        )
        self.name = name


@dataclass(frozen=True, slots=True)
class Locale:
    """How people of one locale write dates and money; times are in UTC, or in the time zone of an IANA name."""

    name: str
    zone: str = UTC

    def day(self, ms: int) -> str:
        """Return the day of an instant: `Nov 24, 2026`."""
        return _format_day(self.name, self._shift(ms) // _DAY)

    def moment(self, ms: int) -> str:
        """Return day and time: `Nov 24, 2026, 9:00 AM`. Seconds are left out where they are zero."""
        seconds = self._shift(ms) % _DAY // 1000
        style: Literal["short", "medium"] = "short" if ms % 60_000 < 1000 else "medium"
        return f"{self.day(ms)}, {_format_time(self.name, seconds, style)}"

    def instant(self, ms: int) -> str:
        """Return an instant as short as it can be said: the day at midnight, else with its time and zone, like `UTC`."""
        if self.zone == UTC:
            return f"{self.moment(ms)} UTC" if ms % _DAY else self.day(ms)
        return f"{self.moment(ms)} {self._zone_name(ms)}"

    def _shift(self, ms: int) -> int:
        """Return the instant in UTC at which clocks show what those of the zone show now."""
        if self.zone == UTC:
            return ms
        offset = _moment(ms).astimezone(ZoneInfo(self.zone)).utcoffset() or dt.timedelta()
        return ms + offset // dt.timedelta(milliseconds=1)

    def _zone_name(self, ms: int) -> str:
        return _moment(ms).astimezone(ZoneInfo(self.zone)).tzname() or self.zone

    def money(self, amount: float, currency: str = "USD") -> str:
        """Return an amount in short: `$12M`, `€1.2M`, `$512`."""
        known = currency if len(currency) == 3 and currency.isalpha() else ""
        text = str(format_compact_currency(amount, known, locale=self.name, fraction_digits=1)).translate(
            _SPACES
        )
        return text if known else f"{currency} {text.strip()}"

    def rewrite(self, text: str) -> str:
        """Return the text with each RFC 3339 instant in UTC, and each day like 2026-03-03, as the locale writes it."""
        return _INSTANT.sub(self._respell, text)

    def _respell(self, match: re.Match[str]) -> str:
        try:
            ms = parse_instant(match[0] if match[2] else f"{match[1]}T00:00:00Z")
        except ValueError:  # digits that are no day of the calendar
            return match[0]
        return self.instant(ms) if match[2] else _format_day(self.name, ms // _DAY)


def read_locale(name: str) -> Locale:
    """Return the locale of a name like `en_US` or `de-DE`. Raises UnknownLocale."""
    try:
        known = babel.Locale.parse(name.replace("-", "_"))
    except (ValueError, TypeError, babel.UnknownLocaleError):
        raise UnknownLocale(name) from None
    return Locale(str(known))


US: Final = Locale(DEFAULT)


_TEXTS: Final[ContextVar[Locale]] = ContextVar("texts", default=US)


def locale_of_texts() -> Locale:
    """Return the locale of dates and money in texts about facts: US, as in commands, unless somebody reads them here."""
    return _TEXTS.get()


@contextmanager
def texts_in(locale: Locale) -> Iterator[None]:
    """Write texts about facts for readers of that locale inside the block. Workers never do."""
    token = _TEXTS.set(locale)
    try:
        yield
    finally:
        _TEXTS.reset(token)


def _moment(ms: int) -> dt.datetime:
    return EPOCH + dt.timedelta(milliseconds=ms)


@lru_cache(maxsize=1024)
def _format_day(name: str, day: int) -> str:
    return str(format_date(_moment(day * _DAY), "medium", locale=name)).translate(_SPACES)


@lru_cache(maxsize=8192)
def _format_time(name: str, seconds: int, style: Literal["short", "medium"]) -> str:
    """Return the time of a day, by the seconds since its beginning."""
    return str(format_time(_moment(seconds * 1000), style, locale=name)).translate(_SPACES)
