"""Say what an account keeps of its facts: which fields, how many facts, and for how long."""

from __future__ import annotations

from typing import Self

from resegment.schemas.fact import KINDS
from resegment.schemas.state import KIND_NUMBERS, Entry
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.matcher_index import Watcher
from resegment.segmentation.evaluation.program import Program

FIRMOGRAPHIC = KIND_NUMBERS["firmographic"]
TECH = KIND_NUMBERS["tech"]


class Retention:
    """What an account keeps so that each of some programs can judge it.

    With two programs it is what either needs, so that an account can pass from one to the other and lose no fact.
    """

    def __init__(self, *programs: Program) -> None:
        if not programs:
            raise ValueError("a retention needs a program")
        self.programs = programs
        self.fields: tuple[frozenset[str], ...] = tuple(
            frozenset().union(*(one.kept[kind] for one in programs)) for kind in range(len(KINDS))
        )
        """The fields of `data` that are kept, by the number of the kind."""
        self.memory = max(one.memory for one in programs)
        """How long (ms) a fact is remembered, at minimum, after it became known."""
        self.looks_back = max(one.looks_back for one in programs)
        """How far (ms) tests look back on what snapshots said and when."""
        self.slack = tuple(max(_slack(one, kind) for one in programs) for kind in KINDS)
        """By the number of the kind, for how much longer (ms) its facts are kept so that groups form alike."""
        self.limit = max(one.limits.facts for one in programs)
        self.uses_technologies = any(one.uses_technologies for one in programs)

    def extend(self, program: Program) -> Self:
        """Return what is kept for one more program."""
        return self if program in self.programs else type(self)(*self.programs, program)

    def covers(self, other: Retention) -> bool:
        """Whether an account that keeps this has kept all that the other keeps."""
        return (
            self.memory >= other.memory
            and self.looks_back >= other.looks_back
            and self.limit >= other.limit
            and all(mine >= theirs for mine, theirs in zip(self.slack, other.slack, strict=True))
            and self.uses_technologies >= other.uses_technologies
            and all(mine >= theirs for mine, theirs in zip(self.fields, other.fields, strict=True))
            and all(self._outlasts(one) for program in other.programs for one in _watchers(program))
        )

    def _outlasts(self, other: Watcher) -> bool:
        """Whether facts of a matcher are kept for as long as they can count."""
        mine = (
            one.closes
            for program in self.programs
            for one in _watchers(program)
            if one.matcher == other.matcher
        )
        return max(self.memory, *mine, 0) >= other.closes

    def is_spent(self, entry: Entry, now: int) -> bool:
        """Whether no test can count the fact again, nor a redelivery of a revision that it replaced."""
        if entry.known + self.memory > now:
            return False
        kind = entry.kind
        if kind == FIRMOGRAPHIC or (kind == TECH and self.uses_technologies):
            return False
        closes = max(self._closes(program, entry) for program in self.programs)
        lasting = max(closes, self.memory) + self.slack[kind]
        return closes != NEVER and max(entry.time, entry.latest) + lasting <= now

    def _closes(self, program: Program, entry: Entry) -> int:
        """Return how long after its time a fact can count by a program."""
        matchers = program.matchers[entry.kind]
        # A replaced revision may match any test of its kind.
        matching = matchers.watchers if entry.retracted or entry.older else matchers.find(entry.data or {})
        return max((one.closes for one in matching), default=0)


def _watchers(program: Program) -> list[Watcher]:
    return [watcher for index in program.matchers for watcher in index.watchers]


def _slack(program: Program, kind: str) -> int:
    rule = program.definition.same.rule(kind)
    return 0 if rule is None else 2 * rule.reach
