"""Aggregate facts: how each function summarizes consecutive facts, and how it combines such summaries."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

from resegment.schemas.state import Entry
from resegment.segmentation.evaluation.measures.series import Summary
from resegment.segmentation.language.conditions import Aggregation
from resegment.segmentation.language.operators import type_of


def divide(over: Any, under: Any) -> float | None:
    """Return the quotient; None if it is too large."""
    try:
        result = over / under
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def _present(entries: list[Entry], field: str) -> list[Any]:
    return [value for entry in entries if entry.data and (value := entry.data.get(field)) is not None]


def _numbers(entries: list[Entry], field: str) -> list[Any]:
    return [value for value in _present(entries, field) if type(value) is int or type(value) is float]


def _count(_: str, entries: list[Entry]) -> int:
    return len(entries)


def _add(field: str, entries: list[Entry]) -> tuple[list[Any], int | None]:
    """Return the numbers, and their sum if all are integers."""
    numbers = _numbers(entries, field)
    total = sum(numbers)
    # One float among them makes the sum a float.
    return numbers, total if type(total) is int else None


def _total(parts: list[tuple[list[Any], int | None]]) -> Any:
    totals = [total for _, total in parts if total is not None]
    if len(totals) == len(parts):
        return sum(totals)
    try:
        return math.fsum(chain.from_iterable(numbers for numbers, _ in parts))
    except OverflowError:
        return None


def _average(parts: list[tuple[list[Any], int | None]]) -> Any:
    total, count = _total(parts), sum(len(numbers) for numbers, _ in parts)
    return divide(total, count) if count and total is not None else None


def _least(field: str, entries: list[Entry]) -> Any:
    return min(_numbers(entries, field), default=None)


def _greatest(field: str, entries: list[Entry]) -> Any:
    return max(_numbers(entries, field), default=None)


def _different(field: str, entries: list[Entry]) -> frozenset[Any]:
    return frozenset((type_of(value), _hashable(value)) for value in _present(entries, field))


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple((type_of(one), _hashable(one)) for one in value)
    if isinstance(value, dict):
        return tuple(sorted((key, type_of(one), _hashable(one)) for key, one in value.items()))
    return value


def _last(field: str, entries: list[Entry]) -> Any:
    return next((v for e in reversed(entries) if (v := (e.data or {}).get(field)) is not None), None)


def _first(field: str, entries: list[Entry]) -> Any:
    return next((v for e in entries if (v := (e.data or {}).get(field)) is not None), None)


def _known(parts: list[Any]) -> Iterator[Any]:
    return (part for part in parts if part is not None)


AGGREGATES: Final[
    dict[Aggregation, tuple[Callable[[str, list[Entry]], Summary], Callable[[list[Any]], Any]]]
] = {
    "count": (_count, sum),
    "sum": (_add, _total),
    "avg": (_add, _average),
    "min": (_least, lambda parts: min(_known(parts), default=None)),
    "max": (_greatest, lambda parts: max(_known(parts), default=None)),
    "distinct": (_different, lambda parts: len(frozenset().union(*parts))),
    "latest": (_last, lambda parts: next(_known(parts[::-1]), None)),
    "earliest": (_first, lambda parts: next(_known(parts), None)),
}
