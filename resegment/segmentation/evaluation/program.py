"""Compile a definition: which facts touch which tests, and how segments follow from the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from resegment.schemas.fact import KINDS
from resegment.schemas.segments import Order
from resegment.schemas.state import AccountState
from resegment.schemas.times import NEVER, parse_duration
from resegment.segmentation.definition import Definition, Hold, Segment, walk
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.attribute_tests import AttributeTests
from resegment.segmentation.evaluation.compiler import (
    Logic,
    Untils,
    Values,
    compile_deadline,
    compile_first,
    compile_logic,
    compile_qualifying,
)
from resegment.segmentation.evaluation.leaves.leaf_builder import LeafBuilder, Needs
from resegment.segmentation.evaluation.leaves.leaves import AttributeLeaf, Leaf, ReferenceLeaf, ScoreLeaf
from resegment.segmentation.evaluation.matcher_index import MatcherIndex, Watcher
from resegment.segmentation.evaluation.measures.measures import Measure, OpenOf
from resegment.segmentation.evaluation.measures.selection import Selection
from resegment.segmentation.evaluation.measures.series import TECHNOLOGIES
from resegment.segmentation.evaluation.requirements import Requirement, Requirements, tests_in
from resegment.segmentation.language.conditions import (
    NOBODY,
    Aggregate,
    Compare,
    Condition,
    Decay,
    Growth,
    InSegment,
    IsOpen,
    Matcher,
    Named,
    Newest,
    Occurs,
    OpenThings,
    Ratio,
    Score,
    Sequence,
    Trait,
    Window,
    is_instant,
)
from resegment.segmentation.language.limits import ACCOUNT_BYTES, FACTS_OF_A_TEST
from resegment.segmentation.language.operators import KNOWN_WITHIN, compile_checks
from resegment.segmentation.language.sameness import COMPARED, base_of
from resegment.segmentation.plays.drawing import plays_of
from resegment.segmentation.plays.templates import EvidenceField, evidence_of, names_of

DAY: Final = 86_400_000

KEPT_ATTRIBUTES: Final = frozenset({"name"})
"""Attributes that are kept even if no test uses them, because people want to read them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds an account's state: the newest `facts` that match the same test count, and older ones are dropped.

    A fact with which all facts would take more than `account_bytes` in Redis is refused.
    """

    facts: int = FACTS_OF_A_TEST
    account_bytes: int = ACCOUNT_BYTES


class Program:
    """A definition that is ready to evaluate accounts. It holds no account, so it can be shared."""

    def __init__(self, definition: Definition, limits: Limits | None = None) -> None:
        self.definition = definition
        self.traits: dict[str, Trait | Newest] = dict(definition.traits)
        for gate in definition.gates:
            self.traits.update(gate.traits)
        self.types = definition.types
        self.limits = limits or Limits()
        self.segments: tuple[Segment, ...] = tuple(
            replace(one, hold=Hold()) if one.draft else one for one in definition.segments
        )
        self.version = definition.version
        self.numbers = {segment.name: number for number, segment in enumerate(self.segments)}
        self.fallback = len(self.segments) - 1
        self._needs: list[Needs] = []
        self._measures: dict[str, Measure] = {}
        self._carried_attributes: set[str] = set()
        self._cited: set[EvidenceField] = set()
        self.conditions: dict[Condition, int] = {}
        self._builder = LeafBuilder(self.traits, self.conditions)
        self.leaves: list[Leaf] = []
        self.absences: dict[tuple[int, int, tuple[bool | None, ...]], tuple[str, ...]] = {}
        """What moves rest on, by the segments and the values of all tests. It is found when it is first asked for."""
        self.derived: list[tuple[int, Leaf]] = []
        """The tests that follow from others, by their number; each comes after those that it depends on."""
        self._requirements = Requirements(self.conditions, self.condition_of)
        self._compile()

    def _compile(self) -> None:
        judged = [segment.when for segment in self.segments if segment.when is not None]
        exits = [segment.hold.exit_when for segment in self.segments]
        gates = [gate.condition for gate in self.definition.gates]
        roots = list(self._reach([*judged, *exits, *gates]))
        for root in roots:
            for part in walk(root):
                if isinstance(part, Compare) and self._has_score(part.name):
                    continue
                if isinstance(part, Compare | Occurs | Sequence | IsOpen) and part not in self.conditions:
                    self._add(part)
        needs = Needs()
        self.restrictions = self._builder.restrictions(
            needs, self.definition.cooldown_after_lost, family=bool(self.definition.family)
        )
        """Reads the persons not to contact and the cooldown after a lost deal."""
        self.restrictions_leaf = len(self.leaves)
        self._needs.append(needs)
        self.leaves.append(self.restrictions)
        self.plain = len(self.leaves)
        for root in roots:
            self._derive(root)
        whens = [
            NOBODY if segment.draft else segment.when for segment in self.segments if segment.when is not None
        ]
        self.whens: tuple[Logic, ...] = tuple(compile_logic(one, self.conditions) for one in whens)
        self.exits: tuple[Logic | None, ...] = tuple(
            None if one is None else compile_logic(one, self.conditions) for one in exits
        )
        self.gates: tuple[tuple[str, Logic], ...] = tuple(
            (gate.name, compile_logic(gate.condition, self.conditions)) for gate in self.definition.gates
        )
        """The suppressions and territories, by name. They are evaluated with the segments."""
        self.first: Callable[[Values], int] = compile_first(whens, self.conditions)
        self.qualifying: Callable[[Values], list[int]] = compile_qualifying(whens, self.conditions)
        self.deadline: Callable[[Values, Untils, int], int] = compile_deadline(whens, self.conditions)
        self.requirements: tuple[Requirement | None, ...] = tuple(
            None if one.when is None else self._requirements.require(one.when) for one in self.segments
        )
        self.tests = tuple(tuple(dict.fromkeys(tests_in(requirement))) for requirement in self.requirements)
        self.holds = any(
            one.hold.min_dwell or one.hold.cooldown or one.hold.exit_when is not None for one in self.segments
        )
        self.carried = tuple(self._carry(segment) for segment in self.segments)
        """For each segment, the attributes and traits whose values its changes carry."""
        self._index()

    def _reach(self, roots: Iterable[Condition | None]) -> Iterator[Condition]:
        """Yield the conditions, those that they name, and those of the scores that are tested or said."""
        todo = [one for one in roots if one is not None]
        seen: set[object] = set()
        for name in sorted({name for segment in self.segments for name in self._said(segment)}):
            self._follow_trait(name, todo, seen)
        while todo:
            root = todo.pop(0)
            yield root
            for part in walk(root):
                if isinstance(part, Compare):
                    self._follow_trait(part.name, todo, seen)
                elif isinstance(part, InSegment | Named) and part not in seen:
                    seen.add(part)
                    todo.append(self.condition_of(part))

    def _follow_trait(self, name: str, todo: list[Condition], seen: set[object]) -> None:
        trait = self.traits.get(name)
        if name in seen:
            return
        seen.add(name)
        if isinstance(trait, Score):
            todo += [term.when for term in trait.terms]
        elif isinstance(trait, Ratio):
            self._follow_trait(trait.over, todo, seen)
            self._follow_trait(trait.under, todo, seen)

    def _has_score(self, name: str) -> bool:
        trait = self.traits.get(name)
        if isinstance(trait, Ratio):
            return self._has_score(trait.over) or self._has_score(trait.under)
        return isinstance(trait, Score)

    def condition_of(self, reference: InSegment | Named) -> Condition:
        """Return the condition that a reference names."""
        if isinstance(reference, Named):
            return self.definition.conditions[reference.name]
        when = self.definition.segment(reference.name).when
        assert when is not None
        return when

    def _said(self, segment: Segment) -> set[str]:
        """Return the attributes and traits whose values the segment's changes carry."""
        names: set[str] = set()
        for said in plays_of(segment, self.definition.experiments):
            play, personas = self.definition.plays[said], self.definition.personas
            names |= names_of(play, personas)
            self._cited |= evidence_of(play, personas)
        team = self.definition.teams.get(segment.route.team or "") if segment.route is not None else None
        if team is not None and isinstance(team.order, Order):
            names |= {name for name in (team.order.highest, team.order.lowest) if name is not None}
        return names

    def _carry(self, segment: Segment) -> tuple[tuple[str, Measure], ...]:
        names = self._said(segment)
        for name in names:
            needs = Needs()
            self._measures[name] = self._builder.measure(name, needs)
            self._carried_attributes |= needs.attributes
        return tuple((name, self._measures[name]) for name in sorted(names))

    def expands(self, part: Named) -> bool:
        """Whether people read the tests of a named condition instead of its name."""
        return self._requirements.expands(part)

    def _add(self, part: Condition) -> None:
        needs = Needs()
        self._needs.append(needs)
        leaf = self._builder.leaf(part, needs)
        self.conditions[part] = len(self.leaves)
        self.leaves.append(leaf)

    def measure(self, name: str) -> Measure:
        """Return the measure of an attribute or trait."""
        if name not in self._measures:
            self._measures[name] = self._builder.measure(name, Needs())
        return self._measures[name]

    def select(self, matcher: Matcher, window: Window) -> Selection:
        """Return the facts of a matcher in a window. Raises KeyError if no test uses the matcher."""
        followers = None if matcher.unless is None else self._builder.series[matcher.unless]
        return Selection(self._builder.series[matcher.base], window, followers)

    def open_of(self, things: OpenThings) -> OpenOf:
        """Return what counts open groups. Raises KeyError if no test uses it."""
        return self._builder.opens[things]

    def _derive(self, root: Condition) -> None:
        """Make leaves of what follows from other tests, after those that it depends on."""
        for part in walk(root):
            if part in self.conditions:
                continue
            if isinstance(part, InSegment | Named):
                condition = self.condition_of(part)
                self._derive(condition)
                self._add_derived(part, ReferenceLeaf(compile_logic(condition, self.conditions)), Needs())
            elif isinstance(part, Compare):
                self._derive_terms(part.name)
                needs = Needs()
                measure = self._builder.measure(part.name, needs)
                self._add_derived(part, ScoreLeaf(measure, compile_checks(part.checks)), needs)

    def _derive_terms(self, name: str) -> None:
        trait = self.traits.get(name)
        if isinstance(trait, Score):
            for term in trait.terms:
                self._derive(term.when)
        elif isinstance(trait, Ratio):
            self._derive_terms(trait.over)
            self._derive_terms(trait.under)

    def _add_derived(self, part: Condition, leaf: Leaf, needs: Needs) -> None:
        number = self.conditions[part] = len(self.leaves)
        self._needs.append(needs)
        self.leaves.append(leaf)
        self.derived.append((number, leaf))

    def _index(self) -> None:
        """Index the leaves that a fact can change, by kind and attribute."""
        for trait in self.traits.values():
            if isinstance(trait, Aggregate | Decay) and trait.matcher.base not in self._builder.series:
                self._builder.closes.setdefault(trait.matcher.base, 0)
        self.account_leaves = tuple(index for index, needs in enumerate(self._needs) if needs.account)
        """The tests of the account's name."""
        watchers: dict[str, list[Watcher]] = {kind: [] for kind in KINDS}
        for matcher, number in self._builder.series.items():
            leaves = tuple(i for i, needs in enumerate(self._needs) if matcher in needs.matchers)
            watchers[matcher.kind].append(
                Watcher(
                    number,
                    matcher,
                    leaves,
                    self._builder.closes[matcher],
                    number in self._builder.counted,
                    tuple(self._builder.groupings.get(number, ())),
                )
            )
        self.watchers = {one.number: one for kind in KINDS for one in watchers[kind]}
        """The matchers by the number of their series."""
        self.matchers = [MatcherIndex(watchers[kind]) for kind in KINDS]
        self.attribute_leaves: dict[str, tuple[int, ...]] = {}
        for index, needs in enumerate(self._needs):
            for name in needs.attributes:
                self.attribute_leaves[name] = (*self.attribute_leaves.get(name, ()), index)
        tests: dict[str, list[tuple[int, AttributeLeaf]]] = {}
        for index, leaf in enumerate(self.leaves[: self.plain]):
            if type(leaf) is AttributeLeaf:
                tests.setdefault(leaf.field, []).append((index, leaf))
        self.attribute_tests = tuple(AttributeTests(field, found) for field, found in tests.items())
        """The tests of each attribute's newest value."""
        read = {index for found in tests.values() for index, _ in found}
        self.others = tuple(index for index in range(self.plain) if index not in read)
        """The numbers of the tests that are neither among those nor follow from others."""
        among = {
            name: tuple(one for one in found if one in self.others)
            for name, found in self.attribute_leaves.items()
        }
        self.other_attribute_leaves = {name: found for name, found in among.items() if found}
        """By attribute, those of them that it can change."""
        self.uses_technologies = (
            TECHNOLOGIES in self.attribute_leaves or TECHNOLOGIES in self._carried_attributes
        )
        self.technology_leaves = self._technology_leaves()
        """The leaves that name a technology. A technology that no leaf names changes no test."""
        self.kept = [self._kept_fields(kind) for kind in KINDS]
        finite = [closes for closes in self._builder.closes.values() if closes != NEVER]
        self.memory = max([DAY, self.definition.retain, *finite])
        """How long (ms) a fact is remembered, at minimum, after it became known."""
        self.looks_back = max([self.memory, *self._looks_at_snapshots()])
        """How far (ms) tests look back on what snapshots said and when."""
        self._evaluate_blank()

    def _looks_at_snapshots(self) -> Iterator[int]:
        for trait in self.traits.values():
            if isinstance(trait, Growth):
                yield trait.over
        for part in self.conditions:
            if isinstance(part, Compare):
                yield from (
                    parse_duration(one.operand) for one in part.checks if one.operator == KNOWN_WITHIN
                )

    def _evaluate_blank(self) -> None:
        """Evaluate every test for an account about which nothing is known. Time does not change these values."""
        width = len(self.leaves)
        self.never = [NEVER] * width
        nothing = Account("", AccountState(), [None] * width, self.never)
        self.blank: Values = nothing.values
        for number, leaf in enumerate(self.leaves):
            self.blank[number] = leaf.evaluate(nothing, 0)[0]

    def _technology_leaves(self) -> dict[Any, tuple[int, ...]]:
        leaves: dict[Any, tuple[int, ...]] = {}
        for part, number in self.conditions.items():
            if isinstance(part, Compare) and part.name == TECHNOLOGIES:
                for check in part.checks:
                    for name in check.operand if isinstance(check.operand, tuple) else ():
                        leaves[name] = (*leaves.get(name, ()), number)
        return leaves

    def _kept_fields(self, kind: str) -> frozenset[str]:
        fields: set[str] = set()
        for matcher in self._builder.series:
            if matcher.kind == kind:
                fields.update(name for name, _ in matcher.where)
        for things in self._builder.opens:
            if things.kind == kind:
                fields.update((things.by, "change", *(name for name, _ in things.where)))
        for trait in self.traits.values():
            if (
                isinstance(trait, Aggregate | Decay)
                and trait.matcher.kind == kind
                and trait.field is not None
                and not is_instant(trait)
            ):
                fields.add(trait.field)
        fields.update(one.field for one in self._cited if one.kind == kind)
        for newest in self._builder.grouped:
            if newest.by is not None and any(matcher.kind == kind for matcher in newest.matchers):
                fields.add(newest.by)
        if kind == "firmographic":
            fields.update(self.attribute_leaves, KEPT_ATTRIBUTES, self._carried_attributes)
        if kind == "tech" and self.uses_technologies:
            fields.update(("technology", "change"))
        if (rule := self.definition.same.rule(kind)) is not None:
            fields.update(COMPARED[rule.kind])
            fields.update([base_of(one) for one in fields])
        return frozenset(fields)
