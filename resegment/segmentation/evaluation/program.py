"""Compiles a definition: which facts touch which tests, and how segments follow from the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from resegment.schemas.fact import KINDS
from resegment.schemas.segments import Order
from resegment.schemas.state import AccountState
from resegment.schemas.times import NEVER
from resegment.segmentation.definition import Definition, Segment, walk
from resegment.segmentation.evaluation.account import TECHNOLOGIES, Account
from resegment.segmentation.evaluation.compiler import (
    Logic,
    Untils,
    Values,
    compile_deadline,
    compile_first,
    compile_logic,
    compile_qualifying,
)
from resegment.segmentation.evaluation.leaves import (
    AttributeLeaf,
    DecayLeaf,
    Leaf,
    MeasureLeaf,
    OccursLeaf,
    SequenceLeaf,
)
from resegment.segmentation.evaluation.matcher_index import MatcherIndex, Watcher
from resegment.segmentation.evaluation.measures import (
    AggregateOf,
    Attribute,
    DecayOf,
    GrowthOf,
    Measure,
    RatioOf,
)
from resegment.segmentation.language.conditions import (
    Aggregate,
    Compare,
    Condition,
    Decay,
    Every,
    Growth,
    InSegment,
    Matcher,
    Not,
    Occurs,
    Ratio,
    Sequence,
    Some,
    Trait,
    Window,
)
from resegment.segmentation.language.operators import Predicate, compile_checks
from resegment.segmentation.plays.templates import EvidenceField, evidence_of, names_of

DAY: Final = 86_400_000

KEPT_ATTRIBUTES: Final = frozenset({"name"})
"""Attributes that are kept even if no test uses them, because people want to read them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds an account's state to `facts` of one kind. The oldest are dropped and counted."""

    facts: int = 2_000


class SegmentTest(NamedTuple):
    """One test of a segment: its leaf, its text for people, and the value that it needs to have."""

    leaf: int
    text: str
    wanted: bool


class Branch(NamedTuple):
    """Several requirements, of which every one or at least one has to be met."""

    every: bool
    parts: tuple[Requirement, ...]


Requirement = SegmentTest | Branch
"""A segment's condition as a tree of requirements, with `not` moved into the tests."""


def tests_in(requirement: Requirement | None) -> Iterator[SegmentTest]:
    """Yield all tests of a condition, in the order in which they are written."""
    if isinstance(requirement, SegmentTest):
        yield requirement
    elif requirement is not None:
        for part in requirement.parts:
            yield from tests_in(part)


@dataclass(slots=True)
class _Needs:
    """The matchers and attributes that a leaf reads."""

    matchers: set[Matcher] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)


