"""Look one account up in a running prefix: as it is now, or as it was or will be at another time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from resegment.errors import RefusedEvent, UserError
from resegment.identity.aliases import file_aliases, resolve_account
from resegment.identity.names import Unresolved, read_name
from resegment.routing.staffing.lines import Turn
from resegment.schemas.routing import RoutedState
from resegment.schemas.times import format_second
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.streams.ahead import look_for_ahead_records
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.live.connection import LiveConnection
from resegment.streams.operations.routing_status import find_turns
from resegment.streams.prefix import identities_of
from resegment.streams.recovery.point_in_time import is_forgotten_at, last_touched, rewind


class UnknownAccount(UserError):
    """Nothing is known about an account at a time (ms); `at` is None for now."""

    def __init__(self, account: str, at: int | None = None, *, forgotten: bool = False) -> None:
        self.account, self.at, self.forgotten = account, at, forgotten
        when = "" if at is None else f" on {format_second(at)}"
        if forgotten:
            message, remedy = tell_forgotten(account, when)
            super().__init__(message, remedy=remedy)
            return
        super().__init__(
            f"nothing is known about {account[:200]}{when}",
            remedy="Check the spelling, or look for a part of the name."
            if at is None
            else "Its first event came later: its timeline shows when.",
        )


def tell_forgotten(account: str, when: str) -> tuple[str, str]:
    """Say that what was known about an account is forgotten, and what there is to do."""
    return (
        f"what was known about {account}{when} is forgotten",
        f"`resegment forget {account} --undo` lets new events count; `resegment verify --forgotten` lists all.",
    )


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account advanced to `at` (ms), the engine that evaluated it, and the version that was in force.

    `now` is the prefix's own time (ms), `routing` what the router has of it now, with its latest decisions. `stored` is the segment
    that workers have decided so far. `turn` is when it is its turn, where it waits in the line of a team.
    """

    engine: Engine
    account: Account
    at: int
    now: int
    version: int
    fingerprint: str
    routing: RoutedState | None
    stored: str | None
    turn: Turn | None = None


def resolve(text: str, held: Mapping[str, str]) -> str | None:
    """Return the account that a domain, URL, address, alias or id means; None where it can mean none."""
    names, merged = identities_of(held)
    try:
        name = resolve_account(text)
    except Unresolved as unresolved:
        name = unresolved.name
    except RefusedEvent:
        return None
    account = names.get(name, name)
    if account == name and read_name(name) == name:
        return None
    return merged.get(account, account)


def find_aliases(
    held: Mapping[str, str], text: str = "", account: str | None = None
) -> list[tuple[str, str]]:
    """Return aliases with their accounts: domains, names and ids that have a text, of one account or of any."""
    names, merged = identities_of(held)
    every = dict(file_aliases()) | names | merged
    wanted = text.casefold()
    return sorted(
        (alias, merged.get(into, into))
        for alias, into in every.items()
        if wanted in alias.casefold() and account in (None, merged.get(into, into))
    )


async def look_up_account(
    connection: LiveConnection, registry: DefinitionRegistry, name: str, at: int | None
) -> AccountView:
    """Look an account up. A time that is over is decided again from its partition's log, which takes longer.

    Raises UnknownAccount, HistoryLost, BrokenState, StoreUnavailable and TopicUnreadable.
    """
    reader, timeline = connection.reader, registry.timeline
    partition = reader.partition_of(name)
    (state,) = await reader.states([name])
    if state is None:
        raise UnknownAccount(name)
    now = await (reader.clock(partition) if connection.on_facts else reader.now())
    wanted = now if at is None else at
    if is_forgotten_at(state, wanted):
        raise UnknownAccount(name, wanted, forgotten=True)
    routing = (await reader.routed([name]))[0]
    turns = await find_turns(
        connection.client,
        connection.prefix,
        [] if routing is None else [routing],
        registry.current.definition.teams,
        now,
    )
    turn = None if routing is None else turns.get(routing.assignment or "")
    stored = state.membership.segment
    if wanted >= last_touched(state):
        account = timeline.open(name, state)
        timeline.advance(account, wanted)
    else:
        account = await rewind(
            timeline,
            name,
            state,
            wanted,
            bootstrap=connection.bootstrap,
            topic=connection.topics.signals.name,
            keys=registry.keys,
            partition=partition,
            security=connection.security,
            ahead=await look_for_ahead_records(
                connection.client, connection.prefix, connection.clock, connection.tolerance
            ),
        )
    if account.state.membership.segment is None:
        raise UnknownAccount(name, wanted)
    number = registry.definitions.in_force(wanted)
    fingerprint = registry.definitions.version(number).fingerprint
    engine = timeline.at(wanted).engine
    return AccountView(engine, account, wanted, now, number, fingerprint, routing, stored, turn)
