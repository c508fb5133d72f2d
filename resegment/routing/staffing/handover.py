"""What becomes of the accounts of a member who leaves, and which of them may come back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from resegment.routing.staffing.teams import candidates
from resegment.schemas.routing import RoutedState
from resegment.schemas.segments import Team

LEFT: Final = " has left"
"""Ends the reason of a command that takes an account from a member who left."""
_STAYS: Final = frozenset({"enrolled", "escalate"})
"""What may be logged after an account was handed over, without anything having moved it since."""


class TeamHandover(msgspec.Struct, frozen=True):
    """The accounts of one team: how many there are, who may take them, and how many stay in the queue."""

    team: str
    accounts: int
    to: tuple[str, ...]
    queued: int
    queue: str


def foresee_leave(
    member: str,
    rows: Iterable[tuple[str, RoutedState]],
    teams: Mapping[str, Team],
    open_: Mapping[str, int],
    gone: Collection[str],
    at: int,
) -> list[TeamHandover]:
    """Return for each team what becomes of the member's accounts if they leave at `at` (ms).

    `open_` is how many accounts each member owns, `gone` who has left. Which of several colleagues gets an account depends on the strategy; how many find nobody with room does not.
    """
    room: dict[str, int] = {}
    taken: dict[str, int] = {}
    found: dict[str, TeamHandover] = {}
    for _, state in rows:
        one = state.enrollment
        if one is None or one.owner != member or one.team is None:
            continue
        team = teams.get(one.team)
        free = []
        for other in () if team is None else candidates(one.team, team, state.active_gates, at):
            if other.name == member or other.name in gone:
                continue
            held = open_.get(other.name, 0)
            room.setdefault(other.name, 10**9 if other.capacity is None else other.capacity - held)
            if room[other.name] > 0:
                free.append(other.name)
        if free:
            first = min(free, key=lambda name: taken.get(name, 0))
            taken[first] = taken.get(first, 0) + 1
            room[first] -= 1
        before = found.get(one.team)
        queue = one.team if team is None or team.fallback is None else team.fallback
        found[one.team] = TeamHandover(
            one.team,
            1 + (0 if before is None else before.accounts),
            tuple(dict.fromkeys((*(() if before is None else before.to), *free))),
            (0 if before is None else before.queued) + (not free),
            queue,
        )
    return [found[name] for name in sorted(found)]


def find_new_owner(member: str, state: RoutedState) -> str | None:
    """Return who has an account since the member left; None if that did not move it, or something else has since."""
    enrollment = state.enrollment
    if enrollment is None:
        return None
    for entry in reversed(state.log):
        if entry.what == "reassign":
            mine = entry.why == f"{member}{LEFT}" and entry.owner == enrollment.owner
            return enrollment.owner if mine and entry.workflow == enrollment.workflow else None
        if entry.what not in _STAYS or entry.owner != enrollment.owner:
            return None
    return None
