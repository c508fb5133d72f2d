"""Dates on a terminal, in the locale of the reader."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from resegment.localization import US, Locale

_READER: Final[ContextVar[Locale]] = ContextVar("reader", default=US)


def reader() -> Locale:
    """Return the locale of the reader."""
    return _READER.get()


@contextmanager
def reading_in(locale: Locale) -> Iterator[None]:
    """Write for readers of that locale inside the block; the command line does so for a whole command."""
    token = _READER.set(locale)
    try:
        yield
    finally:
        _READER.reset(token)


def spell_day(ms: int) -> str:
    """Return `Nov 24, 2026`."""
    return _READER.get().day(ms)


def spell_moment(ms: int) -> str:
    """Return `Nov 24, 2026, 9:00 AM`, in UTC; the place where it is printed says so."""
    return _READER.get().moment(ms)


def spell_instant(ms: int) -> str:
    """Return `Nov 24, 2026, 9:00 AM UTC`, or only the day at midnight."""
    return _READER.get().instant(ms)


def spell_dates(text: str) -> str:
    """Return a text of the core, whose instants are in RFC 3339, with the dates as the reader writes them."""
    return _READER.get().rewrite(text)
