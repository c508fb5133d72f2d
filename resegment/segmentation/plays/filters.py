"""The filters that templates may use: a closed list. What is missing passes through all but `default`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from jinja2 import StrictUndefined, Undefined

from resegment.segmentation.plays.phrases import spell_day, spell_money, spell_value

MAX_TEXT: Final = 4_000
"""How long a text that a template makes may be, in characters: as long as one that is written."""


class Filter(NamedTuple):
    """A filter and how many arguments it takes."""

    apply: Callable[..., Any]
    least: int = 0
    most: int = 0


def bound(text: str) -> str:
    """Return the text itself. Raises ValueError where it is too long."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"a text of {len(text)} characters: at most {MAX_TEXT}")
    return text


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"expected a number, not {type(value).__name__}")
    return value


def _text(value: Any) -> str:
    return bound(spell_value(value))


def _default(value: Any, instead: Any, also_false: Any = False) -> Any:
    return instead if isinstance(value, Undefined) or (also_false and not value) else value


def _title(value: Any) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in _text(value).split(" "))


def _round(value: Any, digits: int = 0) -> float:
    number = round(_number(value), _digits(digits))
    return int(number) if digits == 0 else number


def _int(value: Any) -> int:
    return int(float(value)) if isinstance(value, str) else int(_number(value))


def _digits(digits: Any) -> int:
    if type(digits) is not int or not 0 <= digits <= 10:
        raise TypeError("digits must be a whole number from 0 to 10")
    return digits


def _join(value: Any, separator: Any = ", ") -> str:
    if not isinstance(value, list | tuple):
        return _text(value)
    parts = [_text(one) for one in value if one is not None]
    if sum(len(one) for one in parts) > MAX_TEXT:
        raise ValueError(f"a list of more than {MAX_TEXT} characters")
    return bound(_text(separator).join(parts))


def _first(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise TypeError("expected a list")
    return next((one for one in value if one is not None), StrictUndefined("the list is empty"))


def _length(value: Any) -> int:
    if not isinstance(value, list | tuple | str):
        raise TypeError("expected a list or a text")
    return len(value)


def _replace(value: Any, old: Any, new: Any) -> str:
    text, old, new = _text(value), _text(old), _text(new)
    if len(text) + text.count(old) * len(new) > 2 * MAX_TEXT:
        raise ValueError(f"a text of more than {MAX_TEXT} characters")
    return bound(text.replace(old, new))


def _truncate(value: Any, length: Any = 80) -> str:
    text = spell_value(value)
    if type(length) is not int or length < 1:
        raise TypeError("the length must be a whole number, at least 1")
    if len(text) <= length:
        return text
    kept = text[: length - 1]
    return f"{kept.rpartition(' ')[0] or kept}…"


def _money(value: Any, currency: Any = "USD") -> str:
    return spell_money(_number(value), _text(currency))


def _thousands(value: Any) -> str:
    return f"{round(_number(value)):,}"


def _percent(value: Any, digits: Any = 0) -> str:
    return f"{_number(value) * 100:.{_digits(digits)}f}%"


def _date(value: Any) -> str:
    return spell_day(_text(value))


def _passing(apply: Callable[..., Any]) -> Callable[..., Any]:
    def passing(value: Any, *arguments: Any) -> Any:
        return value if isinstance(value, Undefined) else apply(value, *arguments)

    return passing


FILTERS: Final[dict[str, Filter]] = {
    "default": Filter(_default, 1, 2),
    "upper": Filter(_passing(lambda value: _text(value).upper())),
    "lower": Filter(_passing(lambda value: _text(value).lower())),
    "title": Filter(_passing(_title)),
    "round": Filter(_passing(_round), 0, 1),
    "int": Filter(_passing(_int)),
    "join": Filter(_passing(_join), 0, 1),
    "first": Filter(_passing(_first)),
    "length": Filter(_passing(_length)),
    "replace": Filter(_passing(_replace), 2, 2),
    "truncate": Filter(_passing(_truncate), 0, 1),
    "money": Filter(_passing(_money), 0, 1),
    "thousands": Filter(_passing(_thousands)),
    "percent": Filter(_passing(_percent), 0, 1),
    "date": Filter(_passing(_date)),
}
