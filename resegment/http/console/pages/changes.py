"""Changes: the list, filtered and paged, and the live feed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Response
from markupsafe import Markup
from starlette.responses import StreamingResponse

from resegment.console.operations.changes import give_reason
from resegment.http.console.prefix import ConsolePrefix
from resegment.http.console.rendering import environment
from resegment.http.console.table import Column, Slice, TableState
from resegment.http.console.times import read_instant
from resegment.http.console.viewing import View, Viewing
from resegment.streams.live.queries import (
    ChangeRow,
    Filter,
    changes_after,
    find_changes,
    find_span,
    newest_seq,
    places_upto,
    seq_before,
)

router: Final = APIRouter()

SHOWN: Final = 15
"""Changes that a feed begins with."""
AT_ONCE: Final = 200
BEAT: Final = 15.0
"""Seconds after which a silent feed says that it lives."""
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_NO_OFFSET: Final = 1 << 63
_PLACE: Final = re.compile(r"[0-9a-z]{1,13}(?:\.[0-9a-z]{1,13}){0,1023}", re.ASCII)


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


def tell_why(row: ChangeRow) -> str:
    """Return why an account moved, in a line."""
    try:
        told = give_reason(row.told)
    except (KeyError, TypeError, ValueError, AttributeError):  # no worker of this release wrote it
        told = "its reason cannot be read"
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
        empty="No change is like that.",
    )
    names = [one.name for one in (await view.prefix.registry()).current.definition.segments]
    return view.respond(
        "changes.html",
        title="Changes",
        tables=[table],
        segments=names,
        wanted=query,
        feed=await begin_feed(view.prefix),
    )


async def begin_feed(prefix: ConsolePrefix) -> str:
    """Return the place from which a feed continues what a page shows."""
    newest = await prefix.find(newest_seq)
    return encode_place(await prefix.find(partial(places_upto, upto=newest)))


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


async def stream(view: Viewing, places: dict[int, int] | None) -> AsyncIterator[bytes]:
    """Yield messages from a place on; None begins with what comes next."""
    prefix = view.prefix
    seq = await prefix.find(newest_seq)
    held = await prefix.find(partial(places_upto, upto=seq)) if places is None else dict(places)
    yield b"retry: 1000\n\n"
    if places is not None:
        seq = await prefix.find(partial(seq_before, places=places, upto=seq))
    while True:
        found = await prefix.find(partial(changes_after, seq=seq, most=AT_ONCE))
        if found:
            seq = found[-1].seq
            # what another partition has after the place, or a console that was started again reads anew, was sent before
            fresh = [row for row in found if row.place[1] >= held.get(row.place[0], 0)]
            if fresh:
                yield _message(view, fresh, held)
            continue
        await prefix.wait_for_changes(BEAT)
        if await prefix.find(newest_seq) == seq:
            yield b": still here\n\n"


def _message(view: Viewing, rows: Sequence[ChangeRow], held: dict[int, int]) -> bytes:
    """Return a message of rows, and note in `held` where it ends."""
    for row in rows:
        held[row.place[0]] = max(held.get(row.place[0], 0), row.place[1] + 1)
    query = view.tables.query
    wanted = query.get("segment"), query.get("account")
    shown = [row for row in rows if _is_wanted(row, *wanted)]
    html = render_rows(view, list(reversed(shown)))
    lines = "".join(f"data: {line}\n" for line in html.split("\n"))
    return f"event: changes\nid: {encode_place(held)}\n{lines}\n".encode()


def _is_wanted(row: ChangeRow, segment: str | None, account: str | None) -> bool:
    return (not segment or segment in (row.from_, row.to)) and (not account or account == row.account)


def render_rows(view: Viewing, rows: Sequence[ChangeRow]) -> Markup:
    """Return the rows of a feed."""
    module: Any = environment().get_template("feed.html").module
    found: Markup = module.rows(view, rows, tell_why)
    return found


def encode_place(places: Mapping[int, int]) -> str:
    """Return the offsets from which each partition continues, as one short word."""
    if not places:
        return "0"
    return ".".join(_in_base_36(places.get(number, 0)) for number in range(max(places) + 1))


def decode_place(text: str | None) -> dict[int, int] | None:
    """Return the offsets that a word says; None where it says none."""
    if text is None or _PLACE.fullmatch(text) is None:
        return None
    found = {number: int(part, 36) for number, part in enumerate(text.split("."))}
    return found if max(found.values()) < _NO_OFFSET else None


def _in_base_36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits
