"""Outcomes: what came of touches, by segment, play, owner, version or channel."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import APIRouter, Response
from markupsafe import Markup

from resegment.console.outcomes.page import render_part
from resegment.http.console.table import Column
from resegment.http.console.viewing import View
from resegment.outcomes.measuring.names import By
from resegment.outcomes.measuring.report import Rate, Report

router: Final = APIRouter()


@router.get("/outcomes")
async def show_outcomes(view: View) -> Response:
    """Show every figure on outcomes, with what it rests on."""
    wanted = view.tables.query.get("by", "segment")
    by = By(wanted) if wanted in set(By) else By.segment
    report = await view.prefix.outcomes(by)
    return view.respond(
        "outcomes.html",
        title="Outcomes",
        tables=[
            view.tables.table(
                "rates",
                "Rates",
                _columns(by),
                _rows(report),
                sort="group",
                note="k of n touches had the outcome within so many days. Touches that are younger wait.",
                empty="No touch yet. A row appears when a workflow gets an account, or one is held out.",
            )
        ],
        data=msgspec.to_builtins(report),
        by=by.value,
        choices=[one.value for one in By],
        report=report,
        part=Markup(render_part(report)),  # noqa: S704  # the renderer escapes names and texts
    )


def _rows(report: Report) -> list[tuple[str, Rate]]:
    groups = [*report.groups, report.total]
    return [(group.name, rate) for group in groups for rate in group.rates if rate.n or rate.waiting]


def _columns(by: By) -> list[Column[tuple[str, Rate]]]:
    def interval(which: str, end: str) -> Any:
        return lambda row: getattr(getattr(row[1], which), end)

    return [
        Column("group", by.value.capitalize(), lambda row: row[0]),
        Column("metric", "Metric", lambda row: row[1].metric),
        Column("k", "k", lambda row: row[1].k, "number"),
        Column("n", "n", lambda row: row[1].n, "number"),
        Column("waiting", "Waiting", lambda row: row[1].waiting, "number"),
        Column("days", "Days", lambda row: row[1].window_days, "number"),
        Column("rate", "Rate", lambda row: row[1].rate, "share"),
        Column("low", "95% from", interval("interval", "low"), "share"),
        Column("high", "95% to", interval("interval", "high"), "share"),
        Column("always_low", "Always valid from", interval("always_valid", "low"), "share"),
        Column("always_high", "Always valid to", interval("always_valid", "high"), "share"),
        Column("label", "Label", lambda row: row[1].label),
    ]
