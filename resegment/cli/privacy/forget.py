"""`resegment forget`: forget a company or a person, list where their data lies, and undo it."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from resegment.cli.options import AsJson
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session
    from resegment.errors import FatalError
    from resegment.identity.merges import Identities
    from resegment.state.keys.keyring import Keyring
    from resegment.streams.forgetting.requests import Asked
    from resegment.streams.identities.requests import Connection

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment forget acme.com --dry-run

resegment forget acme.com --yes

resegment forget acme.com --person ann@acme.com

resegment forget acme.com --undo
"""
PATIENCE: Final = 90.0
"""Seconds that the command waits until workers have done what it asks for."""

PENDING: Final = "it is recorded, and workers carry it out as soon as they can"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(forget)


@takes_servers
def forget(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Domain, URL or e-mail address.")],
    *,
    person: Annotated[
        str | None,
        typer.Option(metavar="PERSON", help="Forget only this person: a name or an e-mail address."),
    ] = None,
    texts: Annotated[
        bool,
        typer.Option(
            "--texts",
            help="With --person: also texts and URLs of events that name nobody but may quote them.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing: print where data lies, and how much.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Let new events count again. What was forgotten stays forgotten.")
    ] = False,
    purge_triggers: Annotated[
        bool,
        typer.Option(
            "--purge-triggers",
            help="Also delete all that intake has read from the topics of events, of every account.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Forget an account, or one person of it, for good.

    The keys of the data are destroyed, and what Redis, tables and consoles keep of it is deleted. An account leaves its workflow
    and its segment, and events about it count for nothing until --undo. To see what is still pending, run: verify --forgotten.
    """
    from resegment.cli.connection import WrongUse
    from resegment.cli.operations.session import run_in_session

    if texts and person is None:
        raise WrongUse(
            "--texts goes with --person", remedy="Without --person the whole account is forgotten."
        )
    if undo and (dry_run or texts or purge_triggers):
        raise WrongUse("--undo takes only --person", remedy="Leave the other options out.")

    async def run(session: Session) -> None:
        from resegment.streams.identities.log import read_identities

        known = await read_identities(session.bootstrap, session.topics, session.security)
        name = _read_account(session, account)
        ring, spellings = await _find_person(session, known, name, person)
        if dry_run:
            await _list_places(session, known, name, spellings, as_json=as_json)
        elif undo:
            await _undo(session, ring, known, name, spellings, as_json=as_json)
        else:
            if not yes and not as_json:
                typer.confirm(_question(known, name, spellings), abort=True, err=True)
            asked = await _forget(session, ring, known, name, spellings, texts=texts)
            purged, failure = await _purge(session) if purge_triggers else (None, None)
            _tell(name, person, asked, purged, ring, as_json=as_json)
            if failure is not None:
                raise failure

    run_in_session(run, servers, changes=None if dry_run else "forget")


def _read_account(session: Session, text: str) -> str:
    """Return the account that a text means. Merges are not followed: an alias is refused, with what to do."""
    from resegment.cli.operations.session import read_account
    from resegment.identity.names import Unresolved, read_name
    from resegment.streams.prefix import identities_of

    name = read_account(text)
    names, _ = identities_of(session.held)
    account = names.get(name, name)
    if account == name and read_name(name) == name:
        raise typer.BadParameter(Unresolved(name).message, param_hint="ACCOUNT")
    return account


async def _find_person(
    session: Session, known: Identities, account: str, person: str | None
) -> tuple[Keyring | None, Sequence[str]]:
    """Return the keyring, and all spellings of a person that contacts and the log know."""
    from resegment.state.sinks.people import PeopleStore
    from resegment.streams.exporting.personal import ExportedPrefix, Wanted, read_facts
    from resegment.streams.forgetting.requests import PersonsNeedKeys
    from resegment.streams.forgetting.spellings import find_spellings

    ring = await session.keys.ring()
    if person is None:
        return ring, ()
    if ring is None:
        raise PersonsNeedKeys
    path = (account, *known.aliases_of(account))
    people = PeopleStore(session.client, session.prefix)
    place = session.bootstrap, session.topics, session.security, session.reader, people
    prefix = ExportedPrefix(*place, ring, session.keys.record_opener())
    facts = [one async for one in read_facts(prefix, Wanted(frozenset(path)))]
    contacts = [one for name in path for one in await people.read(name)]
    spellings = find_spellings(person, contacts, facts)
    if not spellings:
        raise typer.BadParameter("no name or address is in it", param_hint="--person")
    return ring, spellings


async def _forget(
    session: Session,
    ring: Keyring | None,
    known: Identities,
    account: str,
    spellings: Sequence[str],
    *,
    texts: bool,
) -> Asked:
    from resegment.cli.operations.auditing import name_actor
    from resegment.schemas.identities.records import Forget
    from resegment.streams.forgetting.requests import request_forget

    persons = _name_keys(ring, known, account, spellings)
    now, author = await session.now(), name_actor(session.settings)
    wish = Forget(account=account, at=now, author=author, persons=persons, texts=texts)
    asked = {"account": account, "person": persons[0] if persons else None, "texts": texts or None}
    async with _asking(session, "forget", asked) as (connection, patience, result):
        done = await request_forget(connection, ring, wish, spellings, patience=patience)
        result["outcome"] = done.outcome
    return done


async def _undo(
    session: Session,
    ring: Keyring | None,
    known: Identities,
    account: str,
    spellings: Sequence[str],
    *,
    as_json: bool,
) -> None:
    from resegment.cli.operations.auditing import name_actor
    from resegment.console.terminal import print_note, write_json
    from resegment.schemas.identities.records import Lift
    from resegment.streams.forgetting.requests import request_lift

    persons = _name_keys(ring, known, account, spellings)
    wish = Lift(account=account, at=await session.now(), author=name_actor(session.settings), persons=persons)
    asked = {"account": account, "person": persons[0] if persons else None}
    async with _asking(session, "forget undo", asked) as (connection, patience, result):
        done = await request_lift(connection, wish, patience=patience)
        result["outcome"] = done.outcome
    if as_json:
        write_json(sys.stdout.buffer, {"account": account, "outcome": done.outcome})
        return
    what = "the person" if persons else account
    said = {
        "nothing": f"{what} is not forgotten",
        "pending": PENDING,
        "done": f"new events about {what} count again; what was forgotten stays forgotten",
    }
    print_note(said[done.outcome])


def _name_keys(
    ring: Keyring | None, known: Identities, account: str, spellings: Sequence[str]
) -> tuple[str, ...]:
    """Return the names of a person's keys; none for a whole account."""
    from resegment.streams.forgetting.requests import name_persons

    if ring is None or not spellings:
        return ()
    return name_persons(ring, (account, *known.aliases_of(account)), spellings)


@asynccontextmanager
async def _asking(
    session: Session, action: str, about: Mapping[str, Any]
) -> AsyncIterator[tuple[Connection, float, dict[str, Any]]]:
    """Record that something is asked for. Yields what asks, for how many seconds it waits, and the result to record."""
    from resegment.streams.heartbeat import read_workers
    from resegment.streams.identities.requests import Connection

    works = await read_workers(session.client, session.prefix)
    async with (
        session.trail.recording(action, about) as recording,
        session.publisher("resegment-forget") as publisher,
    ):
        connection = Connection(publisher, session.bootstrap, session.topics, session.security)
        yield connection, PATIENCE if works else 1.0, recording.result


def _question(known: Identities, account: str, spellings: Sequence[str]) -> str:
    if spellings:
        return f"Forget {' = '.join(spellings)} at {account}? What is forgotten cannot be brought back."
    aliases = known.aliases_of(account)
    more = f" and its aliases {', '.join(aliases)}" if aliases else ""
    return f"Forget {account}{more}? What is forgotten cannot be brought back."


async def _list_places(
    session: Session, known: Identities, account: str, spellings: Sequence[str], *, as_json: bool
) -> None:
    from resegment.console.terminal import screen, write_json
    from resegment.streams.forgetting.checking import open_check
    from resegment.streams.forgetting.places import AccountPlaces
    from resegment.streams.forgetting.surveying import survey

    check = await open_check(session.client, session.reader, session, session.settings)
    elsewhere = list(await check.look_at_shared())
    places = AccountPlaces(session.client, session.prefix, session.reader.partitions)
    found: dict[str, Mapping[str, Any]] = {}
    for name in (account, *known.aliases_of(account)):
        found[name] = await survey(
            name, session.reader, places, session.bootstrap, session.topics, session.security
        )
    if as_json:
        described = {"accounts": found, "elsewhere": elsewhere, "person": list(spellings) or None}
        write_json(sys.stdout.buffer, described)
        return
    if spellings:
        screen().print(f"the person: {' = '.join(spellings)}", soft_wrap=True)
    for name, counts in found.items():
        screen().print(f"{name}:", soft_wrap=True)
        for place, count in counts.items():
            screen().print(f"  {place}: {count:,}", soft_wrap=True)
        if not counts:
            screen().print("  nothing is known of it", soft_wrap=True)
    screen().print("what may have copies of anything:", soft_wrap=True)
    for what in elsewhere:
        screen().print(f"  {what}", soft_wrap=True)


async def _purge(session: Session) -> tuple[int | None, FatalError | None]:
    """Return how many events were deleted, or why they were not: what is forgotten is told first."""
    from resegment.streams.forgetting.purging import PurgeFailed, purge_triggers

    try:
        deleted = await purge_triggers(session.bootstrap, session.prefix, session.topics, session.security)
    except PurgeFailed as failure:
        return None, failure
    return deleted, None


def _tell(
    account: str, person: str | None, asked: Asked, purged: int | None, ring: Keyring | None, *, as_json: bool
) -> None:
    from resegment.console.terminal import print_note, write_json

    if as_json:
        described = {
            "account": account,
            "outcome": asked.outcome,
            "sealed": ring is not None,
            "purged": purged,
        }
        write_json(sys.stdout.buffer, described)
        return
    what = account if person is None else f"the person at {account}"
    said = {
        "nothing": f"{what} is forgotten already",
        "pending": PENDING,
        "done": f"{what} is forgotten",
    }
    print_note(said[asked.outcome])
    if ring is None:
        print_note("without keys, the log keeps its events as plain text: see `resegment verify --forgotten`")
    if purged is not None:
        print_note(f"{purged:,} records of events were deleted from the topics that intake reads")
