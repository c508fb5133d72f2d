"""`resegment apply` and `resegment rollback`: switch a running prefix to another version of its segments file."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.options import AsJson, time_option
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.cli.versions.applying import Asked
from resegment.cli.versions.plan import ApplyRoute

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session
    from resegment.segmentation.planning.saved import SavedPlan
    from resegment.streams.definitions.history import Definitions
    from resegment.streams.operations.switching.intents import Intent

APPLY_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment apply segments.yaml --message "raise the threshold"

resegment plan segments.yaml --out plan.json, then resegment apply plan.json --yes

resegment apply segments.yaml --plan-hash 049d36ebf84e-374 --yes

resegment apply segments.yaml --at 2026-12-01 --route new-only

resegment apply segments.yaml --shadow
"""
ROLLBACK_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment rollback

resegment rollback 3 --message "too few accounts"
"""

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
At = Annotated[
    int | None,
    time_option("Switch at this time. What the plan says is checked again right before. Default: at once."),
]
Message = Annotated[
    str, typer.Option("--message", "-m", metavar="TEXT", help="Why: `resegment history` shows it.")
]
Author = Annotated[
    str | None,
    typer.Option(
        "--author",
        metavar="NAME",
        help="Who applies. Default: --as or RESEGMENT_ACTOR, git's author, or user and host.",
    ),
]
PlanHash = Annotated[
    str | None,
    typer.Option(
        "--plan-hash",
        metavar="HASH",
        help="Apply only what this hash of a plan approves; refuse anything else.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=APPLY_EXAMPLES)(apply)
    app.command(epilog=ROLLBACK_EXAMPLES)(rollback)


@takes_servers
def apply(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE|PLAN", help="A segments file, a folder of them, or a saved plan."),
    ] = None,
    *,
    at: At = None,
    message: Message = "",
    author: Author = None,
    route: ApplyRoute = None,
    plan_hash: PlanHash = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Judge the version beside the one in force: nothing changes.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Finish an apply whose command was interrupted.")
    ] = False,
    yes: Yes = False,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Switch the running prefix to another version of its segments file, at one instant for all partitions.

    Shows the plan and asks first. A saved plan is carried out exactly, once; it is refused if another version is in
    force meanwhile, or if more than 1 % of the accounts (at least 20) depart from it for another reason than time.
    """
    from resegment.cli.operations.session import run_in_session
    from resegment.cli.versions.applying import carry_out
    from resegment.cli.versions.planning import check_route, planner_of
    from resegment.streams.operations.switching.intents import intend_saved

    if shadow and at is not None:
        raise typer.BadParameter("--shadow begins at once: leave --at out")
    asked = Asked(at, message, author, plan_hash, yes, shadow, as_json)

    async def run(session: Session) -> None:
        if resume:
            await _resume(session, file, asked)
            return
        if file is None:
            raise typer.BadParameter(
                "give the segments file or the saved plan to apply", param_hint="FILE|PLAN"
            )
        saved = _read_plan(file)
        if await _finish_same(session, file, saved, asked):
            return
        if saved is None:
            intent = await _intend_file(session, file, route, at)
        elif route:
            raise typer.BadParameter("a saved plan has its route: leave --route out", param_hint="--route")
        else:
            intent = await intend_saved(planner_of(session), file, saved, at)
        await carry_out(session, intent, asked)

    check_route(route)
    run_in_session(run, servers, changes="apply")


@takes_servers
def rollback(
    number: Annotated[
        int | None,
        typer.Argument(metavar="N", min=1, help="The version to go back to. Default: the one before."),
    ] = None,
    *,
    at: At = None,
    message: Message = "",
    author: Author = None,
    plan_hash: PlanHash = None,
    yes: Yes = False,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Go back to an earlier version: its rules, as a new version, with the names that changed since taken back.

    Accounts that the versions since then took out of a workflow, and that have not moved by themselves, are enrolled
    again where they were. Shows the plan and asks first.
    """
    from resegment.cli.operations.session import run_in_session
    from resegment.cli.versions.applying import carry_out

    asked = Asked(at, message, author, plan_hash, yes, as_json=as_json, command="rollback")

    async def run(session: Session) -> None:
        from dataclasses import replace

        from resegment.cli.versions.planning import planner_of
        from resegment.console.progress import show_progress
        from resegment.streams.operations.switching.intents import intend_rollback

        with show_progress() as bars:
            intent = await intend_rollback(planner_of(session), number, at, count=bars.count)
        back = f"roll back to version {intent.goes_back_to}"
        await carry_out(session, intent, asked if message else replace(asked, message=back))

    run_in_session(run, servers, changes="rollback")


def _read_plan(path: str) -> SavedPlan | None:
    """Return the saved plan at a path; None if that is something else, like a segments file. Raises WrongPlan."""
    from resegment.cli.versions.plan import is_saved, read_saved

    return read_saved(Path(path)) if is_saved(Path(path)) else None


async def _intend_file(session: Session, path: str, route: list[str] | None, at: int | None) -> Intent:
    from resegment.cli.versions.planning import check_route, check_segments, plan_session, read_lists
    from resegment.sources.segments import load_definition
    from resegment.streams.operations.planning import Wish
    from resegment.streams.operations.switching.intents import Intent

    definition = load_definition(path)
    chosen = check_route(route)
    check_segments(chosen, definition)
    wish = Wish(definition, chosen, at, lists=read_lists(definition, path))
    return Intent(await plan_session(session, wish), wish)


async def _finish_same(session: Session, path: str, saved: SavedPlan | None, asked: Asked) -> bool:
    """Finish an apply of the same content or plan that stands and whose command was interrupted; return whether it did."""
    from resegment.sources.segments import load_definition

    definitions = (await session.load_registry()).definitions
    one = definitions.open
    if one is None or one.kind != "switch" or one.verdict != "stands":
        return False
    if saved is not None:
        same = one.plan == saved.id
    else:
        same = load_definition(path).digest == definitions.version(one.version).digest
    if same:
        await _work_off(session, one.version, definitions, asked)
    return same


async def _resume(session: Session, file: str | None, asked: Asked) -> None:
    """Finish what an interrupted apply left. Raises NothingToResume, and NotSwitched where its switch is not settled."""
    from resegment.segmentation.planning.refusals import NothingToResume, NotSwitched

    if file is not None:
        raise typer.BadParameter("--resume finishes what began: leave the file out")
    definitions = (await session.load_registry()).definitions
    one = definitions.open
    if one is None:
        raise NothingToResume
    if one.verdict != "stands":
        raise NotSwitched(one.version)
    await _work_off(session, one.version, definitions, asked)


async def _work_off(session: Session, number: int, definitions: Definitions, asked: Asked) -> None:
    import sys

    from resegment.cli.versions.applying import connect, showing_steps
    from resegment.console.terminal import print_note, write_json
    from resegment.streams.definitions.applying.apply import apply_version
    from resegment.streams.definitions.applying.requests import ApplyRequest

    request = ApplyRequest(definitions.definition_of(number))
    async with (
        session.trail.recording("apply", {"version": number, "resume": True}),
        session.publisher("resegment-apply") as publisher,
    ):
        with showing_steps() as report:
            await apply_version(connect(session, publisher), request, report)
    if asked.as_json:
        write_json(sys.stdout.buffer, {"version": number, "applied": True, "resumed": True})
    else:
        print_note(f"version {number} is in force, and all partitions have worked it off")
