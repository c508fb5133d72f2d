"""Evaluate a team of the segments file for one account at one instant."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Collection, Mapping
from typing import Any, Final, get_args

from resegment.identity.aliases import names_of
from resegment.schemas.assignment import Candidate
from resegment.schemas.segments import Member, Order, Team, Weekday
from resegment.segmentation.language.gates import territory_gate

_DAY: Final = 86_400_000
_EPOCH: Final = dt.date(1970, 1, 1)
_WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)

_INSTANTS: Final = 1 << 42
"""More than any instant in ms before the year 2109: with 2,048 segments it still is an exact float."""


def members(team: Team) -> tuple[Member, ...]:
    """Return the members of the team, in the order of the file."""
    return tuple(Member(name=one) if isinstance(one, str) else one for one in team.members)


def is_away(member: Member, at: int) -> bool:
    """Whether `at` (ms) lies on a day on which the member takes no new account."""
    day = _date_of(at)
    return _WEEKDAYS[day.weekday()] not in member.days or any(
        dt.date.fromisoformat(absence.first) <= day <= dt.date.fromisoformat(absence.last)
        for absence in member.absences
    )


def candidates(team_name: str, team: Team, active_gates: Collection[str], at: int) -> tuple[Candidate, ...]:
    """Return the members who may take an account at `at` (ms), in the order of the file."""
    return tuple(
        Candidate(member.name, member.weight, member.capacity)
        for member in members(team)
        if not is_away(member, at)
        and (member.territory is None or territory_gate(team_name, member.name) in active_gates)
    )


def preferred(team: Team, account: str, last_owner: str | None) -> tuple[str, ...]:
    """Return the owners to try first: the one named for the account, then, in a sticky team, its last owner."""
    named = (team.accounts[name] for name in names_of(account) if name in team.accounts)
    last = last_owner if team.sticky else None
    return tuple(dict.fromkeys(name for name in (next(named, None), last) if name is not None))


def rank(team: Team, segment_index: int, effective_at: int, values: Mapping[str, Any]) -> float:
    """Return an account's place among those that wait: the lowest comes first.

    `segment_index` counts from the first segment of the file, `effective_at` (ms) is when it was entered, `values` are
    attributes and traits by name. A value that is not a number comes last.
    """
    match team.order:
        case "oldest":
            return float(effective_at)
        case "newest":
            return float(-effective_at)
        case "priority":
            return float(segment_index * _INSTANTS + min(max(effective_at, 0), _INSTANTS - 1))
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


def day_of(ms: int) -> str:
    """Return the UTC day of an instant, YYYY-MM-DD."""
    return _date_of(ms).isoformat()


def next_day(ms: int) -> int:
    """Return the instant (ms) at which the next UTC day begins."""
    return (ms // _DAY + 1) * _DAY


def _date_of(ms: int) -> dt.date:
    return _EPOCH + dt.timedelta(days=ms // _DAY)
