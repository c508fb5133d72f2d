"""Operators on one value: what each takes, and what it says (true, false, or None for unknown)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any, Final

import re2

from resegment.schemas.times import read_moment
from resegment.schemas.vocabulary import read_range
from resegment.segmentation.language.conditions import Check, Checks, FileList, Scalar

Predicate = Callable[[Any], bool | None]

OPERATORS: Final = (
    "eq",
    "ne",
    "in",
    "not_in",
    "gt",
    "gte",
    "lt",
    "lte",
    "between",
    "contains",
    "contains_any",
    "matches",
    "in_file",
    "not_in_file",
    "before",
    "after",
    "within_next",
    "within_last",
    "has_any",
    "has_all",
    "has_none",
    "exists",
    "known_within",
)
ORDERINGS: Final = frozenset({"gt", "gte", "lt", "lte", "between"})
ON_COLLECTIONS: Final = frozenset({"has_any", "has_all", "has_none"})
ON_TEXT: Final = frozenset({"contains", "contains_any", "matches"})
ON_FILES: Final = frozenset({"in_file", "not_in_file"})
ON_DATES: Final = frozenset({"before", "after", "within_next", "within_last"})
KNOWN_WITHIN: Final = "known_within"
IN_TIME: Final = frozenset({"within_next", "within_last", KNOWN_WITHIN})
"""Operators whose answer depends on the instant, so that they take more than a value."""
_NUMBERS: Final = (int, float)
_LONGEST_MOMENT: Final = 64
"""No longer text is an instant."""
EQUALITIES: Final = frozenset({"eq", "ne", "in", "not_in"})


def type_of(value: Any) -> str:
    """`text`, `number`, `bool`, `collection`, or `other`: a bool is no number."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, list | tuple | set | frozenset):
        return "collection"
    return "other"


def is_number(value: Any) -> bool:
    """Whether the value is a number; a bool is none."""
    return type(value) in _NUMBERS


def compile_checks(checks: Checks) -> Predicate:
    """Return a predicate that says whether a value passes all the checks, by Kleene's `and`."""
    predicates = [compile_check(check) for check in checks]
    if len(predicates) == 1:
        return predicates[0]

    def test(value: Any) -> bool | None:
        result: bool | None = True
        for predicate in predicates:
            passed = predicate(value)
            if passed is False:
                return False
            if passed is None:
                result = None
        return result

    return test


def compile_check(check: Check) -> Predicate:
    """Return a predicate for one check. Raises re2.error for a regular expression that does not compile."""
    return _COMPILERS[check.operator](check.operand)


def compile_regex(pattern: str) -> Any:
    """Return a linear-time regular expression, RE2 syntax, with bounded memory. Raises re2.error."""
    options = re2.Options()
    options.max_mem = 1 << 20
    options.log_errors = False
    return re2.compile(pattern, options)


def _exists(operand: Any) -> Predicate:
    return lambda value: (value is not None) is operand


def _equal(operand: Any) -> Predicate:
    kind = type_of(operand)
    if kind == "text":
        return lambda value: value == operand if type(value) is str else None
    if kind == "number":
        within = _on_ranges((operand, operand))
        return lambda value: value == operand if type(value) in _NUMBERS else within(value)
    return lambda value: value == operand if type_of(value) == kind else None


def _unequal(operand: Any) -> Predicate:
    equal = _equal(operand)

    def test(value: Any) -> bool | None:
        result = equal(value)
        return None if result is None else not result

    return test


def _in(operand: Collection[Scalar]) -> Predicate:
    by_type: dict[str, frozenset[Scalar]] = {
        kind: frozenset(one for one in operand if type_of(one) == kind)
        for kind in {type_of(one) for one in operand}
    }
    if set(by_type) == {"text"}:
        words = by_type["text"]
        return lambda value: value in words if type(value) is str else None

    numbers = [_on_ranges((one, one)) for one in by_type.get("number", ())]

    def test(value: Any) -> bool | None:
        allowed = by_type.get(type_of(value))
        if allowed is not None and value in allowed:
            return True
        if numbers and type(value) is str and read_range(value) is not None:
            answers = {within(value) for within in numbers}
            return True if True in answers else None if None in answers else False
        return None if allowed is None else False

    return test


def _not_in(operand: Collection[Scalar]) -> Predicate:
    member = _in(operand)

    def test(value: Any) -> bool | None:
        result = member(value)
        return None if result is None else not result

    return test


def _greater(operand: Any) -> Predicate:
    within = _on_ranges((operand, None), strict=True)
    return lambda value: value > operand if type(value) in _NUMBERS else within(value)


def _at_least(operand: Any) -> Predicate:
    within = _on_ranges((operand, None))
    return lambda value: value >= operand if type(value) in _NUMBERS else within(value)


def _less(operand: Any) -> Predicate:
    within = _on_ranges((None, operand), strict=True)
    return lambda value: value < operand if type(value) in _NUMBERS else within(value)


