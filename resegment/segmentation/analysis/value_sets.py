"""Sets of values that tests let through, and whether one set holds another.

Every answer is on the safe side: `covers` is True only where it is so, `is_empty` likewise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from resegment.segmentation.language.conditions import Check, FileList, Scalar
from resegment.segmentation.language.operators import compile_check, type_of

Interval = tuple[float, bool, float, bool]
"""Low end, whether that is open, high end, whether that is open."""

Numbers = tuple[Interval, ...]
"""Disjoint intervals in rising order."""

INFINITY: Final = math.inf
ALL_NUMBERS: Final[Numbers] = ((-INFINITY, True, INFINITY, True),)


def _holds_any(one: Interval) -> bool:
    low, low_open, high, high_open = one
    return low < high or (low == high and not low_open and not high_open)


def outside(numbers: Numbers) -> Numbers:
    """All other numbers."""
    found: list[Interval] = []
    low, low_open = -INFINITY, True
    for start, start_open, end, end_open in numbers:
        found.append((low, low_open, start, not start_open))
        low, low_open = end, not end_open
    found.append((low, low_open, INFINITY, True))
    return tuple(one for one in found if _holds_any(one))


def common(first: Numbers, second: Numbers) -> Numbers:
    """Numbers that are in both."""
    found: list[Interval] = []
    for low, low_open, high, high_open in first:
        for low2, low_open2, high2, high_open2 in second:
            start = max((low, low_open), (low2, low_open2))
            end = min((high, not high_open), (high2, not high_open2))
            found.append((start[0], start[1], end[0], not end[1]))
    return tuple(sorted(one for one in found if _holds_any(one)))


def whole(numbers: Numbers) -> Numbers:
    """Those of the numbers that count something: 0, 1, 2 and so on."""
    found: list[Interval] = []
    for low, low_open, high, high_open in common(numbers, ((0, False, INFINITY, True),)):
        start = math.floor(low) + 1 if low_open else math.ceil(low)
        if high == INFINITY:
            found.append((start, False, INFINITY, True))
        else:
            found.append((start, False, math.ceil(high) - 1 if high_open else math.floor(high), False))
    return tuple(one for one in found if _holds_any(one))


@dataclass(frozen=True, slots=True)
class Texts:
    """`only` these words (None: any) but those `excluded`, as far as they pass every demand."""

    only: frozenset[str] | None = None
    excluded: frozenset[str] = frozenset()
    demands: frozenset[tuple[Check, bool]] = frozenset()

    def allows(self, word: str) -> bool:
        """Whether the word is in the set."""
        if word in self.excluded or (self.only is not None and word not in self.only):
            return False
        return all(compile_check(check)(word) is wanted for check, wanted in self.demands)

    def common(self, other: Texts) -> Texts:
        """Texts that are in both."""
        if self.only is not None:
            return Texts(frozenset(word for word in self.only if self.allows(word) and other.allows(word)))
        if other.only is not None:
            return other.common(self)
        return Texts(None, self.excluded | other.excluded, self.demands | other.demands)

    @property
    def is_empty(self) -> bool:
        """Whether no text is in it."""
        if self.only is not None:
            return not any(self.allows(word) for word in self.only)
        return any(
            wanted and _entails((check, wanted), (other, not denied))
            for check, wanted in self.demands
            for other, denied in self.demands
            if not denied
        )

    def covers(self, other: Texts) -> bool:
        """Whether every text of the other is in it."""
        if other.only is not None:
            return all(self.allows(word) for word in other.only if other.allows(word))
        return (
            self.only is None
            and not any(other.allows(word) for word in self.excluded)
            and all(any(_entails(held, one) for held in other.demands) for one in self.demands)
        )


def _entails(first: tuple[Check, bool], second: tuple[Check, bool]) -> bool:
    """Whether a text that passes the first demand passes the second."""
    if first == second:
        return True
    (check, wanted), (other, other_wanted) = first, second
    if check.operator != "contains" or other.operator != "contains" or wanted is not other_wanted:
        return False
    part, whole_part = (other, check) if wanted else (check, other)
    return str(part.operand).casefold() in str(whole_part.operand).casefold()


Member = tuple[str, Scalar]
Demand = tuple[Literal["any", "all", "none", "lacks"], frozenset[Member]]
"""Of a list: it has any, all or none of the members, or `lacks` one of them."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Lists that meet every demand."""

    demands: frozenset[Demand] = frozenset()

    def common(self, other: Lists) -> Lists:
        """Return the lists that are in both."""
        return Lists(self.demands | other.demands)

    @property
    def is_empty(self) -> bool:
        """Whether no list is in it."""
        return any(_meets(one, _contrary(other)) for one in self.demands for other in self.demands)

    def covers(self, other: Lists) -> bool:
        """Whether every list of the other is in it."""
        return all(any(_meets(held, one) for held in other.demands) for one in self.demands)


_CONTRARIES: Final[dict[str, Literal["any", "all", "none", "lacks"]]] = {
    "any": "none",
    "none": "any",
    "all": "lacks",
    "lacks": "all",
}


def _contrary(demand: Demand) -> Demand:
    return _CONTRARIES[demand[0]], demand[1]


