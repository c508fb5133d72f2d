"""Offer queued accounts to members who may take them now, as events of `routing-events`."""

from __future__ import annotations

from collections.abc import Sequence

from resegment.agents.batch import Message, Publisher
from resegment.routing.policy import Policy
from resegment.schemas.routing import Offered, encode_routing_event
from resegment.state.owner_store import OwnerStore


async def find_offers(
    owners: OwnerStore, policy: Policy, at: int, *, live: bool, topic: str
) -> Sequence[Message]:
    """Return an event for each account that somebody may take at `at` (ms). Raises StoreUnavailable.

    `live` is the clock of the store; otherwise `at`, on the clock of the facts, says what has settled.
    """
    shifts = policy.shifts(at)
    if not shifts:
        return ()
    offers = await owners.offer(shifts, None if live else at)
    return [
        Message(
            topic,
            one.account.encode(),
            encode_routing_event(Offered(account=one.account, at=at, key=one.key)),
        )
        for one in offers
    ]


async def offer_queued(owners: OwnerStore, publisher: Publisher, policy: Policy, now: int, topic: str) -> int:
    """Offer what is in queues, and return how much was offered. Raises StoreUnavailable and PublishFailed."""
    messages = await find_offers(owners, policy, now, live=True, topic=topic)
    if messages:
        await publisher.publish(messages)
    return len(messages)
