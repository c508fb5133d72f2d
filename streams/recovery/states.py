"""Read the states of all accounts of a prefix that is copied: from Redis, or from its topics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from resegment.agents.partition import OwnedPartition
from resegment.routing.enrollment import EnrollmentMachine
from resegment.schemas.change import SegmentChange
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.state import AccountState
from resegment.state.memory.partition import Memory
from resegment.state.memory.partition import PartitionStore as MemoryStore
from resegment.state.redis.keys import Stage
from resegment.state.redis.reader import PrefixReader
from resegment.streams.definitions.policies import VersionPolicies, latest_switch
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.recovery.rebuild import read_announced, rebuild_partition
from resegment.streams.recovery.replay import LogSource
from resegment.streams.recovery.restore_routing import restore_partition


@dataclass(slots=True)
class StageState:
    """What one stage keeps of one partition, or of all accounts that go to one."""

    states: dict[str, bytes]
    timers: dict[str, int]
    clock: int = 0
    ledgers: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, memory: Memory) -> StageState:
        clock = 0 if memory.position is None else memory.position.clock
        return cls(memory.accounts, memory.deadlines, clock, memory.ledgers)


class OldState:
    """The states of the old prefix as Redis has them."""

    def __init__(self, reader: PrefixReader) -> None:
        self._reader = reader

    async def take(self, number: int) -> dict[Stage, StageState]:
        """Return both stages of a partition. Raises StoreUnavailable."""
        return {stage: await self._read(number, stage) for stage in ("segmenter", "router")}

    async def _read(self, number: int, stage: Stage) -> StageState:
        position = await self._reader.position(number, stage)
        ledgers: dict[str, bytes] = {}
        if stage == "router":
            async for found in self._reader.ledgers(number):
                ledgers.update((name.decode(), value) for name, value in found.items())
        return StageState(
            {name: value async for name, value in self._reader.raw_states(number, stage)},
            await self._reader.timers(number, stage),
            0 if position is None else position.clock,
            ledgers,
        )


class LoggedState:
    """The states of the old prefix as its topics give them: for a Redis that is lost."""

    def __init__(self, source: LogSource, registry: DefinitionRegistry, partitions: int) -> None:
        self._source, self._registry, self._partitions = source, registry, partitions
        self.lacking: list[SegmentChange] = []
        """Changes that were decided and never announced."""

    async def take(self, number: int) -> dict[Stage, StageState]:
        """Return both stages of a partition. Raises HistoryIncomplete and TopicUnreadable."""
        announced = await read_announced(self._source, [number])
        segmented, routed = Memory(), Memory()
        owned = OwnedPartition(number, MemoryStore(segmented, number), self._registry)
        _, lacking = await rebuild_partition(
            owned, self._registry, self._source, log="", announced=announced, partitions=self._partitions
        )
        self.lacking += lacking

        async def states(names: Sequence[str]) -> list[AccountState | None]:
            found = [segmented.accounts.get(name) for name in names]
            return [None if value is None else decode_state(value) for value in found]

        policies = VersionPolicies(self._registry, unread_for=0)
        router = OwnedPartition(number, MemoryStore(routed, number), EnrollmentMachine(policies))
        await restore_partition(
            router,
            policies,
            latest_switch(self._registry),
            self._source,
            self._source.topics.prefix,
            states,
            log="",
        )
        return {"segmenter": StageState.of(segmented), "router": StageState.of(routed)}
