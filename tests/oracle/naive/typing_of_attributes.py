"""The types that a file gives to attributes of its own, and what they make of the values of a snapshot."""

import re
from typing import Any

from . import dates

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
MISFIT = object()


def number_in(text: str) -> Any:
    """The number that a text is, as JSON writes numbers."""
    match = NUMBER.fullmatch(text)
    if match is None:
        return MISFIT
    return float(text) if match[2] or match[3] else int(text)


def fitting(wanted: Any, value: Any) -> Any:
    """The value as the type has it, MISFIT where it is of another type; a missing one stays missing."""
    if value is None:
        return None
    text = isinstance(value, str)
    match wanted:
        case "text":
            return value if text else MISFIT
        case "number":
            if text:
                return number_in(value)
            return value if isinstance(value, int | float) and not isinstance(value, bool) else MISFIT
        case "date":
            return MISFIT if dates.instant(value) is None else value
        case "list":
            return value if isinstance(value, list) else MISFIT
        case {"one_of": words}:
            return value if text and value in words else MISFIT
    raise AssertionError(f"no type {wanted!r}")


def fitted(types: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    made = {name: fitting(types[name], value) if name in types else value for name, value in data.items()}
    return {name: value for name, value in made.items() if value is not MISFIT}
