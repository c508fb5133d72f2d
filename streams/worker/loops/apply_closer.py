"""Note in `definitions` that an apply is worked off, whether or not its command still runs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from resegment.agents.batch import PublishFailed
from resegment.schemas.definitions.records import Applied
from resegment.segmentation.evaluation.account import Account
from resegment.state.partition_store import StoreUnavailable
from resegment.state.redis.reader import PrefixReader
from resegment.streams.definitions.applying.world import World
from resegment.streams.definitions.log import DefinitionWriter
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.prefix import note_definition
from resegment.streams.worker.partitions import PartitionManager

if TYPE_CHECKING:
    from redis.asyncio import Redis

LOOKED_AT: Final = 2.0
"""Seconds between two looks."""


class ApplyCloser:
    """Looks at an apply that stands. Of all workers, the one that owns partition 0 does it."""

    def __init__(
        self,
        registry: DefinitionRegistry,
        partitions: PartitionManager[Account],
        writer: DefinitionWriter,
        client: Redis,
        reader: PrefixReader,
    ) -> None:
        self._registry, self._partitions, self._writer = registry, partitions, writer
        self._client, self._reader = client, reader

    async def run(self) -> None:
        """Look until cancelled. What fails is done at the next look."""
        while True:
            with suppress(StoreUnavailable, PublishFailed):
                await self.look()
            await asyncio.sleep(LOOKED_AT)

    async def look(self) -> None:
        """Look once. Raises StoreUnavailable and PublishFailed."""
        one = self._registry.definitions.open
        if one is None or one.verdict != "stands" or self._partitions.get(0) is None:
            return
        changeovers = World(await self._reader.look()).changeovers.values()
        if any(each.worked_off < one.version for each in changeovers):
            return
        await self._writer.write(Applied(apply=one.id))
        fingerprint = self._registry.definitions.version(one.version).fingerprint
        await note_definition(self._client, self._reader.prefix, fingerprint)
