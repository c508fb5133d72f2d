"""Workflows and owners: who is in which, who waits and why, members and their load, and the webhooks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from fastapi import APIRouter, Response

from resegment.console.operations.owners import MemberRow, TeamRow
from resegment.http.console.forms import done, operate, read_count, read_form, read_one
from resegment.http.console.table import Column, Table
from resegment.http.console.viewing import View, Viewing
from resegment.http.operations.owners import MOST, Queue, WaitingAccount
from resegment.routing.describe import MEANINGS, MODES
from resegment.schemas.segments import Team
from resegment.schemas.times import parse_instant
from resegment.sinks.health import find_sink_trouble
from resegment.state.sinks.states import SinkState

router: Final = APIRouter()
PATH: Final = "/workflows"
NOTES: Final = 3
"""How many of the latest notes of a sink are shown."""
_MEANINGS: Final[Mapping[str, str]] = {str(name): words for name, words in MEANINGS.items()}


class Person(NamedTuple):
    """A member in one team."""

    team: str | None
    member: MemberRow


class WorkflowRow(NamedTuple):
    """The accounts of a workflow: in it, and with that route by decision."""

    name: str
    decisions: Mapping[str, int]


@router.get(PATH)
async def show_workflows(view: View) -> Response:
    """Show workflows, the queue, owners and webhooks."""
    operations = view.operations
    overview = await view.prefix.overview()
    rows = await operations.owners.teams(await _teams(view), await view.prefix.now())
    queue = await operations.owners.queue()
    endpoints = await operations.endpoints.look(overview.letters.undelivered)
    return view.respond(
        "workflows.html",
        title="Workflows and owners",
        tables=[
            _workflows(view, queue),
            _waiting(view, queue),
            _team_table(view, rows),
            _members(view, rows),
            _endpoints(view, endpoints),
            _sinks(view, overview.sinks, overview.letters.undelivered),
        ],
        data={"mode": overview.routing.mode, "read": queue.read, "complete": queue.complete},
        mode=overview.routing.mode,
        meaning=MODES[overview.routing.mode],
        decisions=[
            (name, _MEANINGS.get(name, ""), size) for name, size in overview.routing.decisions.items()
        ],
        queue=queue,
        people=sorted(
            {one.name: one for row in rows for one in row.members}.values(), key=lambda one: one.name
        ),
        endpoints=endpoints,
        may_owners=view.user.may("owners"),
        may_webhooks=view.user.may("webhooks"),
        reassigned=read_count(view, "reassigned"),
        left=read_count(view, "left"),
        asked=read_count(view, "asked"),
    )


@router.get(f"{PATH}/leave")
async def ask_to_leave(view: View, member: str = "") -> Response:
    """Show what becomes of a member's accounts if they leave, and the form that does it."""
    owners = operate(view, "owners").owners
    found = await owners.foresee(member, await _teams(view), await view.prefix.now())
    return view.respond(
        "leave.html",
        title=f"Does {member} leave?",
        data={"member": member, "teams": [{**_fields(one)} for one in found]},
        member=member,
        found=found,
        total=sum(one.accounts for one in found),
    )


@router.post(f"{PATH}/leave")
async def leave(view: View) -> Response:
    """Give a member no new accounts, and reassign theirs."""
    owners = operate(view, "owners").owners
    member = read_one(await read_form(view), "member")
    handed = await owners.leave(view.user.name, member, await _teams(view), await view.prefix.now())
    return done(view, PATH, **handed._asdict())


@router.post(f"{PATH}/return")
async def come_back(view: View) -> Response:
    """Give new accounts to a member again, and those that moved when they left, if the form says so."""
    owners = operate(view, "owners").owners
    form = await read_form(view)
    asked = await owners.come_back(
        view.user.name,
        read_one(form, "member"),
        await _teams(view),
        await view.prefix.now(),
        accounts="accounts" in form,
    )
    return done(view, PATH, asked=asked)


@router.post(f"{PATH}/webhooks/enable")
async def enable(view: View) -> Response:
    """Send to a disabled endpoint again."""
    endpoints = operate(view, "webhooks").endpoints
    await endpoints.enable(view.user.name, read_one(await read_form(view), "endpoint"))
    return done(view, PATH)


@router.post(f"{PATH}/webhooks/disable")
async def disable(view: View) -> Response:
    """Stop sending to an endpoint: its commands wait."""
    endpoints = operate(view, "webhooks").endpoints
    await endpoints.disable(view.user.name, read_one(await read_form(view), "endpoint"))
    return done(view, PATH)


async def _teams(view: Viewing) -> Mapping[str, Team]:
    return (await view.prefix.registry()).current.definition.teams


def _fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def _workflows(view: Viewing, queue: Queue) -> Table[WorkflowRow]:
    names = ("enrolled", "waiting", "held", "suppressed", "holdout", "cooldown", "capped", "quiet")
    columns: list[Column[WorkflowRow]] = [Column("workflow", "Workflow", lambda row: row.name)]
    columns += [
        Column(name, name.capitalize(), lambda row, name=name: row.decisions.get(name, 0), "number")  # type: ignore[misc]
        for name in names
    ]
    rows = [WorkflowRow(name, counts) for name, counts in queue.workflows.items()]
    return view.tables.table(
        "workflows",
        "Workflows",
        columns,
        rows,
        sort="-enrolled",
        note="" if queue.complete else f"Of the first {MOST:,} accounts.",
        empty="No account has a workflow yet.",
    )


