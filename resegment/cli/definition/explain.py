"""`resegment explain`: why an account is in its segment, and what comes next."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from typing import Annotated

import typer

from resegment.cli.options import (
    AsIdentified,
    AsJson,
    EventFormat,
    Identity,
    OneAccount,
    PastArchive,
    SomeEvents,
    SomeSegments,
    time_option,
)
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

EXAMPLES = """
[bold]Examples[/bold]

resegment explain acme.com

resegment explain acme.com --at 2026-01-31

resegment explain acme.com --at 2026-01-31 --archive s3://our-bucket/resegment

resegment explain acme.com --segments segments.yaml --events history.jsonl.gz --at 2026-01-31
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(explain)


@takes_servers
def explain(
    account: OneAccount,
    *,
    segments: SomeSegments = None,
    events: SomeEvents = None,
    at: Annotated[
        int | None,
        time_option(
            "Explain the account at this time. Default: now, or the time of the last event in --events."
        ),
    ] = None,
    archive: PastArchive = None,
    identity: AsIdentified = Identity.then,
    form: EventFormat = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Explain an account's segment: what each condition says and why, what other segments need, and what comes next.

    Reads the running prefix, or with --events only the recorded events. Without --events and --at it also shows how the
    account is routed.
    """
    from resegment.cli.definition.account_lookup import look_up_account
    from resegment.console.dates import spell_instant
    from resegment.console.definition.explanation import render
    from resegment.console.terminal import print_note, screen, write_json
    from resegment.routing.describe import describe_routing, tell_end, words_of
    from resegment.segmentation.inspection.explain import describe_explanation
    from resegment.segmentation.inspection.explain import explain as find_reasons

    one = look_up_account(
        account,
        at,
        segments=segments,
        events=events,
        form=form,
        servers=servers,
        archive=archive,
        identity=identity,
    )
    explanation, routing = find_reasons(one.engine, one.account, one.at), one.routing
    if as_json:
        described = None if routing is None else describe_routing(routing, one.turn)
        version = None if one.version is None else one.version._asdict()
        write_json(
            sys.stdout.buffer,
            {**describe_explanation(explanation), "routing": described, "version": version},
        )
    else:
        if at is not None and one.version is not None:
            print_note(
                f"As of {spell_instant(at)}, by version {one.version.number} ({one.version.fingerprint})."
            )
        screen().print(
            render(
                explanation,
                None if routing is None else f"{words_of(routing)}{tell_end(routing, one.turn)}",
            )
        )
