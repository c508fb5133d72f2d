"""Team members, the accounts they own, and how many accounts wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
from rich.table import Table
from rich.text import Text

from resegment.console.tables import make_table
from resegment.routing.staffing.handover import TeamHandover
from resegment.routing.staffing.teams import is_away, members
from resegment.routing.staffing.working_time import day_of
from resegment.schemas.segments import Team
from resegment.state.owner_store import MemberLoad, OwnerLoads, TeamLoad


class MemberRow(msgspec.Struct, frozen=True):
    """One member; `open` counts the accounts of all teams."""

    name: str
    weight: int | None
    open: int
    capacity: int | None
    away_today: bool
    gone: bool
    queued: int = 0
    """Accounts in the queues of teams that this member may take."""


class TeamRow(msgspec.Struct, frozen=True):
    """One team; `team` is None for people who are in no team and own accounts or have left."""

    team: str | None
    members: Sequence[MemberRow]
    waiting: int = 0
    granted_today: int = 0
    per_day: int | None = None
    queued: int = 0
    """Accounts in the queue of the team; `waiting` are those for which the day has no more room."""


def describe_owners(teams: Mapping[str, Team], look: OwnerLoads, at: int) -> list[TeamRow]:
    """Return a row for each team that has members, a limit or waiting accounts; `at` is now, ms."""
    rows = []
    queued: Counter[str] = Counter()
    for one in look.queues:
        queued[one.team] += one.accounts
    for name, team in teams.items():
        known = look.teams.get(name, TeamLoad({}))
        if team.members or team.per_day is not None or known.waiting or queued[name]:
            rows.append(
                TeamRow(
                    name,
                    [
                        _describe(look, one.name, one.weight, one.capacity, away=is_away(team, one, at))
                        for one in members(team)
                    ],
                    known.waiting,
                    known.granted.get(day_of(at, team.timezone), 0),
                    team.per_day,
                    queued[name],
                )
            )
    rows += [
        TeamRow(name, [], known.waiting, queued=queued[name])
        for name, known in look.teams.items()
        if (known.waiting or queued[name]) and name not in teams
    ]
    listed = {one.name for row in rows for one in row.members}
    others = [
        _describe(look, name, None, None, away=False)
        for name, one in sorted(look.members.items())
        if name not in listed and (one.open or one.gone)
    ]
    return [*rows, TeamRow(None, others)] if others else rows


def _describe(
    look: OwnerLoads, name: str, weight: int | None, capacity: int | None, *, away: bool
) -> MemberRow:
    known = look.members.get(name, MemberLoad())
    queued = sum(one.accounts for one in look.queues if name in one.eligible)
    return MemberRow(name, weight, known.open, capacity, away, known.gone, queued)


def render_handover(name: str, found: Sequence[TeamHandover]) -> Table | Text:
    """Render what becomes of a member's accounts, a line for each team."""
    if not found:
        return Text(f"{name} owns no accounts.")
    total = sum(one.accounts for one in found)
    table = make_table(f"{name} owns {total:,} {'account' if total == 1 else 'accounts'}")
    table.add_column("team", overflow="fold")
    table.add_column("accounts", justify="right", no_wrap=True)
    table.add_column("go to", overflow="fold", ratio=1)
    table.add_column("stay in a queue", overflow="fold", ratio=1)
    for one in found:
        moved = one.accounts - one.queued
        to = f"{moved:,} to {_any_of(one.to)}" if moved else ""
        queued = f"{one.queued:,} in {one.queue}: nobody has room" if one.queued else ""
        table.add_row(one.team, f"{one.accounts:,}", to, Text(queued, style="yellow"))
    return table


def _any_of(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


def render_owners(rows: Sequence[TeamRow]) -> Table:
    """Render a table with a line for each member of each team, then its waiting accounts."""
    table = make_table()
    for name in ("team", "member"):
        table.add_column(name, overflow="fold")
    for name in ("weight", "open", "capacity"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("", no_wrap=True)
    for row in rows:
        title = Text("in no team", style="dim") if row.team is None else Text(row.team)
        for number, one in enumerate(row.members):
            table.add_row(
                title if number == 0 else "",
                one.name,
                "" if one.weight is None else str(one.weight),
                f"{one.open:,}",
                "" if one.capacity is None else f"{one.capacity:,}",
                _spell_absence(one),
            )
        if row.per_day is not None or row.waiting or row.queued or not row.members:
            limit = "" if row.per_day is None else f"{row.granted_today:,} of {row.per_day:,} today, "
            queue = f", {row.queued:,} in the queue" if row.queued else ""
            note = Text(f"{limit}{row.waiting:,} waiting{queue}", style="dim")
            table.add_row("" if row.members else title, note)
    return table


def _spell_absence(one: MemberRow) -> Text:
    if one.gone:
        return Text("left", style="red")
    return Text("away today" if one.away_today else "", style="yellow")
