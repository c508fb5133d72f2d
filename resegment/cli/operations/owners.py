"""`resegment owners`: how many accounts each member owns; members who leave and return."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from resegment.cli.connection import WrongUse
from resegment.cli.options import AsJson, SomeSegments
from resegment.cli.servers import DEFAULT_SERVERS, ServerOptions, takes_servers
from resegment.errors import ResegmentError

if TYPE_CHECKING:
    from resegment.cli.operations.session import Session
    from resegment.state.owner_store import OwnerLoads
    from resegment.state.redis.owners import OwnerStore
    from resegment.streams.operations.owner_transfer import Portfolio

LIST_EXAMPLES: Final = """
[bold]Examples[/bold]

resegment owners list

resegment owners list --json | jq 'select(.waiting > 0)'
"""
LEAVE_EXAMPLE: Final = """
[bold]Example[/bold]

resegment owners leave "Ann Lee"

resegment owners leave "Ann Lee" --yes
"""
RETURN_EXAMPLE: Final = """
[bold]Example[/bold]

resegment owners return "Ann Lee" --accounts
"""
RECOUNT_EXAMPLE: Final = """
[bold]Example[/bold]

resegment owners recount
"""
EXAMPLE: Final = """
[bold]Example[/bold]

resegment owners list
"""

PATIENCE: Final = 10.0
"""Seconds to wait until a member's last accounts are reassigned."""
PAUSE: Final = 0.5
"""Seconds between two checks."""
TRIES: Final = 5
"""How many counts to try while accounts move."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="The member, as spelled in the segments file.")]


class NoSuchMember(ResegmentError):
    """No team has a member of that name, and no account ever had an owner of that name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        from difflib import get_close_matches

        close = get_close_matches(name, known, 1)
        super().__init__(
            f"no member is named {name!r}",
            remedy=f"Did you mean {close[0]!r}?" if close else "`resegment owners list` shows all members.",
        )
        self.name = name


class NotAsked(WrongUse):
    """Nobody can be asked, because there is no terminal."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"nobody was asked whether {name} leaves: there is no terminal",
            remedy="Pass --yes. Nothing was changed.",
        )
        self.name = name


class AccountsMove(ResegmentError):
    """Accounts were routed during every count."""

    def __init__(self) -> None:
        super().__init__(
            "accounts are being routed right now, so the count keeps changing",
            remedy="Try again when fewer changes come in, or stop the workers during the count.",
        )


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Team members and the accounts they own.", epilog=EXAMPLE)
    group.command("list", epilog=LIST_EXAMPLES)(list_owners)
    group.command("leave", epilog=LEAVE_EXAMPLE)(leave)
    group.command("return", epilog=RETURN_EXAMPLE)(come_back)
    group.command("recount", epilog=RECOUNT_EXAMPLE)(recount)
    app.add_typer(group, name="owners")


@takes_servers
def list_owners(
    segments: SomeSegments = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Print the members of each team, how many accounts each owns, who is away, and which accounts wait, and why.

    With --json, print one line for each team: `reasons` counts its accounts that wait, and `wait` of a member those that this
    member may take. The line of team null has the accounts that no team gets.
    """
    from msgspec import to_builtins

    from resegment.console.operations.owners import describe_owners, render_owners, render_waits
    from resegment.console.terminal import print_note, screen, write_json_lines
    from resegment.http.operations.queue import count_waits
    from resegment.routing.policy import Policy

    async def run(session: Session, store: OwnerStore) -> None:
        definition = (await session.load_registry()).current.definition
        now = await session.now()
        waits = await count_waits(session.client, session.reader, Policy(definition), now)
        rows = describe_owners(definition.teams, await store.look(), now, waits)
        if as_json:
            write_json_lines(sys.stdout.buffer, (to_builtins(row) for row in rows))
            return
        if rows:
            screen().print(render_owners(rows))
        else:
            print_note("no team of the version in force has members")
        screen().print(render_waits(waits))

    _with_store(run, servers, segments=segments)


