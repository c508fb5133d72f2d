"""Tell on the absence of which kinds of events a change rests: those of which another event would have changed it.

That decides whether routing waits while a source of such events is silent. Membership does not depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence as Listing
from typing import Final

from resegment.segmentation.evaluation.compiler import Values
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.language.conditions import (
    Aggregate,
    Check,
    Checks,
    Compare,
    Condition,
    Decay,
    Every,
    InSegment,
    IsOpen,
    Named,
    Newest,
    Not,
    Occurs,
    OpenThings,
    Ratio,
    Score,
    Sequence,
    Some,
    Term,
    Trait,
    is_instant,
)
from resegment.segmentation.language.operators import KNOWN_WITHIN

Kinds = frozenset[str]
NONE: Final[Kinds] = frozenset()
REMEMBERED: Final = 4_096
"""For how many moves with the same values of all tests a program remembers on what they rest."""
_UPPER: Final = frozenset({"lte", "lt", "eq", "ne", "in", "not_in", "between", "before", "within_next"})
"""Operators that a greater number, or a later time, can make false."""
_LOWER: Final = frozenset({"gte", "gt", "eq", "ne", "in", "not_in", "between", "after", "within_last"})
"""Operators that a smaller number, or an earlier time, can make false; so a greater one can make them true."""


def find_absent(program: Program, values: Values, old: int, new: int, *, timed: bool) -> tuple[str, ...]:
    """Return the kinds of events on whose absence a move from one segment to another rests, sorted.

    `timed` says that time alone moved the account. Then leaving a higher segment rests on the absence of events too.
    """
    key = (old if timed else -1, new, tuple(values))
    known = program.absences.get(key)
    if known is None:
        if len(program.absences) >= REMEMBERED:
            program.absences.clear()
        known = program.absences[key] = _find(program, values, old if timed else -1, new)
    return known


def _find(program: Program, values: Values, old: int, new: int) -> tuple[str, ...]:
    reader = _Reader(program, values)
    when = program.segments[new].when
    found = NONE if when is None else reader.rests(when, wanted=True) or NONE
    if 0 <= old < new and (left := program.segments[old].when) is not None:
        found |= reader.rests(left, wanted=False) or NONE
    return tuple(sorted(found))


class _Reader:
    """Reads conditions with the values of their tests."""

    def __init__(self, program: Program, values: Values) -> None:
        self._program, self._values = program, values

    def rests(self, part: Condition, *, wanted: bool) -> Kinds | None:
        """Return on what it rests that a condition has a value; None if it has another one."""
        match part:
            case Not(inner):
                return self.rests(inner, wanted=not wanted)
            case Every(parts) | Some(parts):
                found = [self.rests(one, wanted=wanted) for one in parts]
                return _every(found) if isinstance(part, Every) is wanted else _some(found)
            case Named() | InSegment():
                return self.rests(self._program.condition_of(part), wanted=wanted)
        if self._values[self._program.conditions[part]] is not wanted:
            return None
        return self._of_test(part, wanted)

    def _of_test(self, part: Condition, wanted: bool) -> Kinds:
        match part:
            case Occurs(matcher, _, count):
                found = frozenset({matcher.kind}) if _could_rise_out(count, wanted) else NONE
                undone = matcher.unless is not None and _could_rise_out(count, not wanted)
                return found | {matcher.unless.kind} if undone and matcher.unless is not None else found
            case Sequence(steps):
                return NONE if wanted else frozenset(step.kind for step in steps)
            case IsOpen(things):
                return frozenset({things.kind})
            case Compare(name, checks):
                return self._of_value(name, checks, wanted)
            case _:
                return NONE

    def _of_value(self, name: str, checks: Checks, wanted: bool) -> Kinds:
        trait = self._program.traits.get(name)
        if trait is None:
            absent = any(
                (one.operator == "exists" and (one.operand is False) is wanted)
                or (one.operator == KNOWN_WITHIN and not wanted)
                for one in checks
            )
            return frozenset({"firmographic"}) if absent else NONE
        return self._of_trait(trait, checks, wanted)

    def _of_trait(self, trait: Trait | Newest, checks: Checks, wanted: bool) -> Kinds:
        match trait:
            case Aggregate(function, matcher):
                if function in ("latest", "earliest") and not is_instant(trait):
                    return NONE
                falls = function in ("min", "earliest")
                moves = function == "avg" or _could_rise_out(checks, wanted is not falls)
                return frozenset({matcher.kind}) if moves or _is_missing(checks, wanted) else NONE
            case Decay(matcher):
                return frozenset({matcher.kind}) if _could_rise_out(checks, wanted) else NONE
            case OpenThings(kind):
                return frozenset({kind})
            case Ratio(over, under):
                above, below = self._program.traits.get(over), self._program.traits.get(under)
                found = NONE if above is None else self._of_trait(above, checks, wanted)
                return found if below is None else found | self._of_trait(below, checks, not wanted)
            case Score(terms):
                return self._of_score(terms, checks, wanted)
            case _:
                return NONE

    def _of_score(self, terms: Listing[Term], checks: Checks, wanted: bool) -> Kinds:
        """Read a score: a term that is as it is for lack of events could be otherwise."""
        found = NONE
        for term in terms:
            for state in (True, False):
                could_raise = (term.points > 0) is not state
                matters = _could_rise_out(checks, wanted is could_raise)
                if matters and (rests := self.rests(term.when, wanted=state)):
                    found |= rests
        return found


def _could_rise_out(checks: Checks, wanted: bool) -> bool:
    """Whether a number that rises could change what checks say that say `wanted` now."""
    operators = _UPPER if wanted else _LOWER
    return any(one.operator in operators and not _is_trivial(one) for one in checks)


def _is_trivial(check: Check) -> bool:
    """Whether every number passes, as every count is at least 0."""
    return check.operator == "gte" and check.operand == 0


def _is_missing(checks: Checks, wanted: bool) -> bool:
    """Whether checks say what they say because there is no value."""
    return any(one.operator == "exists" and (one.operand is False) is wanted for one in checks)


def _every(found: list[Kinds | None]) -> Kinds | None:
    whole = [one for one in found if one is not None]
    return frozenset().union(*whole) if len(whole) == len(found) else None


def _some(found: list[Kinds | None]) -> Kinds | None:
    """Return what all of the parts rest on that suffice by themselves."""
    whole = [one for one in found if one is not None]
    return frozenset.intersection(*whole) if whole else None
