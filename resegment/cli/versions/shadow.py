"""`resegment shadow`, `promote` and `discard`: a version that is judged beside the one in force."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import typer

from resegment.cli.options import AsJson
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.cli.versions.apply import At, Author, Message, PlanHash, Yes
from resegment.cli.versions.applying import Asked
from resegment.cli.versions.plan import ApplyRoute

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session

SHADOW_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment apply segments.yaml --shadow

resegment shadow

resegment shadow --json | jq .elsewhere
"""
PROMOTE_EXAMPLES: Final = """
[bold]Example[/bold]

resegment promote --message "judged for a week"
"""
DISCARD_EXAMPLES: Final = """
[bold]Example[/bold]

resegment discard
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=SHADOW_EXAMPLES)(shadow)
    app.command(epilog=PROMOTE_EXAMPLES)(promote)
    app.command(epilog=DISCARD_EXAMPLES)(discard)


@takes_servers
def shadow(servers: ServerOptions = DEFAULT_SERVERS, as_json: AsJson = False) -> None:
    """Compare the shadow with the version in force: sizes, accounts that it has elsewhere, and why.

    The shadow has judged every account since it began, with exits and holds of its own. Nothing of that goes out.
    """
    from resegment.cli.operations.session import run_in_session
    from resegment.cli.versions.planning import read_planned
    from resegment.console.progress import show_progress
    from resegment.streams.operations.shadow import compare_shadow

    async def run(session: Session) -> None:
        with show_progress() as bars:
            report = await compare_shadow(await read_planned(session), bars.count)
        if as_json:
            import msgspec

            from resegment.console.terminal import write_json

            write_json(sys.stdout.buffer, msgspec.to_builtins(report))
        else:
            from resegment.console.planning.shadow import render
            from resegment.console.terminal import screen

            screen().print(render(report))

    run_in_session(run, servers)


@takes_servers
def promote(
    at: At = None,
    message: Message = "",
    author: Author = None,
    route: ApplyRoute = None,
    plan_hash: PlanHash = None,
    yes: Yes = False,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Switch to the shadow's version, as `apply` does, and end the shadow. Shows the plan and asks first."""
    from resegment.cli.operations.session import run_in_session
    from resegment.cli.versions.applying import carry_out, connect
    from resegment.cli.versions.planning import check_route, check_segments, plan_session
    from resegment.streams.definitions.applying.apply import discard_shadow
    from resegment.streams.operations.planning import Wish
    from resegment.streams.operations.shadow import find_shadow
    from resegment.streams.operations.switching.intents import Intent

    asked = Asked(at, message, author, plan_hash, yes, as_json=as_json, command="promote")
    chosen = check_route(route)

    async def run(session: Session) -> None:
        registry = await session.load_registry()
        version = find_shadow(registry).apply.version
        definition = registry.definitions.definition_of(version)
        check_segments(chosen, definition)
        wish = Wish(definition, chosen, at)
        await carry_out(session, Intent(await plan_session(session, wish), wish), asked)
        async with session.publisher("resegment-apply") as publisher:
            await discard_shadow(connect(session, publisher))

    run_in_session(run, servers, changes="promote")


@takes_servers
def discard(servers: ServerOptions = DEFAULT_SERVERS, as_json: AsJson = False) -> None:
    """End the shadow. The version in force stays."""
    from resegment.cli.operations.session import run_in_session
    from resegment.cli.versions.applying import connect
    from resegment.console.terminal import print_note, write_json
    from resegment.streams.definitions.applying.apply import discard_shadow
    from resegment.streams.operations.shadow import NoShadow

    async def run(session: Session) -> None:
        async with (
            session.trail.recording("discard", {}) as recording,
            session.publisher("resegment-apply") as publisher,
        ):
            version = await discard_shadow(connect(session, publisher))
            if version is None:
                raise NoShadow
            recording.result["version"] = version
        if as_json:
            write_json(sys.stdout.buffer, {"discarded": version})
        else:
            print_note(f"version {version} is judged no longer")

    run_in_session(run, servers, changes="discard")
