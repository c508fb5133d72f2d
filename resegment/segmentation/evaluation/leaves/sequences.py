"""Evaluate sequences: one fact for each step, in the order of time, inside a window."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import groupby, pairwise
from operator import attrgetter

from resegment.schemas.state import Entry
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.leaves.leaves import Leaf, Verdict


class SequenceLeaf(Leaf):
    """Tests for one fact per step, with strictly increasing times inside the window and gaps that are short enough."""

    def __init__(self, series: tuple[int, ...], within: int, gap: int | None) -> None:
        self.series, self.within = series, within
        self.gap = NEVER if gap is None else gap

    def evaluate(self, account: Account, t: int) -> Verdict:
        start = self._latest_start(account, t)
        if start is not None:
            return True, start + self.within
        return False, min(account.boundary(number, 0, NEVER, t) for number in self.series)

    def _latest_start(self, account: Account, t: int) -> int | None:
        """Return the latest first step from which the sequence is complete at t."""
        chain = self._latest_chain(account, t)
        if chain is None or all(after - before <= self.gap for after, before in pairwise(chain)):
            return None if chain is None else chain[-1]
        ends: list[int] = []
        starts: list[int] = []
        for index, number in enumerate(self.series):
            series = account.series.get(number)
            if series is None:
                return None
            low, high = series.span(0, self.within, t)
            times = [one.time for one in series.entries[low:high]]
            if index == 0:
                ends = starts = times
                continue
            reached: list[int] = []
            begun: list[int] = []
            for time in times:
                # The latest earlier end has the latest start, so only that one matters.
                place = bisect_left(ends, time) - 1
                if place >= 0 and time - ends[place] <= self.gap:
                    reached.append(time)
                    begun.append(starts[place])
            ends, starts = reached, begun
            if not ends:
                return None
        return starts[-1] if starts else None

    def _latest_chain(self, account: Account, t: int) -> list[int] | None:
        """Return the times of the steps, last to first, each as late as possible, ignoring gaps."""
        chain: list[int] = []
        before = t + 1
        for number in reversed(self.series):
            series = account.series.get(number)
            place = 0 if series is None else series.find(before)
            if series is None or place <= series.floor:
                return None
            before = series.entries[place - 1].time
            if before <= t - self.within:
                return None
            chain.append(before)
        return chain

    def evidence(self, account: Account, t: int) -> list[Entry]:
        start = self._latest_start(account, t)
        if start is None:
            return []
        found: list[Entry] = []
        for number in self.series:
            found.extend(e for e in account.window(number, 0, self.within, t) if e.time >= start)
        return sorted({id(entry): entry for entry in found}.values(), key=attrgetter("time", "id"))


class LooseSequenceLeaf(SequenceLeaf):
    """Tests for a distinct fact per step, whose times may be equal."""

    def _latest_start(self, account: Account, t: int) -> int | None:
        steps = len(self.series)
        if not all(account.window(number, 0, self.within, t) for number in set(self.series)):
            return None
        # For each number of steps done: the time of the last of them, and the latest start that it can have.
        done: list[tuple[int, int] | None] = [None] * (steps + 1)
        for time, facts in self._by_time(account, t):
            reached: list[int | None] = [None] * (steps + 1)
            for first in range(steps):
                before = done[first]
                if first == 0:
                    start = time
                elif before is None or time - before[0] > self.gap:
                    continue
                else:
                    start = before[1]
                for last in range(first + 1, _most_steps(facts, first, steps) + 1):
                    held = reached[last]
                    reached[last] = start if held is None else max(held, start)
            for number, begun in enumerate(reached):
                if begun is not None:
                    done[number] = time, begun
        whole = done[steps]
        return None if whole is None else whole[1]

    def _by_time(self, account: Account, t: int) -> Iterator[tuple[int, list[frozenset[int]]]]:
        """Yield each time in the window, with the steps that each of its facts can fill."""
        fills: dict[int, tuple[Entry, set[int]]] = {}
        for step, number in enumerate(self.series):
            for entry in account.window(number, 0, self.within, t):
                fills.setdefault(id(entry), (entry, set()))[1].add(step)
        in_order = sorted(fills.values(), key=lambda one: one[0].time)
        for time, same in groupby(in_order, key=lambda one: one[0].time):
            yield time, [frozenset(steps) for _, steps in same]


def _most_steps(facts: list[frozenset[int]], first: int, steps: int) -> int:
    """Return up to which step, from `first` on, facts of one time can fill all steps, each of them one."""
    filled: dict[int, int] = {}
    for step in range(first, min(steps, first + len(facts))):
        if not _fill(step, facts, filled, set()):
            return step
    return min(steps, first + len(facts))


def _fill(step: int, facts: list[frozenset[int]], filled: dict[int, int], tried: set[int]) -> bool:
    """Give the step a fact, and the step that had it another one. `filled` maps facts to steps."""
    for number, fits in enumerate(facts):
        if step in fits and number not in tried:
            tried.add(number)
            if number not in filled or _fill(filled[number], facts, filled, tried):
                filled[number] = step
                return True
    return False
