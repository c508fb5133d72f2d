"""Workflows and owners: who is in which, who waits and why, and members with their load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Response

from resegment.console.operations.owners import MemberRow, TeamRow
from resegment.http.console.forms import done, operate, read_count, read_form, read_one
from resegment.http.console.table import Column, Table
from resegment.http.console.viewing import View, Viewing
from resegment.http.operations.queue import MOST, Queue, WaitingAccount
from resegment.routing.describe import MEANINGS, MODES
from resegment.routing.staffing.waiting import KEPT_OUT, QUEUED, QUIET, REASONS, SETTLING, WORDS
from resegment.schemas.segments import Team

router: Final = APIRouter()
PATH: Final = "/workflows"
NO_TEAM: Final = "No team has members. They appear once the segments file lists them under `teams`."
EVERY: Final = "all"
"""The reason in the address that stands for all of them, those of `KEPT_OUT` included."""
_MEANINGS: Final[Mapping[str, str]] = {str(name): words for name, words in MEANINGS.items()}


class Person(NamedTuple):
    """A member in one team."""

    team: str | None
    member: MemberRow

    @property
    def load(self) -> float | None:
        """The part of the capacity that is taken; None where there is no limit."""
        return self.member.open / self.member.capacity if self.member.capacity else None


class WorkflowRow(NamedTuple):
    """The accounts of a workflow: in it, and with that route by decision."""

    name: str
    decisions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class WaitFilter:
    """Which of the accounts that wait are wanted. Without a reason, all but those that are kept out are."""

    workflow: str = ""
    owner: str = ""
    reason: str = ""
    text: str = ""

    @property
    def is_narrow(self) -> bool:
        """Whether it asks for anything."""
        return self != WaitFilter()

    def takes(self, one: WaitingAccount) -> bool:
        """Return whether an account is wanted."""
        if self.reason == EVERY:
            return self.takes_otherwise(one)
        wanted = one.reason == self.reason if self.reason else one.reason not in KEPT_OUT
        return wanted and self.takes_otherwise(one)

    def takes_otherwise(self, one: WaitingAccount) -> bool:
        """Return whether an account is wanted, whatever its reason."""
        text = self.text.casefold()
        return (
            self.workflow in ("", one.workflow)
            and (not self.owner or self.owner in one.takers)
            and (not text or any(text in str(part).casefold() for part in (one.account, one.team, one.words)))
        )


@router.get(PATH)
async def show_workflows(view: View) -> Response:
    """Show workflows, who waits, and owners."""
    operations = view.operations
    overview = await view.prefix.overview()
    definition = (await view.prefix.registry()).current.definition
    now = await view.prefix.now()
    rows = await operations.owners.teams(definition.teams, now)
    queue = await operations.owners.queue(definition, now)
    wanted = _read_filter(view)
    people = {one.name: one for row in rows for one in row.members}
    reasons = Counter(one.reason for one in queue.waiting if wanted.takes_otherwise(one))
    return view.respond(
        "workflows.html",
        title="Workflows and owners",
        tables=[
            _waiting(view, queue, wanted),
            _workflows(view, queue),
            _members(view, rows, queue),
            _team_table(view, rows),
        ],
        data={
            "mode": overview.routing.mode,
            "read": queue.read,
            "complete": queue.complete,
            "reasons": {name: reasons[name] for name in REASONS},
            "unlisted": dict(queue.unlisted),
        },
        mode=overview.routing.mode,
        meaning=MODES[overview.routing.mode],
        decisions=[
            (name, _MEANINGS.get(name, ""), size) for name, size in overview.routing.decisions.items()
        ],
        wanted=wanted,
        every=EVERY,
        chips=[(name, WORDS[name], REASONS[name], reasons[name]) for name in REASONS],
        waiting=sum(number for name, number in reasons.items() if name not in KEPT_OUT),
        total=reasons.total(),
        workflows=_count(queue, replace(wanted, workflow=""), lambda one: (one.workflow,), wanted.workflow),
        owners=_count(queue, replace(wanted, owner=""), lambda one: one.takers, wanted.owner),
        for_chosen=sum(map(WaitFilter(owner=wanted.owner).takes, queue.waiting)),
        chosen=people.get(wanted.owner),
        unknown=view.tables.find_unknown("reason", (*REASONS, EVERY)),
        people=sorted(people.values(), key=lambda one: one.name),
        may_owners=view.user.may("owners"),
        reassigned=read_count(view, "reassigned"),
        left=read_count(view, "left"),
        asked=read_count(view, "asked"),
    )


def _read_filter(view: Viewing) -> WaitFilter:
    query = view.tables.query
    reason = query.get("reason", "")
    return WaitFilter(
        query.get("workflow", "")[:500],
        query.get("owner", "")[:500],
        reason if reason in (*REASONS, EVERY) else "",
        query.get("text", "")[:500].strip(),
    )


def _count(
    queue: Queue,
    wanted: WaitFilter,
    names: Callable[[WaitingAccount], Iterable[str | None]],
    chosen: str,
) -> dict[str, int]:
    """Return how many accounts each choice of the filter would show; `wanted` is the rest of the filter."""
    found = Counter(name for one in queue.waiting if wanted.takes(one) for name in names(one) if name)
    return dict(sorted({**({chosen: 0} if chosen else {}), **found}.items()))


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


async def _teams(view: Viewing) -> Mapping[str, Team]:
    return (await view.prefix.registry()).current.definition.teams


def _fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def _here(view: Viewing, **given: str) -> str:
    """Return the address of the accounts that wait, by a filter."""
    return view.url(f"{PATH}?{urlencode(given)}")


def _workflows(view: Viewing, queue: Queue) -> Table[WorkflowRow]:
    names = (
        "enrolled",
        QUEUED,
        SETTLING,
        "waiting",
        "held",
        "suppressed",
        "holdout",
        "cooldown",
        "capped",
        QUIET,
    )
    columns: list[Column[WorkflowRow]] = [
        Column("workflow", "Workflow", lambda row: row.name, link=lambda row: _here(view, workflow=row.name))
    ]
    columns += [
        Column(
            name,
            (WORDS[name] if name in (QUEUED, SETTLING, "waiting") else name).capitalize(),
            lambda row, name=name: row.decisions.get(name, 0),  # type: ignore[misc]
            "number",
            link=lambda row, name=name: (  # type: ignore[misc]
                _here(view, workflow=row.name, reason=name)
                if name in REASONS and row.decisions.get(name)
                else None
            ),
        )
        for name in names
    ]
    rows = [WorkflowRow(name, counts) for name, counts in queue.workflows.items()]
    return view.tables.table(
        "workflows",
        "Workflows",
        columns,
        rows,
        sort="-enrolled",
        note="Those in a queue are enrolled, too: the workflow has them, and no owner does."
        + ("" if queue.complete else f" Of the first {MOST:,} accounts."),
        empty="No account has a workflow yet. One gets it when it enters a segment with a route.",
    )


def _waiting(view: Viewing, queue: Queue, wanted: WaitFilter) -> Table[WaitingAccount]:
    columns: list[Column[WaitingAccount]] = [
        Column(
            "account",
            "Account",
            lambda row: row.account,
            link=lambda row: view.account_url(row.account),
        ),
        Column("reason", "Reason", lambda row: WORDS.get(row.reason, row.reason)),
        Column("workflow", "Workflow", lambda row: row.workflow),
        Column("team", "Team", lambda row: row.team),
        Column("since", "Since", lambda row: row.since, "instant"),
        Column("words", "Why", lambda row: row.words, "words"),
        Column("takers", "May take it", lambda row: list(row.takers), sortable=False),
    ]
    chosen = [one for one in queue.waiting if wanted.takes(one)]
    return view.tables.table(
        "waiting",
        "Who waits, and why",
        columns,
        chosen,
        sort="since",
        note=_tell_left_out(queue, wanted),
        empty="No account that waits matches this. Clear the filters to see all that wait."
        if wanted.is_narrow
        else "No account waits. One appears when something keeps it from its workflow or from an owner, such as a limit a day, a "
        "cooldown or a suppression.",
    )


def _tell_left_out(queue: Queue, wanted: WaitFilter) -> str:
    told = [] if queue.complete else [f"Of the first {MOST:,} accounts."]
    reasons = (
        [wanted.reason]
        if wanted.reason in REASONS
        else [name for name in REASONS if wanted.reason or name not in KEPT_OUT]
    )
    unlisted = sum(queue.unlisted.get(name, 0) for name in reasons)
    if unlisted:
        told.append(f"{unlisted:,} more are not listed.")
    return " ".join(told)


def _team_table(view: Viewing, rows: Sequence[TeamRow]) -> Table[TeamRow]:
    columns: list[Column[TeamRow]] = [
        Column("team", "Team", lambda row: row.team or "in no team"),
        Column("members", "Members", lambda row: len(row.members), "number"),
        Column("open", "Open accounts", lambda row: sum(one.open for one in row.members), "number"),
        Column(
            QUEUED,
            "In its queue",
            lambda row: row.queued,
            "number",
            link=lambda row: _here(view, reason=QUEUED, text=row.team or ""),
        ),
        Column(
            "waiting",
            "In its line",
            lambda row: row.waiting,
            "number",
            link=lambda row: _here(view, text=row.team or ""),
        ),
        Column("granted", "Granted today", lambda row: row.granted_today, "number"),
        Column("per_day", "Limit a day", lambda row: row.per_day, "number"),
    ]
    return view.tables.table("teams", "Teams", columns, rows, sort="team", empty=NO_TEAM)


def _members(view: Viewing, rows: Sequence[TeamRow], queue: Queue) -> Table[Person]:
    wait = Counter(name for one in queue.waiting if WaitFilter().takes(one) for name in one.takers)
    columns: list[Column[Person]] = [
        Column(
            "member",
            "Owner",
            lambda row: row.member.name,
            link=lambda row: view.url(f"/accounts?{urlencode({'owner': row.member.name})}"),
        ),
        Column("team", "Team", lambda row: row.team or "in no team"),
        Column("open", "Open accounts", lambda row: row.member.open, "number"),
        Column("capacity", "Capacity", lambda row: row.member.capacity, "number"),
        Column("load", "Load", lambda row: row.load, "share"),
        Column(
            "waits",
            "Wait for them",
            lambda row: wait[row.member.name],
            "number",
            link=lambda row: _here(view, owner=row.member.name),
        ),
        Column("weight", "Weight", lambda row: row.member.weight, "number"),
        Column("absence", "Absence", lambda row: _absence(row.member)),
    ]
    people = [Person(row.team, one) for row in rows for one in row.members]
    return view.tables.table(
        "members",
        "Owners",
        columns,
        people,
        sort="member",
        note="Open accounts are those of all teams. Accounts in a queue or a line wait for all who may "
        f"take them. {_tell_left_out(queue, WaitFilter())}".rstrip(),
        empty=NO_TEAM,
    )


def _absence(one: MemberRow) -> str | None:
    return "left" if one.gone else "away today" if one.away_today else None
