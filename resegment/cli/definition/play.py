"""`resegment play`: what to say to which people of an account, and why now."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from typing import Annotated

import typer

from resegment.cli.options import (
    AsJson,
    EventFormat,
    OneAccount,
    SomeEvents,
    SomeSegments,
    time_option,
)
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.errors import ResegmentError

EXAMPLES = """
[bold]Examples[/bold]

resegment play acme.com

resegment play acme.com --json

resegment play acme.com --segments segments.yaml --events history.jsonl.gz --at 2026-01-31
"""


class GoneSegment(ResegmentError):
    """The account is still in a segment that is no longer in the file."""

    def __init__(self, account: str, segment: str) -> None:
        super().__init__(
            f"{account} is in {segment}, which is no longer in the segments file",
            remedy="Its next event or deadline moves it; `resegment explain` shows where to.",
        )
        self.account, self.segment = account, segment


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(play)


@takes_servers
def play(
    account: OneAccount,
    *,
    segments: SomeSegments = None,
    events: SomeEvents = None,
    at: Annotated[
        int | None,
        time_option("Show the play at this time. Default: now, or the time of the last event in --events."),
    ] = None,
    form: EventFormat = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print a brief on an account: why now, what to say to which people, on which channels, and what comes next.

    Reads the running prefix, or with --events only the recorded events.
    """
    from resegment.cli.definition.account_lookup import look_up_account
    from resegment.console.dates import reader
    from resegment.console.definition.brief import render
    from resegment.console.terminal import screen, write_json
    from resegment.localization import US, texts_in
    from resegment.segmentation.inspection.briefs import describe_brief, write_brief

    looked_up = look_up_account(account, at, segments=segments, events=events, form=form, servers=servers)
    engine, found = looked_up.engine, looked_up.account
    held = found.state.membership.segment or ""
    if held not in engine.program.numbers:
        raise GoneSegment(found.name, held)
    with texts_in(US if as_json else reader()):
        brief = write_brief(engine, found, looked_up.at)
    if as_json:
        write_json(sys.stdout.buffer, describe_brief(brief))
    else:
        screen().print(render(brief))