def _at_most(operand: Any) -> Predicate:
    within = _on_ranges((None, operand))
    return lambda value: value <= operand if type(value) in _NUMBERS else within(value)


def _between(operand: Any) -> Predicate:
    low, high = operand
    within = _on_ranges((low, high))
    return lambda value: low <= value <= high if type(value) in _NUMBERS else within(value)


def _on_ranges(bounds: tuple[Any, Any], *, strict: bool = False) -> Predicate:
    """Return a test of a number that is known as a range: true if all of it lies within the bounds, false if none does.

    `strict` excludes the bounds themselves. Any other value is unknown.
    """
    least, most = bounds

    def test(value: Any) -> bool | None:
        found = read_range(value) if type(value) is str else None
        if found is None:
            return None
        low, high = found.low, math.inf if found.high is None else found.high
        if strict:
            above = least is None or low > least
            below = most is None or high < most
            misses = (least is not None and high <= least) or (most is not None and low >= most)
        else:
            above = least is None or low >= least
            below = most is None or high <= most
            misses = (least is not None and high < least) or (most is not None and low > most)
        if above and below:
            return True
        return False if misses else None

    return test


def _contains(operand: Any) -> Predicate:
    part = operand.casefold()
    return lambda value: part in value.casefold() if type(value) is str else None


def _contains_any(operand: Collection[str]) -> Predicate:
    parts = tuple(one.casefold() for one in operand)

    def test(value: Any) -> bool | None:
        if type(value) is not str:
            return None
        text = value.casefold()
        return any(part in text for part in parts)

    return test


def _in_file(operand: FileList) -> Predicate:
    members = operand.members
    return lambda value: value in members if type(value) is str else None


def _not_in_file(operand: FileList) -> Predicate:
    members = operand.members
    return lambda value: value not in members if type(value) is str else None


def moment_of(value: Any) -> int | None:
    """Return the instant that a value is, in ms; None for what is neither a date nor an instant."""
    return read_moment(value) if type(value) is str and len(value) <= _LONGEST_MOMENT else None


def _before(operand: str) -> Predicate:
    limit = read_moment(operand)

    def test(value: Any) -> bool | None:
        moment = moment_of(value)
        return None if moment is None or limit is None else moment < limit

    return test


def _after(operand: str) -> Predicate:
    limit = read_moment(operand)

    def test(value: Any) -> bool | None:
        moment = moment_of(value)
        return None if moment is None or limit is None else moment > limit

    return test


def _matches(operand: Any) -> Predicate:
    search = compile_regex(operand).search
    return lambda value: search(value) is not None if type(value) is str else None


def _members(value: Any) -> Collection[Any] | None:
    """Return the elements with their types, so that true is not 1; None for what is no list or set."""
    if type_of(value) != "collection":
        return None
    return {(type_of(one), one) for one in value if isinstance(one, str | int | float | bool)}


def _on_members(
    operand: Collection[Scalar], make_test: Callable[[frozenset[Any]], Callable[[Collection[Any]], bool]]
) -> Predicate:
    if all(type(one) is str for one in operand):
        # Text equals nothing but text, so a set needs no types.
        says = make_test(frozenset(operand))

        def on_texts(value: Any) -> bool | None:
            if type(value) is set:
                return says(value)
            return says(_texts(value)) if _is_many(value) else None

        return on_texts
    test = make_test(frozenset(_members(operand) or ()))

    def typed(value: Any) -> bool | None:
        members = _members(value)
        return None if members is None else test(members)

    return typed


def _is_many(value: Any) -> bool:
    return isinstance(value, set | list | tuple | frozenset)


def _texts(value: Collection[Any]) -> set[str]:
    return {one for one in value if type(one) is str}


def _has_any(operand: Collection[Scalar]) -> Predicate:
    def make_test(wanted: frozenset[Any]) -> Callable[[Collection[Any]], bool]:
        return lambda members: not wanted.isdisjoint(members)

    return _on_members(operand, make_test)


def _has_all(operand: Collection[Scalar]) -> Predicate:
    return _on_members(operand, lambda wanted: wanted.issubset)


def _has_none(operand: Collection[Scalar]) -> Predicate:
    return _on_members(operand, lambda wanted: wanted.isdisjoint)


_COMPILERS: Final[dict[str, Callable[[Any], Predicate]]] = {
    "eq": _equal,
    "ne": _unequal,
    "in": _in,
    "not_in": _not_in,
    "gt": _greater,
    "gte": _at_least,
    "lt": _less,
    "lte": _at_most,
    "between": _between,
    "contains": _contains,
    "contains_any": _contains_any,
    "matches": _matches,
    "in_file": _in_file,
    "not_in_file": _not_in_file,
    "before": _before,
    "after": _after,
    "has_any": _has_any,
    "has_all": _has_all,
    "has_none": _has_none,
    "exists": _exists,
}
