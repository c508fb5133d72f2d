"""The closed syntax tree of conditions and traits: frozen values, equal where they mean the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from resegment.schemas.fact import Kind
from resegment.schemas.times import NEVER, format_duration

Scalar = str | int | float | bool
Operand = Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """One operator with its operand, applied to one value."""

    operator: str
    operand: Operand
    types: tuple[str, ...] = field(init=False, repr=False)
    """Of the operand, so that a test for true is not equal to one for 1."""

    def __post_init__(self) -> None:
        values = self.operand if isinstance(self.operand, tuple) else (self.operand,)
        object.__setattr__(self, "types", tuple("bool" if isinstance(one, bool) else "" for one in values))

    def __str__(self) -> str:
        return f"{self.operator} {show_operand(self.operand)}"


Checks = tuple[Check, ...]
"""Operators that must all hold."""


@dataclass(frozen=True, slots=True)
class Window:
    """A fact of time `f` counts at t iff `f + opens <= t < f + closes` (milliseconds)."""

    opens: int = 0
    closes: int = NEVER

    def __str__(self) -> str:
        if self.closes == NEVER:
            return ""
        if self.opens == 0:
            return f" within {format_duration(self.closes)}"
        return f" {format_duration(self.opens)} to {format_duration(self.closes)} ago"


@dataclass(frozen=True, slots=True)
class Matcher:
    """Facts of a kind whose data pass every test of `where`, sorted by field."""

    kind: Kind
    where: tuple[tuple[str, Checks], ...] = ()

    def __str__(self) -> str:
        tests = ", ".join(f"{field} {show_checks(checks)}" for field, checks in self.where)
        return f"{self.kind} ({tests})" if tests else self.kind


AtLeastOne: Checks = (Check("gte", 1),)


@dataclass(frozen=True, slots=True)
class Occurs:
    """An event test: how many facts match."""

    matcher: Matcher
    window: Window
    count: Checks = AtLeastOne

    def __str__(self) -> str:
        count = "" if self.count == AtLeastOne else f", count {show_checks(self.count)}"
        return f"{self.matcher}{self.window}{count}"


@dataclass(frozen=True, slots=True)
class Sequence:
    """Facts that follow one another, all inside the window, each at most `gap` ms after the one before."""

    steps: tuple[Matcher, ...]
    within: int
    gap: int | None = None

    def __str__(self) -> str:
        steps = " then ".join(str(step) for step in self.steps)
        gap = f", at most {format_duration(self.gap)} apart" if self.gap is not None else ""
        return f"{steps} within {format_duration(self.within)}{gap}"


@dataclass(frozen=True, slots=True)
class Compare:
    """A test of an attribute or trait."""

    name: str
    checks: Checks

    def __str__(self) -> str:
        return f"{self.name} {show_checks(self.checks)}"


@dataclass(frozen=True, slots=True)
class InSegment:
    """The value of another segment's `when`."""

    name: str

    def __str__(self) -> str:
        return f"segment {self.name}"


@dataclass(frozen=True, slots=True)
class Every:
    """True if all are."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return "all of"


@dataclass(frozen=True, slots=True)
class Some:
    """True if any is."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return "any of"


@dataclass(frozen=True, slots=True)
class Not:
    """True if its part is false."""

    part: Condition

    def __str__(self) -> str:
        return "not"


Condition = Every | Some | Not | Compare | Occurs | Sequence | InSegment

Aggregation = Literal["count", "sum", "distinct", "min", "max", "avg", "latest", "earliest"]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A trait over the facts in a window; `field` is None for `count` alone."""

    function: Aggregation
    matcher: Matcher
    window: Window
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Decay:
    """A sum of `field` (None: of ones) that halves every `half_life` ms."""

    matcher: Matcher
    window: Window
    half_life: int
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Ratio:
    """One attribute or trait divided by another."""

    over: str
    under: str


@dataclass(frozen=True, slots=True)
class Growth:
    """Relative growth of an attribute over `over` ms."""

    attribute: str
    over: int


Trait = Aggregate | Decay | Ratio | Growth


def show_operand(operand: Operand) -> str:
    """An operand as a person writes it."""
    if isinstance(operand, tuple):
        return f"[{', '.join(show_operand(one) for one in operand)}]"
    if isinstance(operand, bool):
        return "true" if operand else "false"
    return str(operand)


_SIGNS = {
    "eq": "=",
    "ne": "is not",
    "in": "in",
    "not_in": "not in",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
}


def show_checks(checks: Checks) -> str:
    """Operators as a person reads them."""
    shown = []
    for check in checks:
        if check.operator == "exists":
            shown.append("is known" if check.operand else "is unknown")
        elif check.operator == "between" and isinstance(check.operand, tuple):
            shown.append(f"from {show_operand(check.operand[0])} to {show_operand(check.operand[1])}")
        else:
            sign = _SIGNS.get(check.operator, check.operator.replace("_", " "))
            shown.append(f"{sign} {show_operand(check.operand)}")
    return " and ".join(shown)
