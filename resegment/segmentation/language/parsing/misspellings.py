"""Recognize keys that were meant as a word of the language, or as part of a number."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from resegment.schemas.times import parse_duration

_REST_OF_NUMBER: Final = re.compile(r"[0-9]{3}(,[0-9]{3})*\+?")


def _is_duration(value: Any) -> bool:
    try:
        parse_duration(value)
    except ValueError:
        return False
    return True


def _is_window(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_duration, value))


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


def _is_count(value: Any) -> bool:
    return isinstance(value, int | dict)


_FITS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "within": _is_duration,
    "gap": _is_duration,
    "ago": _is_window,
    "where": _is_map,
    "not_followed_by": _is_map,
    "count": _is_count,
    "order": lambda value: value in ("strict", "loose"),
}
"""Whether a value is what a word of the language takes."""


def find_meant(key: str, value: Any, words: Sequence[str]) -> str | None:
    """Return the one of some words that a key beside a test of events was meant to be; None if it may be a name."""
    close = get_close_matches(key, words, 1, 0.75)
    fits = _FITS.get(close[0]) if close else None
    return close[0] if fits is not None and fits(value) else None


def is_rest_of_number(key: str, value: Any) -> bool:
    """Whether a key is the end of a number like `1,000`, which a map in braces divides."""
    return value is None and _REST_OF_NUMBER.fullmatch(key) is not None
