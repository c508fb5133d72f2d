"""Find the fact that nearly matches: it is there, but something about it is not as asked."""

from __future__ import annotations

from typing import Any

from resegment.schemas.fact import KINDS
from resegment.schemas.state import Entry
from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.groups.groups import facts_that_count
from resegment.segmentation.evaluation.measures.measures import OpenOf
from resegment.segmentation.evaluation.measures.selection import Selection
from resegment.segmentation.language.conditions import Matcher, Window
from resegment.segmentation.language.operators import compile_checks


def find_near_miss(account: Account, facts: Selection, matcher: Matcher, t: int) -> str | None:
    """Say which fact comes nearest where none counts at t; None if no fact of the kind is in the window."""
    if matcher.unless is not None:
        alone = Selection(facts.series, facts.window).entries(account, t)
        newest = facts.newest_follower(account, t)
        if alone and newest is not None:
            return (
                f"{_name(matcher.kind)} is there, but {matcher.unless} followed on {format_instant(newest)}"
            )
    tests = [(field, compile_checks(checks)) for field, checks in matcher.where]
    nearest: tuple[tuple[int, int, str], list[str], Entry] | None = None
    for entry in facts_that_count(account.state.entries, account.groups):
        if entry.retracted or KINDS[entry.kind] != matcher.kind or not _is_in(facts.window, entry.time, t):
            continue
        data = entry.data or {}
        failing = [field for field, test in tests if test(data.get(field)) is not True]
        rank = (-len(failing), entry.time, entry.id)
        if failing and (nearest is None or rank > nearest[0]):
            nearest = rank, failing, entry
    if nearest is None:
        return None
    _, failing, entry = nearest
    told = " and ".join(_tell(field, (entry.data or {}).get(field)) for field in failing)
    return f"{_name(matcher.kind)} is there, but {told}"


def find_closed(account: Account, measure: OpenOf, t: int) -> str | None:
    """Say of the newest group that it is not open; None if there is no group."""
    series = account.series.get(measure.series)
    entries = [] if series is None else series.entries[: series.span(*_ALWAYS, t)[1]]
    for entry in reversed(entries):
        data = entry.data or {}
        if type(data.get(measure.by)) is str:
            change = data.get("change")
            where = "" if change is None else f", whose change is {change}"
            return f"the latest of {measure.by} {data[measure.by]} is of {format_instant(entry.time)}{where}"
    return None


_ALWAYS = (Window().opens, Window().closes)


def _is_in(window: Window, time: int, t: int) -> bool:
    return time + window.opens <= t < time + window.closes


def _name(kind: str) -> str:
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{article} {kind} event"


def _tell(field: str, value: Any) -> str:
    if value is None:
        return f"its {field} is unknown"
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"its {field} is {shown}"
