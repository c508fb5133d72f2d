"""Attributes and traits: their value at an instant, and the next instant at which it may be another."""

from __future__ import annotations

import math
from typing import Any, Protocol

from resegment.schemas.state import Entry
from resegment.schemas.times import NEVER
from resegment.segmentation.account import Account
from resegment.segmentation.checks import is_number, type_of
from resegment.segmentation.conditions import Aggregation, Window


class Measure(Protocol):
    """A value in time."""

    def value(self, account: Account, t: int) -> Any:
        """The value at t; None where it is unknown."""
        ...

    def boundary(self, account: Account, t: int) -> int:
        """No later than the next instant after t at which the value is another by time alone, or NEVER."""
        ...


class Attribute:
    """The newest value that snapshots give."""

    def __init__(self, field: str) -> None:
        self.field = field

    def value(self, account: Account, t: int) -> Any:
        history = account.attributes.get(self.field)
        return None if history is None else history.value_at(t)

    def boundary(self, account: Account, t: int) -> int:
        history = account.attributes.get(self.field)
        return NEVER if history is None else history.next_after(t)


class AggregateOf:
    """A value over the facts in a window."""

    def __init__(self, function: Aggregation, series: int, window: Window, field: str | None) -> None:
        self.function, self.series, self.field = function, series, field
        self.opens, self.closes = window.opens, window.closes

    def value(self, account: Account, t: int) -> Any:
        entries = account.window(self.series, self.opens, self.closes, t)
        if self.field is None:
            return len(entries)
        return _AGGREGATE[self.function](entries, self.field)

    def boundary(self, account: Account, t: int) -> int:
        return account.boundary(self.series, self.opens, self.closes, t)


class DecayOf:
    """sum of field * 2^(-(t - time) / half_life) over the facts in a window."""

    def __init__(self, series: int, window: Window, field: str | None, half_life: int) -> None:
        self.series, self.field, self.half_life = series, field, half_life
        self.opens, self.closes = window.opens, window.closes

    def value(self, account: Account, t: int) -> float:
        weights = [
            (entry.time, weight)
            for entry in account.window(self.series, self.opens, self.closes, t)
            if (weight := self._weight(entry))
        ]
        if not weights:
            return 0.0
        latest = weights[-1][0]
        # Relative to the latest fact, so that a sum which has decayed below the least float keeps its sign.
        total = math.fsum(weight * math.exp2((time - latest) / self.half_life) for time, weight in weights)
        scaled = total * math.exp2((latest - t) / self.half_life)
        return scaled if scaled or not total else math.copysign(math.ulp(0.0), total)

    def boundary(self, account: Account, t: int) -> int:
        return account.boundary(self.series, self.opens, self.closes, t)

    def _weight(self, entry: Entry) -> float:
        value = None if self.field is None else (entry.data or {}).get(self.field)
        if value is None:
            return 1
        return value if is_number(value) else 0


class RatioOf:
    """One value divided by another; unknown where either is, or the second is 0."""

    def __init__(self, over: Measure, under: Measure) -> None:
        self.over, self.under = over, under

    def value(self, account: Account, t: int) -> Any:
        over, under = self.over.value(account, t), self.under.value(account, t)
        if not is_number(over) or not is_number(under) or under == 0:
            return None
        return _divide(over, under)

    def boundary(self, account: Account, t: int) -> int:
        return min(self.over.boundary(account, t), self.under.boundary(account, t))


class GrowthOf:
    """(v(t) - v(t - over)) / abs(v(t - over)) of an attribute."""

    def __init__(self, field: str, over: int) -> None:
        self.field, self.over = field, over

    def value(self, account: Account, t: int) -> Any:
        now, then = account.attribute_at(self.field, t), account.attribute_at(self.field, t - self.over)
        if not is_number(now) or not is_number(then) or then == 0:
            return None
        return _divide(now - then, abs(then))

    def boundary(self, account: Account, t: int) -> int:
        history = account.attributes.get(self.field)
        if history is None:
            return NEVER
        past = history.next_after(t - self.over)
        return min(history.next_after(t), past + self.over if past != NEVER else NEVER)


def _divide(over: Any, under: Any) -> float | None:
    try:
        result = over / under
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def _present(entries: list[Entry], field: str) -> list[Any]:
    return [value for entry in entries if (value := (entry.data or {}).get(field)) is not None]


def _numbers(entries: list[Entry], field: str) -> list[Any]:
    return [value for value in _present(entries, field) if is_number(value)]


def _total(numbers: list[Any]) -> Any:
    if any(type(one) is float for one in numbers):
        try:
            return math.fsum(numbers)
        except OverflowError:
            return None
    return sum(numbers)


def _sum(entries: list[Entry], field: str) -> Any:
    return _total(_numbers(entries, field))


def _average(entries: list[Entry], field: str) -> Any:
    numbers = _numbers(entries, field)
    total = _total(numbers)
    return _divide(total, len(numbers)) if numbers and total is not None else None


def _least(entries: list[Entry], field: str) -> Any:
    return min(_numbers(entries, field), default=None)


def _greatest(entries: list[Entry], field: str) -> Any:
    return max(_numbers(entries, field), default=None)


def _distinct(entries: list[Entry], field: str) -> int:
    return len({(type_of(value), _hashable(value)) for value in _present(entries, field)})


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple((type_of(one), _hashable(one)) for one in value)
    if isinstance(value, dict):
        return tuple(sorted((key, type_of(one), _hashable(one)) for key, one in value.items()))
    return value


def _latest(entries: list[Entry], field: str) -> Any:
    return next((v for e in reversed(entries) if (v := (e.data or {}).get(field)) is not None), None)


def _earliest(entries: list[Entry], field: str) -> Any:
    return next((v for e in entries if (v := (e.data or {}).get(field)) is not None), None)


_AGGREGATE = {
    "sum": _sum,
    "avg": _average,
    "min": _least,
    "max": _greatest,
    "distinct": _distinct,
    "latest": _latest,
    "earliest": _earliest,
}
