"""Say what is wrong in a webhooks file in plain words, without quoting any value: a value may be a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from resegment.schemas.times import format_duration

_DURATIONS: Final = frozenset({"timeout", "give_up_after", "first_wait", "longest_wait", "pause"})

_TEXTS: Final = {
    "missing": "{name} is required",
    "extra_forbidden": "{name} is not a key here",
    "dict_type": "expected a map",
    "model_type": "expected a map",
    "list_type": "expected a list",
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "literal_error": "expected {expected}",
    "greater_than": "expected a number greater than {gt:,}",
    "greater_than_equal": "expected a number of at least {ge:,}",
    "less_than": "expected a number less than {lt:,}",
    "less_than_equal": "expected a number of at most {le:,}",
}


def word_error(error: Mapping[str, Any]) -> str:
    """Return the message for one of pydantic's errors."""
    kind, context = error["type"], error.get("ctx") or {}
    if kind == "too_short":
        return f"expected at least {_count(context['min_length'])}"
    if kind == "too_long":
        return f"expected at most {_count(context['max_length'])}"
    name = error["loc"][-1] if error["loc"] else "the file"
    if kind == "less_than_equal" and name in _DURATIONS:
        return f"expected at most {format_duration(round(context['le'] * 1000))}"
    if kind in _TEXTS:
        return _TEXTS[kind].format(name=repr(name), **context)
    return str(error["msg"]).removeprefix("Value error, ")


def _count(number: int) -> str:
    return "one" if number == 1 else f"{number:,}"
