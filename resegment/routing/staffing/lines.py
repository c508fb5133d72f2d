"""When it is the turn of an account in the line of a team that takes only so many accounts a day."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from resegment.routing.decisions import tell_place
from resegment.routing.staffing.working_time import date_of
from resegment.schemas.assignment import LineLook
from resegment.schemas.segments import Team
from resegment.schemas.times import format_second

FARTHEST: Final = 36_500
"""The most days that a turn is told ahead."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The place of an account in a line, and when it is its turn if no better account joins and none leaves.

    `days` counts the days of the team until then, 0 where today has room for it. `at` (ms) is the beginning of that day, or
    when the line has settled; None where that is over, or too far away to say.
    """

    team: str
    ahead: int
    of: int
    per_day: int
    days: int
    at: int | None

    @property
    def settles(self) -> bool:
        """Whether the account waits only until the line has settled."""
        return self.days == 0

    def tell(self) -> str:
        """Say which place it has, and when it is its turn."""
        place = tell_place(self.ahead, self.of, self.team, self.per_day)
        if self.days:
            return f"{place}, so its turn is in about {self.days:,} {'day' if self.days == 1 else 'days'}"
        if self.at is None:
            return f"{place}; today has room for it"
        return f"{place}; today has room for it once the line has settled on {format_second(self.at)}"


def find_turn(name: str, team: Team, line: LineLook, key: str | None, now: int) -> Turn | None:
    """Return when it is the turn of a key in the line of a team; None if it is not in it, or the team has no limit."""
    ahead = line.places.get(key or "")
    if ahead is None or team.per_day is None:
        return None
    of, room = line.length, max(0, team.per_day - line.granted)
    if ahead < room:
        settles_at = line.settles_at
        return Turn(name, ahead, of, team.per_day, 0, settles_at if settles_at and settles_at > now else None)
    days = (ahead - room) // team.per_day + 1
    return Turn(name, ahead, of, team.per_day, days, _begin(now, days, team.timezone))


def _begin(now: int, days: int, zone: str) -> int | None:
    """Return when (ms) the local day begins that comes so many days after today."""
    if days > FARTHEST:
        return None
    day = date_of(now, zone) + dt.timedelta(days=days)
    return int(dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).timestamp()) * 1000
