"""Compare what Redis has of a partition with a replay of its log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from typing import Any

import msgspec

from resegment.agents.partition import OwnedPartition
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.outcomes.ledger import LedgerItem, decode_ledger, remember, settle_ledger
from resegment.schemas.outcomes.touch import Touch, TouchKey, TouchVoid
from resegment.segmentation.versions.comparison import Comparison, Difference
from resegment.state.memory.partition import Memory
from resegment.state.memory.partition import PartitionStore as MemoryStore
from resegment.state.redis.reader import PartitionLook, PrefixReader
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.topic_reader import TopicUnreadable, reading
from resegment.streams.outcomes.logged import read_logged
from resegment.streams.recovery.replay import LogSource, Progress, replay


async def verify_partition(
    number: int,
    registry: DefinitionRegistry,
    stored: Mapping[str, bytes],
    timers: Mapping[str, int],
    upto: int,
    source: LogSource,
    *,
    progress: Progress | None = None,
) -> list[Difference]:
    """Compare one partition of Redis, its states and its timers (ms), with a replay of its log up to the offset `upto`.

    Raises HistoryIncomplete, TopicUnreadable, StoreUnavailable.
    """
    memory = Memory()
    owned = OwnedPartition(number, MemoryStore(memory, number), registry)
    await owned.take("")
    await replay(owned, registry, source, upto, progress)
    comparison = Comparison(registry.timeline, owned.position.clock)
    differences: list[Difference] = []
    expected = dict(memory.accounts)
    for name, value in stored.items():
        differences += comparison.compare(name, value, expected.pop(name, None), timers.get(name))
    for name, value in expected.items():
        differences.append(Difference(name, "account", None, decode_state(value).membership.segment))
    return differences


@dataclass(frozen=True, slots=True)
class HeldLedgers:
    """The ledgers of a partition's accounts, and the offsets of `signals` and `touches` up to which all is in them."""

    ledgers: Mapping[str, bytes]
    signals: int
    touches: int


async def hold_ledgers(number: int, reader: PrefixReader, source: LogSource) -> HeldLedgers | None:
    """Return the ledgers of a partition; None while outcomes or touches are still on their way to them.

    Raises StoreUnavailable and TopicUnreadable.
    """
    before = await _stand(number, reader)
    told = await _end(source, source.topics.routing_events.name, number)
    touches = await _end(source, source.topics.touches.name, number)
    ledgers: dict[str, bytes] = {}
    async for found in reader.ledgers(number):
        ledgers.update((name.decode(), value) for name, value in found.items())
    segmented, routed = before
    if segmented.outbox or routed.outbox or await _stand(number, reader) != before:
        return None
    if routed.position is None or routed.position.side < told:
        return None
    return HeldLedgers(ledgers, 0 if segmented.position is None else segmented.position.offset, touches)


async def verify_ledgers(number: int, held: HeldLedgers, source: LogSource) -> list[Difference]:
    """Compare touches and outcomes of a partition's accounts with the log. Raises TopicUnreadable."""
    logged: defaultdict[str, list[LedgerItem]] = defaultdict(list)
    async for account, item in read_logged(source, [number], held.signals, held.touches):
        remember(logged[account], item)
    differences: list[Difference] = []
    for name in sorted(held.ledgers.keys() | logged.keys()):
        value = held.ledgers.get(name)
        stored = settle_ledger(decode_ledger(value) if value is not None else ())
        told = settle_ledger(logged.get(name, ()))
        pairs: tuple[tuple[str, list[Any], list[Any]], ...] = (
            ("touches", list(map(_frozen, stored.touches)), list(map(_frozen, told.touches))),
            ("outcomes", stored.outcomes, told.outcomes),
        )
        for what, has, gives in pairs:
            added, lacking = {*has} - {*gives}, {*gives} - {*has}
            if added or (lacking and not stored.dropped):
                differences.append(Difference(name, what, _count(has, added), _count(gives, lacking)))
    return differences


def _frozen(record: Touch | TouchVoid | TouchKey) -> Touch | TouchVoid | TouchKey:
    """Return a record without what may differ where it was decided again: its instant, and who had room then."""
    owner = {"owner": None} if isinstance(record, Touch) else {}
    return msgspec.structs.replace(record, at=0, **owner)


async def _stand(number: int, reader: PrefixReader) -> tuple[PartitionLook, PartitionLook]:
    return (await reader.look())[number], (await reader.look_at_routing())[number]


async def _end(source: LogSource, topic: str, number: int) -> int:
    """Return where a partition of a topic ends; 0 if there is no such topic."""
    try:
        async with reading(source.bootstrap, topic, [number], security=source.security) as reader:
            return (await reader.ends())[number]
    except TopicUnreadable as error:
        if not error.is_missing:
            raise
        return 0


def _count(items: Sized, alone: Sized) -> str:
    return f"{len(items)}, {len(alone)} of them only here"
