"""Find counts that no account reaches, because a test counts only so many facts of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from resegment.documents.diagnostics import Path, Problems
from resegment.segmentation.analysis.spelling import lists_in
from resegment.segmentation.definition import Definition
from resegment.segmentation.language.conditions import Aggregate, OpenThings
from resegment.segmentation.language.parsing.raw_document import conditions, tests

_LOWEST: Final = {"eq": 0, "in": 0, "gte": 0, "between": 0, "gt": 1}
"""Operators that ask for at least their operand, plus so many."""


def check_counts(definition: Definition, problems: Problems, limit: int) -> None:
    """Report every test of a number of facts that asks for more than the limit of facts that a test counts."""
    lists = lists_in(definition.document.data)
    for operand, path in _counts(definition):
        short = lists.get(operand[1:]) if isinstance(operand, str) else operand
        checks = short if isinstance(short, dict) else {"in" if isinstance(short, list) else "eq": short}
        least = max((_least(operator, value, lists) for operator, value in checks.items()), default=0)
        if least > limit:
            problems.error(
                "count-too-high",
                f"this can never be true: a test counts at most the newest {limit:,} facts of an account, not {least:,}",
                path,
                "ask for fewer, or raise RESEGMENT_FACTS_PER_TEST",
            )


def _counts(definition: Definition) -> Iterator[tuple[Any, Path]]:
    """Yield what is asked of each number of facts, and where."""
    for raw, path in conditions(definition.document.data):
        for test in tests(raw, path):
            if test.test == "event" and isinstance(test.operand, dict) and "count" in test.operand:
                yield test.operand["count"], (*test.path, "count")
            trait = definition.traits.get(test.name) if test.test == "value" else None
            if isinstance(trait, OpenThings) or (
                isinstance(trait, Aggregate) and trait.function in ("count", "distinct")
            ):
                yield test.operand, test.path


def _least(operator: str, operand: Any, lists: Any) -> int:
    """Return the smallest number of facts of which the operator is true; 0 if it asks for none."""
    named = lists.get(operand[1:]) if isinstance(operand, str) else operand
    numbers = [
        one
        for one in (named if isinstance(named, list) else [named])
        if isinstance(one, int | float) and not isinstance(one, bool)
    ]
    if operator not in _LOWEST or not numbers:
        return 0
    if operator == "between":
        return math.ceil(numbers[0])
    return math.floor(min(numbers)) + 1 if operator == "gt" else math.ceil(min(numbers))
