"""Keep a registry up to date with the topic `definitions`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog

from resegment.agents.batch import PublishFailed
from resegment.errors import TransientError
from resegment.state.partition_store import StoreUnavailable
from resegment.streams.definitions.applying.requests import ApplyConnection
from resegment.streams.definitions.log import PARTITION, read_definitions
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.topic_reader import TopicUnreadable, reading
from resegment.streams.kafka.topics import Topics

log = structlog.get_logger(__name__)

AGAIN_AFTER: Final = 1.0
"""Seconds until the topic is read again after a failure."""


class DefinitionFollower:
    """Reads what comes after the records that the registry has taken."""

    def __init__(
        self,
        registry: DefinitionRegistry,
        bootstrap: str,
        topics: Topics,
        security: Mapping[str, Any],
        *,
        on_change: Callable[[], Awaitable[None]],
    ) -> None:
        """`on_change` is called after new records were taken."""
        self._registry, self._on_change = registry, on_change
        self._bootstrap, self._topic, self._security = bootstrap, topics.definitions.name, security

    async def run(self) -> None:
        """Follow until cancelled. What fails is done again."""
        while True:
            try:
                await self._follow()
            except (TopicUnreadable, StoreUnavailable, PublishFailed, TransientError) as error:
                log.warning("the definitions cannot be followed", reason=error.message)
                await asyncio.sleep(AGAIN_AFTER)

    async def _follow(self) -> None:
        place = 0
        async with reading(self._bootstrap, self._topic, [PARTITION], security=self._security) as reader:
            async for records in reader.to_end():
                place = await self._take(place, [record.value for record in records])
            async for records in reader.follow():
                place = await self._take(place, [record.value for record in records])

    async def _take(self, place: int, values: Sequence[bytes | None]) -> int:
        """Take those of the records from `place` on that are new, and return the place after them."""
        end = place + len(values)
        fresh = values[max(0, self._registry.definitions.taken - place) :]
        if fresh:
            self._registry.take(fresh)
            await self._on_change()
        return end


@asynccontextmanager
async def following_registry(connection: ApplyConnection) -> AsyncIterator[DefinitionRegistry]:
    """Give a registry that is kept up to date inside the block. Raises TopicUnreadable."""
    definitions = await read_definitions(connection.bootstrap, connection.topics, connection.security)
    registry = DefinitionRegistry(definitions, connection.topics, facts_per_test=connection.facts_per_test)

    async def ignore() -> None:
        """Do nothing: the work looks by itself."""

    follower = DefinitionFollower(
        registry,
        connection.bootstrap,
        connection.topics,
        connection.security,
        on_change=ignore,
    )
    task = asyncio.create_task(follower.run())
    try:
        yield registry
    finally:
        task.cancel()
        await asyncio.wait([task])
