"""`resegment privacy export`: everything that is known about an account or a person."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment privacy export acme.com > acme.json

resegment privacy export acme.com --person "Ann Lee"

resegment privacy export --person ann@acme.com
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(export)


@takes_servers
def export(
    account: Annotated[
        str | None, typer.Argument(metavar="[ACCOUNT]", help="Domain, URL or e-mail address.")
    ] = None,
    *,
    person: Annotated[
        str | None,
        typer.Option(
            metavar="PERSON",
            help="Only what names this person: a name or an e-mail address. Facts that have both link them. Without an account, at all of them.",
        ),
    ] = None,
    servers: ServerOptions = DEFAULT_SERVERS,
) -> None:
    """Print everything that is known about an account, a person of it, or a person at any account, as JSON.

    That is: facts, changes, commands, the state, routing, owners, touches and outcomes, persons to contact, dead letters and events that
    wait. What somebody who is forgotten was named in is absent.
    """
    import sys

    from resegment.cli.operations.session import read_account, run_in_session
    from resegment.console.sanitizing import escape_json

    if account is None and person is None:
        raise WrongUse("nothing to export", remedy="Give an account, or --person, or both.")
    wanted = None if account is None else read_account(account)

    async def run(session: Session) -> Any:
        return await _gather(session, None if wanted is None else session.identify(wanted), person)

    import orjson

    found = run_in_session(run, servers)
    sys.stdout.buffer.write(escape_json(orjson.dumps(found, option=orjson.OPT_INDENT_2)) + b"\n")
    sys.stdout.buffer.flush()


async def _gather(session: Session, account: str | None, person: str | None) -> Any:
    from resegment.state.sinks.people import PeopleStore
    from resegment.streams.exporting.mentions import Mentions
    from resegment.streams.exporting.personal import ExportedPrefix, Wanted, export_personal
    from resegment.streams.prefix import identities_of

    prefix = ExportedPrefix(
        session.bootstrap,
        session.topics,
        session.security,
        session.reader,
        PeopleStore(session.client, session.prefix),
        await session.keys.ring(),
        session.keys.record_opener(),
    )
    _, merged = identities_of(session.held)
    names = (
        () if account is None else (account, *(alias for alias, into in merged.items() if into == account))
    )
    mentions = None if person is None else Mentions(person)
    return await export_personal(prefix, Wanted(frozenset(names), mentions), await session.now())
