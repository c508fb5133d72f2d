"""What can be proved of conditions: that one implies another, that two exclude each other, that one never holds.

A proof is sound and not complete: "no" means that none was found. A condition becomes `and` and `or` of plain
statements (an `is false` turns into its own statement, as unknown is neither), then a list of clauses, each
statements that hold together. Beyond MAX_CLAUSES, or MAX_STATEMENTS in one, nothing is proved.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from resegment.segmentation.analysis.value_sets import (
    ALL_NUMBERS,
    EVERYTHING,
    INFINITY,
    OF_TYPE,
    Numbers,
    Region,
    Texts,
    common,
    outside,
    region_of,
    whole,
)
from resegment.segmentation.definition import Definition
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
    Matcher,
    Named,
    Not,
    Occurs,
    OpenThings,
    Score,
    Sequence,
    Some,
    Trait,
    Window,
)
from resegment.segmentation.language.fields import attribute_types, field_types
from resegment.segmentation.language.limits import ACCOUNT
from resegment.segmentation.language.operators import IN_TIME, KNOWN_WITHIN, moment_of
from resegment.segmentation.language.parsing.trait_parser import trait_type

MAX_CLAUSES: Final = 64
MAX_STATEMENTS: Final = 100
_ANY_COUNT: Final = whole(ALL_NUMBERS)


@dataclass(frozen=True, slots=True)
class Valued:
    """A value lies in a region; `key` is the attribute's name or the trait itself."""

    key: Hashable
    region: Region


@dataclass(frozen=True, slots=True)
class Counted:
    """So many facts match."""

    matcher: Matcher
    window: Window
    counts: Numbers


@dataclass(frozen=True, slots=True)
class Ordered:
    """A sequence is there, or is not."""

    sequence: Sequence
    holds: bool


Statement = Valued | Counted | Ordered


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """All of the parts, or any of them."""

    every: bool
    parts: tuple[Formula, ...]


Formula = Statement | Joined
Clause = frozenset[Statement]


class Reasoner:
    """Proves things of the conditions of one definition."""

    def __init__(self, definition: Definition) -> None:
        self._traits: Mapping[str, Trait] = definition.traits
        self._whens = {one.name: one.when for one in definition.segments if one.when is not None}
        self._named = definition.conditions
        self._types = {name: one.kind for name, one in definition.types.items()}
        self._of_names: dict[tuple[Condition, bool], Formula] = {}
        self._clauses: dict[Condition, frozenset[Clause] | None] = {}

    def is_never(self, condition: Condition) -> bool:
        """Whether it can never be true."""
        clauses = self._of(condition)
        return clauses is not None and not clauses

    def implies(self, first: Condition, *others: Condition) -> bool:
        """Whether, wherever the first is true, one of the others is."""
        clauses = self._of(first)
        if clauses is None:
            return False
        goal = Joined(False, tuple(self._formula(other, True) for other in others))
        return all(_follows(clause, goal, {}) for clause in clauses)

    def excludes(self, first: Condition, second: Condition) -> bool:
        """Whether the two are never true together."""
        return self.is_never(Every((first, second)))

    def _of(self, condition: Condition) -> frozenset[Clause] | None:
        if condition not in self._clauses:
            self._clauses[condition] = _clauses(self._formula(condition, True), {})
        return self._clauses[condition]

    def _formula(self, condition: Condition, holds: bool) -> Formula:
        match condition:
            case Not(part):
                return self._formula(part, not holds)
            case Every(parts) | Some(parts):
                every = isinstance(condition, Every) is holds
                return Joined(every, tuple(self._formula(part, holds) for part in parts))
            case InSegment() | Named():
                if (condition, holds) not in self._of_names:
                    named = (self._whens if isinstance(condition, InSegment) else self._named)[condition.name]
                    self._of_names[condition, holds] = self._formula(named, holds)
                return self._of_names[condition, holds]
            case IsOpen(things, count):
                return Joined(holds, tuple(_stated(things, check, holds, _COUNTS) for check in count))
            case Compare(name, checks):
                return self._compared(name, checks, holds)
            case Occurs(matcher, window, count):
                return Joined(holds, tuple(_counted(matcher, window, (check,), holds) for check in count))
            case Sequence():
                return Ordered(condition, holds)

    def _compared(self, name: str, checks: Checks, holds: bool) -> Formula:
        trait = self._traits.get(name)
        if isinstance(trait, Aggregate) and trait.function == "count":
            return Joined(
                holds, tuple(_counted(trait.matcher, trait.window, (check,), holds) for check in checks)
            )
        key: Hashable = name if trait is None else trait
        possible = (
            OF_TYPE.get(self._types.get(name, ""), EVERYTHING)
            if name in self._types
            else _possible(name, trait)
        )
        fresh = [check for check in checks if check.operator == KNOWN_WITHIN]
        if fresh:
            # A value that counts only while it is fresh is a value of its own, which may be missing.
            key = (key, fresh[0])
        return Joined(
            holds,
            tuple(_stated(key, check, holds, possible) for check in checks if check.operator != KNOWN_WITHIN),
        )


