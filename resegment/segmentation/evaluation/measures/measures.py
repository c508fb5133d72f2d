"""Measure attributes and traits: the value at an instant, and the next instant at which it may change."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from decimal import Context, Decimal, localcontext
from functools import partial
from typing import Any, Final

from resegment.schemas.state import Entry
from resegment.schemas.times import NEVER, format_instant
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.compiler import Logic
from resegment.segmentation.evaluation.measures.aggregations import AGGREGATES, divide
from resegment.segmentation.evaluation.measures.selection import Selection
from resegment.segmentation.evaluation.measures.series import Series
from resegment.segmentation.language.conditions import Aggregation
from resegment.segmentation.language.operators import is_number


class Measure:
    """A value in time."""

    def value(self, account: Account, t: int) -> Any:
        """Return the value at t; None if it is unknown."""
        raise NotImplementedError

    def boundary(self, account: Account, t: int) -> int:
        """Return an instant no later than the next one at which time alone changes the value, or NEVER."""
        raise NotImplementedError

    def course(self, account: Account, t: int) -> Iterator[tuple[int, Any]]:
        """Yield the value at t, then at each boundary after it."""
        while t != NEVER:
            yield t, self.value(account, t)
            t = self.boundary(account, t)


class Attribute(Measure):
    """The newest value in snapshots."""

    def __init__(self, field: str) -> None:
        self.field = field

    def value(self, account: Account, t: int) -> Any:
        history = account.attributes.get(self.field)
        return None if history is None else history.value_at(t, self.field)

    def snapshot(self, account: Account, t: int) -> Entry | None:
        """Return the fact that gives the value at t."""
        history = account.attributes.get(self.field)
        return None if history is None else history.newest_at(t)

    def boundary(self, account: Account, t: int) -> int:
        history = account.attributes.get(self.field)
        return NEVER if history is None else history.next_after(t)


class AggregateOf(Measure):
    """A value over the facts in a window."""

    def __init__(self, function: Aggregation, facts: Selection, field: str | None) -> None:
        self.function, self.facts, self.field = function, facts, field
        self._key = (function, field)
        summarize, self._unite = AGGREGATES[function]
        self._summary = partial(summarize, field or "")

    def value(self, account: Account, t: int) -> Any:
        series, low, high = self.facts.span(account, t)
        if series is None:
            return self._unite([self._summary([])])
        return self._unite(series.summarize(self._key, low, high, self._summary))

    def boundary(self, account: Account, t: int) -> int:
        return self.facts.boundary(account, t)

    def course(self, account: Account, t: int) -> Iterator[tuple[int, Any]]:
        value = self.value(account, t)
        series, window = account.series.get(self.facts.series), self.facts.window
        only_leaving = self.facts.followers is None and (
            series is None or series.next_after(t - window.opens) == NEVER
        )
        if self.function not in ("count", "sum") or type(value) is not int or not only_leaving:
            return super().course(account, t)
        return self._fall(series, value, t)

    def _fall(self, series: Series | None, value: int, t: int) -> Iterator[tuple[int, int]]:
        """Yield the course of a sum of integers that facts only leave."""
        yield t, value
        closes, field = self.facts.window.closes, self.field
        if series is None or closes == NEVER:
            return
        entries = series.entries
        low, high = series.span(self.facts.window.opens, closes, t)
        while low < high:
            time = entries[low].time
            while low < high and entries[low].time == time:
                number = 1 if field is None else (entries[low].data or {}).get(field)
                if type(number) is int:
                    value -= number
                low += 1
            yield time + closes, value


_DIGITS: Final = 80
_NOTHING: Final = Decimal("1e-60")
"""What rounding leaves of an exact zero, in relation to the bound."""


class DecayOf(Measure):
    """sum of field * 2^(-(t - time) / half_life) over the facts in a window."""

    def __init__(self, facts: Selection, field: str | None, half_life: int) -> None:
        self.facts, self.field, self.half_life = facts, field, half_life
        self._key = ("decay", field, half_life)

    def value(self, account: Account, t: int) -> float:
        return self.decay(self.total(account, t), t)

    def total(self, account: Account, t: int) -> tuple[int, float]:
        """Return the time of the newest fact that counts at t, and the sum of the same facts at that time."""
        series, low, high = self.facts.span(account, t)
        if series is None:
            return 0, 0.0
        summaries = series.summarize(self._key, low, high, self._summarize)
        parts: list[tuple[int, float]] = [part for part in summaries if part is not None]
        if not parts:
            return 0, 0.0
        if len(parts) == 1:
            return parts[0]
        latest = parts[-1][0]
        return latest, math.fsum(part * math.exp2((time - latest) / self.half_life) for time, part in parts)

    def decay(self, total: tuple[int, float], t: int) -> float:
        """Return what is left of a total at t."""
        latest, value = total
        scaled = value * math.exp2((latest - t) / self.half_life)
        # A sum that has decayed below the smallest float keeps its sign.
        return scaled if scaled or not value else math.copysign(math.ulp(0.0), value)

    def _summarize(self, entries: list[Entry]) -> tuple[int, float] | None:
        weights = [(entry.time, weight) for entry in entries if (weight := self._weight(entry))]
        if not weights:
            return None
        latest = weights[-1][0]
        return latest, math.fsum(w * math.exp2((time - latest) / self.half_life) for time, w in weights)

    def boundary(self, account: Account, t: int) -> int:
        return self.facts.boundary(account, t)

    def compare(self, account: Account, t: int, instant: int, bound: float) -> int:
        """Return -1, 0 or 1: whether the facts that count at t sum up to less, as much or more than a bound at an instant.

        It is exact, and slow.
        """
        series, low, high = self.facts.span(account, t)
        with localcontext(Context(prec=_DIGITS)):
            total = -Decimal(bound)
            for entry in series.entries[low:high] if series is not None else ():
                halvings, rest = divmod(instant - entry.time, self.half_life)
                part = Decimal(self._weight(entry)) * Decimal(2) ** -halvings
                total += part * Decimal(2) ** (Decimal(-rest) / self.half_life) if rest else part
            return 0 if abs(total) <= abs(Decimal(bound)) * _NOTHING else (1 if total > 0 else -1)

    def _weight(self, entry: Entry) -> int | float:
        value = None if self.field is None else (entry.data or {}).get(self.field)
        if value is None:
            return 1
        return value if is_number(value) else 0


class TimeOf(Measure):
    """The time of the latest or earliest fact that counts, as RFC 3339."""

    def __init__(self, facts: Selection, *, latest: bool) -> None:
        self.facts, self._latest = facts, latest

    def value(self, account: Account, t: int) -> Any:
        series, low, high = self.facts.span(account, t)
        if series is None or low >= high:
            return None
        return format_instant(series.entries[high - 1 if self._latest else low].time)

    def boundary(self, account: Account, t: int) -> int:
        return self.facts.boundary(account, t)


OPENING: Final = frozenset({"opened", "reopened", "added"})
"""The values of `change` by which the latest fact of a group says that it is open."""


class OpenOf(Measure):
    """How many groups of facts are open: `passes` tests the latest fact of each."""

    def __init__(self, series: int, by: str, passes: Callable[[dict[str, Any]], bool] | None) -> None:
        self.series, self.by, self._passes = series, by, passes

    def value(self, account: Account, t: int) -> int:
        series = account.series.get(self.series)
        return 0 if series is None else min(sum(self._groups(series, t).values()), series.cap)

    def _groups(self, series: Series, t: int) -> dict[str, bool]:
        groups: dict[str, bool] = {}
        for part in series.summarize(self, 0, series.reach(t), self._summarize):
            groups.update(part)
        return groups

    def group_of(self, entry: Entry) -> str | None:
        """Return the group of a fact; None if it belongs to none."""
        group = (entry.data or {}).get(self.by)
        return group if type(group) is str else None

    def matters(self, entry: Entry) -> bool:
        """Whether the latest fact of a group opens it."""
        return self._opens(entry.data or {})

    def _summarize(self, entries: list[Entry]) -> dict[str, bool]:
        """Return for each group whether the latest of consecutive facts opens it."""
        latest: dict[str, dict[str, Any]] = {}
        for entry in entries:
            if (group := self.group_of(entry)) is not None:
                latest[group] = entry.data or {}
        return {group: self._opens(data) for group, data in latest.items()}

    def _opens(self, data: dict[str, Any]) -> bool:
        change = data.get("change")
        if type(change) is not str or change not in OPENING:
            return False
        return self._passes is None or self._passes(data)

    def entries(self, account: Account, t: int) -> list[Entry]:
        """Return the latest fact of each open group."""
        opened = [entry for entry in self.latest(account, t).values() if self._opens(entry.data or {})]
        return sorted(opened, key=lambda one: (one.time, one.id, one.source))

    def latest(self, account: Account, t: int) -> dict[str, Entry]:
        """Return the latest fact of each group."""
        series = account.series.get(self.series)
        latest: dict[str, Entry] = {}
        for entry in () if series is None else series.entries[: series.reach(t)]:
            if (group := self.group_of(entry)) is not None:
                latest[group] = entry
        return latest

    def boundary(self, account: Account, t: int) -> int:
        return account.boundary(self.series, 0, NEVER, t)


class AccountName(Measure):
    """The account's own domain."""

    def value(self, account: Account, t: int) -> str:  # noqa: ARG002  # a measure's signature
        return account.name

    def boundary(self, account: Account, t: int) -> int:  # noqa: ARG002  # a measure's signature
        return NEVER

    def course(self, account: Account, t: int) -> Iterator[tuple[int, Any]]:
        return iter(((t, account.name),))


