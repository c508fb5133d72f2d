"""Compile conditions to Python over two lists: the value of each leaf (`v`) and until when it lasts (`u`).

A condition is true, false or unknown (Kleene). For each polarity (is it true? is it false?) there are three questions:
does it hold; if it does, until when at minimum; if it does not, until when not. The generated code contains list
indexes and none of the user's text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from resegment.schemas.times import NEVER
from resegment.segmentation.language.conditions import Condition, Every, Not, Some

Values = list[bool | None]
Untils = list[int]


@dataclass(frozen=True, slots=True)
class Logic:
    """One compiled condition."""

    is_true: Callable[[Values], bool]
    is_false: Callable[[Values], bool]
    true_until: Callable[[Values, Untils], int]
    """Given that it is true."""
    not_true_until: Callable[[Values, Untils], int]
    """Given that it is not true."""
    false_until: Callable[[Values, Untils], int]
    """Given that it is false."""
    not_false_until: Callable[[Values, Untils], int]
    """Given that it is not false."""

    def evaluate(self, values: Values, untils: Untils) -> tuple[bool | None, int]:
        """Return true, false or None (unknown), and until when it lasts at minimum."""
        if self.is_true(values):
            return True, self.true_until(values, untils)
        if self.is_false(values):
            return False, self.false_until(values, untils)
        return None, min(self.not_true_until(values, untils), self.not_false_until(values, untils))


def compile_logic(condition: Condition, leaves: Mapping[Condition, int]) -> Logic:
    """Compile a condition. `leaves` has the index of every part that is not `all`, `any` or `not`."""
    text = _Text(leaves)
    return Logic(
        is_true=_function("v", text.holds(condition, True)),
        is_false=_function("v", text.holds(condition, False)),
        true_until=_function("v, u", text.until(condition, True)),
        not_true_until=_function("v, u", text.until_not(condition, True)),
        false_until=_function("v, u", text.until(condition, False)),
        not_false_until=_function("v, u", text.until_not(condition, False)),
    )


def compile_first(conditions: list[Condition], leaves: Mapping[Condition, int]) -> Callable[[Values], int]:
    """Return a function that finds the first true condition; without one it returns their number."""
    text = _Text(leaves)
    lines = [f"    if {text.holds(one, True)}: return {index}" for index, one in enumerate(conditions)]
    source = "\n".join(["def first(v):", *lines, f"    return {len(conditions)}", ""])
    function: Callable[[Values], int] = _define("first", source)
    return function


def compile_qualifying(
    conditions: list[Condition], leaves: Mapping[Condition, int]
) -> Callable[[Values], list[int]]:
    """Return a function that finds the indexes of all true conditions."""
    text = _Text(leaves)
    lines = [f"    if {text.holds(one, True)}: found.append({index})" for index, one in enumerate(conditions)]
    source = "\n".join(["def qualifying(v):", "    found = []", *lines, "    return found", ""])
    function: Callable[[Values], list[int]] = _define("qualifying", source)
    return function


def compile_deadline(
    conditions: list[Condition], leaves: Mapping[Condition, int]
) -> Callable[[Values, Untils, int], int]:
    """Return a function of (v, u, taken): until when the first true condition stays the one at `taken`, at minimum."""
    text = _Text(leaves)
    lines = []
    for index, one in enumerate(conditions):
        lines.append(f"    if taken == {index}: return min(d, {text.until(one, True)})")
        lines.append(f"    d = min(d, {text.until_not(one, True)})")
    source = "\n".join(["def deadline(v, u, taken):", f"    d = {NEVER}", *lines, "    return d", ""])
    function: Callable[[Values, Untils, int], int] = _define("deadline", source)
    return function


class _Text:
    """Source text; `polarity` True asks whether the condition is true, False whether it is false."""

    def __init__(self, leaves: Mapping[Condition, int]) -> None:
        self.leaves = leaves

    def holds(self, condition: Condition, polarity: bool) -> str:
        match condition:
            case Not(part):
                return self.holds(part, not polarity)
            case Every(()) | Some(()):
                return str(isinstance(condition, Every) is polarity)
            case Every(parts) | Some(parts):
                word = " and " if isinstance(condition, Every) is polarity else " or "
                return f"({word.join(self.holds(part, polarity) for part in parts)})"
            case _:
                return f"v[{self.leaves[condition]}] is {polarity}"

    def until(self, condition: Condition, polarity: bool) -> str:
        """Given that it holds."""
        match condition:
            case Not(part):
                return self.until(part, not polarity)
            case Every(()) | Some(()):
                return str(NEVER)
            case Every(parts) | Some(parts):
                if isinstance(condition, Every) is polarity:
                    return _call("min", [self.until(part, polarity) for part in parts])
                held = [f"{self.until(p, polarity)} if {self.holds(p, polarity)} else 0" for p in parts]
                return _call("max", [f"({one})" for one in held])
            case _:
                return f"u[{self.leaves[condition]}]"

    def until_not(self, condition: Condition, polarity: bool) -> str:
        """Given that it does not hold."""
        match condition:
            case Not(part):
                return self.until_not(part, not polarity)
            case Every(()) | Some(()):
                return str(NEVER)
            case Every(parts) | Some(parts):
                if isinstance(condition, Every) is not polarity:
                    return _call("min", [self.until_not(part, polarity) for part in parts])
                failed = [f"0 if {self.holds(p, polarity)} else {self.until_not(p, polarity)}" for p in parts]
                return _call("max", [f"({one})" for one in failed])
            case _:
                return f"u[{self.leaves[condition]}]"


def _call(name: str, arguments: list[str]) -> str:
    return arguments[0] if len(arguments) == 1 else f"{name}({', '.join(arguments)})"


def _function(parameters: str, expression: str) -> Any:
    return _define("f", f"def f({parameters}):\n    return {expression}\n")


def _define(name: str, source: str) -> Any:
    scope: dict[str, Any] = {"__builtins__": {"min": min, "max": max}}
    exec(compile(source, f"<{name}>", "exec"), scope)  # noqa: S102  # the code contains only indexes
    return scope[name]