def _waiting(view: Viewing, queue: Queue) -> Table[WaitingAccount]:
    columns: list[Column[WaitingAccount]] = [
        Column(
            "account",
            "Account",
            lambda row: row.account,
            link=lambda row: view.account_url(row.account),
        ),
        Column("decision", "Decision", lambda row: row.decision),
        Column("workflow", "Workflow", lambda row: row.workflow),
        Column("team", "Team", lambda row: row.team),
        Column("since", "Since", lambda row: row.since, "instant"),
        Column("words", "Why", lambda row: row.words),
    ]
    note = f"{queue.unlisted:,} more are not listed." if queue.unlisted else ""
    if not queue.complete:
        note = f"Of the first {MOST:,} accounts. {note}"
    return view.tables.table(
        "waiting",
        "Who waits, and why",
        columns,
        queue.waiting,
        sort="since",
        note=note,
        empty="No account waits.",
    )


def _team_table(view: Viewing, rows: list[TeamRow]) -> Table[TeamRow]:
    columns: list[Column[TeamRow]] = [
        Column("team", "Team", lambda row: row.team or "in no team"),
        Column("members", "Members", lambda row: len(row.members), "number"),
        Column("open", "Open accounts", lambda row: sum(one.open for one in row.members), "number"),
        Column("waiting", "Waiting", lambda row: row.waiting, "number"),
        Column("granted", "Granted today", lambda row: row.granted_today, "number"),
        Column("per_day", "Limit a day", lambda row: row.per_day, "number"),
    ]
    return view.tables.table("teams", "Teams", columns, rows, sort="team", empty="No team has members.")


def _members(view: Viewing, rows: list[TeamRow]) -> Table[Person]:
    columns: list[Column[Person]] = [
        Column("member", "Member", lambda row: row.member.name),
        Column("team", "Team", lambda row: row.team or "in no team"),
        Column("open", "Open accounts", lambda row: row.member.open, "number"),
        Column("capacity", "Capacity", lambda row: row.member.capacity, "number"),
        Column("weight", "Weight", lambda row: row.member.weight, "number"),
        Column("absence", "Absence", lambda row: _absence(row.member)),
    ]
    people = [Person(row.team, one) for row in rows for one in row.members]
    return view.tables.table(
        "members", "Members", columns, people, sort="member", empty="No team has members."
    )


def _absence(one: MemberRow) -> str | None:
    return "left" if one.gone else "away today" if one.away_today else None


def _endpoints(view: Viewing, rows: list[dict[str, Any]]) -> Table[dict[str, Any]]:
    columns: list[Column[dict[str, Any]]] = [
        Column("endpoint", "Endpoint", lambda row: row["endpoint"]),
        Column("to", "To", lambda row: row["to"]),
        Column("state", "State", lambda row: row["state"]),
        Column("lag", "Lag", lambda row: row["lag"], "number"),
        Column("undelivered", "Refused lately", lambda row: row["undelivered"], "number"),
        Column("dead_letters", "Dead letters", lambda row: row["dead_letters"], "number"),
        Column("failing_since", "Failing since", lambda row: _moment(row["failing_since"]), "instant"),
        Column("problem", "Problem", lambda row: row["problem"]),
    ]
    return view.tables.table(
        "webhooks", "Webhooks", columns, rows, sort="endpoint", empty="No webhook endpoint is configured."
    )


class SinkRow(NamedTuple):
    """One sink, as the process that is worst off reports it."""

    name: str
    vendor: str | None
    state: str
    lag: int | None
    dead_letters: int
    problem: str | None
    notes: list[str]


def _sinks(view: Viewing, sinks: Mapping[str, SinkState], waiting: Mapping[str, int]) -> Table[SinkRow]:
    columns: list[Column[SinkRow]] = [
        Column(
            "sink",
            "Sink",
            lambda row: row.name,
            note=lambda row: "; ".join(row.notes) or None,
            noted="Latest notes",
        ),
        Column("vendor", "Vendor", lambda row: row.vendor),
        Column("state", "State", lambda row: row.state),
        Column("lag", "Lag", lambda row: row.lag, "number"),
        Column("dead_letters", "Dead letters", lambda row: row.dead_letters, "number"),
        Column("problem", "Problem", lambda row: row.problem),
    ]
    rows = [_describe_sink(name, kept, waiting.get(name, 0)) for name, kept in sinks.items()]
    return view.tables.table("sinks", "Sinks", columns, rows, sort="sink", empty="No sink has begun.")


def _describe_sink(name: str, kept: SinkState, waiting: int) -> SinkRow:
    reports = sorted(
        kept.reports.values(), key=lambda one: (one.get("state") == "sending", -one.get("lag", 0))
    )
    worst: Mapping[str, Any] = reports[0] if reports else {}
    trouble = find_sink_trouble(worst, time.time()) if reports else None
    return SinkRow(
        name,
        worst.get("vendor"),
        str(worst.get("state", "nobody sends")) + (" (dry run)" if worst.get("dry_run") else ""),
        sum(one.get("lag", 0) for one in reports) if reports else None,
        waiting,
        trouble,
        [f"{one.get('account')}: {one.get('text')}" for one in kept.notes[:NOTES]],
    )


def _moment(text: str | None) -> int | None:
    return None if text is None else parse_instant(text)