@takes_servers
def leave(
    name: Name,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask for confirmation. Needed without a terminal.")
    ] = False,
    segments: SomeSegments = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Stop giving a member new accounts, and reassign their accounts to the other members of their teams.

    Shows what that does and asks first. While workers run, wait up to 10 seconds until all are reassigned. Exits with 1 if some are left; run it again to
    continue.
    """
    from resegment.console.counts import count
    from resegment.console.terminal import print_note, write_json
    from resegment.streams.heartbeat import read_workers
    from resegment.streams.operations.owner_transfer import Portfolio

    async def run(session: Session, store: OwnerStore) -> None:
        look = await store.look()
        await _check_known(name, session, look)
        await _ask_to_leave(name, session, look, yes=yes, as_json=as_json)
        async with (
            session.trail.recording("owners leave", {"member": name}) as recording,
            session.publisher("resegment-owners") as publisher,
        ):
            await store.leave(name)
            topic, partitions = session.topics.routing_events.name, session.reader.partitions
            portfolio = Portfolio(name, session.client, session.prefix, partitions, publisher, topic)
            left = await portfolio.hand_over(await session.now())
            works = bool(await read_workers(session.client, session.prefix))
            if works:
                left = await _see_off(portfolio, session)
            recording.result |= {"reassigned": len(portfolio.told), "left": left}
        told = len(portfolio.told)
        if as_json:
            write_json(sys.stdout.buffer, {"member": name, "reassigned": told, "left": left})
        else:
            print_note(f"{name} gets no new accounts; {told:,} of their accounts are being reassigned")
        if works and left:
            print_note(
                f"{count(left, 'account')} {'is' if left == 1 else 'are'} not reassigned yet: run the command again"
            )
            raise typer.Exit(1)

    _with_store(run, servers, changes="owners leave", segments=segments)


@takes_servers
def come_back(
    name: Name,
    accounts: Annotated[
        bool,
        typer.Option(
            "--accounts",
            help="Give back the accounts that moved when they left, if nothing moved them since.",
        ),
    ] = False,
    segments: SomeSegments = None,
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Give new accounts to a member who has returned, and with --accounts also those that moved when they left.

    An account stays where it is if it left its workflow or got another owner since, or if the member has no room for it.
    """
    from resegment.console.counts import count
    from resegment.console.terminal import print_note, write_json
    from resegment.streams.operations.owner_transfer import give_back

    async def run(session: Session, store: OwnerStore) -> None:
        await _check_known(name, session, await store.look())
        asked = {"member": name, "accounts": accounts or None}
        async with session.trail.recording("owners return", asked) as recording:
            await store.come_back(name)
            given: list[str] = []
            if accounts:
                async with session.publisher("resegment-owners") as publisher:
                    topic, now = session.topics.routing_events.name, await session.now()
                    given = await give_back(name, session.reader, publisher, topic, now)
                recording.result["asked"] = len(given)
        if as_json:
            write_json(sys.stdout.buffer, {"member": name, "asked": len(given), "accounts": given})
            return
        print_note(f"{name} gets new accounts again")
        if accounts:
            print_note(
                f"asked the router to give back {count(len(given), 'account')}, as far as there is room"
            )

    _with_store(run, servers, changes="owners return", segments=segments)


@takes_servers
def recount(
    servers: ServerOptions = DEFAULT_SERVERS,
    as_json: AsJson = False,
) -> None:
    """Count again which accounts each member owns and which wait. Use it after Redis lost data.

    Accounts that are routed during the count may be counted wrong: stop the workers first, or pause incoming events.
    """
    from resegment.console.terminal import print_note, write_json
    from resegment.routing.policy import Policy
    from resegment.streams.operations.owner_transfer import read_assignments
    from resegment.streams.owners_mark import accept_owners

    async def run(session: Session, store: OwnerStore) -> None:
        policy = Policy((await session.load_registry()).current.definition)
        given = session.client, session.prefix, session.reader.partitions, policy
        found = await read_assignments(*given)
        for _ in range(TRIES):
            before, found = found, await read_assignments(*given)
            if found == before:
                break
        else:
            raise AccountsMove
        async with session.trail.recording("owners recount", {}) as recording:
            await store.recount(*found)
            await accept_owners(session.client, session.prefix)
            recording.result |= {"open": len(found.open), "waiting": len(found.waiting)}
        if as_json:
            write_json(sys.stdout.buffer, {"open": len(found.open), "waiting": len(found.waiting)})
        else:
            print_note(f"{len(found.open):,} accounts are owned, {len(found.waiting):,} wait")

    _with_store(run, servers, changes="owners recount")


async def _ask_to_leave(name: str, session: Session, look: OwnerLoads, *, yes: bool, as_json: bool) -> None:
    """Show what becomes of the member's accounts, and ask. Raises NotAsked without a terminal, typer.Abort."""
    from resegment.console.operations.owners import render_handover
    from resegment.console.terminal import screen
    from resegment.routing.staffing.handover import foresee_leave

    rows = [row for batch in [one async for one in session.reader.routings()] for row in batch]
    teams = (await session.load_registry()).current.definition.teams
    open_ = {member: one.open for member, one in look.members.items()}
    gone = {member for member, one in look.members.items() if one.gone}
    found = foresee_leave(name, rows, teams, open_, gone, await session.now())
    if not as_json:
        screen(error=True).print(render_handover(name, found))
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotAsked(name)
    typer.confirm(f"Does {name} leave?", abort=True, err=True)


def _with_store(run: Any, servers: ServerOptions, **given: Any) -> None:
    from resegment.cli.operations.session import run_in_session
    from resegment.state.redis.owners import OwnerStore

    run_in_session(lambda session: run(session, OwnerStore(session.client, session.prefix)), servers, **given)


async def _see_off(portfolio: Portfolio, session: Session) -> int:
    """Check until the member owns nothing; return how many accounts are left.

    An account may get this owner just before they leave, and be stored only after a check.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while True:
        await asyncio.sleep(PAUSE)
        left = await portfolio.hand_over(await session.now())
        if not left or loop.time() >= end:
            return left


async def _check_known(name: str, session: Session, look: OwnerLoads) -> None:
    """Raise NoSuchMember, so that a typo does not pass for a member who left."""
    from resegment.routing.staffing.teams import members

    definition = (await session.load_registry()).current.definition
    listed = {one.name for team in definition.teams.values() for one in members(team)}
    if name not in listed | look.members.keys():
        raise NoSuchMember(name, listed | look.members.keys())
