"""Webhooks and sinks: which gets its commands, which does not, since when and why."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Response

from resegment.http.console.forms import done, operate, read_form, read_one
from resegment.http.console.table import Column, Table
from resegment.http.console.viewing import View, Viewing
from resegment.schemas.times import parse_instant
from resegment.sinks.health import find_sink_trouble
from resegment.state.sinks.states import SinkState

router: Final = APIRouter()
PATH: Final = "/delivery"
NOTES: Final = 3
"""How many of the latest notes of a sink are shown."""
WORDS: Final[Mapping[str, str]] = {
    "delivering": "works",
    "sending": "works",
    "starting": "is starting",
    "left alone": "is paused: it keeps failing, and is tried again later",
    "paused": "is paused: it keeps failing, and is tried again later",
    "probing": "is paused: one request tries whether it is back",
    "disabled": "is stopped: its commands wait until somebody resumes it",
    "signed out": "is signed out: its commands wait for new credentials",
    "nobody delivers": "gets nothing: no process delivers to it",
    "nobody sends": "gets nothing: no process sends to it",
}
"""What people read in place of a state. Programs get the state of `webhooks list --json`."""
WORKING: Final = frozenset({"delivering", "sending"})


class Recipient(NamedTuple):
    """A webhook or a sink, as the process that is worst off reports it; `since` in ms."""

    name: str
    kind: str
    to: str | None
    state: str
    since: int | None
    lag: int | None
    refused: int
    buried: int
    problem: str | None
    notes: Sequence[str] = ()
    dry_run: bool = False

    @property
    def words(self) -> str:
        """Its state in words."""
        if self.state in WORKING and self.since is not None:
            found = "fails, and is tried again"
        elif self.state in WORKING and self.refused:
            commands = "its last command" if self.refused == 1 else f"its last {self.refused:,} commands"
            found = f"answers, but refused {commands}"
        else:
            found = WORDS.get(self.state, self.state)
        return f"{found} (dry run)" if self.dry_run else found

    @property
    def is_well(self) -> bool:
        """Whether it gets what it should."""
        return self.state in WORKING and self.since is None and not self.refused


@router.get(PATH)
async def show_delivery(view: View) -> Response:
    """Show every webhook endpoint and sink: those in trouble first."""
    overview = await view.prefix.overview()
    undelivered = overview.letters.undelivered
    rows = await view.operations.endpoints.look(undelivered)
    endpoints = [_describe_endpoint(row) for row in rows]
    sinks = [_describe_sink(name, kept, undelivered.get(name, 0)) for name, kept in overview.sinks.items()]
    ill = [one for one in (*endpoints, *sinks) if not one.is_well]
    return view.respond(
        "delivery.html",
        title="Webhooks and sinks",
        tables=[
            _table(
                view,
                "webhooks",
                "Webhooks",
                endpoints,
                "No webhook yet. One appears once the webhooks file names it (`RESEGMENT_WEBHOOKS`).",
            ),
            _table(
                view,
                "sinks",
                "Sinks",
                sinks,
                "No sink yet. One appears once the sinks file names it (`RESEGMENT_SINKS`) and a process delivers to it.",
            ),
        ],
        data={"in_trouble": [one.name for one in ill]},
        ill=ill,
        all=len(endpoints) + len(sinks),
        endpoints=endpoints,
        may=view.user.may("webhooks"),
    )


@router.post("/workflows/webhooks/enable")
async def enable(view: View) -> Response:
    """Send to a disabled endpoint again."""
    endpoints = operate(view, "webhooks").endpoints
    await endpoints.enable(view.user.name, read_one(await read_form(view), "endpoint"))
    return done(view, PATH)


@router.post("/workflows/webhooks/disable")
async def disable(view: View) -> Response:
    """Stop sending to an endpoint: its commands wait."""
    endpoints = operate(view, "webhooks").endpoints
    await endpoints.disable(view.user.name, read_one(await read_form(view), "endpoint"))
    return done(view, PATH)


def _table(view: Viewing, name: str, title: str, rows: Sequence[Recipient], empty: str) -> Table[Recipient]:
    columns: list[Column[Recipient]] = [
        Column("name", "Name", lambda row: row.name, note=lambda row: row.to, noted="To"),
        Column("words", "State", lambda row: row.words),
        Column("since", "Since", lambda row: row.since, "instant"),
        Column(
            "problem",
            "Last answer",
            lambda row: row.problem,
            note=lambda row: "; ".join(row.notes) or None,
            noted="Latest notes",
        ),
        Column("lag", "Waiting", lambda row: row.lag, "number"),
        Column(
            "buried",
            "In dead letters",
            lambda row: row.buried,
            "number",
            link=lambda row: (
                view.url(f"/dead-letters?{urlencode({'endpoint': row.name})}") if row.buried else None
            ),
        ),
        Column("state", "Code", lambda row: row.state, "code"),
    ]
    return view.tables.table(
        name,
        title,
        columns,
        rows,
        sort="name",
        note="Since when it fails or is stopped; the last answer is that of its last failure."
        if rows
        else "",
        empty=empty,
    )


def _describe_endpoint(row: Mapping[str, Any]) -> Recipient:
    since = row.get("disabled_at") or row.get("failing_since")
    return Recipient(
        row["endpoint"],
        "webhook",
        row.get("to"),
        row["state"],
        None if since is None else parse_instant(since),
        row.get("lag"),
        row.get("undelivered") or 0,
        row.get("dead_letters") or 0,
        row.get("problem"),
    )


def _describe_sink(name: str, kept: SinkState, buried: int) -> Recipient:
    reports = sorted(
        kept.reports.values(), key=lambda one: (one.get("state") == "sending", -one.get("lag", 0))
    )
    worst: Mapping[str, Any] = reports[0] if reports else {}
    since = worst.get("failing_since")
    return Recipient(
        name,
        "sink",
        worst.get("vendor"),
        str(worst.get("state", "nobody sends")),
        None if since is None else int(since * 1000),
        sum(one.get("lag", 0) for one in reports) if reports else None,
        worst.get("undelivered") or 0,
        buried,
        worst.get("problem") or (find_sink_trouble(worst, time.time()) if reports else None),
        [f"{one.get('account')}: {one.get('text')}" for one in kept.notes[:NOTES]],
        bool(worst.get("dry_run")),
    )
