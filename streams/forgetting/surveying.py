"""List where data of an account lies, and how much."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from resegment.schemas.outcomes.ledger import decode_ledger
from resegment.state.redis.reader import PrefixReader
from resegment.streams.forgetting.places import AccountPlaces
from resegment.streams.kafka.topic_reader import TopicUnreadable, reading
from resegment.streams.kafka.topics import Topics

_TOPICS: Final = ("signals", "segment_changes", "workflow_commands", "routing_events", "touches")
"""Topics whose records have the account as their key."""


async def survey(
    account: str,
    reader: PrefixReader,
    places: AccountPlaces,
    bootstrap: str,
    topics: Topics,
    security: Mapping[str, Any],
) -> Mapping[str, int]:
    """Return how much lies where; places with nothing are left out. Raises StoreUnavailable and TopicUnreadable."""
    (state,), (routed,) = await reader.states([account]), await reader.routed([account])
    (ledger,) = await reader.ledgers_of([account])
    found = {
        "facts in the state": 0 if state is None else len(state.entries),
        "workflows": 0 if routed is None or routed.enrollment is None else 1,
        "owners": 0 if routed is None else len(routed.owners),
        "touches and outcomes": 0 if ledger is None else len(decode_ledger(ledger)),
        **await places.count(account),
    }
    number, key = reader.partition_of(account), account.encode()
    for name in _TOPICS:
        topic = getattr(topics, name).name
        found[f"records of {topic}"] = await _count(topic, number, key, bootstrap, security)
    return {name: count for name, count in found.items() if count}


async def _count(topic: str, number: int, key: bytes, bootstrap: str, security: Mapping[str, Any]) -> int:
    total = 0
    try:
        async with reading(bootstrap, topic, [number], security=security) as log:
            async for records in log.to_end():
                total += sum(1 for one in records if one.key == key)
    except TopicUnreadable as error:
        if not error.is_missing:
            raise
    return total
