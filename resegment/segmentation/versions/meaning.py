"""Number what conditions and traits mean, so that two with the same number mean the same in every definition."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

from resegment.segmentation.definition import Definition
from resegment.segmentation.language.conditions import (
    Aggregate,
    Check,
    Checks,
    Compare,
    Condition,
    Decay,
    Every,
    FileList,
    Growth,
    InSegment,
    IsOpen,
    Matcher,
    Named,
    Newest,
    Not,
    Occurs,
    OpenThings,
    Ratio,
    Score,
    Sequence,
    Some,
    Trait,
    Window,
)

_SETS: Final = frozenset({"in", "not_in", "has_any", "has_all", "has_none", "contains_any"})
"""Operators whose operand is a list in any order."""

Number = int


class Meanings:
    """Gives each meaning a number. Definitions that are compared use the same one."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, Number] = {}
        self._nodes: list[Hashable] = []

    def number(self, node: Hashable) -> Number:
        """Return the number of a node, whose parts are numbers already."""
        found = self._numbers.get(node)
        if found is None:
            found = self._numbers[node] = len(self._nodes)
            self._nodes.append(node)
        return found

    def node(self, number: Number) -> Any:
        return self._nodes[number]


class Reader:
    """Reads the meanings of one definition: names of conditions, segments, traits and lists do not matter."""

    def __init__(self, definition: Definition, meanings: Meanings) -> None:
        self._definition, self._meanings = definition, meanings
        self._traits: dict[str, Trait | Newest] = dict(definition.traits)
        for gate in definition.gates:
            self._traits.update(gate.traits)
        self._known: dict[Hashable, Number] = {}

    def condition(self, part: Condition | None) -> Number | None:
        """Return the number of a condition; None without one."""
        return None if part is None else self._condition(part)

    def trait(self, name: str) -> Number:
        """Return the number of an attribute or trait."""
        key = ("measure", name)
        if key not in self._known:
            trait = self._traits.get(name)
            node = ("attribute", name, self._type(name)) if trait is None else self._trait(trait)
            self._known[key] = self._meanings.number(node)
        return self._known[key]

    def _condition(self, part: Condition) -> Number:
        if part not in self._known:
            self._known[part] = self._read(part)
        return self._known[part]

    def _read(self, part: Condition) -> Number:
        number = self._meanings.number
        match part:
            case Named(name):
                return self._condition(self._definition.conditions[name])
            case InSegment(name):
                when = self._definition.segment(name).when
                return number(("nothing",)) if when is None else self._condition(when)
            case Every() | Some():
                return self._group(part)
            case Not(inner):
                node = self._meanings.node(found := self._condition(inner))
                return int(node[1]) if node[0] == "not" else number(("not", found))
            case Compare(name, checks):
                return number(("compare", self.trait(name), _checks(checks)))
            case Occurs(matcher, window, count):
                return number(("occurs", self._matcher(matcher), _window(window), _checks(count)))
            case IsOpen(things, count):
                return number(("open", self._trait(things), _checks(count)))
            case Sequence(steps, within, gap, loose):
                return number(("sequence", tuple(map(self._matcher, steps)), within, gap, loose))

    def _group(self, part: Every | Some) -> Number:
        """Read a group: the order of its parts, groups of the same sort inside, and repetitions do not matter."""
        sort = "all" if isinstance(part, Every) else "any"
        parts: set[Number] = set()
        for one in part.parts:
            node = self._meanings.node(found := self._condition(one))
            parts |= node[1] if node[0] == sort else {found}
        return parts.pop() if len(parts) == 1 else self._meanings.number((sort, frozenset(parts)))

    def _trait(self, trait: Trait | Newest) -> Hashable:
        match trait:
            case Aggregate(function, matcher, window, field):
                return (function, self._matcher(matcher), _window(window), self._field(matcher, field))
            case Decay(matcher, window, half_life, field):
                return (
                    "decay",
                    self._matcher(matcher),
                    _window(window),
                    half_life,
                    self._field(matcher, field),
                )
            case Ratio(over, under):
                return ("ratio", self.trait(over), self.trait(under))
            case Growth(attribute, over):
                return ("growth", self.trait(attribute), over)
            case OpenThings(kind, by, where):
                return ("open things", self._matcher(Matcher(kind, where)), by)
            case Score(terms):
                counted = [(self._condition(term.when), term.points) for term in terms]
                return ("score", tuple(sorted(counted)))
            case Newest(matchers, actions, by, folded):
                found = tuple(map(self._matcher, matchers))
                return ("newest", found, frozenset(actions), by, folded)

    def _matcher(self, matcher: Matcher) -> Hashable:
        where = frozenset((self._field(matcher, name), _checks(checks)) for name, checks in matcher.where)
        return (matcher.kind, where, None if matcher.unless is None else self._matcher(matcher.unless))

    def _field(self, matcher: Matcher, name: str | None) -> Hashable:
        """Return a field of facts; the types of the file apply to snapshots."""
        return (name, self._type(name)) if name is not None and matcher.kind == "firmographic" else name

    def _type(self, name: str) -> Hashable:
        types: Mapping[str, Any] = self._definition.types
        found = types.get(name)
        return None if found is None else (found.name, frozenset(map(_tagged, found.choices)))


def _window(window: Window) -> Hashable:
    return (window.opens, window.closes)


def _checks(checks: Checks) -> Hashable:
    return frozenset(map(_check, checks))


def _check(check: Check) -> Hashable:
    operand = check.operand
    if isinstance(operand, FileList):
        return (check.operator, operand.digest, operand.accounts)
    if not isinstance(operand, tuple):
        return (check.operator, _tagged(operand))
    values = map(_tagged, operand)
    return (check.operator, frozenset(values) if check.operator in _SETS else tuple(values))


def _tagged(value: Any) -> Hashable:
    """Return a value that equals another only if both mean the same: true is not 1."""
    return (isinstance(value, bool), value)
