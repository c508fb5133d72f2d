"""The first page: whether the prefix works, how fresh it is, how segments change, and what just happened."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from resegment.http.console.charts import ENDED, FIRST_SEEN, draw_bars, draw_flows, draw_sparkline, legend
from resegment.http.console.feed import find_end
from resegment.http.console.history import SPANS, Past, Window, choose_window, trace
from resegment.http.console.pages.changes import tell_why
from resegment.http.console.pages.shadow import link_shadow
from resegment.http.console.prefix import ConsolePrefix
from resegment.http.console.rendering import environment
from resegment.http.console.table import Column, Table
from resegment.http.console.viewing import View, Viewing
from resegment.schemas.times import format_instant
from resegment.streams.live.queries import Filter, find_changes, find_flows, find_hours, find_span
from resegment.streams.operations.definition_status import DefinitionLook, find_definition_notes
from resegment.streams.operations.overview import Overview, describe_overview, find_notes, find_problems
from resegment.streams.reports.freshness import find_freshness
from resegment.streams.reports.pace import look_at_backlog

router: Final = APIRouter()
NEWEST: Final = 15
MOST_MOVED: Final = 3
"""How many segments that grew or shrank most, and how many of the largest flows, are named."""


async def read_past(prefix: ConsolePrefix, look: Overview, span: str | None) -> Past:
    """Return what happened to segments in a window; `span` is its name in the address."""
    replayed = look.clock != "wall"
    known = await prefix.find(find_span)
    now = await prefix.now() if replayed else look.now
    window = choose_window(span, begin=known.begin, now=now, replayed=replayed)
    hours = await prefix.find(partial(find_hours, since=window.since))
    names = [one.name for one in (await prefix.registry()).current.definition.segments if not one.draft]
    return trace(window, hours, look.sizes, names)


def name_bucket(window: Window) -> str:
    """Return the length of a bucket, as in `changes per hour`."""
    hours = window.hours
    if hours == 1:
        return "hour"
    if hours % 24:
        return f"{hours} hours"
    return "day" if hours == 24 else f"{hours // 24} days"


@router.get("/")
async def show_overview(view: View) -> Response:
    """Show the health of the prefix, its segments over time, flows, and the newest changes."""
    look = await view.prefix.overview()
    past = await read_past(view.prefix, look, view.tables.query.get("span"))
    window = past.window
    shadow = (await view.prefix.registry()).definitions.shadow
    flows = await view.prefix.find(partial(find_flows, since=window.since, until=window.until + 1))
    between = [one for one in flows if one[0]]
    place = await find_end(view.prefix)
    newest = await view.prefix.find(
        partial(find_changes, wanted=Filter(), order="at", descending=True, start=0, size=NEWEST)
    )
    tables = [
        _segments(view, look, past),
        _rates(view, past),
        _flows(view, flows, window),
    ]
    return view.respond(
        "overview.html",
        title="Overview",
        tables=tables,
        data=describe_overview(look)
        | {
            "since": format_instant(window.since),
            "gained": {one.name: one.net for one in past.gained(MOST_MOVED)},
            "lost": {one.name: one.net for one in past.lost(MOST_MOVED)},
        },
        unknown=view.tables.find_unknown("span", SPANS),
        past=past,
        gained=past.gained(MOST_MOVED),
        lost=past.lost(MOST_MOVED),
        most_moved=between[:MOST_MOVED],
        spans=SPANS,
        bucket=name_bucket(window),
        bars=draw_bars(past.moves, past.first, window, with_first=False),
        legend=legend([("c0", "moved between segments")]),
        flows=between,
        sankey=draw_flows(between),
        newest=[row for row in newest.rows if place.has(row)],  # later ones come by the feed
        tell_why=tell_why,
        place=place.encode(),
        missing=view.prefix.progress.tell(),
        shadow=link_shadow(view, None if shadow is None else shadow.version),
        **describe_health(look),
    )


@router.get("/health")
async def show_health(view: View) -> Response:
    """Show only the part of the first page that says whether the prefix works: browsers refresh it."""
    look = await view.prefix.overview()
    template = environment().get_template("health.html")
    return HTMLResponse(template.render(view=view, **describe_health(look)))


def describe_health(look: Overview) -> Mapping[str, Any]:
    """Return what `health.html` shows."""
    one = look.definitions
    # the page says it with a link
    shadow = find_definition_notes(DefinitionLook(one.version, one.newest, shadow=one.shadow))
    note = f"{one.newest} is the newest" if one.newest > one.version else "the newest"
    return {
        "look": look,
        "fresh": find_freshness(look),
        "problems": find_problems(look),
        "notes": [note for note in find_notes(look) if note not in shadow],
        "accounts": sum(part.accounts for part in look.partitions),
        "lag": sum(look.lag.values()),
        "trend": look_at_backlog(look.workers).trend,
        "letters": sum(look.letters.reasons.values()),
        "version": {"number": one.version, "note": note},
    }


def _segments(view: Viewing, look: Overview, past: Past) -> Table[Any]:
    order = {name: place for place, name in enumerate(past.segments)}
    columns: list[Column[str]] = [
        Column("priority", "#", lambda name: order[name] + 1, "number"),
        Column("segment", "Segment", lambda name: name, link=view.segment_url),
        Column("accounts", "Accounts", lambda name: look.sizes.get(name, 0), "number"),
        Column("entries", "Entered", lambda name: past.segments[name].entries, "number"),
        Column("exits", "Left", lambda name: past.segments[name].exits, "number"),
        Column("net", "Net", lambda name: past.segments[name].net, "number"),
        Column(
            "sizes",
            "Size over time",
            lambda name: list(past.segments[name].sizes),
            "drawing",
            draw=lambda name: draw_sparkline(past.segments[name].sizes),
            sortable=False,
        ),
    ]
    return view.tables.table(
        "segments",
        "Segments",
        columns,
        list(past.segments),
        sort="priority",
        span=past.window.tell(),
        note="Each line has its own scale.",
        empty="No segment yet. They appear with the first version of the segments file.",
    )


def _rates(view: Viewing, past: Past) -> Table[Any]:
    rows = list(zip(past.window.starts, past.moves, past.first, strict=True))
    columns: list[Column[tuple[int, int, int]]] = [
        Column("from", "From", lambda row: row[0], "instant"),
        Column("moved", "Moved", lambda row: row[1], "number"),
        Column("first", "First seen", lambda row: row[2], "number"),
    ]
    name = name_bucket(past.window)
    return view.tables.table(
        "rate",
        f"Changes per {name}",
        columns,
        rows,
        sort="-from",
        span=past.window.tell(),
        empty="No time has passed yet.",
    )


def _flows(view: Viewing, flows: list[tuple[str, str, int]], window: Window) -> Table[Any]:
    columns: list[Column[tuple[str, str, int]]] = [
        Column("from", "From", lambda row: row[0] or FIRST_SEEN),
        Column("to", "To", lambda row: row[1] or ENDED, link=lambda row: view.segment_url(row[1] or None)),
        Column("moves", "Moves", lambda row: row[2], "number"),
    ]
    return view.tables.table(
        "flows",
        "Flows",
        columns,
        flows,
        sort="-moves",
        span=window.tell(),
        empty="No account moved in the time that is shown. A row appears when one enters a segment.",
    )
