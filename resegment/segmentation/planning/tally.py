"""Sum up what a switch does to accounts: sizes, flows, overlap, tests that can't judge."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from resegment.schemas.fact import Fact
from resegment.schemas.state import AccountState
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.planning.judging import Judgment
from resegment.segmentation.planning.plan import (
    DueMoves,
    GateSize,
    Move,
    Overlap,
    SegmentSize,
    ShadowedSegment,
    UnjudgedTest,
)

SAMPLES: Final = 3
"""How many accounts of a flow are explained."""

FlowKey = tuple[str, str, bool]
"""From, to, and whether only the segment's name changes."""

WITHIN: Final = {"1h": 3_600_000, "24h": 86_400_000, "7d": 7 * 86_400_000}


class Sampled(NamedTuple):
    """What explaining an account takes: its stored state, when (ms) it was judged, and the facts that came in."""

    value: bytes
    at: int
    folded: AccountState | None = None
    facts: Sequence[Fact] = ()


@dataclass(slots=True)
class Counts:
    """What a tally has counted so far; those of several processes can be added up."""

    accounts: int = 0
    renamed: int = 0
    moves: list[Move] = field(default_factory=list)
    flows: Counter[FlowKey] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    qualifying: Counter[tuple[tuple[int, ...], str]] = field(default_factory=Counter)
    unknown: Counter[int] = field(default_factory=Counter)
    gates_before: Counter[str] = field(default_factory=Counter)
    gates_after: Counter[str] = field(default_factory=Counter)
    due: Counter[str] = field(default_factory=Counter)
    samples: dict[FlowKey, list[tuple[int, str, Sampled]]] = field(default_factory=dict)
    """Of each flow, the accounts with the lowest draws."""

    def add(self, other: Counts) -> None:
        """Add what another process has counted."""
        self.accounts += other.accounts
        self.renamed += other.renamed
        self.moves += other.moves
        pairs: list[tuple[Counter[Any], Counter[Any]]] = [
            (self.flows, other.flows),
            (self.before, other.before),
            (self.after, other.after),
            (self.qualifying, other.qualifying),
            (self.unknown, other.unknown),
            (self.gates_before, other.gates_before),
            (self.gates_after, other.gates_after),
            (self.due, other.due),
        ]
        for mine, theirs in pairs:
            mine.update(theirs)
        for key, drawn in other.samples.items():
            for one in drawn:
                self.draw(key, one)

    def draw(self, key: FlowKey, drawn: tuple[int, str, Sampled]) -> None:
        """Keep an account of a flow as a sample, if its draw is among the lowest."""
        kept = self.samples.setdefault(key, [])
        if len(kept) < SAMPLES:
            heappush(kept, drawn)
        else:
            heappushpop(kept, drawn)


