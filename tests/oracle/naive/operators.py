"""Kleene's logic, and the tests of one value."""

import re
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from . import dates, lists
from .facts import Moment, Truth, duration


def every(truths: Iterable[Truth]) -> Truth:
    seen = list(truths)
    return False if False in seen else None if None in seen else True


def some(truths: Iterable[Truth]) -> Truth:
    seen = list(truths)
    return True if True in seen else None if None in seen else False


def negation(truth: Truth) -> Truth:
    return None if truth is None else not truth


def is_number(value: object) -> bool:
    return isinstance(value, int | float | Fraction | Decimal) and not isinstance(value, bool)


def type_of(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if is_number(value):
        return "number"
    if isinstance(value, str):
        return "string"
    return "collection"


def identity(value: Any) -> tuple[str, Any]:
    """What two values share exactly when they are equal: true is not 1, 1.0 is."""
    if isinstance(value, list):
        return "list", tuple(map(identity, value))
    if isinstance(value, dict):
        return "map", frozenset((key, identity(inner)) for key, inner in value.items())
    return type_of(value), value


def equals(value: Any, other: Any) -> Truth:
    if is_number(other) and (several := numbers_of(value)) is not None:
        low, high = several[0], several[-1]
        return (True if low == high else None) if low <= other <= high else False
    if type_of(value) != type_of(other) or type_of(value) == "collection":
        return None
    return bool(value == other)


def is_in(value: Any, others: list[Any]) -> Truth:
    if numbers_of(value) is not None and any(map(is_number, others)):
        return some(equals(value, other) for other in others if is_number(other) or other == value)
    answers = [equals(value, other) for other in others]
    return None if all(answer is None for answer in answers) else True in answers


def numbers_of(value: Any) -> list[Any] | None:
    """Some numbers of a range in text, with both its ends and all that a test could ask of: `51-53`, `51+`."""
    found = re.fullmatch(r"(\d+)(?:-(\d+)|\+)", value) if isinstance(value, str) else None
    if found is None:
        return None
    low = int(found[1])
    high = int(found[2]) if found[2] else max(low, 10**6)
    return [*range(low, high + 1)] if high - low < 1000 else [low, *range(0, high, max(1, high // 977)), high]


def passes_order(name: str, value: Any, operand: Any) -> Truth:
    several = numbers_of(value)
    if several is not None:
        low, high = several[0], several[-1]
        answers = {passes_order(name, one, operand) for one in several if low <= one <= high}
        return answers.pop() if len(answers) == 1 else None
    if not is_number(value):
        return None
    match name:
        case "gt":
            return bool(value > operand)
        case "gte":
            return bool(value >= operand)
        case "lt":
            return bool(value < operand)
        case "lte":
            return bool(value <= operand)
        case _:
            return bool(operand[0] <= value <= operand[1])


def passes_set(name: str, value: Any, operand: list[Any]) -> Truth:
    if not isinstance(value, list | frozenset):
        return None
    has = {identity(element) for element in value}
    asked = {identity(element) for element in operand}
    match name:
        case "has_any":
            return bool(has & asked)
        case "has_all":
            return asked <= has
        case _:
            return not (has & asked)


def contains(text: str, piece: str) -> bool:
    return piece.casefold() in text.casefold()


def contains_any(text: str, pieces: list[str]) -> bool:
    return any(contains(text, piece) for piece in pieces)


def passes_text(name: str, value: Any, operand: Any) -> Truth:
    if not isinstance(value, str):
        return None
    match name:
        case "contains":
            return contains(value, operand)
        case "contains_any":
            return contains_any(value, operand)
        case _:
            return re.search(operand, value) is not None


def passes_date(name: str, value: Any, operand: str, at: int) -> Truth:
    when = dates.instant(value)
    if when is None:
        return None
    if name in {"before", "after"}:
        other = dates.instant(operand)
        assert other is not None, f"not a date: {operand!r}"
        return dates.before(when, other) if name == "before" else dates.after(when, other)
    if name == "within_next":
        return dates.within_next(when, duration(operand), at)
    return dates.within_last(when, duration(operand), at)


def passes_list(moment: Moment, name: str, value: Any, operand: Any, *, is_account: bool) -> Truth:
    """The operators whose operand is a list: written out, by its name, or in a file."""
    if name.endswith("in_file"):
        found = lists.in_file(moment, value, operand, is_account=is_account)
        return negation(found) if name == "not_in_file" else found
    whole = lists.named(moment, operand)
    match name:
        case "in":
            return is_in(value, whole)
        case "not_in":
            return negation(is_in(value, whole))
        case "contains_any":
            return passes_text(name, value, whole)
        case _:
            return passes_set(name, value, whole)


def passes_operator(
    moment: Moment, name: str, value: Any, operand: Any, *, is_account: bool = False
) -> Truth:
    if name == "exists":
        return bool(operand) == (value is not None)
    if value is None:
        return None
    match name:
        case "eq":
            return equals(value, operand)
        case "ne":
            return negation(equals(value, operand))
        case "gt" | "gte" | "lt" | "lte" | "between":
            return passes_order(name, value, lists.named(moment, operand))
        case "contains" | "matches":
            return passes_text(name, value, operand)
        case "before" | "after" | "within_next" | "within_last":
            return passes_date(name, value, operand, moment.at)
        case (
            "in" | "not_in" | "has_any" | "has_all" | "has_none" | "contains_any" | "in_file" | "not_in_file"
        ):
            return passes_list(moment, name, value, operand, is_account=is_account)
    raise AssertionError(f"no operator {name!r}")


def passes(moment: Moment, value: Any, test: Any, *, is_account: bool = False) -> Truth:
    """Whether a value, None where it is missing, passes `scalar`, `[a, b]`, `$name` or `{operator: operand}`."""
    if isinstance(test, dict):
        return every(
            passes_operator(moment, name, value, operand, is_account=is_account)
            for name, operand in test.items()
        )
    whole = isinstance(test, list) or lists.is_name_of_a_list(test)
    return passes_operator(moment, "in" if whole else "eq", value, test, is_account=is_account)
