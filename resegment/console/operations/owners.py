"""Team members, the accounts they own, and how many accounts wait, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from rich.table import Table
from rich.text import Text

from resegment.console.counts import count
from resegment.console.tables import make_table
from resegment.routing.staffing.handover import TeamHandover
from resegment.routing.staffing.teams import is_away, members
from resegment.routing.staffing.waiting import KEPT_OUT, QUEUED, REASONS, WAITING, WORDS, WaitCounts
from resegment.routing.staffing.working_time import day_of
from resegment.schemas.segments import Team
from resegment.state.owner_store import MemberLoad, OwnerLoads, TeamLoad

SHOWN: Final = 4
"""How many workflows are named for which accounts wait."""


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
    wait: int = 0
    """Accounts that this member may take, in queues and beyond the limit of the day."""


class TeamRow(msgspec.Struct, frozen=True):
    """One team; `team` is None for people who are in no team and own accounts or have left, and accounts that no team gets."""

    team: str | None
    members: Sequence[MemberRow]
    waiting: int = 0
    granted_today: int = 0
    per_day: int | None = None
    queued: int = 0
    """Accounts in the queue of the team; `waiting` are those for which the day has no more room."""
    reasons: Mapping[str, int] = {}
    """Accounts of the team that are not enrolled or owned, by why."""


def describe_owners(
    teams: Mapping[str, Team], look: OwnerLoads, at: int, waits: WaitCounts | None = None
) -> list[TeamRow]:
    """Return a row for each team that has members, a limit or waiting accounts; `at` is now, ms.

    `waits` counts the accounts that wait; without it, rows tell only those that the team's own counts have.
    """
    rows = []
    queued: Counter[str] = Counter()
    for one in look.queues:
        queued[one.team] += one.accounts
    reasons = {} if waits is None else {team: _order(found) for team, found in waits.teams.items()}
    for name, team in teams.items():
        known = look.teams.get(name, TeamLoad({}))
        if team.members or team.per_day is not None or known.waiting or queued[name] or name in reasons:
            rows.append(
                TeamRow(
                    name,
                    [
                        _describe(
                            look, one.name, waits, one.weight, one.capacity, away=is_away(team, one, at)
                        )
                        for one in members(team)
                    ],
                    known.waiting,
                    known.granted.get(day_of(at, team.timezone), 0),
                    team.per_day,
                    queued[name],
                    reasons.get(name, {}),
                )
            )
    gone = {name for name, known in look.teams.items() if known.waiting or queued[name]} | reasons.keys()
    rows += [
        TeamRow(
            name,
            [],
            look.teams.get(name, TeamLoad({})).waiting,
            queued=queued[name],
            reasons=reasons.get(name, {}),
        )
        for name in sorted(one for one in gone if one is not None and one not in teams)
    ]
    listed = {one.name for row in rows for one in row.members}
    others = [
        _describe(look, name, waits)
        for name, one in sorted(look.members.items())
        if name not in listed and (one.open or one.gone)
    ]
    if others or None in reasons:
        rows.append(TeamRow(None, others, reasons=reasons.get(None, {})))
    return rows


def _order(found: Mapping[str, int]) -> dict[str, int]:
    """Return counts in the order of the reasons."""
    return {name: found[name] for name in REASONS if name in found}


def _describe(
    look: OwnerLoads,
    name: str,
    waits: WaitCounts | None,
    weight: int | None = None,
    capacity: int | None = None,
    *,
    away: bool = False,
) -> MemberRow:
    known = look.members.get(name, MemberLoad())
    queued = sum(one.accounts for one in look.queues if name in one.eligible)
    wait = 0 if waits is None else waits.members[name]
    return MemberRow(name, weight, known.open, capacity, away, known.gone, queued, wait)


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
    for name in ("weight", "open", "capacity", "wait"):
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
                f"{max(one.wait, one.queued):,}",
                _spell_absence(one),
            )
        note = _tell_waiting(row)
        if note or not row.members:
            table.add_row("" if row.members else title, Text(note, style="dim"))
    return table


def _tell_waiting(row: TeamRow) -> str:
    """Return what the team has taken today, and how many of its accounts wait, by why."""
    reasons = dict(row.reasons) or {
        name: number for name, number in ((QUEUED, row.queued), (WAITING, row.waiting)) if number
    }
    told = [] if row.per_day is None else [f"{row.granted_today:,} of {row.per_day:,} today"]
    waits = [f"{WORDS[name]} {number:,}" for name, number in reasons.items() if name not in KEPT_OUT]
    return ", ".join(told + ([f"wait: {', '.join(waits)}"] if waits else []))


def render_waits(waits: WaitCounts) -> Table | Text:
    """Render why accounts wait: how many, for which workflows, and what that means. Those kept out come at the end."""
    total = sum(found.total() for reason, found in waits.workflows.items() if reason not in KEPT_OUT)
    if not waits.workflows:
        return Text("No account waits.", style="dim")
    table = make_table("Which accounts wait, and why", count(total, "account"))
    table.add_column("why", no_wrap=True)
    table.add_column("accounts", no_wrap=True, justify="right")
    table.add_column("workflows", overflow="fold", ratio=1)
    table.add_column("what it means", overflow="fold", ratio=2)
    for reason, meaning in REASONS.items():
        found = waits.workflows.get(reason)
        if found is not None:
            name = Text(WORDS[reason], style="dim" if reason in KEPT_OUT else "")
            table.add_row(name, f"{found.total():,}", _tell_workflows(found), meaning)
    return table


def _tell_workflows(found: Mapping[str | None, int]) -> str:
    ordered = sorted(found.items(), key=lambda one: (-one[1], one[0] or ""))
    told = [f"{name or 'none'} {number:,}" for name, number in ordered[:SHOWN]]
    more = len(ordered) - SHOWN
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")


def _spell_absence(one: MemberRow) -> Text:
    if one.gone:
        return Text("left", style="red")
    return Text("away today" if one.away_today else "", style="yellow")
