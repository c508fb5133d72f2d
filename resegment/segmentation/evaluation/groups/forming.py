"""Form groups of facts that are one fact, and merge each into the fact that counts."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from resegment.schemas.state import Entry
from resegment.segmentation.evaluation.groups.likeness import Likeness
from resegment.segmentation.language.sameness import base_of, plain_source

Rank = tuple[int, str]


class Merged(Entry, gc=False):
    """What counts of a group: the leader, with fields of the other members. `members` are in order of trust."""

    members: tuple[Entry, ...] = ()
    taken: dict[str, str] = msgspec.field(default_factory=dict)
    """The fields that come from other members than the leader, each with the member's source."""


class Ranking:
    """Ranks facts by how far their sources are trusted."""

    def __init__(self, trust: Sequence[str]) -> None:
        self._places = {source: place for place, source in enumerate(trust)}

    def of(self, source: str) -> Rank:
        """Return what to sort sources by."""
        return self._places.get(plain_source(source), len(self._places)), source

    def order(self, entry: Entry) -> tuple[Rank, int, str]:
        """Return what to sort facts by."""
        return self.of(entry.source), entry.time, entry.id


def form_groups(
    facts: Iterable[Entry], likeness: Likeness, ranking: Ranking, keys: Mapping[int, frozenset[Hashable]]
) -> list[tuple[Entry, ...]]:
    """Return the groups, each with its leader first and the others in order of trust.

    `keys` are those of the likeness, by the `id()` of the facts. Facts that are the same as no other may be left out or
    added: groups form apart from each other.
    """
    left = sorted(facts, key=ranking.order)
    groups: list[tuple[Entry, ...]] = []
    while left:
        leader, *rest = left
        mine = keys[id(leader)]
        nearest: dict[str, Entry] = {}
        for one in rest:
            if mine.isdisjoint(keys[id(one)]) or not likeness.are_same(leader, one):
                continue
            held = nearest.get(one.source)
            # facts of a source come in the order of (time, id), so of two as near the first stays
            if held is None or abs(one.time - leader.time) < abs(held.time - leader.time):
                nearest[one.source] = one
        joined = {id(one) for one in nearest.values()}
        groups.append((leader, *(one for one in rest if id(one) in joined)))
        left = [one for one in rest if id(one) not in joined]
    return groups


def merge(group: tuple[Entry, ...]) -> Entry:
    """Return the fact that counts for a group: the only one, or the leader with fields of the others."""
    leader = group[0]
    if len(group) == 1:
        return leader
    data: dict[str, Any] = dict(leader.data or {})
    taken: dict[str, str] = {}
    units = {unit for unit, value in _units(leader.data or {}) if value is not None}
    for member in group[1:]:
        fresh: set[str] = set()
        for (unit, value), field in zip(_units(member.data or {}), member.data or {}, strict=True):
            if unit not in units and value is not None:
                fresh.add(unit)
                data[field] = value
                taken[field] = member.source
        units |= fresh
    return Merged(
        leader.kind,
        leader.time,
        leader.recorded,
        leader.known,
        leader.source,
        leader.id,
        leader.record,
        data or None,
        members=group,
        taken=taken,
    )


def _units(data: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return for each field the name under which it is taken together with others, and its value."""
    return [(base_of(field), value) for field, value in data.items()]
