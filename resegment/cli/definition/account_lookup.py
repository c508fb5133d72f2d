"""Look up one account at any time: in a running prefix, or by replaying recorded events."""

# ruff: noqa: PLC0415 -- what is heavy is imported when a command runs, so that help is there at once
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import typer

from resegment.cli.options import Identity
from resegment.errors import ResegmentError

if TYPE_CHECKING:
    from resegment.cli.options import Format
    from resegment.cli.past.looking import PastView
    from resegment.cli.servers import ServerOptions
    from resegment.routing.staffing.lines import Turn
    from resegment.schemas.fact import Fact
    from resegment.schemas.routing import RoutedState
    from resegment.segmentation.evaluation.account import Account
    from resegment.segmentation.evaluation.engine import Engine
    from resegment.streams.definitions.registry import DefinitionRegistry


class UnknownAccount(ResegmentError):
    """Nothing is known about the account at that time. Without a remedy, it is forgotten."""

    def __init__(self, account: str, at: int, remedy: str | None = None) -> None:
        from resegment.console.dates import spell_instant
        from resegment.streams.live.account import tell_forgotten

        when = f" on {spell_instant(at)}"
        message = f"nothing is known about {account}{when}"
        if remedy is None:
            message, remedy = tell_forgotten(account, when)
        super().__init__(message, remedy=remedy)
        self.account = account
        self.at = at


class AccountLookup(NamedTuple):
    """An account advanced to `at` (ms), and the engine that evaluated it.

    `routing` is the current routing decision of the prefix; None for another time, or without a prefix. `turn` is when it is
    its turn, where it waits in the line of a team.
    `version` is the version that was in force, None for recorded events.
    """

    engine: Engine
    account: Account
    at: int
    routing: RoutedState | None = None
    version: VersionInForce | None = None
    turn: Turn | None = None


class VersionInForce(NamedTuple):
    """The number and fingerprint of a version."""

    number: int
    fingerprint: str


def look_up_account(
    account: str,
    at: int | None,
    *,
    segments: str | None,
    events: list[str] | None,
    form: Format | None,
    servers: ServerOptions,
    archive: str | None = None,
    identity: Identity = Identity.then,
) -> AccountLookup:
    """Look the account up in the events if there are any, else in the archive, or in the prefix that `servers` names.

    `at` defaults to now, or to the time of the last event of any account. Raises UnknownAccount,
    typer.BadParameter and what reading the files or the prefix raises.
    """
    from resegment.cli.operations.session import read_account

    name = read_account(account)
    if (archive is not None or identity is Identity.now) and (at is None or events):
        raise typer.BadParameter(
            "--archive and --identity look back: say to which time with --at, without --events"
        )
    if events:
        if segments is None:
            raise typer.BadParameter(
                "--events requires --segments: the file that decides the segments of those events"
            )
        return _look_up_in_files(name, segments, events, at, form)
    if form is not None:
        raise typer.BadParameter("--format describes the files of --events: pass both or neither")
    if at is not None and (archive is not None or identity is Identity.now):
        return asyncio.run(_look_up_past(name, at, servers, archive, identity))
    return asyncio.run(_look_up_live(name, at, servers, segments))


async def _look_up_past(
    name: str, at: int, servers: ServerOptions, archive: str | None, identity: Identity
) -> AccountLookup:
    from resegment.cli.operations.session import open_past
    from resegment.console.terminal import print_note

    async with open_past(servers, archive, at) as view:
        found = await _look_at(view, name, at, identity)
        if (missing := view.tell_reach(at)) is not None:
            print_note(f"{missing}.")
        if found is None:
            raise UnknownAccount(
                name, at, "`resegment accounts --at` lists the accounts that were known then."
            )
        return found


async def _look_at(view: PastView, name: str, at: int, identity: Identity) -> AccountLookup | None:
    """Return the account at a time that is over; None if nothing was known about it, or it was part of another."""
    if identity is Identity.now:
        now = await view.identify()
        account = await view.past.account_under(now, now(name), at)
    else:
        account = await view.past.account(name, view.partition_of(name), at)
    if account is None or account.state.membership.segment is None:
        return None
    version = _find_version(view.registry, at)
    return AccountLookup(view.registry.timeline.at(at).engine, account, at, version=version)


