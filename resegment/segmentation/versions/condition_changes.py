"""Say in words how a condition changed: `employees at least 50 → 100`."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Final

from resegment.schemas.times import format_duration
from resegment.segmentation.language.conditions import (
    Check,
    Checks,
    Compare,
    Condition,
    Every,
    FileList,
    IsOpen,
    Matcher,
    Not,
    Occurs,
    Sequence,
    Some,
    Window,
    show_checks,
    show_operand,
    tell_whole,
)

_WORDS: Final = {
    "eq": "is",
    "ne": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "gt": "more than",
    "gte": "at least",
    "lt": "less than",
    "lte": "at most",
}
_SETS: Final = frozenset({"in", "not_in", "has_any", "has_all", "has_none", "contains_any"})


def tell_changes(old: Condition | None, new: Condition | None) -> list[str]:
    """Return how one condition became the other, a change each; nothing where they are written alike."""
    if old is None or new is None:
        return [f"{_whole(old)} → {_whole(new)}"] if old != new else []
    return list(dict.fromkeys(_changes(old, new)))


def _whole(condition: Condition | None) -> str:
    return "nothing" if condition is None else tell_whole(condition)


def _changes(old: Condition, new: Condition) -> Iterator[str]:
    if old == new:
        return
    match old, new:
        case Compare(name), Compare(other) if name == other:
            yield from _check_changes(name, old.checks, new.checks)
        case Occurs(), Occurs() if old.matcher.kind == new.matcher.kind:
            yield from _event_changes(old, new)
        case IsOpen(), IsOpen() if old.things == new.things:
            yield from _check_changes(f"{old.things} count", old.count, new.count)
        case Sequence(), Sequence() if old.steps == new.steps:
            yield from _sequence_changes(old, new)
        case Not(one), Not(other) if not isinstance(one, Every | Some) and not isinstance(
            other, Every | Some
        ):
            for told in _changes(one, other):
                yield f"not {told}"
        case (Some(), Some() | Every()) | (Every(), Some()) if type(old) is not type(new):
            yield f"{tell_whole(old)} → {tell_whole(new)}"
        case (Some(), _) | (_, Some()):
            yield from _group_changes(
                _parts(old, Some), _parts(new, Some), "now also takes", "no longer takes"
            )
        case (Every(), _) | (_, Every()):
            yield from _group_changes(
                _parts(old, Every), _parts(new, Every), "now requires", "no longer requires"
            )
        case _:
            yield f"{tell_whole(old)} → {tell_whole(new)}"


def _parts(condition: Condition, sort: type[Every | Some]) -> list[Condition]:
    """Return the parts of a group, groups of the same sort inside it unfolded; a test is a group of one."""
    if not isinstance(condition, sort):
        return [condition]
    return [part for one in condition.parts for part in _parts(one, sort)]


def _group_changes(old: list[Condition], new: list[Condition], added: str, removed: str) -> Iterator[str]:
    gone = [one for one in old if one not in new]
    come = [one for one in new if one not in old]
    for one in list(gone):
        alike = [other for other in come if _subject(other) == _subject(one)]
        if alike:
            text = tell_whole(one)
            nearest = max(alike, key=lambda other: SequenceMatcher(None, text, tell_whole(other)).ratio())
            yield from _changes(one, nearest)
            gone.remove(one)
            come.remove(nearest)
    for one in gone:
        yield f"{removed} {_in_group(one)}"
    for one in come:
        yield f"{added} {_in_group(one)}"


def _in_group(condition: Condition) -> str:
    text = tell_whole(condition)
    return f"({text})" if isinstance(condition, Every | Some) else text


def _subject(condition: Condition) -> object:
    """Return what a test is about, so that two of them can be compared."""
    match condition:
        case Compare(name):
            return ("value", name)
        case Occurs(matcher):
            return ("event", matcher.kind)
        case IsOpen(things):
            return ("open", things)
        case Not(part):
            return ("not", _subject(part))
        case _:
            return type(condition)


def _event_changes(old: Occurs, new: Occurs) -> Iterator[str]:
    kind = old.matcher.kind
    yield from _matcher_changes(old.matcher, new.matcher, kind)
    if old.window != new.window:
        before, after = _window(old.window), _window(new.window)
        yield f"{kind} {before} → {after.removeprefix('within ') if before.startswith('within') else after}"
    if old.count != new.count:
        yield from _check_changes(f"{kind} count", old.count, new.count)


def _matcher_changes(old: Matcher, new: Matcher, kind: str) -> Iterator[str]:
    before, after = dict(old.where), dict(new.where)
    for name in dict.fromkeys([*before, *after]):
        if name not in after:
            yield f"{kind} no longer with {name} {show_checks(before[name])}"
        elif name not in before:
            yield f"{kind} only with {name} {show_checks(after[name])}"
        elif before[name] != after[name]:
            yield from _check_changes(f"{kind} {name}", before[name], after[name])
    if old.unless != new.unless:
        yield f"{kind} not followed by {old.unless or 'anything'} → {new.unless or 'anything'}"


def _sequence_changes(old: Sequence, new: Sequence) -> Iterator[str]:
    steps = " then ".join(str(step) for step in new.steps)
    for name, before, after in (("within", old.within, new.within), ("gap", old.gap, new.gap)):
        if before != after:
            told = [format_duration(one) if one is not None else "none" for one in (before, after)]
            yield f"{steps} {name} {told[0]} → {told[1]}"
    if old.loose != new.loose:
        order = ["loose" if one else "strict" for one in (old.loose, new.loose)]
        yield f"{steps} order {order[0]} → {order[1]}"


def _window(window: Window) -> str:
    return str(window).strip() or "at any time"


def _check_changes(name: str, old: Checks, new: Checks) -> Iterator[str]:
    before = {one.operator: one for one in old}
    after = {one.operator: one for one in new}
    if before.keys() != after.keys():
        yield f"{name} {_tell(old)} → {_tell(new)}"
        return
    for operator, check in before.items():
        if check != after[operator]:
            told = _operand_change(check, after[operator])
            yield f"{name}{told}" if told.startswith(":") else f"{name} {told}"


def _operand_change(old: Check, new: Check) -> str:
    word = _WORDS.get(old.operator, old.operator.replace("_", " "))
    before, after = old.operand, new.operand
    if isinstance(before, FileList) and isinstance(after, FileList) and before.path == after.path:
        more, fewer = len(after.members - before.members), len(before.members - after.members)
        return f"{word.replace('is one of', 'in')} {after.path}: {more} lines more, {fewer} fewer"
    if old.operator in _SETS and isinstance(before, tuple) and isinstance(after, tuple):
        changes = [f"+ {show_operand(one)}" for one in after if one not in before]
        changes += [f"− {show_operand(one)}" for one in before if one not in after]
        return f"{'' if old.operator == 'in' else word}: {', '.join(changes)}"
    if old.operator == "exists":
        return f"{_tell((old,))} → {_tell((new,))}"
    if old.operator == "between":
        return f"{_tell((old,))} → {_tell((new,)).removeprefix('from ')}"
    return f"{word} {show_operand(before)} → {show_operand(after)}"


def _tell(checks: Checks) -> str:
    return " and ".join(
        f"{_WORDS[one.operator]} {show_operand(one.operand)}"
        if one.operator in _WORDS
        else show_checks((one,))
        for one in checks
    )
