"""Changes: the list, filtered and paged, and the live feed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Response
from markupsafe import Markup
from starlette.responses import StreamingResponse

from resegment.console.operations.changes import SHOWN, give_reason
from resegment.http.console.feed import Feed, Place, decode_place
from resegment.http.console.rendering import environment
from resegment.http.console.table import Column, Slice, TableState
from resegment.http.console.times import read_instant
from resegment.http.console.viewing import View, Viewing
from resegment.streams.live.queries import (
    ChangeRow,
    Filter,
    find_changes,
    find_span,
)

router: Final = APIRouter()


def columns_of(view: Viewing, *, with_account: bool = True) -> list[Column[ChangeRow]]:
    """Return the columns of a table of changes."""
    found: list[Column[ChangeRow]] = [Column("at", "When", lambda row: row.at, "instant")]
    if with_account:
        found.append(
            Column(
                "account",
                "Account",
                lambda row: row.account,
                link=lambda row: view.account_url(row.account),
                note=lambda row: row.name,
                noted="Name",
            )
        )
    return [
        *found,
        Column("from", "From", lambda row: row.from_, link=lambda row: view.segment_url(row.from_)),
        Column("to", "To", lambda row: row.to, link=lambda row: view.segment_url(row.to)),
        Column("why", "Why", tell_why, sortable=False),
    ]


def tell_why(row: ChangeRow, most: int | None = SHOWN) -> str:
    """Return why an account moved, in a line: by so many tests, None for all."""
    told = give_reason(row.told, most)
    if row.is_void:
        told = f"void: a later change at the same instant replaced it; {told}"
    return f"{told}; held out" if row.holdout else told


@router.get("/changes")
async def show_changes(view: View) -> Response:
    """Show the changes that the index has, the newest first."""
    query = view.tables.query
    wanted = Filter(
        account=query.get("account") or None,
        segment=query.get("segment") or None,
        from_=query.get("from") or None,
        to=query.get("to") or None,
        since=read_instant(query.get("since"), view.zone),
        until=read_instant(query.get("until"), view.zone),
        with_void=query.get("void") == "1",
    )

    async def read(state: TableState) -> Slice[ChangeRow]:
        found = await view.prefix.find(
            partial(
                find_changes,
                wanted=wanted,
                order=state.sort,
                descending=state.descending,
                start=state.start,
                size=state.size,
            )
        )
        return Slice(found.rows, found.total)

    span = await view.prefix.find(find_span)
    table = await view.tables.paged(
        "changes",
        "Changes",
        columns_of(view),
        read,
        sort="-at",
        span=view.tell_span(span.begin, span.end),
        empty="No change matches this. Clear the filters to see all changes."
        if wanted != Filter()
        else "No account has moved yet. A row appears when one enters a segment, also its first.",
    )
    names = [one.name for one in (await view.prefix.registry()).current.definition.segments]
    return view.respond(
        "changes.html",
        title="Changes",
        tables=[table],
        segments=names,
        wanted=query,
        now=await view.prefix.now(),
    )


@router.get("/feed")
async def feed(view: View) -> Response:
    """Send changes as they come: each message has rows, and as its id the place after them.

    A browser that comes back names the last id that it has, so that nothing is left out and nothing comes twice.
    """
    last = view.request.headers.get("last-event-id") or view.tables.query.get("after")
    return StreamingResponse(
        stream(view, decode_place(last)),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def stream(view: Viewing, place: Place | None) -> AsyncIterator[bytes]:
    """Yield messages from a place on; None begins with what comes next."""

    def write(rows: Sequence[ChangeRow]) -> str:
        query = view.tables.query
        wanted = query.get("segment"), query.get("account")
        return str(render_rows(view, [row for row in reversed(rows) if _is_wanted(row, *wanted)]))

    async for message in Feed(view.prefix, write).follow(place):
        yield message


def _is_wanted(row: ChangeRow, segment: str | None, account: str | None) -> bool:
    return (not segment or segment in (row.from_, row.to)) and (not account or account == row.account)


def render_rows(view: Viewing, rows: Sequence[ChangeRow]) -> Markup:
    """Return the rows of a feed."""
    module: Any = environment().get_template("feed.html").module
    found: Markup = module.rows(view, rows, tell_why)
    return found
