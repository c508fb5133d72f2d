"""Publish the outbox of a partition to Kafka: publish, wait for the acknowledgment, then remove."""

from __future__ import annotations

from typing import Any

from resegment.agents.batch import Message, Publisher
from resegment.agents.partition import OwnedPartition
from resegment.schemas.shrinking import MAX_BYTES, fit_change


async def relay(owned: OwnedPartition[Any], *, publisher: Publisher, most: int = 32) -> int:
    """Publish up to `most` entries and return how many messages they held.

    Waits for the first entry. Raises `PublishFailed` or `StoreUnavailable`; the entries then stay in the outbox
    and the next call publishes the same messages again.
    """
    outbox = owned.outbox
    entries = await outbox.first(most)
    messages = [_fit(message) for entry in entries for message in entry.messages]
    if messages:
        await publisher.publish(messages)
    await owned.store.acknowledge([entry.id for entry in entries])
    if not outbox.closed:
        outbox.remove(len(entries))
    return len(messages)


def _fit(message: Message) -> Message:
    """Cut a change that is too large for the broker: earlier versions committed such changes."""
    room = MAX_BYTES - len(message.key or b"")
    if message.value is None or len(message.value) <= room:
        return message
    try:
        return message._replace(value=fit_change(message.value, room))
    except (ValueError, LookupError, TypeError):  # no change, or one that cannot be cut: the broker decides
        return message
