"""What each member owns, as the router's accounts say: for those who leave, and to set the store of owners right."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resegment.agents.batch import Message, Publisher
from resegment.schemas.routing import Enrolment, Reassign, decode_routed, encode_routing_event
from resegment.state.failures import FAILURES, unavailable
from resegment.state.keys import PartitionKeys
from resegment.state.reader import BrokenState

if TYPE_CHECKING:
    from redis.asyncio import Redis

SCANNED: Final = 1_000
"""Accounts asked for, and messages sent, at once."""


async def read_enrolments(
    client: Redis, prefix: str, partitions: int
) -> AsyncIterator[list[tuple[str, Enrolment]]]:
    """Every account that is in a workflow, a batch at a time; one may come twice. Raises BrokenState, StoreUnavailable."""
    for number in range(partitions):
        key = PartitionKeys.of(prefix, number, "router").accounts
        cursor = 0
        while True:
            try:
                answer: Any = client.hscan(key, cursor, count=SCANNED)
                cursor, found = await answer
            except FAILURES as error:
                raise unavailable("scan accounts", error) from error
            yield [
                (name.decode(), enrolment)
                for name, value in found.items()
                if (enrolment := _enrolment(name.decode(), value)) is not None
            ]
            if not cursor:
                break


async def read_open(client: Redis, prefix: str, partitions: int) -> dict[str, tuple[str, str]]:
    """Team and owner of every assignment that is open, by its key. Raises as `read_enrolments` does."""
    return {
        one.assignment: (one.team, one.owner)
        async for batch in read_enrolments(client, prefix, partitions)
        for _, one in batch
        if one.assignment is not None and one.team is not None and one.owner is not None
    }


async def reassign(
    member: str,
    client: Redis,
    prefix: str,
    partitions: int,
    publisher: Publisher,
    topic: str,
    at: int,
) -> int:
    """Tell the router (by its `topic`, at `at` ms) to give what a member owns to others; how many accounts these are.

    Raises as `read_enrolments` does, and PublishFailed. Again, it tells what is still theirs.
    """
    told: set[str] = set()
    async for batch in read_enrolments(client, prefix, partitions):
        names = {name for name, one in batch if one.owner == member and one.team is not None} - told
        events = [Reassign(account=name, at=at, owner=member) for name in sorted(names)]
        await publisher.publish(
            [Message(topic, one.account.encode(), encode_routing_event(one)) for one in events]
        )
        told |= names
    return len(told)


def _enrolment(account: str, value: bytes) -> Enrolment | None:
    try:
        return decode_routed(value).enrolment
    except msgspec.DecodeError as error:
        raise BrokenState(account, str(error)) from error
