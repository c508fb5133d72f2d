"""Find the facts that no test can ever count, so that a replay need not fold them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from resegment.schemas.fact import Fact, Kind
from resegment.schemas.state import KIND_NUMBERS
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.evaluation.reading import trim
from resegment.segmentation.evaluation.retention import FIRMOGRAPHIC, TECH

Reads = Callable[[Kind, dict[str, Any]], bool]
"""Whether some test can count a fact of a kind with such data."""

SMALL: Final = 8
"""An account whose facts take more than one in so many of the bytes that it may take is folded whole: what it has no
room for depends on all of its facts."""


def reads_of(program: Program) -> Reads:
    """Return what tells whether a test of the program can count a fact.

    Each snapshot counts; each technology does where a test asks for them; and so does every fact of a file with `same`.
    """
    if program.definition.same:
        return lambda _kind, _data: True
    always = {FIRMOGRAPHIC, TECH} if program.uses_technologies else {FIRMOGRAPHIC}
    matchers = program.matchers

    def reads(kind: Kind, data: dict[str, Any]) -> bool:
        number = KIND_NUMBERS[kind]
        if number in always or matchers[number].find(data):
            return True
        trimmed = trim(data)  # as it is folded
        return trimmed is not data and bool(matchers[number].find(trimmed))

    return reads


def find_idle(facts: Sequence[Fact], unread: Sequence[bool]) -> frozenset[int]:
    """Return those, by their `id()`, of an account's facts that no test reads and that no other fact is about.

    Another revision, or an event with the same id, would be compared with the fact, so that it has to be known.
    """
    if not any(unread):
        return frozenset()
    names: Counter[tuple[str, str]] = Counter()
    for fact in facts:
        source = fact.source
        names[source, fact.id] += 1
        if fact.record != fact.id:
            names[source, fact.record] += 1
    return frozenset(
        id(fact)
        for fact, idle in zip(facts, unread, strict=True)
        if idle
        and fact.op == "assert"
        and names[fact.source, fact.id] == 1
        and (fact.record == fact.id or names[fact.source, fact.record] == 1)
    )
