"""Compiles a definition: which facts touch which tests, and how segments follow from the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from resegment.schemas.fact import KINDS
from resegment.schemas.segments import Order
from resegment.schemas.state import AccountState
from resegment.schemas.times import NEVER
from resegment.segmentation.definition import Definition, Hold, Segment, walk
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
    DatedLeaf,
    DecayLeaf,
    DerivedLeaf,
    Leaf,
    MeasureLeaf,
    OccursLeaf,
    ReferenceLeaf,
    ScoreLeaf,
    UnfollowedLeaf,
)
from resegment.segmentation.evaluation.matcher_index import MatcherIndex, Watcher, compile_where
from resegment.segmentation.evaluation.measures import (
    AccountName,
    AggregateOf,
    Attribute,
    DecayOf,
    GrowthOf,
    Measure,
    OpenOf,
    RatioOf,
    ScoreOf,
    TimeOf,
)
from resegment.segmentation.evaluation.newest import NewestOf
from resegment.segmentation.evaluation.requirements import Requirement, Requirements, tests_in
from resegment.segmentation.evaluation.restrictions import RestrictionsLeaf
from resegment.segmentation.evaluation.selection import Selection
from resegment.segmentation.evaluation.sequences import LooseSequenceLeaf, SequenceLeaf
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
from resegment.segmentation.language.gates import LOST, PARENT, PERSONS
from resegment.segmentation.language.limits import ACCOUNT
from resegment.segmentation.language.operators import IN_TIME, Predicate, compile_checks
from resegment.segmentation.plays.templates import EvidenceField, evidence_of, names_of

DAY: Final = 86_400_000

KEPT_ATTRIBUTES: Final = frozenset({"name"})
"""Attributes that are kept even if no test uses them, because people want to read them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds an account's state to `facts` of one kind. The oldest are dropped and counted."""

    facts: int = 2_000


