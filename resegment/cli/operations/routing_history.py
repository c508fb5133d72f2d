"""`resegment routing history`: every decision of the router on one account, and why."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import typer

from resegment.cli.options import AsJson, OneAccount
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment routing history acme.com

resegment routing history acme.com --json | jq 'select(.what == "suppressed")'
"""


@takes_servers
def history(account: OneAccount, servers: ServerOptions = DEFAULT_SERVERS, as_json: AsJson = False) -> None:
    """Print every decision of the router on an account, with its reason and time; the newest last.

    An account keeps its latest 20 decisions, also those that sent no command. Earlier commands are read from Kafka. With --json, print one line for each decision.
    """
    from resegment.cli.operations.session import read_account, run_in_session
    from resegment.console.operations.routing import render_history
    from resegment.console.terminal import print_note, screen, write_json_lines
    from resegment.routing.staffing.past import find_gaps, tell_history
    from resegment.streams.operations.routing_status import read_sent

    wanted = read_account(account)

    async def run(session: Session) -> bool:
        (name,) = session.identify_all([wanted])
        (state,) = await session.reader.routed([name])
        if state is None:
            print_note(f"the router has no decision on {name}")
            return False
        topic = session.topics.workflow_commands
        number = session.reader.partition_of(name)
        sent = await read_sent(
            *(name, number, session.bootstrap, topic.name),
            security=session.security,
            opener=session.keys.record_opener(),
        )
        found = tell_history(state, sent)
        if as_json:
            write_json_lines(sys.stdout.buffer, (one.describe() for one in found))
        elif found:
            screen().print(render_history(found))
        days = 0 if topic.retention is None else topic.retention.days
        for gap in find_gaps(state, days):
            print_note(gap)
        return True

    if not run_in_session(run, servers):
        raise typer.Exit(1)
