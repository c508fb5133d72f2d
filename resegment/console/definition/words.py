"""A condition in words, for people who never read the segments file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from resegment.schemas.times import NEVER, spell_duration
from resegment.segmentation.language.conditions import (
    AtLeastOne,
    Check,
    Checks,
    Compare,
    Condition,
    Every,
    FileList,
    InSegment,
    IsOpen,
    Matcher,
    Named,
    Not,
    Occurs,
    Operand,
    Sequence,
    Some,
    Window,
)


@dataclass(frozen=True, slots=True)
class Said:
    """One part of a condition in words, and the parts below it."""

    text: str
    parts: tuple[Said, ...] = ()


def say_condition(condition: Condition, named: Mapping[str, Condition], within: tuple[str, ...] = ()) -> Said:
    """Return a condition in words. `named` are the file's conditions: what they say stands below their names."""
    match condition:
        case Every(parts):
            return Said("all of these hold", tuple(say_condition(one, named, within) for one in parts))
        case Some(parts):
            return Said(
                "at least one of these holds", tuple(say_condition(one, named, within) for one in parts)
            )
        case Not(part):
            return Said("this does not hold", (say_condition(part, named, within),))
        case Named(name) if name in named and name not in within:
            return Said(f"{_plain(name)}, which means", (say_condition(named[name], named, (*within, name)),))
        case InSegment(name):
            return Said(f"the condition of the segment {name} holds")
        case _:
            return Said(_say_test(condition))


def _say_test(test: Condition) -> str:
    match test:
        case Compare(name, checks):
            return f"{_plain(name)} {say_checks(checks)}"
        case Occurs(matcher, window, count):
            return f"{_say_count(count)} {_say_facts(matcher)}{_say_window(window)}{_say_unless(matcher)}"
        case IsOpen(things, count):
            facts = _say_facts(Matcher(things.kind, things.where))
            return f"{_say_count(count)} open {facts}, counted by {_plain(things.by)}"
        case Sequence(steps, length, gap, loose):
            told = ", then ".join(_say_facts(one) for one in steps)
            apart = "" if gap is None else f", each within {spell_duration(gap)} of the one before"
            order = ", in loose order" if loose else ""
            return f"{told}, in the last {spell_duration(length)}{apart}{order}"
    return str(test)


def _say_count(count: Checks) -> str:
    return (
        "at least one" if count == AtLeastOne else f"the number is {say_checks(count).removeprefix('is ')} of"
    )


def _say_facts(matcher: Matcher) -> str:
    tests = [f"{_plain(name)} {say_checks(checks)}" for name, checks in matcher.where]
    return f"{_plain(matcher.kind)} event" + (f" whose {' and '.join(tests)}" if tests else "")


def _say_unless(matcher: Matcher) -> str:
    return "" if matcher.unless is None else f", not followed by a later {_say_facts(matcher.unless)}"


def _say_window(window: Window) -> str:
    if window.closes == NEVER:
        return "" if window.opens == 0 else f", at least {spell_duration(window.opens)} ago"
    if window.opens == 0:
        return f", in the last {spell_duration(window.closes)}"
    return f", from {spell_duration(window.opens)} to {spell_duration(window.closes)} ago"


_WORDS: Final = {
    "eq": "is",
    "ne": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "gt": "is more than",
    "gte": "is at least",
    "lt": "is less than",
    "lte": "is at most",
}


def say_checks(checks: Checks) -> str:
    """Return operators in words: `is at least 50 and is less than 200`."""
    return " and ".join(_say_check(one) for one in checks)


def _say_check(check: Check) -> str:
    if check.operator == "exists":
        return "is known" if check.operand else "is unknown"
    if check.operator == "between" and isinstance(check.operand, tuple):
        return f"is from {_say_value(check.operand[0])} to {_say_value(check.operand[1])}"
    word = _WORDS.get(check.operator, check.operator.replace("_", " "))
    return f"{word} {_say_value(check.operand)}"


def _say_value(value: Operand) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case tuple():
            *most, last = map(_say_value, value) if value else [""]
            return f"{', '.join(most)} or {last}" if most else last
        case FileList(path):
            return f"the list {path}"
        case int():
            return f"{value:,}"
    return _plain(str(value)) if isinstance(value, str) else str(value)


def _plain(name: str) -> str:
    return name.replace("_", " ")
