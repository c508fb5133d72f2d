"""Evaluate the tests at the leaves of conditions: the value at an instant, and until when it lasts."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

from resegment.schemas.state import Entry
from resegment.schemas.times import NEVER, parse_duration
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.compiler import Logic
from resegment.segmentation.evaluation.measures.measures import Attribute, DecayOf, Measure
from resegment.segmentation.evaluation.measures.selection import Selection
from resegment.segmentation.language.conditions import Check, Checks, Window
from resegment.segmentation.language.operators import (
    IN_TIME,
    KNOWN_WITHIN,
    Predicate,
    compile_checks,
    is_number,
    moment_of,
)

Verdict = tuple[bool | None, int]
"""True, false or None (unknown), and an instant before which time alone does not change it."""

LOOKAHEAD = 16
"""How many boundaries a test looks ahead for a change before it asks to be evaluated again."""


class Leaf:
    """One test."""

    def evaluate(self, account: Account, t: int) -> Verdict:
        """Return the value at t and until when it lasts."""
        raise NotImplementedError


class OccursLeaf(Leaf):
    """Tests how many facts of a series count."""

    def __init__(self, series: int, window: Window, count: Checks, predicate: Predicate) -> None:
        self.series, self.opens, self.closes = series, window.opens, window.closes
        self.predicate = predicate
        self.least = _least_count(count)

    def evaluate(self, account: Account, t: int) -> Verdict:
        series = account.series.get(self.series)
        if series is None:
            return self.predicate(0), NEVER
        entries = series.entries
        size, high = len(entries), series.reach(t - self.opens)
        opening = entries[high].time + self.opens if high < size else NEVER
        closes, least, floor = self.closes, self.least, size - series.cap
        if least is not None:
            # The newest `least` facts decide: true until the oldest of them stops counting.
            if high < least or high - least < floor:
                return False, opening
            if closes == NEVER:
                return True, NEVER
            ends = entries[high - least].time + closes
            return (True, ends) if ends > t else (False, opening)
        if closes == NEVER:
            return self.predicate(high - min(max(floor, 0), high)), opening
        low = min(max(series.reach(t - closes), floor), high)
        closing = entries[low].time + closes if low < high else NEVER
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


class MeasureLeaf(Leaf):
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
        self._unknown: Verdict = predicate(None), NEVER

    def evaluate(self, account: Account, t: int) -> Verdict:
        history = account.attributes.get(self.field)
        if history is None:
            return self._unknown
        entries = history.entries
        if entries and entries[-1].time > t:
            return super().evaluate(account, t)
        return self.predicate(history.newest(self.field)), NEVER


CLOSE = 1e-13
"""How close to a bound, in relation to it, a decayed sum is computed exactly."""


class DecayLeaf(Leaf):
    """Tests a decayed sum. Between two boundaries it is C * 2^(-t / half_life), so crossings are computed directly."""

    def __init__(self, decay: DecayOf, checks: Checks, predicate: Predicate) -> None:
        self.measure, self.predicate = decay, predicate
        self.bounds = tuple(bound for check in checks for bound in _bounds(check))

    def evaluate(self, account: Account, t: int) -> Verdict:
        total = self.measure.total(account, t)
        value = self.measure.decay(total, t)
        says = self._test(account, t, t, value)
        boundary = self.measure.boundary(account, t)
        for bound in self.bounds:
            boundary = min(boundary, self._cross(account, total, t, value, bound=bound, says=says))
        return says, boundary

    def _test(self, account: Account, t: int, instant: int, value: float) -> bool | None:
        """Test the sum at an instant of the facts that count at t. Close to a bound, floats do not decide."""
        for bound in self.bounds:
            if bound and abs(value - bound) <= CLOSE * abs(bound):
                side = self.measure.compare(account, t, instant, bound)
                return self.predicate(math.nextafter(bound, math.inf * side) if side else bound)
        return self.predicate(value)

    def _cross(
        self,
        account: Account,
        total: tuple[int, float],
        t: int,
        value: float,
        *,
        bound: float,
        says: bool | None,
    ) -> int:
        """Return the first millisecond after t at which the sum of the same facts has passed the bound, or NEVER."""
        if not bound or not value or (bound > 0) != (value > 0) or abs(value) < abs(bound) * (1 - CLOSE):
            return NEVER
        distance = (math.log2(abs(value)) - math.log2(abs(bound))) * self.measure.half_life
        around = t + math.floor(distance)
        for instant in range(max(t + 1, around - 1), around + 3):
            if self._test(account, t, instant, self.measure.decay(total, instant)) is not says:
                return instant
        return max(t + 1, around + 3)


def _bounds(check: Check) -> tuple[float, ...]:
    operand = check.operand
    if isinstance(operand, tuple):
        return tuple(float(one) for one in operand if is_number(one))
    return (float(operand),) if isinstance(operand, int | float) and not isinstance(operand, bool) else ()


class UnfollowedLeaf(Leaf):
    """Tests how many facts count that no later fact of another series undoes."""

    def __init__(self, facts: Selection, predicate: Predicate) -> None:
        self.facts, self.predicate = facts, predicate

    def evaluate(self, account: Account, t: int) -> Verdict:
        _, low, high = self.facts.span(account, t)
        return self.predicate(high - low), self.facts.boundary(account, t)

    def evidence(self, account: Account, t: int) -> list[Entry]:
        return self.facts.entries(account, t)


class DatedLeaf(Leaf):
    """Tests a value with operators whose answer depends on the instant: dates near now, values that grow old."""

    def __init__(self, measure: Measure, checks: Checks) -> None:
        self.measure = measure
        still = tuple(check for check in checks if check.operator not in IN_TIME)
        self._predicate = compile_checks(still) if still else None
        lengths = {check.operator: parse_duration(check.operand) for check in checks if check not in still}
        self._fresh = lengths.pop(KNOWN_WITHIN, None)
        self._spans = [
            (length, 0) if operator == "within_next" else (0, length) for operator, length in lengths.items()
        ]

    def evaluate(self, account: Account, t: int) -> Verdict:
        value, until = self._read(account, t)
        says: bool | None = True if self._predicate is None else self._predicate(value)
        if self._spans:
            moment = moment_of(value)
            if moment is None:
                return (says if says is False else None), until
            for before, after in self._spans:
                begins, ends = moment - before, moment + after
                if not begins <= t < ends:
                    says = False
                until = min([until, *(one for one in (begins, ends) if one > t)])
        return says, until

    def _read(self, account: Account, t: int) -> tuple[Any, int]:
        """Return the value that counts at t, and until when time alone does not change it, at minimum."""
        value, until = self.measure.value(account, t), self.measure.boundary(account, t)
        if self._fresh is None or not isinstance(self.measure, Attribute):
            return value, until
        given = self.measure.snapshot(account, t)
        if given is None:
            return None, until
        stale = given.time + self._fresh
        return (value, min(until, stale)) if t < stale else (None, until)


class ReferenceLeaf(Leaf):
    """The value of another condition, which is evaluated before it."""

    def __init__(self, logic: Logic) -> None:
        self.logic = logic

    def evaluate(self, account: Account, t: int) -> Verdict:  # noqa: ARG002  # a leaf's signature
        return self.logic.evaluate(account.values, account.untils)


class ScoreLeaf(Leaf):
    """Tests a score, or a ratio of one, whose terms are evaluated before it."""

    def __init__(self, measure: Measure, predicate: Predicate) -> None:
        self.measure, self.predicate = measure, predicate

    def evaluate(self, account: Account, t: int) -> Verdict:
        return self.predicate(self.measure.value(account, t)), self.measure.boundary(account, t)
