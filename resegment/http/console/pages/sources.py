"""The sources of events: how much comes, which are silent, and what was refused of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

import orjson
from fastapi import APIRouter, Response

from resegment.http.console.table import Column
from resegment.http.console.viewing import View
from resegment.http.intake.quarantine import PLACE
from resegment.http.operations.sources import Recent, RecentFacts
from resegment.schemas.times import format_instant
from resegment.state.sources.looks import SourceLook, tell_silent
from resegment.streams.operations.dead_letters import DeadLetter

router: Final = APIRouter()


class SourceRow(NamedTuple):
    """One source: what came, and the latest that was refused."""

    name: str
    last: int | None
    kinds: list[str]
    silent_since: int | None
    facts: int
    per_hour: float | None
    retractions: int
    refused: int
    last_error: str | None


@router.get("/sources")
async def show_sources(view: View) -> Response:
    """Show every source that something came from, or whose events were refused."""
    overview = await view.prefix.overview()
    recent = await view.operations.sources.recent()
    letters = await view.operations.letters.look()
    rows = join_sources(overview.sources, recent, letters.letters.values())
    columns: list[Column[SourceRow]] = [
        Column("source", "Source", lambda row: row.name),
        Column("last", "Last event", lambda row: row.last, "instant"),
        Column("silent", "Silent since", lambda row: row.silent_since, "instant"),
        Column("kinds", "Kinds", lambda row: row.kinds),
        Column("facts", "Newest facts", lambda row: row.facts, "number"),
        Column("per_hour", "Facts an hour", lambda row: row.per_hour, "number"),
        Column("retractions", "Retractions", lambda row: row.retractions, "number"),
        Column(
            "refused",
            "Refused",
            lambda row: row.refused,
            "number",
            link=lambda row: (
                view.url(
                    f"/dead-letters?{urlencode({'text': row.name, 'sent-again': 'too'}, quote_via=quote)}"
                )
                if row.refused
                else None
            ),
        ),
        Column("last_error", "Last error", lambda row: row.last_error),
    ]
    table = view.tables.table(
        "sources",
        "Sources",
        columns,
        rows,
        sort="source",
        note=f"Rates are of the newest {recent.read:,} facts of the log. Refusals are those of the newest dead letters.",
        empty="No event has come yet.",
    )
    return view.respond(
        "sources.html",
        title="Sources",
        tables=[table],
        data={
            "since": format_instant(recent.since) if recent.since else None,
            "until": format_instant(recent.until) if recent.until else None,
            "read": recent.read,
        },
        silent=tell_silent(overview.sources),
        since=recent.since or None,
        until=recent.until or None,
    )


def join_sources(
    looks: Iterable[SourceLook], recent: RecentFacts, letters: Iterable[DeadLetter]
) -> list[SourceRow]:
    """Return a row for each source that one of them knows."""
    known = {one.name: one for one in looks}
    refused: dict[str, list[DeadLetter]] = {}
    for letter in letters:
        if (name := source_of(letter)) is not None:
            refused.setdefault(name, []).append(letter)
    rows = []
    for name in sorted(known.keys() | recent.sources.keys() | refused.keys()):
        look, found = known.get(name), recent.sources.get(name, Recent())
        theirs = refused.get(name, [])
        rows.append(
            SourceRow(
                name,
                (found.last or None) if look is None else look.last,
                sorted({*found.kinds, *(() if look is None else look.kinds)}),
                None if look is None else look.silent_since,
                found.facts,
                recent.per_hour(name),
                found.retractions,
                len(theirs),
                str(theirs[-1].about.get("message", "")) if theirs else None,
            )
        )
    return rows


def source_of(letter: DeadLetter) -> str | None:
    """Return the source of a refused event: as its body or header says, or the path that a request came to."""
    topic = str(letter.about.get("topic", ""))
    for name, value in letter.record.headers:
        if name == "ce_source" and value:
            return value.decode("utf-8", "replace")[:500]
    try:
        found = orjson.loads(letter.original or b"")
    except orjson.JSONDecodeError:
        found = None
    source = found.get("source") if isinstance(found, dict) else None
    if isinstance(source, str) and source:
        return source[:500]
    return topic if topic.startswith(PLACE) else None
