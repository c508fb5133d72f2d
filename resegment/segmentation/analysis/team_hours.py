"""Find members who never work, and time zones whose clocks are an hour off in summer."""

from __future__ import annotations

from typing import Final, get_args

from resegment.documents.diagnostics import Path, Problems
from resegment.schemas.segments import Member
from resegment.schemas.written import Weekday, read_hours
from resegment.segmentation.definition import Definition

_WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)
_ALL_YEAR: Final = {
    "EST": ("America/New_York", "America/Panama"),
    "MST": ("America/Denver", "America/Phoenix"),
}
"""Zones that are seldom meant: the place that changes its clocks, and one that does not."""


def check_teams(definition: Definition, problems: Problems) -> None:
    """Report hours that are probably not what was meant."""
    for name, team in definition.teams.items():
        path: Path = ("teams", name)
        _check_zone(team.timezone, path, problems)
        for index, member in enumerate(team.members):
            if isinstance(member, Member):
                _check_zone(member.timezone, (*path, "members", index), problems)
                _check_days(member, (*path, "members", index), problems)


def _check_zone(zone: str | None, path: Path, problems: Problems) -> None:
    if zone in _ALL_YEAR:
        changes, stays = _ALL_YEAR[zone]
        problems.warn(
            "no-summer-time",
            f"{zone} has no summer time",
            (*path, "timezone"),
            f"write {changes}, or {stays} if you mean it",
        )


def _check_days(member: Member, path: Path, problems: Problems) -> None:
    if member.hours is None:
        return
    texts = (member.hours,) if isinstance(member.hours, str) else member.hours
    worked = {_WEEKDAYS[day] for text in texts for day, _, _ in read_hours(text)}
    if worked.isdisjoint(member.days):
        problems.warn(
            "never-works",
            f"{member.name} has hours on none of their days, so they never take an account",
            (*path, "hours"),
            "give hours on one of their days",
        )
