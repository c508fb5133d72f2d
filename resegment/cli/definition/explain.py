"""`resegment explain`: why an account is where it is, and what comes next."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from typing import Annotated

import typer

from resegment.cli.options import (
    TIME_METAVAR,
    AsJson,
    EventFormat,
    SomeEvents,
    SomeSegments,
    parse_time,
)
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

EXAMPLES = """
[bold]Examples[/bold]

resegment explain acme.com

resegment explain acme.com --at 2026-01-31

resegment explain acme.com --segments segments.yaml --events history.jsonl.gz --at 2026-01-31
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(explain)


@takes_servers
def explain(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its domain, in any spelling.")],
    *,
    segments: SomeSegments = None,
    events: SomeEvents = None,
    at: Annotated[
        int | None,
        typer.Option(
            parser=parse_time,
            metavar=TIME_METAVAR,
            help="Explain this time; by default now, or that of the last of the --events, whoever's it is.",
        ),
    ] = None,
    form: EventFormat = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Explain an account's segment: what each condition says and why, what is missing for others, what comes next.

    It is explained as the running prefix has it, or, with --events, from recorded events alone. Where neither those nor
    --at are given, it is told how the account is routed, too.
    """
    from resegment.cli.definition.account_lookup import look_up_account
    from resegment.console.definition.explanation import render
    from resegment.console.terminal import screen, write_json
    from resegment.routing.describe import describe_routing, words_of
    from resegment.segmentation.inspection.explain import describe_explanation
    from resegment.segmentation.inspection.explain import explain as find_reasons

    one = look_up_account(account, at, segments=segments, events=events, form=form, servers=servers)
    explanation, routing = find_reasons(one.engine, one.account, one.at), one.routing
    if as_json:
        described = None if routing is None else describe_routing(routing)
        write_json(sys.stdout.buffer, {**describe_explanation(explanation), "routing": described})
    else:
        screen().print(render(explanation, None if routing is None else words_of(routing)))
