"""A version of the definition, and the instant from which it judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from resegment.segmentation.definition import Definition
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.switch import Routed, Switch

ALWAYS = -1
"""From when the first version judges."""


@dataclass(frozen=True, slots=True)
class Era:
    """The version `number`, which judges accounts from the instant `at` (ms) on.

    `moved` has new names of segments, each with the old one. `judges` says whether accounts are judged at `at`:
    where only texts differ from the version before, none is. `route` says which accounts that it moves are enrolled; by default, none is. Where it is
    `gates_only`, only suppressions and the like differ, and accounts are judged for these. `folds_in` says whether it reads
    facts that were folded in from the log, so that every account has to be switched even where none is judged.
    """

    number: int
    at: int
    engine: Engine
    moved: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    judges: bool = True
    route: Routed = "none"
    rollback_of: int | None = None
    gates_only: bool = False
    folds_in: bool = False

    @property
    def works_off(self) -> bool:
        """Whether every account has to be switched, even if nothing touches it."""
        return self.judges or self.folds_in

    @property
    def definition(self) -> Definition:
        return self.engine.program.definition

    def switch_from(self, before: Definition) -> Switch:
        """Return what this era means to the accounts that the version before has judged."""
        return Switch(
            number=self.number,
            moved=effective_moves(before, self.moved),
            route=self.route,
            rollback_of=self.rollback_of,
            gates_only=self.gates_only,
        )


def effective_moves(before: Definition, moved: Mapping[str, str]) -> dict[str, str]:
    """Return the new name of each segment that moves: of those that the version before has."""
    names = {segment.name for segment in before.segments}
    return {old: new for new, old in moved.items() if old in names and old != new}


def invert_moves(before: Definition, moved: Mapping[str, str]) -> dict[str, str]:
    """Return the moves that take back those from the version before: new names, each with the old one.

    A segment that two segments became stays whole: which accounts came from which is not known.
    """
    forward = effective_moves(before, moved)
    taken = {segment.name for segment in before.segments} - forward.keys()
    return {old: new for old, new in forward.items() if new not in taken}
