"""`resegment accounts merge`, `unmerge` and `merges`: which accounts are one."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.options import AsJson
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session
    from resegment.schemas.identities.records import Merge, Unmerge

MERGE_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment accounts merge acme.io acme.com

resegment accounts merge old-name.com new-name.com --yes
"""
UNMERGE_EXAMPLE: Final = """
[bold]Example[/bold]

resegment accounts unmerge acme.io
"""
MERGES_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment accounts merges

resegment accounts merges --json > aliases.json
"""
PATIENCE: Final = 60.0
"""Seconds that a command waits until workers have carried out what it asked for."""

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the group `accounts`."""
    app.command(epilog=MERGE_EXAMPLES)(merge)
    app.command(epilog=UNMERGE_EXAMPLE)(unmerge)
    app.command(epilog=MERGES_EXAMPLES)(merges)


@takes_servers
def merge(
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="The account that ends.")],
    account: Annotated[
        str, typer.Argument(metavar="ACCOUNT", help="The account that gets its facts. It may be new.")
    ],
    *,
    yes: Yes = False,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Merge an account into another one, or give it a new name.

    The facts of ALIAS become facts of ACCOUNT, and so do those that arrive later. ALIAS leaves its segment and its workflow.
    The segment of ACCOUNT is then what it would be if all events had been sent about it. To undo it: accounts unmerge.
    """
    from resegment.cli.operations.auditing import name_actor
    from resegment.cli.operations.session import run_in_session
    from resegment.identity.aliases import file_aliases
    from resegment.schemas.identities.records import Merge

    old, named = read_domain(alias, "ALIAS"), read_domain(account, "ACCOUNT")
    new = file_aliases().get(named, named)

    async def run(session: Session) -> None:
        if not yes and not as_json:
            typer.confirm(await _question(session, old, new), abort=True, err=True)
        wish = Merge(alias=old, account=new, at=await session.now(), author=name_actor(session.settings))
        async with session.trail.recording("accounts merge", {"alias": old, "account": new}) as recording:
            recording.result["outcome"] = await _ask(session, wish, as_json=as_json)

    run_in_session(run, servers, changes="accounts merge")


@takes_servers
def unmerge(
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="The account that was merged into another.")],
    *,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Take an account out of the one that it was merged into.

    Its facts go back to it, those that arrived since the merge included. Changes that were announced stand, and no workflow
    is entered again because of it.
    """
    from resegment.cli.operations.auditing import name_actor
    from resegment.cli.operations.session import run_in_session
    from resegment.schemas.identities.records import Unmerge

    old = read_domain(alias, "ALIAS")

    async def run(session: Session) -> None:
        wish = Unmerge(alias=old, at=await session.now(), author=name_actor(session.settings))
        async with session.trail.recording("accounts unmerge", {"alias": old}) as recording:
            recording.result["outcome"] = await _ask(session, wish, as_json=as_json)

    run_in_session(run, servers, changes="accounts unmerge")


@takes_servers
def merges(*, servers: ServerOptions = DEFAULT_SERVERS, as_json: AsJson = False) -> None:
    """Print which accounts are merged into which. With --json, in the form of the file of RESEGMENT_ALIASES."""
    from resegment.cli.operations.session import run_in_session
    from resegment.console.operations.accounts import render_merges
    from resegment.console.terminal import print_note, screen, write_json
    from resegment.streams.identities.log import read_identities

    async def run(session: Session) -> None:
        found = await read_identities(session.bootstrap, session.topics, session.security)
        table = {**found.names, **found.merged()}
        if as_json:
            write_json(sys.stdout.buffer, dict(sorted(table.items())))
        elif table:
            screen().print(render_merges(found))
        else:
            print_note("no accounts are merged, and no names are resolved")

    run_in_session(run, servers)


async def _ask(session: Session, wish: Merge | Unmerge, *, as_json: bool) -> str:
    """Record what is wished for, wait until it is carried out, and say so; return what came of it."""
    from resegment.console.terminal import print_note, write_json
    from resegment.schemas.identities.records import Merge
    from resegment.streams.heartbeat import read_workers
    from resegment.streams.identities.requests import Connection, request

    works = await read_workers(session.client, session.prefix)
    async with session.publisher("resegment-merge") as publisher:
        connection = Connection(publisher, session.bootstrap, session.topics, session.security)
        done = await request(connection, wish, patience=PATIENCE if works else 1.0)
    account = done.identities.account_of(wish.account) if isinstance(wish, Merge) else None
    if as_json:
        described = {"alias": wish.alias, "account": account, "outcome": done.outcome}
        write_json(sys.stdout.buffer, described)
    elif done.outcome == "pending":
        print_note("it is recorded, and workers carry it out as soon as they can")
    elif isinstance(wish, Merge):
        already = "already " if done.outcome == "nothing" else ""
        print_note(f"{wish.alias} is {already}part of {account}")
    else:
        print_note(
            f"{wish.alias} is an account of its own" + (" already" if done.outcome == "nothing" else "")
        )
    return done.outcome


async def _question(session: Session, alias: str, account: str) -> str:
    states = await session.reader.states([alias, account])
    counts = [
        "not known yet"
        if one is None or one.membership.segment is None
        else f"{len(one.entries):,} facts, in {one.membership.segment}"
        for one in states
    ]
    return f"Merge {alias} ({counts[0]}) into {account} ({counts[1]})?"


def read_domain(text: str, what: str) -> str:
    """Return the registrable domain of a text; aliases are not followed, because they are what this is about."""
    from resegment.errors import RefusedEvent
    from resegment.identity.domains import registrable_domain

    try:
        return registrable_domain(text)
    except RefusedEvent as error:
        raise typer.BadParameter(error.message, param_hint=what) from error