def _meets(first: Demand, second: Demand) -> bool:
    """Whether a list that meets the first demand meets the second."""
    (held, mine), (asked, theirs) = first, second
    match held, asked:
        case ("any", "any") | ("lacks", "lacks"):
            return mine <= theirs
        case ("all", "all") | ("none", "none"):
            return theirs <= mine
        case ("all", "any") | ("none", "lacks"):
            return not mine.isdisjoint(theirs)
        case ("any", "all"):
            return len(mine) == 1 and mine == theirs
        case ("lacks", "none"):
            return len(mine) == 1 and mine == theirs
        case _:
            return False


@dataclass(frozen=True, slots=True)
class Region:
    """A set of values, by type; `missing` is the value that is not known."""

    missing: bool = False
    numbers: Numbers = ()
    texts: Texts | None = None
    bools: frozenset[bool] = frozenset()
    lists: Lists | None = None
    other: bool = False

    def common(self, other: Region) -> Region:
        """Values that are in both."""
        return Region(
            self.missing and other.missing,
            common(self.numbers, other.numbers),
            self.texts.common(other.texts) if self.texts and other.texts else None,
            self.bools & other.bools,
            self.lists.common(other.lists) if self.lists and other.lists else None,
            self.other and other.other,
        )

    @property
    def is_empty(self) -> bool:
        """Whether no value is in it."""
        return not (
            self.missing
            or self.numbers
            or self.bools
            or self.other
            or (self.texts is not None and not self.texts.is_empty)
            or (self.lists is not None and not self.lists.is_empty)
        )

    def covers(self, other: Region) -> bool:
        """Whether every value of the other is in it."""
        return (
            (self.missing or not other.missing)
            and (self.other or not other.other)
            and other.bools <= self.bools
            and not common(other.numbers, outside(self.numbers))
            and (other.texts is None or other.texts.is_empty or _covers(self.texts, other.texts))
            and (other.lists is None or other.lists.is_empty or _covers_lists(self.lists, other.lists))
        )


def _covers(first: Texts | None, second: Texts) -> bool:
    return first is not None and first.covers(second)


def _covers_lists(first: Lists | None, second: Lists) -> bool:
    return first is not None and first.covers(second)


BOTH: Final = frozenset({True, False})
EVERYTHING: Final = Region(True, ALL_NUMBERS, Texts(), BOTH, Lists(), True)
PRESENT: Final = Region(False, ALL_NUMBERS, Texts(), BOTH, Lists(), True)
OF_TYPE: Final[dict[str, Region]] = {
    "number": Region(missing=True, numbers=ALL_NUMBERS),
    "text": Region(missing=True, texts=Texts()),
    "bool": Region(missing=True, bools=BOTH),
    "collection": Region(missing=True, lists=Lists()),
}
"""What a value of a declared type can be."""


def region_of(check: Check, holds: bool) -> Region:
    """Return the values for which the check says true, or, without `holds`, false."""
    operator, operand = check.operator, check.operand
    if isinstance(operand, FileList):
        # A file may have a million lines, so a proof takes it as a whole.
        is_in = Check("in_file", operand)
        return Region(texts=Texts(demands=frozenset({(is_in, (operator == "in_file") is holds)})))
    values: tuple[Scalar, ...] = operand if isinstance(operand, tuple) else (operand,)
    match operator:
        case "exists":
            return PRESENT if operand is holds else Region(missing=True)
        case "eq" | "in":
            return _equal(values, holds)
        case "ne" | "not_in":
            return _equal(values, not holds)
        case "gt" | "gte" | "lt" | "lte" | "between":
            numbers = _ordered(operator, values)
            return Region(numbers=numbers if holds else outside(numbers))
        case "contains" | "contains_any" | "matches":
            return Region(texts=Texts(demands=frozenset({(check, holds)})))
        case _:
            return Region(lists=Lists(frozenset({_demand(operator, values, holds)})))


def _equal(values: Iterable[Scalar], holds: bool) -> Region:
    types = {type_of(one) for one in values}
    texts = frozenset(one for one in values if isinstance(one, str))
    bools = frozenset(one for one in values if isinstance(one, bool))
    points = sorted(set(_numbers_of(values)))
    numbers: Numbers = tuple((one, False, one, False) for one in points)
    if holds:
        return Region(numbers=numbers, texts=Texts(texts) if texts else None, bools=bools)
    return Region(
        numbers=outside(numbers) if "number" in types else (),
        texts=Texts(None, texts) if "text" in types else None,
        bools=BOTH - bools if "bool" in types else frozenset(),
    )


def _numbers_of(values: Iterable[Scalar]) -> list[float]:
    """Return the numbers themselves: an int stays one, so that it loses no digit."""
    return [one for one in values if isinstance(one, int | float) and not isinstance(one, bool)]


def _ordered(operator: str, values: tuple[Scalar, ...]) -> Numbers:
    numbers = _numbers_of(values)
    low, high = numbers[0], numbers[-1]
    match operator:
        case "gt":
            return ((low, True, INFINITY, True),)
        case "gte":
            return ((low, False, INFINITY, True),)
        case "lt":
            return ((-INFINITY, True, high, True),)
        case "lte":
            return ((-INFINITY, True, high, False),)
        case _:
            return ((low, False, high, False),)


def _demand(operator: str, values: Iterable[Scalar], holds: bool) -> Demand:
    members = frozenset((type_of(one), one) for one in values)
    match operator:
        case "has_any":
            return ("any" if holds else "none", members)
        case "has_all":
            return ("all" if holds else "lacks", members)
        case _:
            return ("none" if holds else "any", members)
