"""Moves the outbox to Kafka: published, acknowledged, then removed."""

from __future__ import annotations

from typing import Any

from resegment.agents.batch import Publisher
from resegment.agents.partition import OwnedPartition, decode_outbox


async def relay(owned: OwnedPartition[Any], *, publisher: Publisher, most: int = 32) -> int:
    """Publish what waits, `most` entries at a time; return how many messages that were.

    Waits for the first entry. A resend is the same message again. Raises `PublishFailed` or
    `StoreUnavailable`; the entries then stay in the outbox and are published with the next try.
    """
    outgoing = owned.outgoing
    entries = await outgoing.first(most)
    messages = [message for entry in entries for message in decode_outbox(entry.payload)]
    if messages:
        await publisher.publish(messages)
    await owned.store.acknowledge([entry.id for entry in entries])
    if not outgoing.closed:
        outgoing.remove(len(entries))
    return len(messages)
