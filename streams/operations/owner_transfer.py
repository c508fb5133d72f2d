"""Find what each member owns by the router's accounts: to reassign the accounts of a member who left, and to correct the owner store."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from resegment.agents.batch import Publisher
from resegment.routing.policy import Policy
from resegment.routing.staffing.handover import find_new_owner
from resegment.schemas.assignment import Queued
from resegment.schemas.routing import Reassign
from resegment.state.redis.reader import PrefixReader
from resegment.streams.message_factory import tell

if TYPE_CHECKING:
    from redis.asyncio import Redis


class Assignments(NamedTuple):
    """Keys of assignments: `open` ones with team and owner, those under which accounts are `waiting`, and those in queues."""

    open: dict[str, tuple[str, str]]
    waiting: set[str]
    queued: dict[str, Queued]


async def read_assignments(client: Redis, prefix: str, partitions: int, policy: Policy) -> Assignments:
    """Return every assignment that the accounts hold. Raises BrokenState and StoreUnavailable.

    `policy` is that of the version in force, and says which accounts are in queues.
    """
    found = Assignments({}, set(), {})
    async for batch in PrefixReader(client, prefix, partitions).routings():
        for name, state in batch:
            one = state.enrollment
            if one is not None and policy.is_queued(state):
                eligible = policy.eligible(one.team, state.active_gates)
                found.queued[one.assignment or ""] = Queued(name, one.at, eligible)
            if one is not None and None not in (one.assignment, one.team, one.owner):
                found.open[one.assignment or ""] = one.team or "", one.owner or ""
            if state.decision == "waiting" and state.assignment is not None:
                found.waiting.add(state.assignment)
    return found


async def give_back(
    member: str, reader: PrefixReader, publisher: Publisher, topic: str, at: int
) -> list[str]:
    """Ask the router, at `at` (ms), to give a member back what moved when they left; return these accounts.

    Accounts that something else has moved since stay where they are. Raises BrokenState, StoreUnavailable, PublishFailed.
    """
    asked: list[str] = []
    async for batch in reader.routings():
        found = [(name, find_new_owner(member, state)) for name, state in batch]
        events = [
            Reassign(account=name, at=at, owner=owner, to=member)
            for name, owner in found
            if owner is not None
        ]
        await publisher.publish([tell(topic, one) for one in events])
        asked += [one.account for one in events]
    return asked


class Portfolio:
    """What a member owns. `topic` is where the router receives reassignments."""

    def __init__(
        self, member: str, client: Redis, prefix: str, partitions: int, publisher: Publisher, topic: str
    ) -> None:
        self.member = member
        self.told: set[str] = set()
        """The accounts that the router was asked to reassign."""
        self._client, self._prefix, self._partitions = client, prefix, partitions
        self._publisher, self._topic = publisher, topic
        self._events: set[tuple[str, str, str | None]] = set()

    async def hand_over(self, at: int) -> int:
        """Ask the router, at `at` (ms), to reassign what it was not asked to yet; return how many are still theirs.

        Raises BrokenState, StoreUnavailable and PublishFailed.
        """
        theirs: set[str] = set()
        async for batch in PrefixReader(self._client, self._prefix, self._partitions).routings():
            found = {
                (name, one.key, one.assignment)
                for name, state in batch
                if (one := state.enrollment) is not None and one.owner == self.member and one.team is not None
            }
            theirs |= {name for name, _, _ in found}
            names = sorted({name for name, _, _ in found - self._events})
            events = [Reassign(account=name, at=at, owner=self.member) for name in names]
            await self._publisher.publish([tell(self._topic, one) for one in events])
            self._events |= found
            self.told.update(names)
        return len(theirs)