class ScoreOf(Measure):
    """The sum of the points of the terms that are true. The account's tests have been evaluated at t."""

    def __init__(self, terms: tuple[tuple[Logic, int | float], ...]) -> None:
        self.terms = terms

    def value(self, account: Account, t: int) -> int | float:  # noqa: ARG002  # a measure's signature
        values = account.values
        points = [points for logic, points in self.terms if logic.is_true(values)]
        return math.fsum(points) if any(type(one) is float for one in points) else sum(points)

    def boundary(self, account: Account, t: int) -> int:  # noqa: ARG002  # a measure's signature
        values, untils = account.values, account.untils
        return min(
            logic.true_until(values, untils)
            if logic.is_true(values)
            else logic.not_true_until(values, untils)
            for logic, _ in self.terms
        )

    def course(self, account: Account, t: int) -> Iterator[tuple[int, Any]]:
        """Yield the value at t alone: what the tests say later is not known here."""
        return iter(((t, self.value(account, t)),))


class RatioOf(Measure):
    """One value divided by another; unknown if either is, or if the second is 0."""

    def __init__(self, over: Measure, under: Measure) -> None:
        self.over, self.under = over, under

    def value(self, account: Account, t: int) -> Any:
        over, under = self.over.value(account, t), self.under.value(account, t)
        if not is_number(over) or not is_number(under) or under == 0:
            return None
        return divide(over, under)

    def boundary(self, account: Account, t: int) -> int:
        return min(self.over.boundary(account, t), self.under.boundary(account, t))


class GrowthOf(Measure):
    """(v(t) - v(t - over)) / abs(v(t - over)) of an attribute."""

    def __init__(self, field: str, over: int) -> None:
        self.field, self.over = field, over

    def value(self, account: Account, t: int) -> Any:
        now, then = account.attribute_at(self.field, t), account.attribute_at(self.field, t - self.over)
        if not is_number(now) or not is_number(then) or then == 0:
            return None
        return divide(now - then, abs(then))

    def boundary(self, account: Account, t: int) -> int:
        history = account.attributes.get(self.field)
        if history is None:
            return NEVER
        past = history.next_after(t - self.over)
        return min(history.next_after(t), past + self.over if past != NEVER else NEVER)
