"""What each member owns, as the router's accounts say: for those who leave, and to set the store of owners right."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from resegment.agents.batch import Message, Publisher
from resegment.schemas.routing import Reassign, RoutedState, decode_routed, encode_routing_event
from resegment.state.failures import FAILURES, unavailable
from resegment.state.keys import PartitionKeys
from resegment.state.reader import BrokenState

if TYPE_CHECKING:
    from redis.asyncio import Redis

SCANNED: Final = 1_000
"""Accounts asked for, and messages sent, at once."""


class Assignments(NamedTuple):
    """Keys of assignments: `open` ones with team and owner, and those under which accounts are `waiting`."""

    open: dict[str, tuple[str, str]]
    waiting: set[str]


async def read_assignments(client: Redis, prefix: str, partitions: int) -> Assignments:
    """All that the accounts hold of the store of owners. Raises BrokenState and StoreUnavailable."""
    found = Assignments({}, set())
    async for batch in _read_states(client, prefix, partitions):
        for _, state in batch:
            one = state.enrolment
            if one is not None and None not in (one.assignment, one.team, one.owner):
                found.open[one.assignment or ""] = one.team or "", one.owner or ""
            if state.decision == "waiting" and state.assignment is not None:
                found.waiting.add(state.assignment)
    return found


class Portfolio:
    """What a member owns; `topic` is where the router is told of it."""

    def __init__(
        self, member: str, client: Redis, prefix: str, partitions: int, publisher: Publisher, topic: str
    ) -> None:
        self.member = member
        self.told: set[str] = set()
        """The accounts that the router was told to give to others."""
        self._client, self._prefix, self._partitions = client, prefix, partitions
        self._publisher, self._topic = publisher, topic
        self._events: set[tuple[str, str, str | None]] = set()

    async def hand_over(self, at: int) -> int:
        """Tell the router, at `at` (ms), to give to others what it was not told of yet; how many are still theirs.

        Raises BrokenState, StoreUnavailable and PublishFailed.
        """
        theirs: set[str] = set()
        async for batch in _read_states(self._client, self._prefix, self._partitions):
            found = {
                (name, one.key, one.assignment)
                for name, state in batch
                if (one := state.enrolment) is not None and one.owner == self.member and one.team is not None
            }
            theirs |= {name for name, _, _ in found}
            names = sorted({name for name, _, _ in found - self._events})
            events = [Reassign(account=name, at=at, owner=self.member) for name in names]
            await self._publisher.publish(
                [Message(self._topic, one.account.encode(), encode_routing_event(one)) for one in events]
            )
            self._events |= found
            self.told.update(names)
        return len(theirs)


async def _read_states(
    client: Redis, prefix: str, partitions: int
) -> AsyncIterator[list[tuple[str, RoutedState]]]:
    """Every account of the router, a batch at a time; one may come twice."""
    for number in range(partitions):
        key = PartitionKeys.of(prefix, number, "router").accounts
        cursor = 0
        while True:
            try:
                answer: Any = client.hscan(key, cursor, count=SCANNED)
                cursor, found = await answer
            except FAILURES as error:
                raise unavailable("scan accounts", error) from error
            yield [(name.decode(), _decode(name.decode(), value)) for name, value in found.items()]
            if not cursor:
                break


def _decode(account: str, value: bytes) -> RoutedState:
    try:
        return decode_routed(value)
    except msgspec.DecodeError as error:
        raise BrokenState(account, str(error)) from error
