"""Why an account is where it is: every test with its value and its evidence, what is missing, what comes next."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from resegment.schemas.state import Entry
from resegment.schemas.times import HORIZON, format_instant, spell_duration
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.evidence import cite
from resegment.segmentation.evaluation.leaves.sequences import SequenceLeaf
from resegment.segmentation.evaluation.measures.measures import (
    AggregateOf,
    Attribute,
    DecayOf,
    GrowthOf,
    Measure,
    OpenOf,
    RatioOf,
    TimeOf,
)
from resegment.segmentation.evaluation.measures.selection import Selection
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.evaluation.pruning import count_dropped
from resegment.segmentation.inspection.descriptions import cite_newest, describe_trait, plain
from resegment.segmentation.inspection.entry_time import find_entry_time
from resegment.segmentation.inspection.explanation import (
    Explanation,
    Held,
    Miss,
    Node,
    SegmentStatus,
    summarize,
)
from resegment.segmentation.inspection.near_miss import find_closed, find_near_miss
from resegment.segmentation.inspection.needs import NeedFinder
from resegment.segmentation.inspection.next_change import copy_account, find_next, spell_window
from resegment.segmentation.language.conditions import (
    Aggregate,
    Compare,
    Condition,
    Decay,
    Every,
    Growth,
    InSegment,
    IsOpen,
    Named,
    Not,
    Occurs,
    OpenThings,
    Ratio,
    Score,
    Sequence,
    Some,
    Trait,
    Window,
    tell_whole,
)
from resegment.segmentation.language.operators import KNOWN_WITHIN

NO_CHANGE: Final = "no change is due"


def explain(engine: Engine, account: Account, t: int, *, ahead: bool = True) -> Explanation:
    """Explain an account that has been advanced to t; it stays as it is. `ahead` looks for its next change too."""
    program = engine.program
    account = copy_account(engine, account)
    engine.evaluate(account, t)
    member = account.state.membership
    current = program.numbers.get(member.segment or "", -1)
    reader = _Reader(program, account, t)
    statuses = tuple(reader.stand(number, current) for number in range(len(program.segments)))
    dropped = count_dropped(program, account)
    coming = find_next(engine, account) if ahead and member.segment is not None else None
    entry = None if member.segment is None else find_entry_time(engine, account.name, account.state, t)
    return Explanation(
        account=account.name,
        at=format_instant(t),
        segment=member.segment,
        since=None if member.segment is None else format_instant(member.entered),
        summary=summarize(account, current, statuses, entry),
        segments=statuses,
        also_qualified=tuple(
            one.name
            for number, one in enumerate(statuses)
            if number > current >= 0 and one.condition is not None and one.value and not one.draft
        ),
        next=coming,
        outlook=NO_CHANGE if coming is None else coming.text,
        dropped=dropped.total(),
        dropped_by=dict(dropped),
        definition_version=program.version,
        entered_at=None if entry is None else format_instant(entry.at),
        entered_at_limited=entry is not None and entry.limited,
    )


def describe_explanation(explanation: Explanation) -> dict[str, Any]:
    """Return the explanation as plain JSON data."""
    plain: dict[str, Any] = msgspec.to_builtins(explanation)
    return plain


def explain_absence(explanation: Explanation, name: str) -> str:
    """In one line, why the account is not in that segment. Raises KeyError for a name that no segment has."""
    status = next((one for one in explanation.segments if one.name == name), None)
    if status is None:
        raise KeyError(name)
    if status.draft:
        return f"{name} is a draft: it takes no account"
    if status.misses:
        return f"{name} needs {' and '.join(str(one) for one in status.misses)}"
    if status.holds and status.role == "higher":
        return f"{name}: {status.holds[0].text}"
    return f"{name} is below {explanation.segment}"


class _Reader:
    """Reads one account at one instant."""

    def __init__(self, program: Program, account: Account, t: int) -> None:
        self.program, self.account, self.t = program, account, t
        self._needs = NeedFinder(program, self._value, self._miss)

    def stand(self, number: int, current: int) -> SegmentStatus:
        segment = self.program.segments[number]
        role: Literal["current", "higher", "lower"] = (
            "current" if number == current else "higher" if number < current else "lower"
        )
        if segment.when is None:
            return SegmentStatus(name=segment.name, role=role, value=True)
        condition = self.read(segment.when)
        leave = None if segment.hold.exit_when is None else self.read(segment.hold.exit_when)
        return SegmentStatus(
            name=segment.name,
            role=role,
            value=condition.value,
            condition=condition,
            exit_when=leave,
            misses=self._needs.misses(segment.when),
            needs=self._needs.needs(segment.when),
            holds=self._holds(number, role, condition.value, None if leave is None else leave.value),
            draft=segment.draft,
        )

    # Conditions

    def read(self, condition: Condition) -> Node:
        match condition:
            case Not(part):
                inner = self.read(part)
                return Node(
                    kind="not",
                    text=str(condition),
                    value=None if inner.value is None else not inner.value,
                    parts=(inner,),
                )
            case Every(parts) | Some(parts):
                nodes = tuple(self.read(part) for part in parts)
                every = isinstance(condition, Every)
                values = {node.value for node in nodes}
                value = (not every) if (not every) in values else None if None in values else every
                return Node(kind="all" if every else "any", text=str(condition), value=value, parts=nodes)
            case InSegment():
                return Node(kind="segment", text=str(condition), value=self._value(condition))
            case Named():
                inner_of = self.program.condition_of(condition)
                return Node(
                    kind="condition",
                    text=str(condition),
                    value=self._value(condition),
                    parts=(self.read(inner_of),) if self.program.expands(condition) else (),
                )
            case Compare(name, _):
                return self._read_value(condition, name)
            case Occurs() | Sequence():
                return self._read_facts(condition)
            case IsOpen(things):
                return self._read_open(condition, things)

    def _value(self, part: Condition) -> bool | None:
        return self.account.values[self.program.conditions[part]]

    def _until(self, part: Condition) -> str | None:
        instant = self.account.untils[self.program.conditions[part]]
        return None if instant > HORIZON else format_instant(instant)

    def _read_value(self, part: Compare, name: str) -> Node:
        measure = self.program.measure(name)
        trait = self.program.definition.traits.get(name)
        value = self._value(part)
        window = trait.window if isinstance(trait, Aggregate | Decay) else Window()
        measured = measure.value(self.account, self.t)
        return Node(
            kind="value",
            text=str(part),
            value=value,
            measured=plain(measured),
            parts=self._read_terms(trait) if isinstance(trait, Score) else (),
            near=self._near(trait) if not measured or (isinstance(trait, Score) and not value) else None,
            made_of=None if trait is None else describe_trait(trait),
            window=spell_window(window),
            evidence=cite_newest(self._evidence(measure)),
            unknown=tuple(self._unknown(name, part)) if value is None else (),
            until=self._until(part),
        )

    def _read_terms(self, score: Score) -> tuple[Node, ...]:
        parts = [(term.points, self.read(term.when)) for term in score.terms]
        return tuple(
            Node(kind="term", text=f"{points:+g} points", value=part.value, parts=(part,))
            for points, part in parts
        )

    def _near(self, trait: Trait | None) -> str | None:
        match trait:
            case Aggregate(_, matcher, window) | Decay(matcher, window):
                return find_near_miss(self.account, self.program.select(matcher, window), matcher, self.t)
            case OpenThings():
                measure = self.program.open_of(trait)
                return find_closed(self.account, measure, self.t)
            case Score(terms):
                lacking = [
                    f"{term.points:+g} if {tell_whole(term.when)}"
                    for term in terms
                    if term.points > 0 and self.read(term.when).value is not True
                ]
                return ", ".join(lacking) or None
            case _:
                return None

    def _read_open(self, part: Condition, things: OpenThings) -> Node:
        measure = self.program.open_of(things)
        found = measure.entries(self.account, self.t)
        return Node(
            kind="open",
            text=str(part),
            value=self._value(part),
            measured=len(found),
            evidence=cite_newest(found),
            near=None if found else find_closed(self.account, measure, self.t),
            until=self._until(part),
        )

    def _read_facts(self, part: Occurs | Sequence) -> Node:
        account, t = self.account, self.t
        if isinstance(part, Sequence):
            window = Window(0, part.within)
            facts = [self.program.select(step, window) for step in part.steps]
            leaf = self.program.leaves[self.program.conditions[part]]
            found = leaf.evidence(account, t) if isinstance(leaf, SequenceLeaf) else []
        else:
            window = part.window
            facts = [self.program.select(part.matcher, window)]
            found = facts[0].entries(account, t)
        last: Entry | None = None
        if not found:
            seen = [
                one
                for selection in facts
                for one in Selection(selection.series, Window()).entries(account, t)
            ]
            last = max(seen, key=lambda one: (one.time, one.id), default=None)
        return Node(
            kind="sequence" if isinstance(part, Sequence) else "event",
            text=str(part),
            value=self._value(part),
            measured=len(found),
            window=spell_window(window),
            evidence=cite_newest(found),
            last=None if last is None else cite(last),
            near=None if found or isinstance(part, Sequence) else self._near_event(part, last),
            until=self._until(part),
        )

    def _near_event(self, part: Occurs, last: Entry | None) -> str | None:
        if last is not None and part.matcher.unless is None:
            return None
        facts = self.program.select(part.matcher, part.window)
        return find_near_miss(self.account, facts, part.matcher, self.t)

    # Grounds

    def _evidence(self, measure: Measure) -> list[Entry]:
        account, t = self.account, self.t
        match measure:
            case AggregateOf() | DecayOf() | TimeOf():
                return measure.facts.entries(account, t)
            case OpenOf():
                return measure.entries(account, t)
            case Attribute():
                return self._snapshot(measure.field, t)
            case GrowthOf():
                return [*self._snapshot(measure.field, t - measure.over), *self._snapshot(measure.field, t)]
            case RatioOf():
                return [*self._evidence(measure.over), *self._evidence(measure.under)]
            case _:
                return []

    def _snapshot(self, field: str, t: int) -> list[Entry]:
        history = self.account.attributes.get(field)
        place = 0 if history is None else history.reach(t)
        return [] if history is None or not place else [history.entries[place - 1]]

    def _unknown(self, name: str, part: Compare | None = None) -> list[str]:
        """Return what is missing for the value, down to attributes; the name itself if its value has another type."""
        account, t = self.account, self.t
        for check in part.checks if part is not None else ():
            if check.operator == KNOWN_WITHIN and account.attribute_at(name, t) is not None:
                return [f"{name} of the last {check.operand}"]
        match self.program.definition.traits.get(name):
            case Ratio(over, under):
                lacking = [
                    one for one in (over, under) if self.program.measure(one).value(account, t) is None
                ]
                return [found for one in lacking for found in self._unknown(one)] or [name]
            case Growth(attribute, over):
                lacking = [] if account.attribute_at(attribute, t) is not None else [attribute]
                if account.attribute_at(attribute, t - over) is None:
                    lacking.append(f"{attribute} {spell_duration(over)} ago")
                return lacking or [name]
            case _:
                return [name]

    # What is missing

    def _miss(self, part: Condition, must: bool) -> Miss:
        node = self.read(part)
        return Miss(
            test=node.text,
            value=node.value,
            must=must,
            facts=node.kind != "value",
            measured=node.measured,
            last=node.last,
            near=node.near,
            unknown=node.unknown,
        )

    # Hold

    def _holds(self, number: int, role: str, value: bool | None, leaving: bool | None) -> tuple[Held, ...]:
        segment, member, t = self.program.segments[number], self.account.state.membership, self.t
        hold = segment.hold
        found: list[Held] = []
        if role == "current":
            goes = leaving is True if hold.exit_when is not None else value is not True
            dwell = member.entered + hold.min_dwell
            if t < dwell:
                until = format_instant(dwell)
                what = "kept by min_dwell" if goes else "cannot move to a lower segment (min_dwell)"
                found.append(Held(by="min_dwell", text=f"{what} until {until}", until=until))
            if hold.exit_when is not None and leaving is not True and value is not True:
                found.append(Held(by="exit_when", text="kept until exit_when is true"))
            return tuple(found)
        left = member.left.get(segment.name)
        if left is not None and t < left + hold.cooldown:
            until = format_instant(left + hold.cooldown)
            found.append(
                Held(
                    by="cooldown", text=f"cannot take the account back until {until} (cooldown)", until=until
                )
            )
        if leaving is True:
            found.append(Held(by="exit_when", text="takes no account while exit_when is true"))
        return tuple(found)
