"""Make adapters of job boards. Without a state, each look at a board is the first one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from resegment.errors import RefusedEvent
from resegment.identity.domains import registrable_domain
from resegment.schemas.times import format_instant
from resegment.sources.adapters.envelope import Envelope
from resegment.sources.adapters.fields import field
from resegment.sources.adapters.port import Adapter, Context, Event, Item, make_event
from resegment.sources.adapters.tables import Table
from resegment.sources.boards.snapshot import Snapshot
from resegment.sources.boards.systems import SYSTEMS, find_board_snapshots
from resegment.sources.boards.watching import JobChange, opened_roles


def find_account(snapshot: Snapshot, context: Context) -> str:
    """Return the domain of a board's company: what the context says, or that of its own job pages. Raises RefusedEvent."""
    known = context.accounts.get(snapshot.board) or context.accounts.get(snapshot.board.lower())
    if (account := known or context.account) is not None:
        return registrable_domain(account)
    for site in snapshot.sites:
        with suppress(RefusedEvent):
            return registrable_domain(site)
    shown = f" {snapshot.board[:60]!r}" if snapshot.board else ""
    raise RefusedEvent(
        "no-account",
        f"the board{shown} names no domain of a company: pass --account DOMAIN, or --domains FILE with the domain of each board",
        field="board",
    )


def make_job_event(system: str, snapshot: Snapshot, account: str, change: JobChange) -> Event:
    """Build the event of a change of a role."""
    data = {"change": change.change, **change.data}
    if change.first_seen:
        data["first_seen"] = True
    board = snapshot.board or account
    return make_event(
        kind="hiring",
        source=f"/{system}",
        record=f"{board}:{change.data['job']}:{change.change}:{format_instant(change.time)}",
        subject=account,
        time=change.time,
        recorded=change.recorded,
        data=data,
    )


def _split(system: str, payload: Any, context: Context) -> Iterator[tuple[Table, Mapping[str, Any]] | Item]:
    for found in find_board_snapshots(system, payload, context):
        if isinstance(found, RefusedEvent):
            yield found
            continue
        try:
            account = find_account(found, context)
        except RefusedEvent as error:
            yield error
            continue
        if not found.jobs:
            yield RefusedEvent("no-news", "the answer is empty: no job is open, or it is a failure")
        for job, time in opened_roles(found, found.at).values():
            if time is None:
                yield RefusedEvent(
                    "no-time",
                    f"the job {job.title[:60]!r} does not say when it was opened: pass --at TIME",
                    field="at",
                )
                continue
            recorded = time if found.at is None else found.at
            yield make_job_event(
                system, found, account, JobChange("opened", time, recorded, job.data(), first_seen=True)
            )


def board_adapter(system: str) -> Adapter:
    """Return the adapter of a system."""
    title, _, containers, _, opened = SYSTEMS[system]
    table = Table(
        name="job",
        kind="hiring",
        envelope=Envelope(
            subject=("job page on the company's own site",), time=(opened.replace("`", ""),), record=system
        ),
        data={
            "job": field("text", "role, or else the posting"),
            "title": field("job", "title"),
            "location": field("text", "location"),
            "department": field("text", "department"),
            "url": field("text", "page of the job"),
            "remote": field("flag", "remote"),
        },
        constants={"change": "opened, closed or reopened"},
    )
    return Adapter(
        name=system,
        title=title,
        reads=f"answers of public boards (`{containers[0]}`), also several by the names of boards, or with `company` and `fetched_at`",
        tables=(table,),
        split=partial(_split, system),
        snapshots=partial(find_board_snapshots, system),
        notes=f"The time of an opening is {opened}. With `--state FILE`, the changes since the last look come out: `opened`, `closed` once two looks in a "
        "row lack a job, and `reopened`. A failed scrape, and an empty answer where jobs were open, is no news. The jobs of the first look have `first_seen: true`.",
    )
