"""Versions of the segments file: their history, what is in each, and what differs between two."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
from fastapi import APIRouter, Response

from resegment.console.definition.differences import conclude
from resegment.http.console.pages.shadow import link_shadow
from resegment.http.console.table import Column
from resegment.http.console.viewing import View, Viewing
from resegment.schemas.times import parse_instant
from resegment.segmentation.versions.differences import compare
from resegment.segmentation.versions.wording import tell_differences
from resegment.streams.definitions.chronicle import ApplyEntry, VersionEntry, tell_history
from resegment.streams.live.queries import Switch, count_moved, find_span

router: Final = APIRouter()

PARTS: Final = {
    "segments": "segment",
    "plays": "play",
    "personas": "persona",
    "teams": "team",
    "qualifications": "qualification",
    "traits": "trait",
    "attributes": "attribute",
    "suppression": "suppression",
    "tests": "test",
    "file": "",
}


def _at(text: str | None) -> int | None:
    return None if text is None else parse_instant(text)


@router.get("/versions")
async def show_versions(view: View) -> Response:
    """Show every version and every apply, the newest first."""
    definitions = (await view.prefix.registry()).definitions
    shadow = None if definitions.shadow is None else definitions.shadow.version
    history = tell_history(definitions, await view.prefix.now())
    columns: list[Column[VersionEntry]] = [
        Column("number", "#", lambda row: row.number, "number", link=lambda row: _version_url(view, row.number)),
        Column("state", "State", lambda row: _tell_state(row, shadow), "words"),
        Column("since", "In force since", lambda row: _at(row.since), "instant"),
        Column("changes", "What it changed", lambda row: row.changes, "words", link=lambda row: _diff_url(view, row)),
        Column("author", "Author", lambda row: row.author or None, note=lambda row: row.message or None, noted="Message"),
        Column("made", "Written", lambda row: _at(row.at), "instant"),
        Column("fingerprint", "Fingerprint", lambda row: row.fingerprint, "code", sortable=False),
    ]  # fmt: skip
    applies = await _read_applies(view, [(one.number, apply) for one in history for apply in one.applies])
    return view.respond(
        "versions.html",
        title="Versions",
        tables=[
            view.tables.table(
                "versions",
                "Versions",
                columns,
                history,
                sort="-number",
                empty="No version yet. The first worker brings one.",
            ),
            view.tables.table(
                "applies",
                "Applies",
                _apply_columns(view),
                applies,
                sort="-at",
                note="Moved are the accounts that the switch put into another segment, as far back as changes are known.",
                empty="Nothing was applied yet. A row appears when somebody applies a version or goes back to one.",
            ),
        ],
        data={"in_force": definitions.in_force(await view.prefix.now()), "newest": definitions.newest},
        in_force=definitions.in_force(await view.prefix.now()),
        shadow=link_shadow(view, shadow),
        before=_before(history),
    )


def _tell_state(row: VersionEntry, shadow: int | None) -> str:
    """Return how a version stands to the decisions."""
    if row.in_force:
        return "in force"
    if row.number == shadow:
        return "shadow"
    if row.since:
        return "earlier"
    return "never in force" if row.discarded is None else tell_discarded(row.discarded)


def tell_discarded(shadow: ApplyEntry) -> str:
    """Return that a shadow was discarded, and when, where that is known."""
    return "shadow, discarded" if shadow.ended is None else f"shadow, discarded at {shadow.ended}"


def _before(history: list[VersionEntry]) -> int | None:
    """Return the newest version that was in force before the present one; None if there was none."""
    earlier = [(one.since, one.number) for one in history if one.since is not None and not one.in_force]
    return max(earlier)[1] if earlier else None


class AppliedRow(NamedTuple):
    """One apply of a version, and how many accounts it moved; None where that is not known."""

    version: int
    entry: ApplyEntry
    moved: int | None


async def _read_applies(view: Viewing, applies: list[tuple[int, ApplyEntry]]) -> list[AppliedRow]:
    """Return applies with the accounts that they moved, of those switches that the changes of the index cover."""
    known = await view.prefix.find(find_span)
    switches = {
        one.id: Switch(number, parse_instant(one.at))
        for number, one in applies
        if one.kind == "switch" and one.state in ("applied", "switching") and one.at is not None
    }
    moved = await view.prefix.find(partial(count_moved, switches=list(switches.values())))
    covered = {name for name, one in switches.items() if known.begin is not None and known.begin <= one.at}
    return [
        AppliedRow(number, one, moved[switches[one.id]] if one.id in covered else None)
        for number, one in applies
    ]


def _apply_columns(view: Viewing) -> list[Column[AppliedRow]]:
    return [
        Column(
            "version", "Version", lambda row: row.version, "number",
            link=lambda row: _version_url(view, row.version),
        ),
        Column("kind", "Kind", lambda row: row.entry.kind if row.entry.rollback_of is None else "rollback"),
        Column(
            "state", "State", lambda row: row.entry.state, note=lambda row: row.entry.reason or None, noted="Reason"
        ),
        Column("at", "At", lambda row: _at(row.entry.at), "instant"),
        Column("from", "From version", lambda row: row.entry.from_version, "number"),
        Column("moved", "Accounts moved", lambda row: row.moved, "number"),
        Column(
            "route",
            "Enrolled",
            lambda row: row.entry.route if isinstance(row.entry.route, str) else list(row.entry.route),
            sortable=False,
        ),
        Column(
            "author",
            "By",
            lambda row: row.entry.author or None,
            note=lambda row: row.entry.message or None,
            noted="Message",
        ),
    ]  # fmt: skip


def _version_url(view: Viewing, number: int) -> str:
    return view.url(f"/versions/{number}")


def _diff_url(view: Viewing, row: VersionEntry) -> str | None:
    return view.url(f"/versions/diff?a={row.base}&b={row.number}") if row.base else None


@router.get("/versions/diff")
async def show_diff(view: View) -> Response:
    """Show what differs between two versions, by meaning."""
    definitions = (await view.prefix.registry()).definitions
    newest = definitions.newest
    old = _number(view.tables.query.get("a"), max(1, newest - 1))
    new = _number(view.tables.query.get("b"), newest)
    before, after = definitions.definition_of(old), definitions.definition_of(new)
    found = compare(before, after)
    told = tell_differences(before, after, found)
    return view.respond(
        "diff.html",
        title=f"Version {old} and {new}",
        data={
            "a": old,
            "b": new,
            "differences": msgspec.to_builtins(
                [{"part": one.part, "name": one.name, "what": one.what, "words": one.words} for one in told]
            ),
            "needs_facts": found.needs_facts,
        },
        old=old,
        new=new,
        numbers=sorted(definitions.versions),
        told=told,
        parts=PARTS,
        conclusion=conclude(found),
    )


@router.get("/versions/{number:int}")
async def show_version(view: View, number: int) -> Response:
    """Show the files of a version as they were written."""
    definitions = (await view.prefix.registry()).definitions
    version, content = definitions.version(number), definitions.content_of(number)
    files: list[dict[str, Any]] = [
        {"name": name, "role": role, "text": data.decode("utf-8", "replace").removeprefix("\ufeff")}
        for role, some in (("segments", content.segments), ("list", content.lists))
        for name, data in some
    ]
    entry = next(one for one in tell_history(definitions, await view.prefix.now()) if one.number == number)
    return view.respond(
        "version.html",
        title=f"Version {number}",
        data={**msgspec.to_builtins(entry), "files": files},
        version=version,
        entry=entry,
        never="never" if entry.discarded is None else f"never: {tell_discarded(entry.discarded)}",
        files=files,
    )


def _number(text: str | None, default: int) -> int:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 9:
        return default
    return int(text)