@dataclass(slots=True)
class _Needs:
    """The matchers and attributes that a leaf reads."""

    matchers: set[Matcher] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    account: bool = False
    """Whether it reads the account's name."""


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
        self._closes: dict[Matcher, int] = {}
        self._series: dict[Matcher, int] = {}
        self._needs: list[_Needs] = []
        self._measures: dict[str, Measure] = {}
        self._opens: dict[OpenThings, OpenOf] = {}
        self._scores: dict[str, ScoreOf] = {}
        self._carried_attributes: set[str] = set()
        self._cited: set[EvidenceField] = set()
        self._grouped: list[Newest] = []
        self.conditions: dict[Condition, int] = {}
        self.leaves: list[Leaf] = []
        self.derived: list[tuple[int, DerivedLeaf]] = []
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
        self.restrictions = self._restrict()
        """Reads the persons not to contact and the cooldown after a lost deal."""
        self.restrictions_leaf = len(self.leaves) - 1
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
        if segment.play is not None:
            play, personas = self.definition.plays[segment.play], self.definition.personas
            names |= names_of(play, personas)
            self._cited |= evidence_of(play, personas)
        team = self.definition.teams.get(segment.route.team or "") if segment.route is not None else None
        if team is not None and isinstance(team.order, Order):
            names |= {name for name in (team.order.highest, team.order.lowest) if name is not None}
        return names

    def _carry(self, segment: Segment) -> tuple[tuple[str, Measure], ...]:
        names = self._said(segment)
        for name in names:
            needs = _Needs()
            self._measures[name] = self._measure(name, needs)
            self._carried_attributes |= needs.attributes
        return tuple((name, self._measures[name]) for name in sorted(names))

    def expands(self, part: Named) -> bool:
        """Whether people read the tests of a named condition instead of its name."""
        return self._requirements.expands(part)

    def _add(self, part: Condition) -> None:
        needs = _Needs()
        self._needs.append(needs)
        leaf = self._leaf(part, needs)
        self.conditions[part] = len(self.leaves)
        self.leaves.append(leaf)

    def _restrict(self) -> RestrictionsLeaf:
        needs = _Needs()
        persons = tuple(self._newest(one, needs) for one in PERSONS)
        parent = None
        if self.definition.family:
            needs.attributes.add(PARENT)
            parent = Attribute(PARENT)
        lost, cooldown = self._newest(LOST, needs), self.definition.cooldown_after_lost
        leaf = RestrictionsLeaf(persons, lost, cooldown, parent)
        self._needs.append(needs)
        self.leaves.append(leaf)
        return leaf

    def _newest(self, newest: Newest, needs: _Needs) -> NewestOf:
        self._grouped.append(newest)
        series = tuple(self._watch(matcher, Window(), needs) for matcher in newest.matchers)
        return NewestOf(series, newest)

    def _leaf(self, part: Condition, needs: _Needs) -> Leaf:
        if isinstance(part, Occurs):
            facts = self._select(part.matcher, part.window, needs)
            predicate = compile_checks(part.count)
            if facts.followers is not None:
                return UnfollowedLeaf(facts, predicate)
            return OccursLeaf(facts.series, part.window, part.count, predicate)
        if isinstance(part, Sequence):
            window = Window(0, part.within)
            numbers = tuple(self._watch(step, window, needs) for step in part.steps)
            kind = LooseSequenceLeaf if part.loose else SequenceLeaf
            return kind(numbers, part.within, part.gap)
        if isinstance(part, IsOpen):
            return MeasureLeaf(self._open(part.things, needs), compile_checks(part.count))
        assert isinstance(part, Compare)
        measure = self._measure(part.name, needs)
        if any(check.operator in IN_TIME for check in part.checks):
            return DatedLeaf(measure, part.checks)
        tests: Predicate = compile_checks(part.checks)
        if isinstance(measure, DecayOf):
            return DecayLeaf(measure, part.checks, tests)
        if isinstance(measure, Attribute):
            return AttributeLeaf(measure, tests)
        return MeasureLeaf(measure, tests)

    def _measure(self, name: str, needs: _Needs) -> Measure:
        trait = self.traits.get(name)
        match trait:
            case None if name == ACCOUNT:
                needs.account = True
                return AccountName()
            case None:
                needs.attributes.add(name)
                return Attribute(name)
            case Aggregate(function, matcher, window, taken):
                facts = self._select(matcher, window, needs)
                if is_instant(trait):
                    return TimeOf(facts, latest=function == "latest")
                return AggregateOf(function, facts, taken)
            case Decay(matcher, window, half_life, taken):
                return DecayOf(self._select(matcher, window, needs), taken, half_life)
            case OpenThings():
                return self._open(trait, needs)
            case Score(terms):
                if name not in self._scores:
                    self._scores[name] = ScoreOf(
                        tuple((compile_logic(term.when, self.conditions), term.points) for term in terms)
                    )
                return self._scores[name]
            case Growth(attribute, over):
                needs.attributes.add(attribute)
                return GrowthOf(attribute, over)
            case Ratio(over, under):
                return RatioOf(self._measure(over, needs), self._measure(under, needs))
            case Newest():
                return self._newest(trait, needs)

    def measure(self, name: str) -> Measure:
        """Return the measure of an attribute or trait."""
        if name not in self._measures:
            self._measures[name] = self._measure(name, _Needs())
        return self._measures[name]

    def select(self, matcher: Matcher, window: Window) -> Selection:
        """Return the facts of a matcher in a window. Raises KeyError if no test uses the matcher."""
        followers = None if matcher.unless is None else self._series[matcher.unless]
        return Selection(self._series[matcher.base], window, followers)

    def _select(self, matcher: Matcher, window: Window, needs: _Needs) -> Selection:
        followers = None
        if matcher.unless is not None:
            # A follower that is older than the window undoes no fact in it.
            followers = self._watch(matcher.unless, Window(0, window.closes), needs)
        return Selection(self._watch(matcher.base, window, needs), window, followers)

    def open_groups(self, kind: int) -> list[OpenOf]:
        """Return what counts open groups of a kind of facts."""
        return [measure for things, measure in self._opens.items() if things.kind == KINDS[kind]]

    def open_of(self, things: OpenThings) -> OpenOf:
        """Return what counts open groups. Raises KeyError if no test uses it."""
        return self._opens[things]

    def _open(self, things: OpenThings, needs: _Needs) -> OpenOf:
        number = self._watch(Matcher(things.kind), Window(), needs)
        if things not in self._opens:
            passes = compile_where(things.where) if things.where else None
            self._opens[things] = OpenOf(number, things.by, passes)
        return self._opens[things]

    def _watch(self, matcher: Matcher, window: Window, needs: _Needs) -> int:
        needs.matchers.add(matcher)
        self._closes[matcher] = max(window.closes, self._closes.get(matcher, 0))
        return self._series.setdefault(matcher, len(self._series))

    def _derive(self, root: Condition) -> None:
        """Make leaves of what follows from other tests, after those that it depends on."""
        for part in walk(root):
            if part in self.conditions:
                continue
            if isinstance(part, InSegment | Named):
                condition = self.condition_of(part)
                self._derive(condition)
                self._add_derived(part, ReferenceLeaf(compile_logic(condition, self.conditions)), _Needs())
            elif isinstance(part, Compare):
                self._derive_terms(part.name)
                needs = _Needs()
                measure = self._measure(part.name, needs)
                self._add_derived(part, ScoreLeaf(measure, compile_checks(part.checks)), needs)

    def _derive_terms(self, name: str) -> None:
        trait = self.traits.get(name)
        if isinstance(trait, Score):
            for term in trait.terms:
                self._derive(term.when)
        elif isinstance(trait, Ratio):
            self._derive_terms(trait.over)
            self._derive_terms(trait.under)

    def _add_derived(self, part: Condition, leaf: DerivedLeaf, needs: _Needs) -> None:
        number = self.conditions[part] = len(self.leaves)
        self._needs.append(needs)
        self.leaves.append(leaf)
        self.derived.append((number, leaf))

    def _index(self) -> None:
        """Index the leaves that a fact can change, by kind and attribute."""
        for trait in self.traits.values():
            if isinstance(trait, Aggregate | Decay) and trait.matcher.base not in self._series:
                self._closes.setdefault(trait.matcher.base, 0)
        self.account_leaves = tuple(index for index, needs in enumerate(self._needs) if needs.account)
        """The tests of the account's name."""
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
        for matcher in self._series:
            if matcher.kind == kind:
                fields.update(name for name, _ in matcher.where)
        for things in self._opens:
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
        for newest in self._grouped:
            if newest.by is not None and any(matcher.kind == kind for matcher in newest.matchers):
                fields.add(newest.by)
        if kind == "firmographic":
            fields.update(self.attribute_leaves, KEPT_ATTRIBUTES, self._carried_attributes)
        if kind == "tech" and self.uses_technologies:
            fields.update(("technology", "change"))
        return frozenset(fields)
