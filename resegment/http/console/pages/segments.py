"""Segments: the list, and each with its definition as written and in words, its accounts, and what is not known of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from resegment.console.definition.words import Said, say_condition
from resegment.errors import UserError
from resegment.http.console.charts import draw_line, draw_sparkline
from resegment.http.console.history import SPANS, SegmentPast
from resegment.http.console.pages.overview import read_past
from resegment.http.console.pages.shadow import link_shadow
from resegment.http.console.table import Column, Slice, Table, TableState
from resegment.http.console.times import read_instant
from resegment.http.console.viewing import View, Viewing
from resegment.schemas.times import spell_duration
from resegment.segmentation.definition import Definition, Segment, walk
from resegment.segmentation.language.parsing.suggestions import suggest_word
from resegment.streams.live.members import AccountRow, MemberFilter, find_members, find_owners
from resegment.streams.live.queries import Stays, find_stays
from resegment.streams.live.sampling import Sample, TestCount

router: Final = APIRouter()


class NoSuchSegment(UserError):
    """The version in force has no segment of that name."""

    def __init__(self, name: str, names: Sequence[str]) -> None:
        super().__init__(
            f"the version in force has no segment {name[:80]!r}",
            remedy=f"{suggest_word(name, names).capitalize()}. `Changes` still shows moves of earlier segments.",
        )
        self.name = name


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment of the version in force, with its size, its past and how long accounts stayed."""

    place: int
    segment: Segment
    size: int
    past: SegmentPast
    stays: Stays


@router.get("/segments")
async def show_segments(view: View) -> Response:
    """Show every segment of the version in force."""
    look = await view.prefix.overview()
    registry = await view.prefix.registry()
    past = await read_past(view.prefix, look, view.tables.query.get("span"))
    segments = registry.current.definition.segments
    stays = await view.prefix.find(partial(_find_all_stays, names=[one.name for one in segments]))
    rows = [
        SegmentRow(
            place,
            one,
            look.sizes.get(one.name, 0),
            past.segments.get(one.name, SegmentPast(one.name, (), 0, 0)),
            stays[one.name],
        )
        for place, one in enumerate(segments, 1)
    ]
    columns: list[Column[SegmentRow]] = [
        Column("priority", "#", lambda row: row.place, "number"),
        Column(
            "segment",
            "Segment",
            lambda row: row.segment.name,
            link=lambda row: view.segment_url(row.segment.name),
            note=lambda row: "draft: takes no account" if row.segment.draft else row.segment.hypothesis,
        ),
        Column("accounts", "Accounts", lambda row: row.size, "number"),
        Column("target", "Target", lambda row: row.segment.target, "number"),
        Column("missing", "Missing", lambda row: find_missing(row.size, row.segment.target), "number"),
        Column("entries", "Entered", lambda row: row.past.entries, "number"),
        Column("exits", "Left", lambda row: row.past.exits, "number"),
        Column("median", "Median stay", lambda row: row.stays.median, "length"),
        Column("p90", "90% stay at most", lambda row: row.stays.p90, "length"),
        Column(
            "play",
            "Play",
            lambda row: row.segment.play,
            note=lambda row: None if row.segment.route is None else row.segment.route.workflow,
            noted="Workflow",
        ),
        Column(
            "sizes",
            "Size over time",
            lambda row: list(row.past.sizes),
            "drawing",
            draw=lambda row: draw_sparkline(row.past.sizes),
            sortable=False,
        ),
    ]
    span = past.window.tell()
    table = view.tables.table(
        "segments",
        "Segments",
        columns,
        rows,
        sort="priority",
        span=f"entered, left and sizes {span}",
        note="Stays are those that ended since the oldest change that is known.",
        empty="No segment yet. They appear with the first version of the segments file.",
    )
    definitions = registry.definitions
    shadow = definitions.shadow
    return view.respond(
        "segments.html",
        title="Segments",
        tables=[table],
        data={"version": definitions.current},
        version=definitions.current,
        shadow=link_shadow(view, None if shadow is None else shadow.version),
        past=past,
        spans=SPANS,
        unknown=view.tables.find_unknown("span", SPANS),
    )


def find_missing(size: int, target: float | None) -> float | None:
    """Return by how many accounts a segment misses its target; None without one."""
    return None if target is None else max(0, target - size)