class Program:
    """A definition that is ready to evaluate accounts. It holds no account, so it can be shared."""

    def __init__(self, definition: Definition, limits: Limits | None = None) -> None:
        self.definition = definition
        self.traits: dict[str, Trait] = dict(definition.traits)
        for gate in definition.gates:
            self.traits.update(gate.traits)
        self.limits = limits or Limits()
        self.segments: tuple[Segment, ...] = definition.segments
        self.version = definition.version
        self.numbers = {segment.name: number for number, segment in enumerate(self.segments)}
        self.fallback = len(self.segments) - 1
        self._closes: dict[Matcher, int] = {}
        self._series: dict[Matcher, int] = {}
        self._needs: list[_Needs] = []
        self._measures: dict[str, Measure] = {}
        self._carried_attributes: set[str] = set()
        self._cited: set[EvidenceField] = set()
        self.conditions: dict[Condition, int] = {}
        self.leaves: list[Leaf] = []
        self.derived: list[tuple[int, Logic]] = []
        self._compile()

    def _compile(self) -> None:
        whens = [segment.when for segment in self.segments if segment.when is not None]
        exits = [segment.hold.exit_when for segment in self.segments]
        for root in (*whens, *exits, *(gate.condition for gate in self.definition.gates)):
            for part in walk(root):
                if isinstance(part, Compare | Occurs | Sequence) and part not in self.conditions:
                    self._add(part)
        self.plain = len(self.leaves)
        self._derive()
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
            None if one.when is None else self._require(one.when) for one in self.segments
        )
        self.tests = tuple(tuple(dict.fromkeys(tests_in(requirement))) for requirement in self.requirements)
        self.holds = any(
            one.hold.min_dwell or one.hold.cooldown or one.hold.exit_when is not None for one in self.segments
        )
        self.carried = tuple(self._carry(segment) for segment in self.segments)
        """For each segment, the attributes and traits whose values its changes carry."""
        self._index()

    def _carry(self, segment: Segment) -> tuple[tuple[str, Measure], ...]:
        names: set[str] = set()
        if segment.play is not None:
            play, personas = self.definition.plays[segment.play], self.definition.personas
            names |= names_of(play, personas)
            self._cited |= evidence_of(play, personas)
        team = self.definition.teams.get(segment.route.team or "") if segment.route is not None else None
        if team is not None and isinstance(team.order, Order):
            names |= {name for name in (team.order.highest, team.order.lowest) if name is not None}
        for name in names:
            needs = _Needs()
            self._measures[name] = self._measure(name, needs)
            self._carried_attributes |= needs.attributes
        return tuple((name, self._measures[name]) for name in sorted(names))

    def _require(self, part: Condition, wanted: bool = True) -> Requirement:
        if isinstance(part, Not):
            return self._require(part.part, not wanted)
        if isinstance(part, Every | Some):
            parts = tuple(self._require(one, wanted) for one in part.parts)
            return Branch(isinstance(part, Every) is wanted, parts)
        return SegmentTest(self.conditions[part], str(part) if wanted else f"not: {part}", wanted)

    def _add(self, part: Condition) -> None:
        needs = _Needs()
        self._needs.append(needs)
        leaf = self._leaf(part, needs)
        self.conditions[part] = len(self.leaves)
        self.leaves.append(leaf)

    def _leaf(self, part: Condition, needs: _Needs) -> Leaf:
        if isinstance(part, Occurs):
            number = self._watch(part.matcher, part.window, needs)
            return OccursLeaf(number, part.window, part.count, compile_checks(part.count))
        if isinstance(part, Sequence):
            window = Window(0, part.within)
            numbers = tuple(self._watch(step, window, needs) for step in part.steps)
            return SequenceLeaf(numbers, part.within, part.gap)
        assert isinstance(part, Compare)
        measure = self._measure(part.name, needs)
        predicate: Predicate = compile_checks(part.checks)
        if isinstance(measure, DecayOf):
            return DecayLeaf(measure, part.checks, predicate)
        if isinstance(measure, Attribute):
            return AttributeLeaf(measure, predicate)
        return MeasureLeaf(measure, predicate)

    def _measure(self, name: str, needs: _Needs) -> Measure:
        trait = self.traits.get(name)
        match trait:
            case None:
                needs.attributes.add(name)
                return Attribute(name)
            case Aggregate(function, matcher, window, taken):
                return AggregateOf(function, self._watch(matcher, window, needs), window, taken)
            case Decay(matcher, window, half_life, taken):
                return DecayOf(self._watch(matcher, window, needs), window, taken, half_life)
            case Growth(attribute, over):
                needs.attributes.add(attribute)
                return GrowthOf(attribute, over)
            case Ratio(over, under):
                return RatioOf(self._measure(over, needs), self._measure(under, needs))

    def measure(self, name: str) -> Measure:
        """Return the measure of an attribute or trait."""
        if name not in self._measures:
            self._measures[name] = self._measure(name, _Needs())
        return self._measures[name]

    def series(self, matcher: Matcher) -> int:
        """Return the number of a matcher's series. Raises KeyError if no test uses the matcher."""
        return self._series[matcher]

    def _watch(self, matcher: Matcher, window: Window, needs: _Needs) -> int:
        needs.matchers.add(matcher)
        self._closes[matcher] = max(window.closes, self._closes.get(matcher, 0))
        return self._series.setdefault(matcher, len(self._series))

    def _derive(self) -> None:
        """Make leaves of references to segments. They are evaluated after the leaves that they depend on."""
        by_name = {segment.name: segment for segment in self.segments}

        def add(name: str) -> None:
            reference = InSegment(name)
            if reference in self.conditions:
                return
            when = by_name[name].when
            assert when is not None
            for part in walk(when):
                if isinstance(part, InSegment):
                    add(part.name)
            self.conditions[reference] = self.plain + len(self.derived)
            self.derived.append((self.conditions[reference], compile_logic(when, self.conditions)))

        for segment in self.segments:
            for root in (segment.when, segment.hold.exit_when):
                for part in walk(root):
                    if isinstance(part, InSegment):
                        add(part.name)
        for gate in self.definition.gates:
            for part in walk(gate.condition):
                if isinstance(part, InSegment):
                    add(part.name)

    def _index(self) -> None:
        """Index the leaves that a fact can change, by kind and attribute."""
        for trait in self.traits.values():
            if isinstance(trait, Aggregate | Decay) and trait.matcher not in self._series:
                self._closes.setdefault(trait.matcher, 0)
        watchers: dict[str, list[Watcher]] = {kind: [] for kind in KINDS}
        for matcher, number in self._series.items():
            leaves = tuple(i for i, needs in enumerate(self._needs) if matcher in needs.matchers)
            watchers[matcher.kind].append(Watcher(number, matcher, leaves, self._closes[matcher]))
        self.matchers = [MatcherIndex(watchers[kind]) for kind in KINDS]
        self.attribute_leaves: dict[str, tuple[int, ...]] = {}
        for index, needs in enumerate(self._needs):
            for name in needs.attributes:
                self.attribute_leaves[name] = (*self.attribute_leaves.get(name, ()), index)
        self.uses_technologies = (
            TECHNOLOGIES in self.attribute_leaves or TECHNOLOGIES in self._carried_attributes
        )
        self.technology_leaves = self._technology_leaves()
        """The leaves that name a technology. A technology that no leaf names changes no test."""
        self.kept = [self._kept_fields(kind) for kind in KINDS]
        finite = [closes for closes in self._closes.values() if closes != NEVER]
        self.memory = max([DAY, self.definition.retain, *finite])
        """How long (ms) a fact is remembered, at minimum, after it became known."""
        self._evaluate_blank()

    def _evaluate_blank(self) -> None:
        """Evaluate every test for an account about which nothing is known. Time does not change these values."""
        width = self.plain + len(self.derived)
        self.never = [NEVER] * width
        nothing = Account("", AccountState(), [None] * width, self.never)
        self.blank: Values = [leaf.evaluate(nothing, 0)[0] for leaf in self.leaves]
        for _, logic in self.derived:
            self.blank.append(logic.evaluate(self.blank, self.never)[0])

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
        for matcher in self._series:
            if matcher.kind == kind:
                fields.update(name for name, _ in matcher.where)
        for trait in self.traits.values():
            if (
                isinstance(trait, Aggregate | Decay)
                and trait.matcher.kind == kind
                and trait.field is not None
            ):
                fields.add(trait.field)
        fields.update(one.field for one in self._cited if one.kind == kind)
        if kind == "firmographic":
            fields.update(self.attribute_leaves, KEPT_ATTRIBUTES, self._carried_attributes)
        if kind == "tech" and self.uses_technologies:
            fields.update(("technology", "change"))
        return frozenset(fields)
