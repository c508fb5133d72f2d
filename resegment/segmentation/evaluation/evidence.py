"""Why an account is in its segment: what holds, and on which facts."""

from __future__ import annotations

from typing import Any, Final

from resegment.schemas.fact import KINDS
from resegment.schemas.state import Entry
from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.compiler import Values
from resegment.segmentation.evaluation.leaves import DecayLeaf, MeasureLeaf, OccursLeaf, SequenceLeaf
from resegment.segmentation.evaluation.program import Ground, Program, SegmentTest

MAX_EVIDENCE: Final = 3
"""How many facts a reason names for one test: the newest."""
MAX_TEXT: Final = 1_000
"""So many characters of a text an event carries at the most: a broker refuses an event that is too large."""


def give_reason(program: Program, account: Account, t: int, old: int, new: int) -> dict[str, Any]:
    """In short: the tests of the new segment that hold, and those that keep the old one from being true."""
    reason: dict[str, Any] = {"holds": _holding(program, account, t, program.tests[new])}
    left = program.grounds[old] if old >= 0 else None
    if left is not None and (failing := _failing(left, account.values)):
        reason["no_longer"] = list(dict.fromkeys(failing))
    return reason


def _failing(ground: Ground, values: Values) -> list[str]:
    """The tests that keep a condition from being true; none where it is."""
    if not isinstance(ground, SegmentTest):
        found = [_failing(one, values) for one in ground.parts]
        if not ground.every and not all(found):
            return []  # one branch is enough
        return [text for texts in found for text in texts]
    return [] if values[ground.leaf] is ground.wanted else [ground.text]


def _holding(
    program: Program, account: Account, t: int, tests: tuple[SegmentTest, ...]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for test in tests:
        number = test.leaf
        if account.values[number] is not test.wanted:
            continue
        entry: dict[str, Any] = {"test": test.text}
        if number < program.plain:
            leaf = program.leaves[number]
            if isinstance(leaf, OccursLeaf | SequenceLeaf):
                facts = leaf.evidence(account, t)
                entry["facts"] = len(facts)
                entry["evidence"] = [cite(fact) for fact in facts[: -MAX_EVIDENCE - 1 : -1]]
            elif isinstance(leaf, MeasureLeaf | DecayLeaf):
                entry["value"] = tell_value(leaf.measure.value(account, t))
        found.append(entry)
    return found


def cite(entry: Entry) -> dict[str, Any]:
    """A fact, as evidence names it."""
    return {
        "id": entry.id,
        "kind": KINDS[entry.kind],
        "time": format_instant(entry.time),
        "source": entry.source,
        **({"data": {name: _cut(value) for name, value in entry.data.items()}} if entry.data else {}),
    }


def tell_value(value: Any) -> Any:
    """A measured value as an event can carry it: sets in order, whole numbers beyond 64 bits as fractions, no endless text."""
    if isinstance(value, set):
        return sorted(map(_cut, value), key=str)
    if isinstance(value, int) and abs(value) >= 1 << 63:
        return float(value)  # JSON and MessagePack have no greater ones
    return _cut(value)


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return value[: MAX_TEXT - 1] + "…"
    return value
