"""The sources of events: how much comes, which are silent, and what was refused of each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Response

from resegment.http.console.pages.operations.refusals import OWN, source_of
from resegment.http.console.rendering import spell_number, spell_span
from resegment.http.console.table import Column
from resegment.http.console.viewing import View
from resegment.http.operations.sources import HOUR, Recent, RecentFacts
from resegment.schemas.times import format_instant, spell_length
from resegment.segmentation.language.sameness import plain_source
from resegment.sources.rhythm import Rhythm
from resegment.state.sources.looks import SourceLook, tell_silent
from resegment.streams.operations.dead_letters import DeadLetter

router: Final = APIRouter()


class SourceRow(NamedTuple):
    """One source: what came, within how long (ms) where that was a burst, how often it usually does, and the latest that was refused."""

    name: str
    last: int | None
    kinds: list[str]
    silent_since: int | None
    rhythm: str
    facts: int
    burst: int | None
    per_hour: float | None
    retractions: int
    refused: int
    last_error: str | None


@router.get("/sources")
async def show_sources(view: View) -> Response:
    """Show every source that something came from, or whose events were refused."""
    overview = await view.prefix.overview()
    now = await view.prefix.now()
    recent = (await view.operations.sources.recent()).upto(now)
    rhythms = await view.operations.sources.rhythms(now)
    letters = await view.operations.letters.look()
    every = (await view.prefix.registry()).current.definition.sources
    # the source of a letter is read from its value: of many letters, that takes a while
    refused = list(letters.letters.values())
    rows = await asyncio.to_thread(join_sources, overview.sources, recent, refused, rhythms, every)
    columns: list[Column[SourceRow]] = [
        Column(
            "source",
            "Source",
            lambda row: row.name,
            note=lambda row: ", ".join(row.kinds) or None,
            noted="Kinds",
        ),
        Column("last", "Last event", lambda row: row.last, "instant"),
        Column("silent", "Silent since", lambda row: row.silent_since, "instant"),
        Column("rhythm", "Usually comes", lambda row: row.rhythm),
        Column(
            "facts",
            "Facts",
            lambda row: row.facts,
            "number",
            note=lambda row: _tell_time(recent.span, row),
            noted="In which time",
        ),
        Column(
            "per_hour",
            "An hour",
            lambda row: row.per_hour,
            "number",
            note=lambda row: _tell_average(recent.span, row),
            noted="Averaged over",
        ),
        Column("retractions", "Retractions", lambda row: row.retractions, "number"),
        Column(
            "refused",
            "Refused",
            lambda row: row.refused,
            "number",
            link=lambda row: (
                view.url(
                    f"/dead-letters?{urlencode({'source': row.name, 'sent-again': 'too'}, quote_via=quote)}"
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
        note=f"Facts are counted among the newest {recent.read:,} of the log"
        + ("." if recent.span >= HOUR else "; facts an hour are told once they cover an hour.")
        + " Where all of a source came within a part of that time, that was a burst: the average is no lasting rate."
        + " Refusals are those of the newest dead letters, also if they were sent again.",
        empty="No event has come yet. A source appears with its first event, also if that is refused.",
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


def _tell_time(span: int, row: SourceRow) -> str | None:
    """Say in which time facts of a source were counted, and where they came in a burst, within how long."""
    if not span or not row.facts:
        return None
    burst = "" if row.burst is None else f"all within {spell_span(max(row.burst, 1_000))}, "
    return f"{burst}in {spell_span(span)}"


def _tell_average(span: int, row: SourceRow) -> str | None:
    """Say over which time a rate is an average, and what a small one is for a day."""
    if row.per_hour is None:
        return None
    daily = f"{spell_number(row.per_hour * 24)} a day, " if 0 < row.per_hour < 1 else ""
    return f"{daily}over {spell_span(span)}"


def join_sources(
    looks: Iterable[SourceLook],
    recent: RecentFacts,
    letters: Iterable[DeadLetter],
    rhythms: Mapping[str, Rhythm],
    every: Mapping[str, int | None],
) -> list[SourceRow]:
    """Return a row for each source that one of them knows, but for what the project itself writes.

    `every` is how often (ms) something comes from a source, as the segments file says.
    """
    known = {one.name: one for one in looks}
    refused: dict[str, list[DeadLetter]] = {}
    for letter in letters:
        if (name := source_of(letter)) is not None:
            refused.setdefault(name, []).append(letter)
    rows = []
    for name in sorted(known.keys() | recent.sources.keys() | refused.keys()):
        if name.startswith(OWN):
            continue
        look, found = known.get(name), recent.sources.get(name, Recent())
        theirs = refused.get(name, [])
        rows.append(
            SourceRow(
                name,
                (found.last or None) if look is None else look.last,
                sorted({*found.kinds, *(() if look is None else look.kinds)}),
                None if look is None else look.silent_since,
                tell_rhythm(rhythms.get(name), name, every),
                recent.count(name),
                recent.find_burst(name),
                recent.per_hour(name),
                found.retractions,
                len(theirs),
                str(theirs[-1].about.get("message", "")) if theirs else None,
            )
        )
    return rows


def tell_rhythm(rhythm: Rhythm | None, name: str, every: Mapping[str, int | None]) -> str:
    """Say how often something comes from a source: as the segments file says, or as it was in the last eight weeks."""
    plain = plain_source(name)
    if plain in every:
        length = every[plain]
        if length is None:
            return "now and then: the segments file says that it is never silent"
        return f"every {spell_length(length)}, as the segments file says"
    usual = None if rhythm is None else rhythm.find_usual()
    if usual is None:
        return "not known yet: it takes two weeks and 10 hours with events"
    told = "every hour" if usual.median <= HOUR else f"every {spell_length(usual.median)}"
    return f"{told}; the longest pause was {spell_length(usual.longest)}"