def tell_target(size: int, target: float | None) -> str | None:
    """Say how a segment stands against its target; None without one."""
    if target is None:
        return None
    share = f"{size / target:.0%} of it" if target else "no accounts wanted"
    if size < target:
        return f"{target - size:,g} missing, {share}"
    return f"reached, {size - target:,g} more" if size > target else "reached"


def _find_all_stays(one: sqlite3.Connection, names: Sequence[str]) -> dict[str, Stays]:
    return {name: find_stays(one, name) for name in names}


@router.get("/segments/{name:path}")
async def show_segment(view: View, name: str) -> Response:
    """Show one segment of the version in force."""
    if not name:
        return RedirectResponse(view.url("/segments"), 303)
    registry = await view.prefix.registry()
    definition = registry.current.definition
    names = [one.name for one in definition.segments]
    if name not in names:
        raise NoSuchSegment(name, names)
    segment = definition.segment(name)
    look = await view.prefix.overview()
    past = await read_past(view.prefix, look, view.tables.query.get("span"))
    wanted = await read_member_filter(view, name)
    members = await member_table(
        view,
        wanted,
        "members",
        sort="-since",
        with_segment=False,
        empty="No account of this segment matches this. Clear the filters to see all of them."
        if wanted.is_narrow
        else "A draft takes no account. They appear here once it is no draft any more."
        if segment.draft
        else "No account is in this segment. One appears when it qualifies, and no segment before this one takes it.",
    )
    tables = [members, *await _tests(view, segment)]
    said = None if segment.when is None else say_condition(segment.when, definition.conditions)
    leaves = segment.hold.exit_when
    own = past.segments.get(name, SegmentPast(name, (), 0, 0))
    play = definition.plays.get(segment.play or "")
    return view.respond(
        "segment.html",
        title=name,
        tables=tables,
        data={
            "segment": name,
            "version": registry.definitions.current,
            "accounts": look.sizes.get(name, 0),
            "target": segment.target,
            "missing": find_missing(look.sizes.get(name, 0), segment.target),
            "entered": own.entries,
            "left": own.exits,
            "words": None if said is None else _tell(said),
            "definition": find_source(definition, segment),
        },
        segment=segment,
        place=names.index(name) + 1,
        version=registry.definitions.current,
        size=look.sizes.get(name, 0),
        own=own,
        stays=await view.prefix.find(partial(find_stays, segment=name)),
        past=past,
        spans=SPANS,
        unknown=view.tables.find_unknown("span", SPANS),
        chart=draw_line(own.sizes, past.window),
        said=said,
        leaves=None if leaves is None else say_condition(leaves, definition.conditions),
        source=find_source(definition, segment),
        hold=list(_tell_hold(segment)),
        play=play,
        wanted=wanted,
        owners=await view.prefix.find(partial(find_owners, segment=name, queues=wanted.queues)),
        now=await view.prefix.now(),
        measured="tests" in {one.name for one in tables},
        against_target=tell_target(look.sizes.get(name, 0), segment.target),
        measure_url=view.tables.with_query(measure="1"),
    )


def _tell(said: Said) -> Any:
    return {"says": said.text, "parts": [_tell(one) for one in said.parts]} if said.parts else said.text


def _tell_hold(segment: Segment) -> list[str]:
    hold, told = segment.hold, []
    if hold.min_dwell:
        told.append(f"an account stays at least {spell_duration(hold.min_dwell)}")
    if hold.cooldown:
        told.append(f"an account that left does not come back for {spell_duration(hold.cooldown)}")
    return told


def find_source(definition: Definition, segment: Segment) -> str:
    """Return the lines of the segments file that define a segment, as they were written."""
    document = definition.document
    start = document.places.get(segment.path)
    if start is None:
        return ""
    files = dict(definition.content.segments)
    lines = files.get(start.file, b"").decode("utf-8", "replace").removeprefix("\ufeff").splitlines()
    others = [
        one.line for path, one in document.places.items() if one.file == start.file and len(path) <= 2
    ] + [one.line for path, one in document.keys.items() if one.file == start.file and len(path) == 1]
    end = min([line for line in others if line > start.line], default=len(lines) + 1)
    found = lines[start.line - 1 : end - 1]
    while found and (not found[-1].strip() or found[-1].lstrip().startswith("#")):
        found.pop()  # what stands before the next part
    least = min((len(line) - len(line.lstrip()) for line in found if line.strip()), default=0)
    return "\n".join(line[least:] for line in found)


