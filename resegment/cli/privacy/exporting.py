"""`resegment privacy export`: everything that is known about an account or a person."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        list[str] | None,
        typer.Option(
            metavar="PERSON",
            help="Only what is about this person: an e-mail or LinkedIn address, or a full name at the account. Repeat it for several that are known to be the same person's. Without an account, at all of them.",
        ),
    ] = None,
    servers: ServerOptions = DEFAULT_SERVERS,
) -> None:
    """Print everything that is known about an account, a person of it, or a person at any account, as JSON.

    That is: facts, changes, commands, the state, routing, owners, touches and outcomes, persons to contact, dead letters and events that
    wait. What is about somebody who is forgotten is absent. Of a person, nothing is printed that is about another one: what several may
    be called, like a phone number or a first name, is only counted (`may_also_concern`).
    """
    import sys

    from resegment.cli.operations.session import read_account, run_in_session
    from resegment.console.sanitizing import escape_json
    from resegment.streams.exporting.person import IdentifiesNobody, Person

    if account is None and not person:
        raise WrongUse("nothing to export", remedy="Give an account, or --person, or both.")
    wanted = None if account is None else read_account(account)
    try:
        Person(person or (), wanted)
    except IdentifiesNobody as error:
        raise WrongUse(error.message, remedy=error.remedy) from None

    async def run(session: Session) -> Any:
        return await _gather(session, None if wanted is None else session.identify(wanted), person or ())

    import orjson

    found = run_in_session(run, servers)
    sys.stdout.buffer.write(escape_json(orjson.dumps(found, option=orjson.OPT_INDENT_2)) + b"\n")
    sys.stdout.buffer.flush()


async def _gather(session: Session, account: str | None, person: Sequence[str]) -> Any:
    from resegment.state.sinks.people import PeopleStore
    from resegment.streams.exporting.person import Person
    from resegment.streams.exporting.personal import ExportedPrefix, Wanted, export_personal
    from resegment.streams.identities.log import read_identities

    identities = await read_identities(session.bootstrap, session.topics, session.security)
    prefix = ExportedPrefix(
        session.bootstrap,
        session.topics,
        session.security,
        session.reader,
        PeopleStore(session.client, session.prefix),
        await session.keys.ring(),
        session.keys.record_opener(),
        identities.absent_by_hosts(),
    )
    names = () if account is None else (account, *identities.aliases_of(account))
    wanted = Wanted(frozenset(names), Person(person, account, identities.account_of) if person else None)
    return await export_personal(prefix, wanted, await session.now())
