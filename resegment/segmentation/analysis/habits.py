"""Warnings about the new and the unused: names that nothing uses, attributes without a type, sequences of days."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from resegment.documents.diagnostics import Path, Problems
from resegment.segmentation.definition import Definition
from resegment.segmentation.language.conditions import Growth, Ratio
from resegment.segmentation.language.fields import attribute_types
from resegment.segmentation.language.limits import ACCOUNT
from resegment.segmentation.language.operators import ORDERINGS
from resegment.segmentation.language.parsing.raw_document import conditions, tests

GIVEN_BY_DAY: Final = frozenset({"funding", "hiring", "leadership", "tech", "strategy"})
"""Kinds of events whose sources often know only the day."""


def check_habits(definition: Definition, problems: Problems) -> None:
    """Warn of what is allowed and probably not meant."""
    data = definition.document.data
    _check_unused(data, problems)
    _check_untyped(definition, problems)
    for raw, path in conditions(data):
        _check_sequences(raw, path, problems)


def _check_unused(data: dict[str, Any], problems: Problems) -> None:
    named = data.get("conditions") or {}
    used = {
        test.name for raw, path in conditions(data) for test in tests(raw, path) if test.test == "condition"
    }
    for name in named:
        if name not in used:
            problems.warn(
                "unused-name", f"the condition {name!r} is not used", ("conditions", name), "remove it"
            )
    texts = {
        text
        for key in ("segments", "conditions", "traits", "suppression", "teams")
        for text in _texts(data.get(key))
    }
    for name in data.get("lists") or {}:
        if f"${name}" not in texts:
            problems.warn("unused-name", f"the list {name!r} is not used", ("lists", name), "remove it")


def _texts(raw: Any) -> Iterator[str]:
    if isinstance(raw, str):
        yield raw
    elif isinstance(raw, dict):
        for value in raw.values():
            yield from _texts(value)
    elif isinstance(raw, list):
        for value in raw:
            yield from _texts(value)


def _check_untyped(definition: Definition, problems: Problems) -> None:
    """Attributes of one's own that are used as numbers: without a type, the cells of CSV files are texts."""
    told: set[str] = set()
    for name, path in _used_as_numbers(definition):
        own = name not in definition.traits and name not in attribute_types() and name != ACCOUNT
        if own and name not in definition.types and name not in told:
            told.add(name)
            problems.warn(
                "untyped-attribute",
                f"{name!r} is used as a number, but has no type, so its CSV cells are read as text",
                path,
                f"add attributes: {{{name}: number}}",
            )


def _used_as_numbers(definition: Definition) -> Iterator[tuple[str, Path]]:
    data = definition.document.data
    for raw, path in conditions(data):
        for test in tests(raw, path):
            if test.test == "value" and _is_numeric(test.operand):
                yield test.name, test.path
    for name, trait in definition.traits.items():
        if isinstance(trait, Growth):
            yield trait.attribute, ("traits", name, "growth")
        elif isinstance(trait, Ratio):
            yield trait.over, ("traits", name, "ratio", 0)
            yield trait.under, ("traits", name, "ratio", 1)


def _is_numeric(operand: Any) -> bool:
    if isinstance(operand, dict):
        return not ORDERINGS.isdisjoint(operand) or any(
            _is_number(value) for key, value in operand.items() if key in ("eq", "ne")
        )
    return _is_number(operand)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_sequences(raw: Any, path: Path, problems: Problems) -> None:
    if isinstance(raw, list):
        for index, part in enumerate(raw):
            _check_sequences(part, (*path, index), problems)
        return
    if not isinstance(raw, dict):
        return
    steps = raw.get("sequence")
    if isinstance(steps, list) and "order" not in raw:
        kinds = [step.get("event") for step in steps if isinstance(step, dict)]
        if any({one, other} <= GIVEN_BY_DAY for one, other in pairwise(kinds)):
            problems.warn(
                "same-day",
                "sources of these events often give only the day, and events of one day do not follow each other",
                (*path, "sequence"),
                "add order: loose, or order: strict if you mean it",
            )
    for key in ("all", "any", "not"):
        if key in raw:
            _check_sequences(raw[key], (*path, key), problems)
