"""`resegment accounts unresolved` and `resolve`: events whose subject is a name or an id, and which account that is."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.options import AsJson, limit_option
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from resegment.cli.operations.session import Session
    from resegment.identity.hints import Hint
    from resegment.streams.identities.waiting import WaitingName

UNRESOLVED_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment accounts unresolved

resegment accounts unresolved --json | jq -r .name
"""
RESOLVE_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment accounts resolve "Acme Inc" acme.com

resegment accounts resolve hubspot:123 acme.com

resegment accounts resolve https://www.linkedin.com/company/acme acme.com
"""
SHOWN: Final = 50
"""Names in a table without --limit."""
PATIENCE: Final = 30.0
"""Seconds that the command waits until workers have put the events in again."""


def register(app: typer.Typer) -> None:
    """Add the commands to the group `accounts`."""
    app.command(epilog=UNRESOLVED_EXAMPLES)(unresolved)
    app.command(epilog=RESOLVE_EXAMPLES)(resolve)


@takes_servers
def unresolved(
    *,
    limit: Annotated[
        int | None,
        limit_option("Show at most N.", SHOWN),
    ] = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print the names and ids that mean no account yet, how many events wait for each, and accounts that look alike.

    The hints are never used by themselves: say with accounts resolve which account is meant. With --json, print one line
    for each name.
    """
    from resegment.cli.operations.session import run_in_session
    from resegment.console.operations.accounts import render_unresolved
    from resegment.console.terminal import print_note, screen, write_json_lines
    from resegment.streams.identities.log import read_identities
    from resegment.streams.identities.waiting import list_waiting

    async def run(session: Session) -> None:
        known = await read_identities(session.bootstrap, session.topics, session.security)
        found = await list_waiting(
            session.bootstrap, session.topics, known, session.security, session.keys.record_opener()
        )
        shown = found[: limit if limit is not None or as_json else SHOWN]
        hints = await _find_hints(session, shown)
        if as_json:
            write_json_lines(sys.stdout.buffer, (_describe(one, hints[one.name]) for one in shown))
        elif shown:
            screen().print(render_unresolved(shown, hints))
        if len(shown) < len(found):
            print_note(f"{len(shown):,} of {len(found):,} names shown; use --limit to see more")
        elif not found:
            print_note("no events wait")

    run_in_session(run, servers)


@takes_servers
def resolve(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="The name of a company, a provider's id such as hubspot:123, or a page on LinkedIn.",
        ),
    ],
    account: Annotated[str, typer.Argument(metavar="DOMAIN", help="The account that it means.")],
    *,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Say which account a name or an id means, from now on and for the events that wait for it.

    These are put in again, and each counts once, however often the command is run.
    """
    from resegment.cli.identity.merges import read_domain
    from resegment.cli.operations.auditing import name_actor
    from resegment.cli.operations.session import run_in_session
    from resegment.console.counts import count
    from resegment.console.terminal import print_note, write_json
    from resegment.identity.names import read_name
    from resegment.schemas.identities.records import Alias

    key, domain = read_name(name), read_domain(account, "DOMAIN")
    if key is None and "." not in name:  # a name of one word
        key = read_name(f"name:{name}")
    if key is None:
        raise typer.BadParameter(
            "it is neither a name nor an id: `resegment accounts merge` makes one account of two domains",
            param_hint="NAME",
        )
    known_as: str = key

    async def run(session: Session) -> None:
        wish = Alias(
            name=known_as, account=domain, at=await session.now(), author=name_actor(session.settings)
        )
        async with session.trail.recording(
            "accounts resolve", {"name": known_as, "account": domain}
        ) as recording:
            waited, outcome = await _ask(session, wish)
            recording.result.update(events=waited, outcome=outcome)
        if as_json:
            write_json(
                sys.stdout.buffer, {"name": key, "account": domain, "events": waited, "outcome": outcome}
            )
            return
        said = f"{key} is {domain}"
        if not waited:
            print_note(f"{said}; no events waited for it")
        elif outcome == "done":
            print_note(f"{said}; {count(waited, 'event')} put in again")
        else:
            print_note(f"{said}; {count(waited, 'event')} will be put in again by the workers")

    run_in_session(run, servers, changes="accounts resolve")


async def _ask(session: Session, wish: object) -> tuple[int, str]:
    """Record the name; return how many events waited for it, and whether they have been put in again."""
    from resegment.schemas.identities.records import Alias
    from resegment.streams.heartbeat import read_workers
    from resegment.streams.identities.requests import Connection, resolve_name
    from resegment.streams.identities.waiting import list_waiting

    assert isinstance(wish, Alias)
    works = await read_workers(session.client, session.prefix)
    async with session.publisher("resegment-resolve") as publisher:
        connection = Connection(publisher, session.bootstrap, session.topics, session.security)
        known, recorded = await resolve_name(connection, wish)
        known.names.pop(wish.name, None)
        waiting = await list_waiting(
            session.bootstrap, session.topics, known, session.security, session.keys.record_opener()
        )
        waited = next((one.events for one in waiting if one.name == wish.name), 0)
        done = await recorded(PATIENCE if works and waited else 0.5)
    return waited, "done" if done else "pending"


async def _find_hints(session: Session, shown: Sequence[WaitingName]) -> Mapping[str, Sequence[Hint]]:
    """Return the known accounts that look like each name."""
    from resegment.identity.hints import HintFinder

    labels: dict[str, str] = {}
    if shown:
        async for batch in session.reader.places():
            for one in batch:
                labels.setdefault(one.account.partition(".")[0].replace("-", ""), one.account)
    finder = HintFinder(labels)
    return {one.name: finder.find(one.name) for one in shown}


def _describe(one: WaitingName, hints: Sequence[Hint]) -> dict[str, object]:
    from resegment.schemas.times import format_instant

    return {
        "name": one.name,
        "events": one.events,
        "first": format_instant(one.first),
        "last": format_instant(one.last),
        "sources": list(one.sources),
        "types": list(one.kinds),
        "hints": [{"account": hint.account, "score": hint.score} for hint in hints],
    }
