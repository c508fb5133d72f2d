"""`resegment plan`: what a segments file would change, before it is applied."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand

from resegment.cli.connection import WrongUse
from resegment.cli.options import AsJson, EventFormat, SavedOutcomes, SomeEvents, SomeSegments, time_option
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.errors import explain_os_error

if TYPE_CHECKING:
    from resegment.segmentation.planning.plan import Plan
    from resegment.segmentation.planning.saved import SavedPlan

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment plan segments.yaml

resegment plan segments.yaml --out plan.json

resegment plan segments.yaml --html plan.html

resegment plan --show plan.json

resegment plan new.yaml --segments old.yaml --events history.jsonl.gz
"""

CHANGES: Final = 3
"""The exit code if the file changes something."""

ROUTE_HELP: Final = (
    "Which accounts that the new version moves are enrolled: none, new-only (those that the workflow and play have "
    "not touched), all, or those that move into a SEGMENT (repeatable). Default: none."
)
ApplyRoute = Annotated[
    list[str] | None, typer.Option("--route", metavar="none|new-only|all|SEGMENT", help=ROUTE_HELP)
]


class PlanCommand(TyperCommand):
    """Lets `--html` stand without a file: then the page goes to standard output."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give `--html` its value."""
        given = []
        for place, one in enumerate(args):
            given.append(one)
            following = args[place + 1] if place + 1 < len(args) else ""
            if one == "--html" and following != "-" and not following.endswith((".html", ".htm")):
                given.append("-")
        rest: list[str] = super().parse_args(ctx, given)
        return rest


class NotWritten(WrongUse):
    """A file of the output cannot be written."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"cannot write {path}: {problem}",
            remedy="Choose a file in an existing folder that you can write to.",
        )
        self.path = path


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=PlanCommand, epilog=EXAMPLES)(plan)


@takes_servers
def plan(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="The segments file that would be applied, or a folder of them."),
    ] = None,
    *,
    segments: SomeSegments = None,
    events: SomeEvents = None,
    at: Annotated[
        int | None, time_option("Plan the switch for this time. Default: now, or right after the last event.")
    ] = None,
    form: EventFormat = None,
    route: ApplyRoute = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="PLAN", dir_okay=False, help="Save the plan, for `resegment apply PLAN`."
        ),
    ] = None,
    show: Annotated[
        Path | None,
        typer.Option(
            "--show", metavar="PLAN", dir_okay=False, help="Show a saved plan instead, also a stale one."
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="PAGE",
            dir_okay=False,
            allow_dash=True,
            help="Write one HTML file; - prints it.",
        ),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    outcomes: SavedOutcomes = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Show what a segments file would change: rules by their meaning, and which accounts would move, and why.

    Reads the running prefix, or with --events and --segments only recorded events. Changes nothing. Exits with 0 if the
    file means the same as the version in force, with 3 if it changes something, and with 2 if the file has errors.
    """
    from resegment.cli.versions.planning import check_route, plan_files, plan_prefix
    from resegment.console.terminal import print_note

    if sum((as_json, markdown, html == Path("-"))) > 1:
        raise typer.BadParameter("choose one of --json, --markdown and --html")
    if show is not None:
        if file is not None or out is not None or events:
            raise typer.BadParameter("--show shows a saved plan: give nothing else to plan")
        saved = read_saved(show)
    elif file is None:
        raise typer.BadParameter("give the segments file that would be applied", param_hint="FILE")
    elif is_saved(Path(file)):
        raise typer.BadParameter(f"{file} is a saved plan: show it with --show {file}", param_hint="FILE")
    elif events:
        saved = plan_files(file, segments, events, at, form, check_route(route))
    else:
        if form is not None:
            raise typer.BadParameter("--format describes the files of --events: pass both or neither")
        saved = asyncio.run(plan_prefix(file, servers, segments=segments, at=at, route=check_route(route)))
    saved = _set_beside(saved, outcomes)
    if out is not None:
        write_saved(out, saved)
    present(saved.plan, html=html, markdown=markdown, as_json=as_json)
    if html is not None and html != Path("-"):
        print_note(f"saved {html}: the plan as a page, to open in a browser")
    if out is not None:
        _tell_saved(out, saved.plan)
    if not saved.plan.is_empty:
        raise typer.Exit(CHANGES)


def _set_beside(saved: SavedPlan, outcomes: Path | None) -> SavedPlan:
    """Add what outcomes say about the segments of a plan and the accounts that it moves. Raises WrongReport."""
    if outcomes is None:
        return saved
    from msgspec.structs import replace

    from resegment.outcomes.advising import expect, warn_of
    from resegment.sources.outcomes import read_report

    report, plan = read_report(outcomes), saved.plan
    warnings = (*plan.warnings, *warn_of([one.name for one in plan.sizes], report))
    made = replace(plan, expected=expect(plan.flows, report), warnings=warnings)
    return replace(saved, plan=made)


def present(plan: Plan, *, html: Path | None, markdown: bool, as_json: bool) -> None:
    """Write the plan in the forms that were asked for; on the terminal if no other was."""
    from resegment.console.terminal import screen, write_json

    if html is not None:
        from resegment.console.planning.page import render_html

        page = render_html(plan)
        if html == Path("-"):
            sys.stdout.write(page)
            return
        _write(html, page.encode())
    if as_json:
        import msgspec

        write_json(sys.stdout.buffer, msgspec.to_builtins(plan))
    elif markdown:
        from resegment.console.planning.markdown import render_markdown

        sys.stdout.write(render_markdown(plan))
    else:
        from resegment.console.planning.terminal_view import render

        screen().print(render(plan))


def is_saved(path: Path) -> bool:
    """Return whether a file looks like a saved plan."""
    from resegment.segmentation.planning.saved import looks_saved

    if not path.is_file():
        return False
    with path.open("rb") as file:
        return looks_saved(file.read(256))


def read_saved(path: Path) -> SavedPlan:
    """Return a saved plan. Raises WrongPlan."""
    from resegment.segmentation.planning.saved import WrongPlan, decode_saved

    try:
        return decode_saved(str(path), path.read_bytes())
    except OSError as error:
        raise WrongPlan(str(path), explain_os_error(error)) from error


def write_saved(path: Path, saved: SavedPlan) -> None:
    """Save a plan. Raises NotWritten."""
    from resegment.segmentation.planning.saved import encode_saved

    _write(path, encode_saved(saved))


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise NotWritten(path, explain_os_error(error)) from error


def _tell_saved(path: Path, plan: Plan) -> None:
    from resegment.console.terminal import print_note

    if plan.base.number is None:
        print_note(f"saved {path}: a plan from recorded events can be shown, not applied")
    else:
        print_note(f"saved {path}: `resegment apply {path}` applies exactly this, once")
