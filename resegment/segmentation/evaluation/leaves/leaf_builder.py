"""Build the leaves of a program, and record what each reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from resegment.segmentation.evaluation.compiler import compile_logic
from resegment.segmentation.evaluation.leaves.leaves import (
    AttributeLeaf,
    DatedLeaf,
    DecayLeaf,
    Leaf,
    MeasureLeaf,
    OccursLeaf,
    UnfollowedLeaf,
)
from resegment.segmentation.evaluation.leaves.restrictions import RestrictionsLeaf
from resegment.segmentation.evaluation.leaves.sequences import LooseSequenceLeaf, SequenceLeaf
from resegment.segmentation.evaluation.matcher_index import Grouping, compile_where
from resegment.segmentation.evaluation.measures.measures import (
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
from resegment.segmentation.evaluation.measures.newest import NewestOf
from resegment.segmentation.evaluation.measures.selection import Selection
from resegment.segmentation.language.conditions import (
    Aggregate,
    Compare,
    Condition,
    Decay,
    Growth,
    IsOpen,
    Matcher,
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


@dataclass(slots=True)
class Needs:
    """The matchers and attributes that a leaf reads."""

    matchers: set[Matcher] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    account: bool = False
    """Whether it reads the account's name."""


class LeafBuilder:
    """Builds leaves and measures, and records which facts, series and groups they read.

    `conditions` are the numbers of the leaves built so far; the terms of a score refer to them.
    """

    def __init__(self, traits: Mapping[str, Trait | Newest], conditions: Mapping[Condition, int]) -> None:
        self.traits, self.conditions = traits, conditions
        self.closes: dict[Matcher, int] = {}
        """How long after its time a fact of the matcher can count."""
        self.series: dict[Matcher, int] = {}
        self.opens: dict[OpenThings, OpenOf] = {}
        self.grouped: list[Newest] = []
        self.groupings: dict[int, list[Grouping]] = {}
        """What groups the facts of a series, by its number."""
        self.counted: set[int] = set()
        """The series that are read without regard to groups."""
        self._scores: dict[str, ScoreOf] = {}

    def leaf(self, part: Condition, needs: Needs) -> Leaf:
        """Build the leaf of a test that reads facts."""
        if isinstance(part, Occurs):
            facts = self._select(part.matcher, part.window, needs)
            predicate = compile_checks(part.count)
            if facts.followers is not None:
                return UnfollowedLeaf(facts, predicate)
            return OccursLeaf(facts.series, part.window, part.count, predicate)
        if isinstance(part, Sequence):
            window = Window(0, part.within)
            numbers = tuple(self._watch(step, window, needs) for step in part.steps)
            self.counted.update(numbers)
            kind = LooseSequenceLeaf if part.loose else SequenceLeaf
            return kind(numbers, part.within, part.gap)
        if isinstance(part, IsOpen):
            return MeasureLeaf(self._open(part.things, needs), compile_checks(part.count))
        assert isinstance(part, Compare)
        measure = self.measure(part.name, needs)
        if any(check.operator in IN_TIME for check in part.checks):
            return DatedLeaf(measure, part.checks)
        tests: Predicate = compile_checks(part.checks)
        if isinstance(measure, DecayOf):
            return DecayLeaf(measure, part.checks, tests)
        if isinstance(measure, Attribute):
            return AttributeLeaf(measure, tests)
        return MeasureLeaf(measure, tests)

    def restrictions(self, needs: Needs, cooldown: int, *, family: bool) -> RestrictionsLeaf:
        """Build the leaf of the persons not to contact and of the cooldown after a lost deal."""
        persons = tuple(self.newest(one, needs) for one in PERSONS)
        parent = None
        if family:
            needs.attributes.add(PARENT)
            parent = Attribute(PARENT)
        return RestrictionsLeaf(persons, self.newest(LOST, needs), cooldown, parent)

    def newest(self, newest: Newest, needs: Needs) -> NewestOf:
        """Build what measures what happened last."""
        self.grouped.append(newest)
        series = tuple(self._watch(matcher, Window(), needs) for matcher in newest.matchers)
        measure = NewestOf(series, newest)
        for number in series:
            self.groupings.setdefault(number, []).append(measure)
        return measure

    def measure(self, name: str, needs: Needs) -> Measure:
        """Build the measure of an attribute or trait."""
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
                return RatioOf(self.measure(over, needs), self.measure(under, needs))
            case Newest():
                return self.newest(trait, needs)

    def _select(self, matcher: Matcher, window: Window, needs: Needs) -> Selection:
        followers = None
        if matcher.unless is not None:
            # A follower that is older than the window undoes no fact in it.
            followers = self._watch(matcher.unless, Window(0, window.closes), needs)
            self.counted.add(followers)
        number = self._watch(matcher.base, window, needs)
        self.counted.add(number)
        return Selection(number, window, followers)

    def _open(self, things: OpenThings, needs: Needs) -> OpenOf:
        number = self._watch(Matcher(things.kind), Window(), needs)
        if things not in self.opens:
            passes = compile_where(things.where) if things.where else None
            self.opens[things] = OpenOf(number, things.by, passes)
            self.groupings.setdefault(number, []).append(self.opens[things])
        return self.opens[things]

    def _watch(self, matcher: Matcher, window: Window, needs: Needs) -> int:
        needs.matchers.add(matcher)
        self.closes[matcher] = max(window.closes, self.closes.get(matcher, 0))
        return self.series.setdefault(matcher, len(self.series))
