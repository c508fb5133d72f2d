"""Tell why an account is in its segment: which tests hold, and on which facts."""

from __future__ import annotations

from typing import Any, Final

from resegment.schemas.fact import KINDS
from resegment.schemas.state import Entry
from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.compiler import Values
from resegment.segmentation.evaluation.groups.forming import Merged
from resegment.segmentation.evaluation.leaves.leaves import (
    DatedLeaf,
    DecayLeaf,
    MeasureLeaf,
    OccursLeaf,
    ScoreLeaf,
    UnfollowedLeaf,
)
from resegment.segmentation.evaluation.leaves.sequences import SequenceLeaf
from resegment.segmentation.evaluation.measures.measures import OpenOf
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.evaluation.requirements import Requirement, SegmentTest

MAX_EVIDENCE: Final = 3
"""How many facts a reason names for one test. The newest are named."""
MAX_TEXT: Final = 1_000
"""The most characters of one text that an event carries. A broker refuses an event that is too large."""


MAX_SAME: Final = 10
"""How many facts are named that count as one with another."""

_OF_FACTS: Final = (OccursLeaf, UnfollowedLeaf, SequenceLeaf)
_OF_VALUES: Final = (MeasureLeaf, DecayLeaf, DatedLeaf, ScoreLeaf)


def give_reason(program: Program, account: Account, t: int, old: int, new: int) -> dict[str, Any]:
    """Return the tests of the new segment that hold, and the tests that keep the old one from being true."""
    reason: dict[str, Any] = {"holds": _holding(program, account, t, program.tests[new])}
    left = program.requirements[old] if old >= 0 else None
    if left is not None and (failing := _failing(left, account.values)):
        reason["no_longer"] = list(dict.fromkeys(failing))
    return reason


def _failing(requirement: Requirement, values: Values) -> list[str]:
    """Return the tests that keep a condition from being true; empty if it is true."""
    if not isinstance(requirement, SegmentTest):
        found = [_failing(one, values) for one in requirement.parts]
        if not requirement.every and not all(found):
            return []  # one branch is enough
        return [text for texts in found for text in texts]
    return [] if values[requirement.leaf] is requirement.wanted else [requirement.text]


def _holding(
    program: Program, account: Account, t: int, tests: tuple[SegmentTest, ...]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for test in tests:
        number = test.leaf
        if account.values[number] is not test.wanted:
            continue
        entry: dict[str, Any] = {"test": test.text}
        leaf = program.leaves[number]
        facts: list[Entry] | None = None
        if isinstance(leaf, _OF_FACTS):
            facts = leaf.evidence(account, t)
        elif isinstance(leaf, _OF_VALUES):
            if isinstance(leaf.measure, OpenOf):
                facts = leaf.measure.entries(account, t)
            else:
                entry["value"] = encode_value(leaf.measure.value(account, t))
        if facts is not None:
            entry["facts"] = len(facts)
            entry["evidence"] = [cite(fact) for fact in facts[: -MAX_EVIDENCE - 1 : -1]]
        found.append(entry)
    return found


def cite(entry: Entry) -> dict[str, Any]:
    """Return a fact in the form that evidence uses."""
    return {
        "id": entry.id,
        "kind": KINDS[entry.kind],
        "time": format_instant(entry.time),
        "source": entry.source,
        **({"data": {name: _cut(value) for name, value in entry.data.items()}} if entry.data else {}),
        **(_cite_group(entry) if isinstance(entry, Merged) else {}),
    }


def _cite_group(merged: Merged) -> dict[str, Any]:
    """Return the facts that count as one with their leader, and which of their sources gave which field."""
    others = [
        {"id": one.id, "source": one.source, "time": format_instant(one.time)} for one in merged.members[1:]
    ]
    return {"same": others[:MAX_SAME], **({"from": merged.taken} if merged.taken else {})}


def encode_value(value: Any) -> Any:
    """Return a measured value in a form that an event can carry.

    Sets are sorted, integers beyond 64 bits become floats, and long texts are cut.
    """
    if isinstance(value, set):
        return sorted(map(_cut, value), key=str)
    if isinstance(value, int) and abs(value) >= 1 << 63:
        return float(value)  # JSON and MessagePack readers cannot take larger integers
    return _cut(value)


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return value[: MAX_TEXT - 1] + "…"
    return value
