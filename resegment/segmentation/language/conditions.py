"""The closed syntax tree of conditions and traits: frozen values, equal where they mean the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from resegment.schemas.fact import Kind
from resegment.schemas.times import NEVER, format_duration

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class FileList:
    """The lines of a file that `in_file` names. Two are equal if their content is; `accounts` are resolved domains."""

    path: str
    digest: str
    accounts: bool
    members: frozenset[str] = field(compare=False, repr=False)


Operand = Scalar | tuple[Scalar, ...] | FileList


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
    """Facts of a kind whose data pass every test of `where`, sorted by field.

    With `unless`, a fact counts only if no fact that `unless` matches happened later.
    """

    kind: Kind
    where: tuple[tuple[str, Checks], ...] = ()
    unless: Matcher | None = None

    @property
    def base(self) -> Matcher:
        """The same without regard to later facts."""
        return self if self.unless is None else Matcher(self.kind, self.where)

    def show(self, window: str = "") -> str:
        """Return the facts as a person reads them, with the window that they are looked for in."""
        tests = ", ".join(f"{field} {show_checks(checks)}" for field, checks in self.where)
        shown = f"{self.kind} ({tests})" if tests else self.kind
        return f"{shown}{window}{f', not followed by {self.unless}' if self.unless else ''}"

    def __str__(self) -> str:
        return self.show()


AtLeastOne: Checks = (Check("gte", 1),)


@dataclass(frozen=True, slots=True)
class Occurs:
    """An event test: how many facts match."""

    matcher: Matcher
    window: Window
    count: Checks = AtLeastOne

    def __str__(self) -> str:
        count = "" if self.count == AtLeastOne else f", count {show_checks(self.count)}"
        return f"{self.matcher.show(str(self.window))}{count}"


@dataclass(frozen=True, slots=True)
class Sequence:
    """Facts that follow one another, all inside the window, each at most `gap` ms after the one before.

    In a `loose` one, neighbors may happen at the same time.
    """

    steps: tuple[Matcher, ...]
    within: int
    gap: int | None = None
    loose: bool = False

    def __str__(self) -> str:
        steps = " then ".join(str(step) for step in self.steps)
        gap = f", at most {format_duration(self.gap)} apart" if self.gap is not None else ""
        return f"{steps} within {format_duration(self.within)}{gap}{', in loose order' if self.loose else ''}"


@dataclass(frozen=True, slots=True)
class OpenThings:
    """How many groups of facts are open: those whose latest fact opens them and passes `where`. A trait too."""

    kind: Kind
    by: str
    where: tuple[tuple[str, Checks], ...] = ()

    def __str__(self) -> str:
        return f"open {Matcher(self.kind, self.where)} by {self.by}"


@dataclass(frozen=True, slots=True)
class IsOpen:
    """A test of how many groups of facts are open."""

    things: OpenThings
    count: Checks = AtLeastOne

    def __str__(self) -> str:
        count = "" if self.count == AtLeastOne else f", count {show_checks(self.count)}"
        return f"{self.things}{count}"


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
class Named:
    """The value of a condition of the file's `conditions`."""

    name: str

    def __str__(self) -> str:
        return f"condition {self.name}"


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


Condition = Every | Some | Not | Compare | Occurs | Sequence | IsOpen | InSegment | Named

NOBODY: Final = Some(())
"""The condition that is false for every account."""

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


@dataclass(frozen=True, slots=True)
class Term:
    """What a score counts where a condition is true."""

    when: Condition
    points: int | float


@dataclass(frozen=True, slots=True)
class Score:
    """The sum of the points of the terms that are true."""

    terms: tuple[Term, ...]


Trait = Aggregate | Decay | Ratio | Growth | OpenThings | Score

FACT_TIME: Final = "time"
"""The field of `latest` and `earliest` that means when the fact happened."""


def is_instant(trait: Trait | None) -> bool:
    """Whether the value of a trait is the time of a fact."""
    return (
        isinstance(trait, Aggregate) and trait.field == FACT_TIME and trait.function in ("latest", "earliest")
    )


@dataclass(frozen=True, slots=True)
class Newest:
    """How many groups of facts have a newest one whose action is one of `actions`. No file can write this trait.

    Facts of any of the matchers with the same text in `by` are one group, and so are those without a text there. With
    `by` None all are one group. Where `folded`, neither case nor outer spaces tell one text from another.
    """

    matchers: tuple[Matcher, ...]
    actions: tuple[str, ...]
    by: str | None = None
    folded: bool = False


def tell_whole(condition: Condition) -> str:
    """Return a condition with all its parts in one line."""
    match condition:
        case Not(part):
            return (
                f"not ({tell_whole(part)})" if isinstance(part, Every | Some) else f"not {tell_whole(part)}"
            )
        case Every(parts) | Some(parts):
            word = " and " if isinstance(condition, Every) else " or "
            told = [
                f"({tell_whole(one)})" if isinstance(one, Every | Some) else tell_whole(one) for one in parts
            ]
            return word.join(told)
        case _:
            return str(condition)


def show_operand(operand: Operand) -> str:
    """Return an operand as a person writes it."""
    if isinstance(operand, tuple):
        return f"[{', '.join(show_operand(one) for one in operand)}]"
    if isinstance(operand, bool):
        return "true" if operand else "false"
    return operand.path if isinstance(operand, FileList) else str(operand)


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
