"""What an account lacks for a segment: the least of it, and every way that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.explanation import Miss, Need
from resegment.segmentation.language.conditions import Condition, Every, InSegment, Named, Not, Some

WAYS: Final = 6
"""How many ways are told where one of them is enough: those with the fewest tests."""
TESTS: Final = 30
"""The most tests that all that is needed may have: of a part with more, only its least is told."""

T = TypeVar("T")

Asked = tuple[Condition, bool]
"""A condition, and what it has to say."""


class NeedFinder:
    """Finds what one account lacks. `value_of` returns what a test says of it, `miss_of` tells a test that says something else."""

    def __init__(
        self,
        program: Program,
        value_of: Callable[[Condition], bool | None],
        miss_of: Callable[[Condition, bool], Miss],
    ) -> None:
        self._program, self._value_of, self._miss_of = program, value_of, miss_of
        self._least: dict[Asked, dict[Condition, bool]] = {}
        self._ways: dict[Asked, tuple[Need, ...]] = {}
        self._misses: dict[Asked, Miss] = {}

    def misses(self, condition: Condition) -> tuple[Miss, ...]:
        """Return the fewest tests that would have to change for a condition to be true."""
        return tuple(self._miss(part, must) for part, must in self._find_least(condition, True).items())

    def needs(self, condition: Condition) -> tuple[Need, ...]:
        """Return all that would have to change for a condition to be true, with every way where one of several is enough."""
        return self._find_ways(condition, True)

    def _miss(self, part: Condition, must: bool) -> Miss:
        if (part, must) not in self._misses:
            self._misses[part, must] = self._miss_of(part, must)
        return self._misses[part, must]

    def _find_least(self, condition: Condition, wanted: bool) -> dict[Condition, bool]:
        """Return the fewest tests that would have to change, and to what."""
        match condition:
            case Not(part):
                return self._find_least(part, not wanted)
            case Every(parts) | Some(parts):
                needs = [self._find_least(part, wanted) for part in parts]
                if isinstance(condition, Every) is wanted:
                    return {part: must for need in needs for part, must in need.items()}
                return min(needs, key=len)
            case InSegment() | Named():
                if (condition, wanted) not in self._least:
                    inner = self._program.condition_of(condition)
                    self._least[condition, wanted] = self._find_least(inner, wanted)
                return self._least[condition, wanted]
            case _:
                return {} if self._value_of(condition) is wanted else {condition: wanted}

    def _find_ways(self, condition: Condition, wanted: bool) -> tuple[Need, ...]:
        key = condition, wanted
        if key not in self._ways:
            found = self._read_ways(condition, wanted)
            if count_tests(found) > TESTS:
                least = self._find_least(condition, wanted)
                found = tuple(Need(test=self._miss(part, must)) for part, must in least.items())
            self._ways[key] = found
        return self._ways[key]

    def _read_ways(self, condition: Condition, wanted: bool) -> tuple[Need, ...]:
        match condition:
            case Not(part):
                return self._find_ways(part, not wanted)
            case Every(parts) | Some(parts):
                ways = [self._find_ways(part, wanted) for part in parts]
                if isinstance(condition, Every) is wanted:
                    return _once(need for way in ways for need in way)
                return _choose(ways)
            case InSegment() | Named():
                return self._find_ways(self._program.condition_of(condition), wanted)
            case _:
                met = self._value_of(condition) is wanted
                return () if met else (Need(test=self._miss(condition, wanted)),)


def count_tests(needs: Iterable[Need]) -> int:
    """Return how many tests needs have, those of every way."""
    return sum(1 if one.test is not None else sum(map(count_tests, one.one_of)) for one in needs)


def _choose(ways: list[tuple[Need, ...]]) -> tuple[Need, ...]:
    """Return the need that one of these ways is gone."""
    if not all(ways):
        return ()  # one of them is
    flat: list[tuple[Need, ...]] = []
    more = 0
    for way in ways:
        only = way[0] if len(way) == 1 else None
        if only is not None and only.one_of:
            flat += only.one_of
            more += only.more
        else:
            flat.append(way)
    flat = list(_once(flat))
    if len(flat) == 1 and not more:
        return flat[0]
    flat.sort(key=count_tests)
    return (Need(one_of=tuple(flat[:WAYS]), more=more + max(0, len(flat) - WAYS)),)


def _once(found: Iterable[T]) -> tuple[T, ...]:
    kept: list[T] = []
    for one in found:
        if one not in kept:
            kept.append(one)
    return tuple(kept)