class Tally:
    """Counts judgments of one plan, in whatever order they come."""

    def __init__(self, program: Program, old: Sequence[str]) -> None:
        """Count for the new version `program`; `old` are the names of the segments in force, in their order."""
        self._program, self._old = program, old
        self.counts = Counts()
        self._leaves = frozenset(
            test.leaf
            for segment, tests in zip(program.segments, program.tests, strict=True)
            if not segment.draft
            for test in tests
        )

    @property
    def accounts(self) -> int:
        """Return how many accounts were counted."""
        return self.counts.accounts

    @property
    def moves(self) -> Sequence[Move]:
        """Return the accounts that move, those included whose segment only gets another name."""
        return self.counts.moves

    @property
    def renamed(self) -> int:
        """Return how many accounts stay in a segment that gets another name."""
        return self.counts.renamed

    def add(self, one: Judgment, sampled: Sampled) -> None:
        """Count one account; `sampled` is what explaining it takes."""
        counts = self.counts
        counts.accounts += 1
        counts.before[one.before] += 1
        counts.after[one.after] += 1
        counts.qualifying[tuple(self._program.qualifying(one.values)), one.after] += 1
        if None in one.values:
            leaves = self._leaves
            counts.unknown.update(
                [leaf for leaf, value in enumerate(one.values) if value is None and leaf in leaves]
            )
        was, now = one.gates
        if was:
            counts.gates_before.update(was)
        if now:
            counts.gates_after.update(now)
        if one.before != one.after:
            key = (one.before, one.after, one.renamed)
            counts.flows[key] += 1
            counts.renamed += one.renamed
            counts.moves.append(Move(one.account, one.before, one.after))
            counts.draw(key, (-_draw(one.account), one.account, sampled))
        if one.due:
            first = one.due[0].effective_at - sampled.at
            counts.due.update(within for within, length in WITHIN.items() if first <= length)

    # What it comes to

    def ordered_flows(self) -> list[tuple[FlowKey, int]]:
        """Return the flows, the largest first."""
        return sorted(self.counts.flows.items(), key=lambda one: (-one[1], one[0]))

    def samples(self, key: FlowKey) -> list[tuple[str, Sampled]]:
        """Return accounts of a flow to explain, by name. For the same flow always the same."""
        found = [(name, sampled) for _, name, sampled in self.counts.samples.get(key, ())]
        return sorted(found, key=itemgetter(0))

    def sizes(self, renamed: Mapping[str, str] = MappingProxyType({})) -> tuple[SegmentSize, ...]:
        """Return the segments of the new version in their order, then those that are gone.

        `renamed` has new names of segments, by the old ones.
        """
        before, after = self.counts.before, self.counts.after
        came_from = {new: old for old, new in renamed.items()}
        names = [one.name for one in self._program.segments]
        known = {*names, *renamed}
        names += [one for one in self._old if one not in known]
        names += sorted({*before, *after}.difference(names, renamed))
        return tuple(
            SegmentSize(
                name=one,
                before=before[came_from.get(one, one)] if one not in renamed or one in came_from else 0,
                after=after[one],
                old_name=came_from.get(one),
            )
            for one in names
        )

    def overlaps(self) -> tuple[Overlap, ...]:
        """Return how many accounts qualify for each two segments, the most first."""
        segments, pairs = self._program.segments, Counter[tuple[int, int]]()
        for (numbers, _), count in self.counts.qualifying.items():
            for place, first in enumerate(numbers):
                for second in numbers[place + 1 :]:
                    pairs[first, second] += count
        return tuple(
            Overlap(segment=segments[first].name, also=segments[second].name, accounts=count)
            for (first, second), count in sorted(pairs.items(), key=lambda one: (-one[1], one[0]))
        )

    def shadowed(self) -> tuple[ShadowedSegment, ...]:
        """Return the segments that accounts qualify for and that have none."""
        found = []
        for number, segment in enumerate(self._program.segments):
            if segment.when is None or segment.draft or self.counts.after[segment.name]:
                continue
            taken: Counter[str] = Counter()
            for (numbers, after), count in self.counts.qualifying.items():
                if number in numbers:
                    taken[after] += count
            if taken:
                found.append(
                    ShadowedSegment(
                        segment=segment.name, qualify=taken.total(), taken_by=dict(taken.most_common())
                    )
                )
        return tuple(found)

    def unjudged(self) -> tuple[UnjudgedTest, ...]:
        """Return the tests that can't tell for some accounts, in the order of segments."""
        found = []
        for segment, tests in zip(self._program.segments, self._program.tests, strict=True):
            if segment.draft:
                continue
            seen: set[int] = set()
            for test in tests:
                if test.leaf not in seen and (count := self.counts.unknown[test.leaf]):
                    seen.add(test.leaf)
                    found.append(UnjudgedTest(segment=segment.name, test=test.text, accounts=count))
        return tuple(found)

    def gates(self) -> tuple[GateSize, ...]:
        """Return the suppressions and territories, by name."""
        before, after = self.counts.gates_before, self.counts.gates_after
        return tuple(
            GateSize(name=name, before=before[name], after=after[name]) for name in sorted({*before, *after})
        )

    def due(self) -> tuple[DueMoves, ...]:
        """Return how many accounts time alone moves soon."""
        return tuple(DueMoves(within=one, accounts=self.counts.due[one]) for one in WITHIN)

    def warnings(self) -> Iterator[str]:
        """Yield a sentence for each segment that takes no account."""
        shadowed = {one.segment: one for one in self.shadowed()}
        for segment in self._program.segments:
            if segment.when is None or segment.draft or self.counts.after[segment.name] or not self.accounts:
                continue
            one = shadowed.get(segment.name)
            if one is None:
                yield f"{segment.name} takes no account: none meets its condition"
            else:
                others = ", ".join(f"{count:,} in {name}" for name, count in one.taken_by.items())
                yield f"{segment.name} takes no account: all that qualify are elsewhere ({others})"


def _draw(account: str) -> int:
    return int.from_bytes(hashlib.blake2b(account.encode(), digest_size=8).digest(), "big")
