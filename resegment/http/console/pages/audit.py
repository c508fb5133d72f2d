"""Who changed what, by a command or in the console, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Response
from markupsafe import escape

from resegment.console.sanitizing import sanitize
from resegment.http.console.table import Column
from resegment.http.console.viewing import View
from resegment.streams.audit.reading import AuditedAction

router: Final = APIRouter()
NAMED: Final = 5
"""How many values of a list a page names; files have all."""
RETRY: Final = "dead-letters retry"
"""The action that sends dead letters again. Its result counts what was not sent, not what is refused again later."""


@router.get("/audit")
async def show_audit(view: View) -> Response:
    """Show the audit log, the newest first."""
    every = list(await view.operations.audit.read())
    wanted = {name: view.request.query_params.get(name, "")[:200] for name in ("actor", "action")}
    chosen = [
        one
        for one in every
        if wanted["actor"] in ("", one.begun.actor) and wanted["action"] in ("", one.begun.action)
    ]
    columns: list[Column[AuditedAction]] = [
        Column("at", "When", lambda one: one.begun.at, "instant"),
        Column("actor", "Who", lambda one: one.begun.actor),
        Column("action", "What", lambda one: one.begun.action),
        Column(
            "arguments",
            "With",
            lambda one: _tell(one.begun.arguments),
            draw=lambda one: escape(sanitize(_tell(one.begun.arguments, NAMED))),
        ),
        Column("stage", "Result", lambda one: one.stage),
        Column("result", "What came of it", _result),
    ]
    return view.respond(
        "audit.html",
        title="Audit log",
        tables=[
            view.tables.table(
                "actions",
                "Actions",
                columns,
                chosen,
                sort="-at",
                empty="No action matches this. Choose all to see every action."
                if any(wanted.values())
                else "Nothing was changed yet. A row appears when somebody changes something, by a command or here.",
            )
        ],
        actors=_count(one.begun.actor for one in every),
        actions=_count(one.begun.action for one in every),
        wanted=wanted,
    )


def _result(one: AuditedAction) -> str | None:
    if one.ended is None:
        return None
    told = dict(one.ended.result or {})
    if one.begun.action == RETRY and "refused" in told:  # so earlier releases wrote it
        told["not_sent"] = told.pop("refused")
    if one.begun.arguments.get("shadow") and "applied" in told:
        told["shadow"] = told.pop("applied")
    return one.ended.error or _tell(told)


def _tell(values: Mapping[str, Any], most: int | None = None) -> str:
    """Return names with their values; of a list the first `most`, and how many there are."""
    return ", ".join(f"{name.replace('_', ' ')} {_spell(value, most)}" for name, value in values.items())


def _spell(value: Any, most: int | None) -> str:
    if not isinstance(value, list):
        return str(value)
    shown = ", ".join(map(str, value[:most]))
    more = 0 if most is None else len(value) - most
    return f"{shown} and {more:,} more" if more > 0 else shown


def _count(names: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items()))
