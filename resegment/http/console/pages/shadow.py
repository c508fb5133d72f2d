"""The shadow: what a version that is judged beside the one in force would change, for which accounts, and why."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import APIRouter, Response
from markupsafe import Markup

from resegment.console.counts import count
from resegment.console.planning.sankey import draw_sankey
from resegment.http.console.table import Column, Table
from resegment.http.console.viewing import View, Viewing
from resegment.schemas.times import format_instant
from resegment.segmentation.inspection.explain import describe_explanation, explain
from resegment.segmentation.inspection.explanation import Explanation, SegmentStatus
from resegment.segmentation.planning.plan import Move, PlannedFlow, Sample, SegmentSize
from resegment.segmentation.planning.shadow import ShadowReport
from resegment.streams.live.shadow import ShadowedAccount, ShadowLook

router: Final = APIRouter()
NO_MOVE: Final = "No account would move. A row appears when the shadow puts an account elsewhere than the version in force."
PATH: Final = "/versions/shadow"
PATIENCE: Final = {"html": 1.5}
"""Seconds for which a page waits for a first comparison."""
FILE_PATIENCE: Final = 60.0
"""Seconds for which a program waits."""
DRAWN: Final = 24
"""How many flows are drawn: the largest."""


class Row(msgspec.Struct, frozen=True):
    """An account whose move is explained: why it is where it is, and why the shadow has it elsewhere."""

    flow: PlannedFlow
    sample: Sample


@router.get(PATH)
async def show_shadow(view: View) -> Response:
    """Show what the shadow would change."""
    look = await view.prefix.shadow(PATIENCE.get(view.tables.form, FILE_PATIENCE))
    if look is None:
        return view.respond("shadow.html", title="Shadow", data={"shadow": None}, look=None, report=None)
    report = look.report
    old, new = (view.tables.query.get(name) or None for name in ("from", "to"))
    shown = report or ShadowReport(version=look.version, base=look.base, since="", at="")
    names = [one.name for one in (await view.prefix.registry()).current.definition.segments]
    moves = [one for one in shown.elsewhere if old in (None, one.from_) and new in (None, one.to)]
    return view.respond(
        "shadow.html",
        title="Shadow",
        tables=[
            _sizes(view, shown, names),
            _flows(view, shown, names),
            _samples(view, shown),
            _moves(view, moves, names),
        ],
        data={
            "shadow": look.version,
            "base": look.base,
            "since": format_instant(look.since),
            "compared": None if report is None else report.at,
            "accounts": None if report is None else report.accounts,
            "differ": None if report is None else report.differ,
            "warnings": [] if report is None else list(report.warnings),
            "differences": [] if report is None else msgspec.to_builtins(report.differences),
            "problem": None if look.problem is None else str(look.problem),
        },
        look=look,
        report=report,
        step=_tell_step(look),
        sankey=Markup(draw_sankey(shown.flows[:DRAWN])),  # noqa: S704  # it escapes every name
        drawn=DRAWN,
        chosen=(old, new),
    )


def _tell_step(look: ShadowLook) -> str | None:
    """Say how far the comparison is that is under way; None where none is."""
    if look.step is None:
        return None
    done, of = look.step
    return f"comparing: {done} of {count(of, 'partition')} done" if of else "comparing"


def _link(view: Viewing, name: str, names: list[str]) -> str | None:
    """Return the address of a segment; None for one that the version in force does not have."""
    return view.segment_url(name) if name in names else None


def _sizes(view: Viewing, report: ShadowReport, names: list[str]) -> Table[SegmentSize]:
    order = {one.name: place for place, one in enumerate(report.sizes, 1)}
    columns: list[Column[SegmentSize]] = [
        Column("priority", "#", lambda row: order[row.name], "number"),
        Column(
            "segment",
            "Segment",
            lambda row: row.name,
            link=lambda row: _link(view, row.name, names),
            note=lambda row: None if row.old_name is None else f"now {row.old_name}",
            noted="Name now",
        ),
        Column("now", "Accounts now", lambda row: row.before, "number"),
        Column("shadow", "Under the shadow", lambda row: row.after, "number"),
        Column("difference", "Difference", lambda row: row.after - row.before, "number"),
    ]
    return view.tables.table(
        "sizes",
        "Segments and sizes",
        columns,
        list(report.sizes),
        sort="priority",
        span=_span(report),
        empty="No segment yet.",
    )


def _flows(view: Viewing, report: ShadowReport, names: list[str]) -> Table[PlannedFlow]:
    columns: list[Column[PlannedFlow]] = [
        Column("from", "From", lambda row: row.from_, link=lambda row: _link(view, row.from_, names)),
        Column("to", "To", lambda row: row.to, link=lambda row: _link(view, row.to, names)),
        Column(
            "accounts",
            "Accounts",
            lambda row: row.accounts,
            "number",
            link=lambda row: f"{view.tables.with_query(**{'from': row.from_, 'to': row.to})}#table-moves",
        ),
        Column("renamed", "Only the name", lambda row: "yes" if row.renamed else None),
    ]
    return view.tables.table(
        "flows",
        "From where to where",
        columns,
        list(report.flows),
        sort="-accounts",
        span=_span(report),
        empty=NO_MOVE,
    )


def _samples(view: Viewing, report: ShadowReport) -> Table[Row]:
    rows = [Row(flow, one) for flow in report.flows for one in flow.samples]
    columns: list[Column[Row]] = [
        Column(
            "account",
            "Account",
            lambda row: row.sample.account,
            link=lambda row: view.account_url(row.sample.account) + "#title-shadow",
        ),
        Column("from", "From", lambda row: row.flow.from_),
        Column("to", "To", lambda row: row.flow.to),
        Column("before", "Why it is there now", lambda row: row.sample.before, "words", sortable=False),
        Column("after", "Why the shadow moves it", lambda row: row.sample.after, "words", sortable=False),
    ]
    return view.tables.table(
        "samples",
        "Why, for some of them",
        columns,
        rows,
        sort="to",
        span=_span(report),
        note="Up to three accounts of each move, always the same ones.",
        empty=NO_MOVE,
    )


def _moves(view: Viewing, moves: list[Move], names: list[str]) -> Table[Move]:
    columns: list[Column[Move]] = [
        Column(
            "account",
            "Account",
            lambda row: row.account,
            link=lambda row: view.account_url(row.account) + "#title-shadow",
        ),
        Column("from", "From", lambda row: row.from_, link=lambda row: _link(view, row.from_, names)),
        Column("to", "To", lambda row: row.to, link=lambda row: _link(view, row.to, names)),
    ]
    return view.tables.table(
        "moves", "Accounts that would move", columns, moves, sort="account", empty=NO_MOVE
    )


def _span(report: ShadowReport) -> str:
    return f"compared at {report.at}" if report.at else ""


def link_shadow(view: Viewing, version: int | None) -> Any:
    """Return a sentence about the shadow that leads to its page; nothing without one."""
    if version is None:
        return ""
    return Markup(
        '<p class="muted">Version {} is judged beside it as a shadow: <a href="{}">what it would change</a>.</p>'
    ).format(version, view.url(PATH))


def explain_shadowed(shadow: ShadowedAccount) -> Explanation | None:
    """Return why an account is where the shadow has it; None where it has not judged it yet."""
    return None if shadow.account is None else explain(shadow.engine, shadow.account, shadow.at)


def describe_shadowed(
    shadow: ShadowedAccount, told: Explanation | None, segment: str | None
) -> dict[str, Any]:
    """Return an account under the shadow as plain JSON data; `segment` is that of the version in force."""
    about = {"version": shadow.version, "judged": told is not None}
    if told is None:
        return about
    return {**about, "moves": shadow.moves(segment), "behind": shadow.behind, **describe_explanation(told)}


def find_current(explanation: Explanation) -> SegmentStatus | None:
    """Return the status of the segment that the account is in; None where the version has no such segment."""
    return next((one for one in explanation.segments if one.role == "current"), None)
