"""Describe a switch that is planned: how two definitions differ, and what that asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from resegment.segmentation.definition import Definition
from resegment.segmentation.planning.plan import Changes, Difference, Folding, VersionName
from resegment.segmentation.planning.planner import PlannedSwitch
from resegment.segmentation.versions.differences import Differences, compare
from resegment.segmentation.versions.era import effective_moves
from resegment.segmentation.versions.wording import ToldDifference, tell_differences

_PARTS: Final = {
    "plays": "play",
    "personas": "persona",
    "teams": "team",
    "qualifications": "qualification",
    "traits": "trait",
    "attributes": "attribute",
    "tests": "test",
}
"""What one of a part of the file is called."""


def plan_switch(
    old: Definition,
    new: Definition,
    *,
    base: int | None = None,
    moved: Mapping[str, str] | None = None,
    route: str | tuple[str, ...] = "none",
    rollback_of: int | None = None,
    goes_back_to: int | None = None,
) -> PlannedSwitch:
    """Return what a switch from one definition to another is; `base` is the number of the old one.

    `moved` are the new names of segments, each with the old one; by default, those of the new definition. A rollback
    `goes_back_to` the number of an earlier version.
    """
    differences = compare(old, new, moved)
    return PlannedSwitch(
        base=VersionName(number=base, fingerprint=old.version),
        target=VersionName(number=goes_back_to, fingerprint=new.version),
        changes=find_changes(differences),
        differences=tuple(describe_differences(differences, tell_differences(old, new, differences))),
        route=route,
        rollback_of=rollback_of,
        needs=differences.needs_facts,
        digest=new.digest,
        renamed=effective_moves(old, new.moved if moved is None else moved),
    )


def find_changes(differences: Differences) -> Changes:
    """Return what has to be decided again."""
    if differences.is_empty:
        return "nothing"
    if differences.segments_judged:
        return "segments"
    return "gates" if differences.gates else "texts"


def describe_differences(differences: Differences, told: Sequence[ToldDifference]) -> Iterator[Difference]:
    """Yield the segments in the order of the new file, then the other parts that differ."""
    words = {(one.part, one.name): one.words for one in told}
    for segment in differences.segments:
        yield Difference(
            part="segment",
            name=segment.name,
            what=segment.what,
            words=words.get(("segments", segment.name), ()),
            before=segment.before,
            after=segment.after,
            old_name=segment.old_name if segment.old_name != segment.name else None,
        )
    for part in differences.parts:
        yield Difference(
            part=_PARTS.get(part.part, part.part),
            name=part.name,
            what=(part.what,),
            words=words.get((part.part, part.name), ()),
            before=part.before,
            after=part.after,
        )


def describe_folding(switch: PlannedSwitch, records: int | None, seconds: float | None) -> Folding | None:
    """Return which facts have to be folded in; None if there are none."""
    return Folding(needs=switch.needs, records=records, seconds=seconds) if switch.needs else None
