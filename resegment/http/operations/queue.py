"""Which accounts wait to be enrolled or owned, and why: read from the router's states of all accounts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from resegment.routing.describe import since_of, tell_obstacle, workflow_of
from resegment.routing.policy import Policy
from resegment.routing.staffing.waiting import (
    QUEUED,
    SETTLING,
    WAITING,
    Takers,
    WaitCounts,
    find_reason,
    team_of,
)
from resegment.schemas.routing import RoutedState
from resegment.state.redis.reader import PrefixReader
from resegment.streams.operations.routing_status import find_turns

if TYPE_CHECKING:
    from redis.asyncio import Redis

MOST: Final = 100_000
"""How many accounts are read to find those that wait."""
LISTED: Final = 10_000
"""How many of those that wait for one reason are listed."""
PAUSED: Final = 200
"""After so many accounts that wait, other work comes in between."""
NAMED: Final = 5
"""How many members are named who may take an account."""


class WaitingAccount(NamedTuple):
    """An account that waits: for what reason of `REASONS`, since when (ms), and which members may take it."""

    account: str
    reason: str
    workflow: str | None
    team: str | None
    takers: tuple[str, ...]
    since: int | None
    words: str


@dataclass(frozen=True, slots=True)
class Queue:
    """Which accounts are in which workflow, and which wait.

    Of the first `read` accounts, all that there are where it is `complete`. `unlisted` counts by reason those that wait and are
    not listed.
    """

    workflows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By workflow: accounts that are in it, and those with that route, by decision; `queued` of those that are in it."""
    waiting: Sequence[WaitingAccount] = ()
    read: int = 0
    complete: bool = True
    unlisted: Mapping[str, int] = field(default_factory=dict)


async def read_queue(client: Redis, reader: PrefixReader, policy: Policy, now: int) -> Queue:
    """Read which accounts wait at the prefix's own time (ms). `policy` is that of the version in force. Raises StoreUnavailable."""
    counts: dict[str, Counter[str]] = {}
    listed: list[tuple[str, str, RoutedState]] = []
    reasons: Counter[str] = Counter()
    read = 0
    complete = True
    async for batch in reader.routings():
        for name, state in batch:
            reason = find_reason(state, policy)
            workflow = workflow_of(state)
            if workflow is not None:
                found = counts.setdefault(workflow, Counter())
                found[state.decision] += 1
                if reason == QUEUED:
                    found[QUEUED] += 1
            if reason is not None:
                reasons[reason] += 1
                if reasons[reason] <= LISTED:
                    listed.append((name, reason, state))
        read += len(batch)
        if read >= MOST:
            complete = False
            break
    states = (state for *_, state in listed)
    turns = await find_turns(client, reader.prefix, states, policy.definition.teams, now)
    takers = Takers(policy)
    rows: list[WaitingAccount] = []
    for name, reason, state in listed:
        turn = turns.get(state.assignment or "")
        if reason == WAITING and turn is not None and turn.settles:
            reason = SETTLING  # noqa: PLW2901  # only the line knows it
            if (workflow := workflow_of(state)) is not None:
                counts[workflow].update({"waiting": -1, SETTLING: 1})
        rows.append(describe_waiting(name, reason, state, takers))
        if len(rows) % PAUSED == 0:
            await asyncio.sleep(0)  # what else this process does comes in between
    return Queue(
        counts,
        rows,
        read,
        complete,
        {name: count - LISTED for name, count in reasons.items() if count > LISTED},
    )


async def count_waits(client: Redis, reader: PrefixReader, policy: Policy, now: int) -> WaitCounts:
    """Count the accounts that wait, as `read_queue` finds them, of all that there are. Raises StoreUnavailable."""
    counts, in_line = WaitCounts(policy), list[RoutedState]()
    async for batch in reader.routings():
        for _, state in batch:
            if find_reason(state, policy) == WAITING:
                in_line.append(state)
            else:
                counts.take(state)
    turns = await find_turns(client, reader.prefix, in_line, policy.definition.teams, now)
    for state in in_line:
        turn = turns.get(state.assignment or "")
        counts.take(state, settles=turn is not None and turn.settles)
    return counts


def describe_waiting(name: str, reason: str, state: RoutedState, members: Takers) -> WaitingAccount:
    """Return an account that waits, in words."""
    one, takers = state.enrollment, members.find(reason, state)
    if reason == QUEUED and one is not None:
        queue = one.owner if one.owner == one.team else f"{one.owner} of {one.team}"
        words = f"in the queue {queue}: {_tell_takers(takers)}"
        return WaitingAccount(name, reason, one.workflow, one.team, takers, one.at, words)
    team = team_of(reason, state)
    return WaitingAccount(
        name, reason, workflow_of(state), team, takers, since_of(state), tell_obstacle(state)
    )


def _tell_takers(takers: Sequence[str]) -> str:
    if not takers:
        return "no member of the team may take it"
    more = f" and {len(takers) - NAMED} more" if len(takers) > NAMED else ""
    return f"{', '.join(takers[:NAMED])}{more} may take it, and nobody of them has room and is on shift"
