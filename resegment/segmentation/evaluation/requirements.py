"""Turn the condition of a segment into the tests that people read: what has to be true, with `not` in the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from resegment.segmentation.definition import walk
from resegment.segmentation.language.conditions import Condition, Every, InSegment, Named, Not, Some

MAX_EXPANDED: Final = 200
"""A named condition of more tests than that stands as one test in the reason of a change."""


class SegmentTest(NamedTuple):
    """One test of a segment: its leaf, its text for people, and the value that it needs to have."""

    leaf: int
    text: str
    wanted: bool


class Branch(NamedTuple):
    """Several requirements, of which every one or at least one has to be met."""

    every: bool
    parts: tuple[Requirement, ...]


Requirement = SegmentTest | Branch
"""A segment's condition as a tree of requirements, with `not` moved into the tests."""


def tests_in(requirement: Requirement | None) -> Iterator[SegmentTest]:
    """Yield all tests of a condition, in the order in which they are written."""
    if isinstance(requirement, SegmentTest):
        yield requirement
    elif requirement is not None:
        for part in requirement.parts:
            yield from tests_in(part)


class Requirements:
    """Reads conditions. `numbers` are those of the tests, `condition_of` returns the condition that a name stands for."""

    def __init__(
        self, numbers: Mapping[Condition, int], condition_of: Callable[[InSegment | Named], Condition]
    ) -> None:
        self._numbers, self._condition_of = numbers, condition_of
        self._sizes: dict[Condition, int] = {}

    def require(self, part: Condition, wanted: bool = True) -> Requirement:
        """Return the tests that decide whether a condition is true, or, without `wanted`, false."""
        if isinstance(part, Not):
            return self.require(part.part, not wanted)
        if isinstance(part, Every | Some):
            parts = tuple(self.require(one, wanted) for one in part.parts)
            return Branch(isinstance(part, Every) is wanted, parts)
        if isinstance(part, Named) and self.expands(part):
            return self.require(self._condition_of(part), wanted)
        return SegmentTest(self._numbers[part], str(part) if wanted else f"not: {part}", wanted)

    def expands(self, part: Named) -> bool:
        """Whether people read the tests of a named condition instead of its name."""
        return self._size_of(part) <= MAX_EXPANDED

    def _size_of(self, part: Condition) -> int:
        """Return how many tests a condition has, with those of the conditions that it names."""
        if part not in self._sizes:
            self._sizes[part] = sum(
                self._size_of(self._condition_of(one)) if isinstance(one, Named) else 1 for one in walk(part)
            )
        return self._sizes[part]