async def read_member_filter(view: Viewing, segment: str | None) -> MemberFilter:
    """Return which accounts the address asks for. Raises NoInstant."""
    query = view.tables.query
    return MemberFilter(
        segment=segment,
        text=query.get("q", "")[:200].strip(),
        since=read_instant(query.get("since"), view.zone),
        until=read_instant(query.get("until"), view.zone),
        owner=query.get("owner") or None,
        unowned=query.get("unowned") == "1",
        queues=(await view.prefix.registry()).current.policy.queues,
    )


async def member_table(
    view: Viewing, wanted: MemberFilter, name: str, *, sort: str, with_segment: bool, empty: str
) -> Table[AccountRow]:
    """Return a table of accounts, of which only those of the page are read."""

    async def read(state: TableState) -> Slice[AccountRow]:
        found = await view.prefix.find(
            partial(
                find_members,
                wanted=wanted,
                order=state.sort,
                descending=state.descending,
                start=state.start,
                size=state.size,
            )
        )
        return Slice(found.rows, found.total)

    return await view.tables.paged(
        name,
        "Accounts",
        _account_columns(view, wanted.queues, with_segment=with_segment),
        read,
        sort=sort,
        span=view.prefix.progress.tell() or "",
        empty=empty,
    )


def _account_columns(
    view: Viewing, queues: Sequence[tuple[str, str]], *, with_segment: bool
) -> list[Column[AccountRow]]:
    def tell_owner(row: AccountRow) -> str | None:
        return f"in the queue {row.owner}" if (row.team, row.owner) in queues else row.owner

    found: list[Column[AccountRow]] = [
        Column("name", "Name", lambda row: row.name),
        Column("account", "Account", lambda row: row.account, link=lambda row: view.account_url(row.account)),
    ]
    if with_segment:
        found.append(
            Column(
                "segment", "Segment", lambda row: row.segment, link=lambda row: view.segment_url(row.segment)
            )
        )
    return [
        *found,
        Column("since", "Entered", lambda row: row.entered, "instant"),
        Column("owner", "Owner", tell_owner, link=lambda row: _owner_url(view, row.owner)),
        Column("workflow", "Workflow", lambda row: row.workflow),
    ]


def _owner_url(view: Viewing, owner: str | None) -> str | None:
    return None if owner is None else view.url(f"/accounts?{urlencode({'owner': owner})}")


async def _tests(view: Viewing, segment: Segment) -> list[Table[Any]]:
    """Return the table of what each test says of a sample of accounts, if the address asks for it."""
    if view.tables.query.get("measure") != "1" or segment.when is None:
        return []
    sample = await view.prefix.sample()
    parts = dict.fromkeys(one for one in walk(segment.when) if one in sample.counts)
    rows = [(str(one), sample.counts[one]) for one in parts]
    total = max(1, sample.accounts)
    columns: list[Column[tuple[str, TestCount]]] = [
        Column("test", "Test", lambda row: row[0]),
        Column("unknown", "Unknown", lambda row: row[1].unknown / total, "share"),
        Column("true", "True", lambda row: row[1].true / total, "share"),
        Column("false", "False", lambda row: row[1].false / total, "share"),
    ]
    return [
        view.tables.table(
            "tests",
            "What its tests say",
            columns,
            rows,
            sort="-unknown",
            note=f"{_tell_qualify(segment, sample)}{_tell_unknown(rows, total)} Of {sample.accounts:,} accounts of all segments, drawn at random: shares "
            f"are about right within {1 / total**0.5:.1%}.",
            empty="Its condition has no test of its own.",
        )
    ]


def _tell_qualify(segment: Segment, sample: Sample) -> str:
    """Say how many accounts qualify: those in segments above it too, and for a draft those that it would take."""
    share = sample.qualify.get(segment.name, 0) / max(1, sample.accounts)
    above = "" if not share else ", those that segments above take included"
    return f"{share:.1%} of accounts qualify{above}. "


def _tell_unknown(rows: Sequence[tuple[str, TestCount]], total: int) -> str:
    """Say which test rests most on what is unknown."""
    text, count = max(rows, key=lambda row: row[1].unknown, default=("", TestCount()))
    if not count.unknown:
        return "No test is unknown for any of them."
    return f"Most is unknown for `{text}`: {count.unknown / total:.1%} of accounts."
