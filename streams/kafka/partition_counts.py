"""Whether topics still have as many partitions as the prefix: accounts have the same number in each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from prometheus_client import Gauge

from resegment.errors import TransientError
from resegment.streams.kafka.admin import TopicLooks
from resegment.streams.kafka.topics import Topics

COUNTED_EVERY: Final = 10.0
"""Seconds between two looks."""


class PartitionCounts:
    """Counts the partitions of the topics that must have as many as the prefix.

    `wanted` returns the number of the prefix, or None while it has none; it may raise a TransientError.
    """

    def __init__(
        self,
        bootstrap: str,
        security: Mapping[str, Any],
        topics: Topics,
        wanted: Callable[[], Awaitable[int | None]],
        surplus: Gauge,
    ) -> None:
        self._looks, self._surplus = TopicLooks(bootstrap, security), surplus
        self._topics = [one for one in topics if one.fixed]
        self._wanted = wanted

    async def look(self) -> None:
        """Count once, and set how many each topic has too many. Raises TransientError."""
        wanted = await self._wanted()
        if wanted is None:
            return
        found = await asyncio.to_thread(self._looks.count, self._topics)
        self._surplus.clear()
        for name, number in found.items():
            self._surplus.labels(name).set(number - wanted)

    async def run(self) -> None:
        """Count again and again. While servers are away, what was seen last stands."""
        try:
            while True:
                with suppress(TransientError):
                    await self.look()
                await asyncio.sleep(COUNTED_EVERY)
        finally:
            self._looks.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Count during the block."""
        task = asyncio.create_task(self.run(), name="partition counts")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
