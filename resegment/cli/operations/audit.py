"""`resegment audit`: who changed what by a command, and what came of it."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.options import AsJson, limit_option, time_option
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment audit --since 2026-11-01

resegment audit --actor ann@acme.com --json

resegment --as ann@acme.com routing set changed
"""

SHOWN: Final = 50
"""Commands in a table without --limit."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(audit)


@takes_servers
def audit(
    since: Annotated[int | None, time_option("Only commands that began at this time or later.")] = None,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="NAME", help="Only commands that this person ran.")
    ] = None,
    action: Annotated[
        str | None,
        typer.Option("--action", metavar="COMMAND", help="Only this command, such as 'owners leave'."),
    ] = None,
    limit: Annotated[
        int | None,
        limit_option("Only the newest N.", SHOWN),
    ] = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print who changed what by a command, when, and what came of it; the newest last.

    With --json, print one line for each command.
    """
    from resegment.cli.operations.session import run_in_session
    from resegment.console.operations.audit import render
    from resegment.console.terminal import print_note, screen, write_json_lines
    from resegment.streams.audit.reading import read_audit_log

    if limit is None and not as_json:
        limit = SHOWN

    async def run(session: Session) -> None:
        every = await read_audit_log(
            session.bootstrap, session.topics.audit_log.name, security=session.security
        )
        found = [
            one
            for one in every
            if (since is None or one.begun.at >= since)
            and actor in (None, one.begun.actor)
            and action in (None, one.begun.action)
        ]
        shown = found if limit is None else found[-limit:]
        if as_json:
            write_json_lines(sys.stdout.buffer, (one.describe() for one in shown))
        elif shown:
            screen().print(render(shown))
        if not found:
            print_note("no matching commands" if every else "no command has changed anything yet")
        elif len(shown) < len(found):
            print_note(f"the newest {len(shown):,} of {len(found):,} shown; use --limit to see more")

    run_in_session(run, servers)
