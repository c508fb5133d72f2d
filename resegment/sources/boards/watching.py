"""Compare looks at a board: which roles were opened, closed and reopened. Pure; the state is a plain value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from resegment.errors import RefusedEvent
from resegment.sources.boards.snapshot import Job, Snapshot

CONFIRM = 2
"""How many looks in a row must lack a role until it is closed."""


class RoleState(msgspec.Struct, omit_defaults=True):
    """What is known of a role. `missed` looks in a row lacked it, the first of them at `missing_since`."""

    open: bool
    data: dict[str, str | int | float | bool | None]
    missed: int = 0
    missing_since: int | None = None


class BoardState(msgspec.Struct, omit_defaults=True):
    """What is known of a board: when it was looked at last, its roles, and how many looks were empty before any role was seen."""

    last: int
    roles: dict[str, RoleState] = {}
    empty: int = 0


class JobChange(msgspec.Struct, frozen=True):
    """What happened to a role: when, when it became known, and whether it was there at the first look."""

    change: Literal["opened", "closed", "reopened"]
    time: int
    recorded: int
    data: dict[str, str | int | float | bool | None]
    first_seen: bool = False


def observe(
    state: BoardState | None, snapshot: Snapshot, at: int, confirm: int = CONFIRM
) -> tuple[BoardState, list[JobChange]]:
    """Return the new state and what changed. The given state is left as it is.

    A board is seen for the first time by its first look with roles, unless `confirm` empty ones in a row came before: one
    of them may be a failure. Raises RefusedEvent (`no-news`) for an empty answer where jobs were open, and for a look that is not later than the
    last one.
    """
    roles = _roles(snapshot)
    if state is not None and at <= state.last:
        raise RefusedEvent("no-news", "the board was looked at then or later already")
    if not roles and (state is None or not state.roles):
        return BoardState(at, {}, 1 if state is None else state.empty + 1), []
    if state is None or (not state.roles and state.empty < confirm):
        first = {role: RoleState(open=True, data=job.data()) for role, job in roles.items()}
        changes = [
            JobChange("opened", _opened(job, at), at, job.data(), first_seen=True) for job in roles.values()
        ]
        return BoardState(at, first), changes
    if not roles and any(one.open for one in state.roles.values()):
        raise RefusedEvent("no-news", "the answer is empty, but jobs were open: it may be a failure")
    kept: dict[str, RoleState] = {}
    changes = []
    for role, job in roles.items():
        known = state.roles.get(role)
        kept[role] = RoleState(open=True, data=job.data())
        if known is None:
            changes.append(JobChange("opened", _opened(job, at), at, job.data()))
        elif not known.open:
            published = job.published
            again = at if published is None or published <= (known.missing_since or 0) else min(published, at)
            changes.append(JobChange("reopened", again, at, job.data()))
    for role, known in state.roles.items():
        if role not in kept:
            kept[role] = known if snapshot.partial or not known.open else _miss(known, at, confirm, changes)
    return BoardState(at, kept), changes


def observe_again(state: BoardState, at: int, confirm: int = CONFIRM) -> tuple[BoardState, list[JobChange]]:
    """Return what a look gives that shows the same as the last one: what that one lacked is lacked once more."""
    if at <= state.last:
        raise RefusedEvent("no-news", "the board was looked at then or later already")
    changes: list[JobChange] = []
    roles = {
        role: _miss(known, at, confirm, changes) if known.open and known.missed else known
        for role, known in state.roles.items()
    }
    return BoardState(at, roles), changes


def _roles(snapshot: Snapshot) -> dict[str, Job]:
    """Return a job of each role: the one that was published first."""
    found: dict[str, Job] = {}
    for job in snapshot.jobs:
        known = found.get(job.role)
        if known is None or (
            job.published is not None and (known.published is None or job.published < known.published)
        ):
            found[job.role] = job
    return found


def _miss(known: RoleState, at: int, confirm: int, changes: list[JobChange]) -> RoleState:
    since = at if known.missing_since is None else known.missing_since
    missed = known.missed + 1
    if missed < confirm:
        return RoleState(open=True, data=known.data, missed=missed, missing_since=since)
    changes.append(JobChange("closed", since, at, known.data))
    return RoleState(open=False, data=known.data, missing_since=since)


def _opened(job: Job, at: int) -> int:
    """Return when a job was opened: when it was published, but never after it was seen."""
    return at if job.published is None else min(job.published, at)


def opened_roles(snapshot: Snapshot, at: int | None) -> Mapping[str, tuple[Job, int | None]]:
    """Return each role of a board that is looked at for the first time, with the time of its opening."""
    return {
        role: (job, job.published if at is None else _opened(job, at))
        for role, job in _roles(snapshot).items()
    }
