"""`resegment outcomes`: the touches of one account, and what came of them."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Final

import typer

from resegment.cli.options import AsJson, EventFormat, OneAccount, PastArchive, RecordedCommands, SomeEvents
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session
    from resegment.outcomes.dataset import Dataset

EXAMPLES: Final = """
[bold]Examples[/bold]

resegment outcomes acme.com

resegment outcomes acme.com --window 30d --json | jq '.outcomes[] | select(.touch == null)'

resegment outcomes acme.com --archive s3://our-bucket/resegment

resegment outcomes acme.com --events outcomes.jsonl --commands commands.jsonl
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(outcomes)


def parse_window(text: str) -> timedelta:
    """Return a duration like 90d."""
    from resegment.schemas.times import parse_duration

    try:
        return timedelta(milliseconds=parse_duration(text))
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text[:40]!r} is not a duration: write 90d or 12h") from None


@takes_servers
def outcomes(
    account: OneAccount,
    *,
    window: Annotated[
        timedelta | None,
        typer.Option(
            "--window",
            metavar="DURATION",
            parser=parse_window,
            help="For how long after a touch an outcome that says nothing better is credited to it. Default: the setting, 90d.",
        ),
    ] = None,
    events: SomeEvents = None,
    commands: RecordedCommands = None,
    form: EventFormat = None,
    archive: PastArchive = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print the touches of an account, and each outcome with the touch that it is credited to, or why it is to none.

    A touch is an enrollment, or a draw that held the account out, as the account was then. Exits with 1 if there are none.
    """
    from resegment.cli.connection import load_settings
    from resegment.cli.operations.session import read_account, run_in_session
    from resegment.console.outcomes.account_view import describe_account, render_account
    from resegment.console.terminal import print_note, screen, write_json
    from resegment.settings import ReaderSettings

    wanted = read_account(account)
    if (events is None) != (commands is None):
        raise typer.BadParameter(
            "--events and --commands go together: outcomes are in events, touches in commands"
        )
    if archive is not None and events is not None:
        raise typer.BadParameter("--archive and --events are two places: give one")
    if archive is not None:
        name, found = asyncio.run(
            _read_archive(servers, archive, wanted, window or ReaderSettings().outcome_window)
        )
    elif events is not None and commands is not None:
        spell = window or ReaderSettings().outcome_window
        name, found = (
            wanted,
            _read_files(wanted, events, commands, None if form is None else form.value, spell),
        )
    else:
        spell = window or load_settings(servers).outcome_window

        async def run(session: Session) -> tuple[str, Dataset]:
            return await _read_live(session, wanted, spell)

        name, found = run_in_session(run, servers)
    if as_json:
        write_json(sys.stdout.buffer, describe_account(name, found))
    elif found.touches.is_empty() and found.outcomes.is_empty():
        print_note(f"{name} has no touch and no outcome")
    else:
        screen().print(render_account(name, found))
    if found.dropped:
        print_note(f"{found.dropped:,} older touches and outcomes are not kept: the account has too many.")
    if found.touches.is_empty() and found.outcomes.is_empty():
        raise typer.Exit(1)


async def _read_archive(
    servers: ServerOptions, archive: str, wanted: str, window: timedelta
) -> tuple[str, Dataset]:
    """Return the account and its data set, as an archive has it."""
    from resegment.cli.past.looking import view_archive
    from resegment.streams.outcomes.archived import read_dataset_log

    view = await view_archive(servers, archive, 0)
    known = await view.read_identities()
    merged = known.merged()
    name = known.account_of(known.names.get(wanted, wanted))
    found = await read_dataset_log(view.source, window=window, accounts=merged)
    return name, found.of_account(name, merged)


async def _read_live(session: Session, wanted: str, window: timedelta) -> tuple[str, Dataset]:
    """Return the account and its data set. Facts may be with any account that it was ever merged with."""
    from resegment.streams.identities.log import read_identities
    from resegment.streams.outcomes.live import read_account_dataset
    from resegment.streams.prefix import identities_of

    name = session.identify(wanted)
    known = await read_identities(session.bootstrap, session.topics, session.security)
    related = {name}
    for one in known.operations.values():
        together = {one.alias, one.account, *one.path}
        if together & related or known.account_of(one.alias) == name:
            related |= together
    _, merged = identities_of(session.held)
    found = await read_account_dataset(session.reader, name, related, window=window, accounts=merged)
    return name, found


def _read_files(
    name: str, events: list[str], commands: list[str], form: str | None, window: timedelta
) -> Dataset:
    from resegment.cli.definition.facts import report
    from resegment.sources.files.reader import Refusals, read_events
    from resegment.streams.outcomes.files import read_dataset_files

    refusals = Refusals()
    located = chain.from_iterable(read_events(path, form) for path in events)
    found = read_dataset_files(located, commands, refusals, window=window)
    report(refusals, found.outcomes.height)
    return found.of_account(name, {})