def _find_version(registry: DefinitionRegistry, at: int) -> VersionInForce:
    number = registry.definitions.in_force(at)
    return VersionInForce(number, registry.definitions.version(number).fingerprint)


async def _look_up_live(
    name: str, at: int | None, servers: ServerOptions, segments: str | None
) -> AccountLookup:
    from resegment.cli.operations.session import open_session
    from resegment.cli.past.looking import view_log
    from resegment.console.terminal import print_note
    from resegment.sources.segments import load_definition
    from resegment.streams.operations.routing_status import find_turns
    from resegment.streams.recovery.point_in_time import is_forgotten_at, last_touched, rewind

    async with open_session(servers, segments=segments) as session:
        given, name = name, session.identify(name)
        if name != given:
            if at is not None and at <= await session.now():
                then = await _look_at(await view_log(session, at), given, at, Identity.then)
                if then is not None:
                    return then
            print_note(f"{given} is part of {name}.")
        registry = await session.load_registry()
        timeline = registry.timeline
        if segments is not None and load_definition(segments).digest != registry.current.definition.digest:
            print_note(
                f"{segments} differs from version {registry.definitions.current}, by which the workers of this prefix "
                "work and which answers here; `resegment plan` shows the difference."
            )
        partition = session.reader.partition_of(name)
        (state,) = await session.reader.states([name])
        now = await (session.reader.clock(partition) if session.on_facts else session.reader.now())
        routing = (await session.reader.routed([name]))[0] if at is None else None
        turn = None
        if routing is not None:
            teams = registry.current.definition.teams
            turns = await find_turns(session.client, session.prefix, [routing], teams, now)
            turn = turns.get(routing.assignment or "")
        at = now if at is None else at
        if state is None:
            raise UnknownAccount(
                name, at, "Check the spelling; `resegment accounts` lists the known accounts."
            )
        if is_forgotten_at(state, at):
            raise UnknownAccount(name, at)
        if at >= last_touched(state):
            account = timeline.open(name, state)
            held = state.membership.segment
            timeline.advance(account, at)
            if at <= now and account.state.membership.segment != held:
                print_note(f"Its partition has not decided yet: the prefix still has the account in {held}.")
        else:
            account = await rewind(
                timeline,
                name,
                state,
                at,
                bootstrap=session.bootstrap,
                topic=session.topics.signals.name,
                keys=registry.keys,
                partition=partition,
                security=session.security,
                ahead=await session.look_for_ahead_records(),
            )
    if account.state.membership.segment is None:
        raise UnknownAccount(
            name, at, "Its first event came later; `resegment changes --account` shows when."
        )
    if at > now:
        print_note("This time is in the future: the answer holds if no event arrives before it.")
    return AccountLookup(timeline.at(at).engine, account, at, routing, _find_version(registry, at), turn)


def _look_up_in_files(
    name: str, segments: str, events: list[str], at: int | None, form: Format | None
) -> AccountLookup:
    from resegment.cli.connection import read_limits
    from resegment.cli.definition.facts import take_facts
    from resegment.segmentation.evaluation.engine import Engine
    from resegment.segmentation.evaluation.program import Program
    from resegment.segmentation.inspection.backtest import order_of_delivery, replay_account
    from resegment.sources.segments import load_definition

    engine = Engine(Program(load_definition(segments), read_limits()))
    last = 0

    def keep(fact: Fact) -> bool:
        nonlocal last
        last = max(last, fact.recorded)
        return fact.account == name

    facts = take_facts(events, form, keep, engine.program.definition)
    at = last if at is None else at
    account, _ = replay_account(engine, name, order_of_delivery(facts), at)
    if account.state.membership.segment is None:
        raise UnknownAccount(
            name, at, "Check the spelling; `resegment backtest --accounts` lists the accounts in the events."
        )
    return AccountLookup(engine, account, at)
