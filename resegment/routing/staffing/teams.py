"""Evaluate a team of the segments file for one account at one instant."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Final, get_args

from resegment.identity.aliases import names_of
from resegment.routing.staffing.working_time import ALL_WEEK, WorkingTime, date_of, number_of
from resegment.schemas.assignment import Candidate, Rank
from resegment.schemas.segments import Member, Order, Team
from resegment.schemas.written import Weekday, read_hours
from resegment.segmentation.language.gates import territory_gate

_WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)
_MINUTE: Final = 60_000
_LAST_DAY: Final = number_of(dt.date(2199, 12, 31))
"""The last day that may be a holiday: a span of days without an end is not kept day by day."""


def members(team: Team) -> tuple[Member, ...]:
    """Return the members of the team, in the order of the file."""
    return tuple(_named(one) if isinstance(one, str) else one for one in team.members)


@lru_cache(maxsize=4096)
def _named(name: str) -> Member:
    """Return the member who is given by name alone. Teams are asked for each account, so they are made once."""
    return Member(name=name)


def working_time(team: Team, member: Member | None = None) -> WorkingTime:
    """Return when a member works, or the team itself."""
    zone = team.timezone if member is None or member.timezone is None else member.timezone
    hours = team.hours if member is None or member.hours is None else member.hours
    texts = () if hours is None else (hours,) if isinstance(hours, str) else tuple(hours)
    holidays = tuple((one, one) if isinstance(one, str) else (one.first, one.last) for one in team.holidays)
    return WorkingTime(zone, _read_week(texts), _read_holidays(holidays))


@lru_cache(maxsize=256)
def _read_week(hours: tuple[str, ...]) -> tuple[tuple[tuple[int, int], ...], ...]:
    if not hours:
        return ALL_WEEK
    spans = sorted(span for text in hours for span in read_hours(text))
    week: list[list[tuple[int, int]]] = [[] for _ in _WEEKDAYS]
    for weekday, first, last in spans:
        day, start, end = week[weekday], first * _MINUTE, last * _MINUTE
        if day and start <= day[-1][1]:
            start, end = day[-1][0], max(day.pop()[1], end)
        day.append((start, end))
    return tuple(tuple(day) for day in week)


@lru_cache(maxsize=256)
def _read_holidays(holidays: tuple[tuple[str, str], ...]) -> frozenset[int]:
    days: set[int] = set()
    for first, last in holidays:
        start, end = (number_of(dt.date.fromisoformat(day)) for day in (first, last))
        days.update(range(max(start, 0), min(end, _LAST_DAY) + 1))
    return frozenset(days)


def is_away(team: Team, member: Member, at: int) -> bool:
    """Whether the member takes no new account at `at` (ms): it is a day off, or outside of their own hours."""
    day = date_of(at, member.timezone or team.timezone)
    if _WEEKDAYS[day.weekday()] not in member.days:
        return True
    if any(
        dt.date.fromisoformat(one.first) <= day <= dt.date.fromisoformat(one.last) for one in member.absences
    ):
        return True
    return member.hours is not None and not working_time(team, member).is_open(at)


def available(team: Team, at: int) -> tuple[Candidate, ...]:
    """Return the members who take new accounts at `at` (ms), wherever these are, in the order of the file."""
    return tuple(
        Candidate(one.name, one.weight, one.capacity) for one in members(team) if not is_away(team, one, at)
    )


def eligible(team_name: str, team: Team, active_gates: Collection[str]) -> tuple[str, ...]:
    """Return the members whose territory includes an account, whether or not they are away."""
    return tuple(
        one.name
        for one in members(team)
        if one.territory is None or territory_gate(team_name, one.name) in active_gates
    )


def candidates(team_name: str, team: Team, active_gates: Collection[str], at: int) -> tuple[Candidate, ...]:
    """Return the members who may take an account at `at` (ms), in the order of the file."""
    names = {*eligible(team_name, team, active_gates)}
    return tuple(one for one in available(team, at) if one.name in names)


def preferred(team: Team, account: str, last_owner: str | None) -> tuple[str, ...]:
    """Return the owners to try first: the one named for the account, then, in a sticky team, its last owner."""
    named = (team.accounts[name] for name in names_of(account) if name in team.accounts)
    last = last_owner if team.sticky else None
    return tuple(dict.fromkeys(name for name in (next(named, None), last) if name is not None))


def rank(team: Team, account: str, segment_index: int, effective_at: int, values: Mapping[str, Any]) -> Rank:
    """Return an account's place in the team's line: the lowest comes first.

    `segment_index` counts from the first segment of the file, `effective_at` (ms) is when it was entered, `values` are
    attributes and traits by name. A value that is not a number comes last.
    """
    return Rank(_first(team, segment_index, effective_at, values), segment_index, effective_at, account)


def _first(team: Team, segment_index: int, effective_at: int, values: Mapping[str, Any]) -> float:
    match team.order:
        case "oldest":
            return float(effective_at)
        case "newest":
            return float(-effective_at)
        case "priority":
            return float(segment_index)
        case Order(highest=str(name)):
            return -_number(values.get(name), otherwise=-math.inf)
        case Order(lowest=str(name)):
            return _number(values.get(name), otherwise=math.inf)
    return math.inf


def _number(value: Any, *, otherwise: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return otherwise
    try:
        return otherwise if math.isnan(value) else float(value)
    except OverflowError:  # an integer that no float can hold
        return math.inf if value > 0 else -math.inf
