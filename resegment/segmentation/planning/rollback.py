"""Find what a rollback has to undo: the switches since a version, and the names that they changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from resegment.segmentation.definition import Definition
from resegment.segmentation.versions.era import invert_moves


class Step(NamedTuple):
    """One switch: from which definition, and the new names of its segments, each with the old one."""

    before: Definition
    moved: Mapping[str, str]


def invert_steps(steps: Sequence[Step]) -> dict[str, str]:
    """Return the names that undo switches, in their order: those of the first definition, each with the name of now."""
    if not steps:
        return {}
    names = {one.name: one.name for one in steps[0].before.segments}
    for step in steps:
        back = invert_moves(step.before, step.moved)
        names = {first: back.get(now, now) for first, now in names.items()}
    return {first: now for first, now in names.items() if first != now}