def _stated(key: Hashable, check: Check, holds: bool, possible: Region) -> Valued:
    """Return what a check says of a value; of a date it speaks of the instant, or of that and now."""
    if check.operator in IN_TIME:
        return Valued((key, check), Region(bools=frozenset({holds})))
    if check.operator in ("before", "after"):
        moment = Check("lt" if check.operator == "before" else "gt", moment_of(check.operand) or 0)
        return Valued((key, "moment"), region_of(moment, holds))
    return Valued(key, region_of(check, holds).common(possible))


_COUNTS: Final = Region(numbers=((0, False, INFINITY, True),))


def _possible(name: str, trait: Trait | None) -> Region:
    if name == ACCOUNT:
        return Region(texts=Texts())
    if isinstance(trait, OpenThings):
        return _COUNTS
    if isinstance(trait, Score):
        return Region(numbers=ALL_NUMBERS)
    if trait is None:
        return OF_TYPE.get(attribute_types().get(name, "any"), EVERYTHING)
    if isinstance(trait, Decay):
        return Region(numbers=ALL_NUMBERS)
    if isinstance(trait, Aggregate) and trait.function == "distinct":
        return Region(numbers=((0, False, INFINITY, True),))
    return OF_TYPE.get(trait_type(trait), EVERYTHING)


def _counted(matcher: Matcher, window: Window, checks: Checks, holds: bool) -> Counted:
    counts = ALL_NUMBERS
    for check in checks:
        counts = common(counts, region_of(check, holds).numbers)
    return Counted(matcher, window, whole(counts))


# Clauses


def _clauses(formula: Formula, done: dict[int, frozenset[Clause] | None]) -> frozenset[Clause] | None:
    """Return the ways in which it can hold, none where it never does; None where they are too many."""
    if not isinstance(formula, Joined):
        return _join([[frozenset((formula,))]])
    if id(formula) not in done:
        parts = [_clauses(part, done) for part in formula.parts]
        known = [part for part in parts if part is not None]
        found = _join(known) if formula.every else frozenset(clause for part in known for clause in part)
        # One part that is too much hides an `or`; an `and` whose other parts exclude each other is never true.
        lost = len(known) < len(parts) and (bool(found) or not formula.every)
        done[id(formula)] = None if found is None or lost or len(found) > MAX_CLAUSES else found
    return done[id(formula)]


def _join(parts: Iterable[Iterable[Clause]]) -> frozenset[Clause] | None:
    """One clause of each part together, in every way that is free of contradiction."""
    found: set[Clause] = {frozenset()}
    for part in sorted((list(one) for one in parts), key=len):
        if len(part) * len(found) > MAX_CLAUSES * MAX_CLAUSES:
            return None
        found = {held | clause for held in found for clause in part}
        if len(part) > 1:
            found = {one for clause in found for one in _consistent(clause)}
        if len(found) > MAX_CLAUSES or any(len(one) > MAX_STATEMENTS for one in found):
            return None
    return frozenset(one for clause in found for one in _consistent(clause))


def _consistent(statements: Iterable[Statement]) -> list[Clause]:
    """Return the statements as one clause with those of one subject joined; empty where they contradict each other."""
    values: dict[Hashable, Region] = {}
    counts: dict[tuple[Matcher, Window], Numbers] = {}
    orders: set[Statement] = set()
    for one in statements:
        match one:
            case Valued(key, region):
                values[key] = values[key].common(region) if key in values else region
            case Counted(matcher, window, numbers):
                held = counts.get((matcher, window), _ANY_COUNT)
                if _can_match(matcher):
                    counts[matcher, window] = common(held, numbers)
                else:
                    counts[matcher, window] = common(common(held, numbers), ((0, False, 0, False),))
            case Ordered(sequence, holds):
                if holds and not all(_can_match(step) for step in sequence.steps):
                    return []
                orders.add(one)
    if any(region.is_empty for region in values.values()) or not all(counts.values()):
        return []
    joined: list[Statement] = [Counted(*subject, numbers) for subject, numbers in counts.items()]
    joined.extend(orders)
    if any(_refutes(one, other) for one, other in combinations(joined, 2)):
        return []
    joined.extend(Valued(key, region) for key, region in values.items())
    return [frozenset(joined)]


