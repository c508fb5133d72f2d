"""Compare what Redis has of a partition with a replay of its log."""

from __future__ import annotations

from collections.abc import Mapping

from resegment.agents.partition import OwnedPartition
from resegment.schemas.logs.state_log import decode_state
from resegment.segmentation.versions.comparison import Comparison, Difference
from resegment.state.memory.partition import Memory
from resegment.state.memory.partition import PartitionStore as MemoryStore
from resegment.streams.definitions.registry import DefinitionRegistry
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
