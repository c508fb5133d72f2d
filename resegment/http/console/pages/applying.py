"""Change the version: edit its files, look at the plan, apply exactly that; or go back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Response
from markupsafe import Markup

from resegment.console.planning.page import render_part
from resegment.documents.diagnostics import InvalidSegments
from resegment.http.console.forms import WrongForm, done, operate, read_form, read_one
from resegment.http.console.viewing import View, Viewing
from resegment.http.operations.versions import KeptPlan
from resegment.segmentation.planning.plan import ROUTES

router: Final = APIRouter()

STEPS: Final = {
    "prepare": "preparing partitions",
    "wait": "waiting for the instant",
    "mark": "marking the instant",
    "switch": "judging accounts",
}
_FILE: Final = "file:"
"""Begins the name of the field of a file."""
_NAME: Final = re.compile(r"\w[\w-]*(?:\.[\w-]+)*(?:/\w[\w-]*(?:\.[\w-]+)*)*")
FILES: Final = 100
DEPARTED: Final = 20
"""Accounts that are named of those that did not move as planned."""


@router.get("/versions/apply")
async def edit_version(view: View) -> Response:
    """Show the files of the version in force in a form, and the plans that were made."""
    operations = operate(view, "versions")
    draft = await operations.versions.draft()
    return _show_form(view, draft.files, number=draft.number)


@router.post("/versions/plan")
async def plan_version(view: View) -> Response:
    """Plan a switch to the files of the form."""
    versions = operate(view, "versions").versions
    form = await read_form(view)
    files = {
        name.removeprefix(_FILE): values[0].replace("\r\n", "\n")
        for name, values in form.items()
        if name.startswith(_FILE)
    }
    if not files or len(files) > FILES or not all(map(_NAME.fullmatch, files)):
        raise WrongForm(
            "the form has no files of a version",
            remedy=f"Send up to {FILES} files as file:NAME, with letters, digits, dots, hyphens and slashes in the name.",
        )
    route = form.get("route", ["none"])[0]
    if route not in ROUTES:
        raise WrongForm("no such route", remedy=f"Choose one of {', '.join(ROUTES)}.")
    try:
        kept = await versions.plan(view.user.name, files, route)
    except InvalidSegments as error:
        return _show_form(view, files, route=route, problems=[str(one) for one in error.diagnostics])
    return _lead(view, kept)


@router.post("/versions/rollback")
async def plan_rollback(view: View) -> Response:
    """Plan to go back to the version of the form, or to the one before."""
    versions = operate(view, "versions").versions
    given = (await read_form(view)).get("to", [""])[0].strip()
    if given and not (given.isascii() and given.isdigit() and len(given) < 10):
        raise WrongForm("that is no number of a version", remedy="Give the number that the history shows.")
    return _lead(view, await versions.plan_rollback(view.user.name, int(given) if given else None))


@router.get("/versions/plans/{plan}")
async def show_plan(view: View, plan: str) -> Response:
    """Show a plan, and the form that applies it; once it was applied, what came of it."""
    kept = view.operations.versions.find(plan)
    job = kept.job
    return view.respond(
        "plan.html",
        title=f"Plan {kept.plan.hash}",
        data=_describe(kept),
        kept=kept,
        job=job,
        step=None if job is None else STEPS.get(job.step, job.step),
        departed=[] if job is None or job.outcome is None else job.outcome.departed[:DEPARTED],
        plan=Markup(render_part(kept.plan)),  # noqa: S704  # the renderer escapes names and texts
        may=view.user.may("versions"),
    )


@router.post("/versions/plans/{plan}/apply")
async def apply_plan(view: View, plan: str) -> Response:
    """Apply a plan, if the form has its hash: what was looked at is what is applied."""
    versions = operate(view, "versions").versions
    form = await read_form(view)
    message = form.get("message", [""])[0].strip()[:500]
    await versions.apply(view.user.name, plan, read_one(form, "hash"), message)
    return done(view, f"/versions/plans/{plan}")


def _lead(view: Viewing, kept: KeptPlan) -> Response:
    return done(view, f"/versions/plans/{kept.id}", **({} if _is_page(view) else _describe(kept)))


def _is_page(view: Viewing) -> bool:
    return "text/html" in view.request.headers.get("accept", "")


def _show_form(
    view: Viewing, files: Mapping[str, str], *, number: int = 0, route: str = "none", problems: Any = ()
) -> Response:
    return view.respond(
        "applying.html",
        title="Change the version",
        status=400 if problems else 200,
        data={"files": dict(files), "problems": list(problems)},
        files=files,
        number=number,
        route=route,
        routes=ROUTES,
        problems=problems,
        kept=view.operations.versions.kept(),
    )


def _describe(kept: KeptPlan) -> dict[str, Any]:
    job = kept.job
    told: dict[str, Any] = {
        "id": kept.id,
        "by": kept.by,
        "back_to": kept.intent.goes_back_to,
        "hash": kept.plan.hash,
        "plan": msgspec.to_builtins(kept.plan),
        "apply": None,
    }
    if job is not None:
        told["apply"] = {
            "by": job.actor,
            "running": job.is_running,
            "step": job.step,
            "done": job.done,
            "total": job.total,
            "version": None if job.applied is None else job.applied.version,
            "problem": None if job.problem is None else job.problem.message,
            "outcome": None if job.outcome is None else msgspec.to_builtins(job.outcome),
        }
    return told