def _can_match(matcher: Matcher) -> bool:
    return not any(_field_region(matcher, name).is_empty for name, _ in matcher.where)


def _refutes(first: Statement, second: Statement) -> bool:
    match second:
        case Counted(matcher, window, counts):
            return _entails(first, Counted(matcher, window, whole(outside(counts))))
        case Ordered(sequence, holds):
            return _entails(first, Ordered(sequence, not holds))
        case Valued():
            return False


# What follows from what


def _follows(clause: Clause, goal: Formula, done: dict[int, bool]) -> bool:
    if not isinstance(goal, Joined):
        return any(_entails(one, goal) for one in clause) or _is_certain(goal)
    if id(goal) not in done:
        parts = (_follows(clause, part, done) for part in goal.parts)
        done[id(goal)] = all(parts) if goal.every else any(parts)
    return done[id(goal)]


def _is_certain(goal: Statement) -> bool:
    match goal:
        case Valued(_, region):
            return region.covers(EVERYTHING)
        case Counted(_, _, counts):
            return counts == _ANY_COUNT
        case Ordered():
            return False


def _entails(first: Statement, second: Statement) -> bool:
    match first, second:
        case Valued(key, region), Valued(other_key, other):
            return key == other_key and other.covers(region)
        case Counted(), Counted():
            return _counts_entail(first, second)
        case Ordered(sequence, True), Counted(matcher, window, counts):
            # The facts of a sequence differ in time, so each step counts as one.
            least = sum(_within(step, matcher) for step in sequence.steps)
            return _inside(Window(0, sequence.within), window) and _rises(counts) and least >= counts[0][0]
        case Counted(matcher, window, counts), Ordered(sequence, True):
            return (
                len(sequence.steps) == 1
                and _within(matcher, sequence.steps[0])
                and _inside(window, Window(0, sequence.within))
                and counts[0][0] >= 1
            )
        case Counted(matcher, window, counts), Ordered(sequence, False):
            # Too few facts for one of its steps.
            most = counts[-1][2]
            needed = sum(_within(step, matcher) for step in sequence.steps)
            return _inside(Window(0, sequence.within), window) and most < needed
        case Ordered(sequence, False), Counted(matcher, window, counts):
            rest = Counted(matcher, window, whole(outside(counts)))
            return bool(rest.counts) and _entails(rest, Ordered(sequence, True))
        case Ordered(sequence, True), Ordered(other_sequence, True):
            return _follows_sequence(sequence, other_sequence)
        case Ordered(sequence, False), Ordered(other_sequence, False):
            return _follows_sequence(other_sequence, sequence)
        case _:
            return False


def _counts_entail(first: Counted, second: Counted) -> bool:
    if not second.counts or not first.counts:
        return False
    if first.matcher == second.matcher and first.window == second.window:
        return not whole(common(first.counts, outside(second.counts)))
    if _rises(second.counts) and first.counts[0][0] >= second.counts[0][0]:
        return _within(first.matcher, second.matcher) and _inside(first.window, second.window)
    if len(second.counts) == 1 and second.counts[0][0] == 0 and first.counts[-1][2] <= second.counts[0][2]:
        return _within(second.matcher, first.matcher) and _inside(second.window, first.window)
    return False


def _rises(counts: Numbers) -> bool:
    """Whether the counts are `at least so many`."""
    return len(counts) == 1 and counts[0][2] == INFINITY


def _inside(inner: Window, outer: Window) -> bool:
    return outer.opens <= inner.opens and inner.closes <= outer.closes


def _within(inner: Matcher, outer: Matcher) -> bool:
    """Whether every fact that the first matches, the second does."""
    return (
        inner.kind == outer.kind
        and outer.unless in (None, inner.unless)
        and all(_field_region(outer, name).covers(_field_region(inner, name)) for name, _ in outer.where)
    )


def _field_region(matcher: Matcher, name: str) -> Region:
    region = OF_TYPE.get(field_types(matcher.kind).get(name, "any"), EVERYTHING)
    for field, checks in matcher.where:
        if field == name:
            for check in checks:
                region = region.common(region_of(check, True))
    return region


def _follows_sequence(first: Sequence, second: Sequence) -> bool:
    """Whether the second sequence is there wherever the first is: it asks for no more and allows no less."""
    if first.within > second.within or (first.loose and not second.loose and len(second.steps) > 1):
        return False
    if second.gap is not None:
        return (
            first.gap is not None
            and first.gap <= second.gap
            and len(first.steps) == len(second.steps)
            and all(_within(one, other) for one, other in zip(first.steps, second.steps, strict=True))
        )
    steps = iter(first.steps)
    return all(any(_within(step, asked) for step in steps) for asked in second.steps)
