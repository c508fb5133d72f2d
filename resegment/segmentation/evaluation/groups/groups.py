"""Index an account's facts by what they may be the same as, and say which fact counts for each group."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Hashable, Iterable, Iterator
from operator import attrgetter
from typing import Final, NamedTuple

from mypy_extensions import mypyc_attr

from resegment.schemas.state import KIND_NUMBERS, Entry
from resegment.segmentation.evaluation.groups.forming import Merged, Ranking, form_groups, merge
from resegment.segmentation.evaluation.groups.likeness import Likeness
from resegment.segmentation.language.sameness import Sameness

_time = attrgetter("time")
GROUPED_IN_MEMORY: Final = 1_150
"""About the bytes of memory that the groups take for each fact."""


class Grouper:
    """Compares and ranks facts as one file says. Accounts share it."""

    def __init__(self, same: Sameness) -> None:
        self.ranking = Ranking(same.trust)
        self.by_kind = {KIND_NUMBERS[rule.kind]: Likeness(rule) for rule in same.rules}


class Moved(NamedTuple):
    """Which facts count no more after a fact came or went, and which count instead."""

    out: list[Entry]
    into: list[Entry]


@mypyc_attr(acyclic=True)
class Groups:
    """The groups of one account's facts. Facts that can be the same as others are linked by their keys."""

    __slots__ = ("_by_key", "_counted", "_keys", "grouper")

    def __init__(self, grouper: Grouper) -> None:
        self.grouper = grouper
        self._by_key: dict[tuple[int, Hashable], list[Entry]] = {}
        """Facts with a key, by time."""
        self._keys: dict[int, frozenset[tuple[int, Hashable]]] = {}
        """By the `id()` of a fact: its keys."""
        self._counted: dict[int, Entry] = {}
        """By the `id()` of a fact: the fact that counts for its group."""

    def add(self, entry: Entry) -> Moved:
        """Add a fact."""
        for key in self._note(entry):
            insort(self._by_key.setdefault(key, []), entry, key=_time)
        return self._form(entry.kind, self._component(entry))

    def fill(self, entries: Iterable[Entry]) -> Iterable[Entry]:
        """Add the first facts, and return those that count. It costs less than to add them one by one."""
        for entry in entries:
            self._counted[id(entry)] = entry
            for key in self._note(entry):
                self._by_key.setdefault(key, []).append(entry)
        for facts in self._by_key.values():
            facts.sort(key=_time)
        for component in self._components():
            if len(component) > 1:
                self._form(component[0].kind, component)
        return self.counted()

    def remove(self, entry: Entry) -> Moved:
        """Remove a fact."""
        others = [one for one in self._component(entry) if one is not entry]
        for key in self._keys.pop(id(entry)):
            facts = self._by_key[key]
            facts[:] = [one for one in facts if one is not entry]
        counted = self._counted.pop(id(entry))
        moved = self._form(entry.kind, others)
        if counted is entry:
            moved.out.append(entry)
        return moved

    def keep(self, kept: set[int]) -> None:
        """Forget all facts but some, which `kept` has by their `id()`. Groups are kept or forgotten whole."""
        for key, facts in list(self._by_key.items()):
            left = [one for one in facts if id(one) in kept]
            if left:
                self._by_key[key] = left
            else:
                del self._by_key[key]
        self._counted = {one: counted for one, counted in self._counted.items() if one in kept}
        self._keys = {one: keys for one, keys in self._keys.items() if one in kept}

    def measure(self) -> int:
        """Return about how many bytes of memory the groups take."""
        return len(self._counted) * GROUPED_IN_MEMORY

    def counted(self) -> Iterable[Entry]:
        """Return the facts that count, each once."""
        return {id(one): one for one in self._counted.values()}.values()

    def spread(self, kept: set[int]) -> None:
        """Add to some facts, named by their `id()`, those without which they would form other groups."""
        for component in self._components():
            ids = {name for one in component for name in (id(one), id(self._counted[id(one)]))}
            if not kept.isdisjoint(ids):
                kept |= ids

    def spell_out(self, found: set[int]) -> None:
        """Add to facts that count, named by their `id()`, the members of their groups."""
        for name, counted in self._counted.items():
            if id(counted) in found:
                found.add(name)

    def _note(self, entry: Entry) -> frozenset[tuple[int, Hashable]]:
        """Note and return the keys of a fact."""
        kind = entry.kind
        found = frozenset((kind, key) for key in self.grouper.by_kind[kind].keys(entry))
        self._keys[id(entry)] = found
        return found

    def _form(self, kind: int, component: list[Entry]) -> Moved:
        """Form the groups of some facts again, and say what that changes. Groups that stay keep what counts for them."""
        counted = self._counted
        if len(component) == 1 and id(component[0]) not in counted:
            counted[id(component[0])] = component[0]
            return Moved([], component)
        before = {id(one): one for fact in component if (one := counted.get(id(fact))) is not None}
        after: dict[int, Entry] = {}
        grouper = self.grouper
        for group in form_groups(component, grouper.by_kind[kind], grouper.ranking, self._keys):
            held = counted.get(id(group[0]))
            whole = held if isinstance(held, Merged) and _are(held.members, group) else merge(group)
            after[id(whole)] = whole
            for fact in group:
                counted[id(fact)] = whole
        return Moved(
            [one for name, one in before.items() if name not in after],
            [one for name, one in after.items() if name not in before],
        )

    def _component(self, entry: Entry) -> list[Entry]:
        """Return a fact with all that it is the same as, those that these are the same as, and so on."""
        found = {id(entry): entry}
        todo = [entry]
        while todo:
            for one in self._near(todo.pop()):
                if id(one) not in found:
                    found[id(one)] = one
                    todo.append(one)
        return list(found.values())

    def _near(self, entry: Entry) -> Iterator[Entry]:
        likeness = self.grouper.by_kind[entry.kind]
        for key in self._keys[id(entry)]:
            facts = self._by_key[key]
            low = bisect_left(facts, entry.time - likeness.reach, key=_time)
            high = bisect_right(facts, entry.time + likeness.reach, key=_time)
            for one in facts[low:high]:
                if likeness.are_same(entry, one):
                    yield one

    def _components(self) -> Iterator[list[Entry]]:
        seen: set[int] = set()
        for facts in self._by_key.values():
            for entry in facts:
                if id(entry) not in seen:
                    component = self._component(entry)
                    seen.update(map(id, component))
                    yield component


def _are(members: tuple[Entry, ...], group: tuple[Entry, ...]) -> bool:
    return len(members) == len(group) and all(one is other for one, other in zip(members, group, strict=True))


def group_facts(grouper: Grouper, facts: Iterable[Entry]) -> tuple[Groups, list[Entry]]:
    """Return the groups of some facts, and the facts that count: one of each group, and all of other kinds."""
    groups, compared, others = Groups(grouper), list[Entry](), list[Entry]()
    for one in facts:
        (compared if one.kind in grouper.by_kind else others).append(one)
    return groups, [*others, *groups.fill(compared)]


def facts_that_count(facts: Iterable[Entry], groups: Groups | None) -> Iterator[Entry]:
    """Yield an account's facts, with one for each group. `groups` is None if no facts are compared."""
    if groups is None:
        yield from facts
        return
    by_kind = groups.grouper.by_kind
    yield from (one for one in facts if one.kind not in by_kind)
    yield from groups.counted()
