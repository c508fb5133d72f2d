"""Who owns which accounts, who waits and why, and members who leave and return."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final, NamedTuple, Protocol

from resegment.console.operations.owners import TeamRow, describe_owners
from resegment.errors import UserError
from resegment.http.operations.place import Place
from resegment.http.operations.queue import Queue, read_queue
from resegment.routing.policy import Policy
from resegment.routing.staffing.handover import TeamHandover, foresee_leave
from resegment.routing.staffing.teams import members
from resegment.schemas.segments import Team
from resegment.segmentation.definition import Definition
from resegment.state.owner_store import OwnerLoads
from resegment.state.redis.owners import OwnerStore
from resegment.streams.heartbeat import read_workers
from resegment.streams.live.cached import Cached
from resegment.streams.operations.owner_transfer import Portfolio, give_back

FRESH: Final = 15.0
"""Seconds for which what was read of all accounts is shown again."""
PATIENCE: Final = 5.0
"""Seconds to wait until a member's last accounts are reassigned."""
PAUSE: Final = 0.5


class NoSuchMember(UserError):
    """No team has a member of that name, and no account ever had an owner of that name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        close = get_close_matches(name, known, 1)
        super().__init__(
            f"no member is named {name[:100]!r}",
            remedy=f"Did you mean {close[0]!r}?" if close else "The page of workflows lists all members.",
        )
        self.name = name


class Handed(NamedTuple):
    """What came of a leave: accounts that are being reassigned, and those that are left."""

    reassigned: int
    left: int


class Owners(Protocol):
    """The owners of a prefix's accounts. Methods raise StoreUnavailable."""

    async def teams(self, teams: Mapping[str, Team], now: int) -> list[TeamRow]:
        """Return each team with its members."""
        ...

    async def queue(self, definition: Definition, now: int) -> Queue:
        """Return which accounts wait. `definition` is the one in force."""
        ...

    async def foresee(self, name: str, teams: Mapping[str, Team], now: int) -> list[TeamHandover]:
        """Return what becomes of a member's accounts if they leave. Raises NoSuchMember."""
        ...

    async def leave(self, actor: str, name: str, teams: Mapping[str, Team], now: int) -> Handed:
        """Give a member no new accounts, and reassign theirs. Raises NoSuchMember, NotRecorded, PublishFailed."""
        ...

    async def come_back(
        self, actor: str, name: str, teams: Mapping[str, Team], now: int, *, accounts: bool
    ) -> int:
        """Give a member new accounts again; `accounts` gives back what moved when they left. Return how many were asked."""
        ...


class LiveOwners:
    """The `Owners` of a running prefix."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._store = OwnerStore(place.connection.client, place.connection.prefix)
        self._queue: Cached[Queue] = Cached(FRESH)

    async def teams(self, teams: Mapping[str, Team], now: int) -> list[TeamRow]:
        return describe_owners(teams, await self._store.look(), now)

    async def queue(self, definition: Definition, now: int) -> Queue:
        one = self._place.connection
        return await self._queue.get(lambda: read_queue(one.client, one.reader, Policy(definition), now))

    async def foresee(self, name: str, teams: Mapping[str, Team], now: int) -> list[TeamHandover]:
        look = await self._store.look()
        _check_known(name, teams, look)
        rows = [row async for batch in self._place.connection.reader.routings() for row in batch]
        open_ = {member: one.open for member, one in look.members.items()}
        gone = {member for member, one in look.members.items() if one.gone}
        return foresee_leave(name, rows, teams, open_, gone, now)

    async def leave(self, actor: str, name: str, teams: Mapping[str, Team], now: int) -> Handed:
        _check_known(name, teams, await self._store.look())
        one = self._place.connection
        async with (
            self._place.trail(actor).recording("owners leave", {"member": name}) as recording,
            self._place.publisher("resegment-owners") as publisher,
        ):
            await self._store.leave(name)
            topic = one.topics.routing_events.name
            portfolio = Portfolio(name, one.client, one.prefix, one.reader.partitions, publisher, topic)
            left = await portfolio.hand_over(now)
            end = time.monotonic() + PATIENCE
            while left and time.monotonic() < end and await read_workers(one.client, one.prefix):
                await asyncio.sleep(PAUSE)
                left = await portfolio.hand_over(now)
            handed = Handed(len(portfolio.told), left)
            recording.result |= handed._asdict()
        self._queue.drop()
        return handed

    async def come_back(
        self, actor: str, name: str, teams: Mapping[str, Team], now: int, *, accounts: bool
    ) -> int:
        _check_known(name, teams, await self._store.look())
        one = self._place.connection
        asked = {"member": name, "accounts": accounts or None}
        async with self._place.trail(actor).recording("owners return", asked) as recording:
            await self._store.come_back(name)
            given: list[str] = []
            if accounts:
                async with self._place.publisher("resegment-owners") as publisher:
                    given = await give_back(name, one.reader, publisher, one.topics.routing_events.name, now)
                recording.result["asked"] = len(given)
        self._queue.drop()
        return len(given)


def _check_known(name: str, teams: Mapping[str, Team], look: OwnerLoads) -> None:
    listed = {one.name for team in teams.values() for one in members(team)}
    if name not in listed | look.members.keys():
        raise NoSuchMember(name, sorted(listed | look.members.keys()))
