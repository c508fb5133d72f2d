"""Evaluates the tests at the leaves of conditions: the value at an instant, and until when it lasts."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from itertools import islice, pairwise
from typing import Protocol

from resegment.schemas.state import Entry
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.measures import Attribute, DecayOf, Measure
from resegment.segmentation.language.conditions import Check, Checks, Window
from resegment.segmentation.language.operators import Predicate, is_number

Verdict = tuple[bool | None, int]
"""True, false or None (unknown), and an instant before which time alone does not change it."""

LOOKAHEAD = 16
"""How many boundaries a test looks ahead for a change before it asks to be evaluated again."""


class Leaf(Protocol):
    """One test."""

    def evaluate(self, account: Account, t: int) -> Verdict:
        """Return the value at t and until when it lasts."""
        ...


class OccursLeaf:
    """Tests how many facts of a series count."""

    def __init__(self, series: int, window: Window, count: Checks, predicate: Predicate) -> None:
        self.series, self.opens, self.closes = series, window.opens, window.closes
        self.predicate = predicate
        self.least = _least_count(count)

    def evaluate(self, account: Account, t: int) -> Verdict:
        series = account.series.get(self.series)
        if series is None:
            return self.predicate(0), NEVER
        times = series.times
        size, latest = len(times), t - self.opens
        high = size if size and times[-1] <= latest else bisect_right(times, latest)
        opening = times[high] + self.opens if high < size else NEVER
        closes, least = self.closes, self.least
        if least is not None:
            # The newest `least` facts decide: true until the oldest of them stops counting.
            if high < least or (closes != NEVER and times[high - least] + closes <= t):
                return False, opening
            return True, NEVER if closes == NEVER else times[high - least] + closes
        if closes == NEVER:
            return self.predicate(high), opening
        low = bisect_right(times, t - closes)
        closing = times[low] + closes if low < high else NEVER
        return self.predicate(high - low), min(opening, closing)

    def evidence(self, account: Account, t: int) -> list[Entry]:
        return account.window(self.series, self.opens, self.closes, t)


def _least_count(count: Checks) -> int | None:
    """Return n if the test means "at least n" with n > 0."""
    if len(count) != 1:
        return None
    check = count[0]
    if not isinstance(check.operand, int | float) or isinstance(check.operand, bool):
        return None
    if check.operator == "gte" and check.operand > 0:
        return math.ceil(check.operand)
    if check.operator == "gt" and check.operand >= 0:
        return math.floor(check.operand) + 1
    return None


class MeasureLeaf:
    """Tests an attribute, or a trait that moves in steps."""

    def __init__(self, measure: Measure, predicate: Predicate) -> None:
        self.measure, self.predicate = measure, predicate

    def evaluate(self, account: Account, t: int) -> Verdict:
        predicate = self.predicate
        course = self.measure.course(account, t)
        _, value = next(course)
        says, instant = predicate(value), NEVER
        for instant, value in islice(course, LOOKAHEAD):
            if predicate(value) is not says:
                return says, instant
        return says, NEVER if next(course, None) is None else instant


class AttributeLeaf(MeasureLeaf):
    """Tests an attribute: the newest value decides, unless one is dated in the future."""

    def __init__(self, attribute: Attribute, predicate: Predicate) -> None:
        super().__init__(attribute, predicate)
        self.field = attribute.field

    def evaluate(self, account: Account, t: int) -> Verdict:
        history = account.attributes.get(self.field)
        if history is None:
            return self.predicate(None), NEVER
        times = history.times
        if times and times[-1] > t:
            return super().evaluate(account, t)
        return self.predicate(history.newest()), NEVER


class DecayLeaf:
    """Tests a decayed sum. Between two boundaries it is C * 2^(-t / half_life), so crossings are computed directly."""

    def __init__(self, decay: DecayOf, checks: Checks, predicate: Predicate) -> None:
        self.measure, self.predicate = decay, predicate
        self.bounds = tuple(bound for check in checks for bound in _bounds(check))

    def evaluate(self, account: Account, t: int) -> Verdict:
        total = self.measure.total(account, t)
        value = self.measure.decay(total, t)
        says = self.predicate(value)
        boundary = self.measure.boundary(account, t)
        for bound in self.bounds:
            boundary = min(boundary, self._cross(total, t, value, bound, says))
        return says, boundary

    def _cross(self, total: tuple[int, float], t: int, value: float, bound: float, says: bool | None) -> int:
        """Return the first millisecond after t at which the sum of the same facts has passed the bound, or NEVER."""
        if not bound or not value or (bound > 0) != (value > 0) or abs(value) < abs(bound):
            return NEVER
        distance = (math.log2(abs(value)) - math.log2(abs(bound))) * self.measure.half_life
        around = t + math.floor(distance)
        for instant in range(max(t + 1, around - 1), around + 3):
            if self.predicate(self.measure.decay(total, instant)) is not says:
                return instant
        return max(t + 1, around + 3)


def _bounds(check: Check) -> tuple[float, ...]:
    operand = check.operand
    if isinstance(operand, tuple):
        return tuple(float(one) for one in operand if is_number(one))
    return (float(operand),) if isinstance(operand, int | float) and not isinstance(operand, bool) else ()


class SequenceLeaf:
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
            times = series.times
            times = times[bisect_right(times, t - self.within) : bisect_right(times, t)]
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
            place = 0 if series is None else bisect_left(series.times, before)
            if series is None or not place:
                return None
            before = series.times[place - 1]
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
        return sorted({id(entry): entry for entry in found}.values(), key=lambda e: (e.time, e.id))
