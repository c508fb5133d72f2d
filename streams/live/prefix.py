"""A running prefix: its versions are followed, its health is read again at most once a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

from resegment.errors import TransientError
from resegment.streams.definitions.follower import DefinitionFollower
from resegment.streams.definitions.log import read_definitions
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.admin import TopicsUnavailable, find_grown
from resegment.streams.live.connection import LiveConnection
from resegment.streams.operations.dead_letters import DeadLetterCount, count_dead_letters
from resegment.streams.operations.overview import Overview, look
from resegment.streams.prefix import read_prefix

FRESH: Final = 1.0
"""Seconds for which what was read of the health is shown again."""
RECOUNT: Final = 15.0
"""Seconds between two counts of the dead letters."""


class LivePrefix:
    """See `resegment.http.console.prefix.ConsolePrefix`."""

    def __init__(self, connection: LiveConnection) -> None:
        self._connection = connection
        self._registry: DefinitionRegistry | None = None
        self._overview: tuple[float, Overview] | None = None
        self._letters, self._grown = DeadLetterCount(), dict[str, int]()
        self._counted = float("-inf")
        self._looking, self._opening = asyncio.Lock(), asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """The name of the prefix."""
        return self._connection.prefix

    async def registry(self) -> DefinitionRegistry:
        """Return the versions of the prefix, and follow them from then on. Raises TopicUnreadable."""
        async with self._opening:
            if self._registry is None:
                one = self._connection
                definitions = await read_definitions(one.bootstrap, one.topics, one.security)
                registry = DefinitionRegistry(definitions, one.topics, facts_per_test=one.facts_per_test)
                follower = DefinitionFollower(
                    registry, one.bootstrap, one.topics, one.security, on_change=_ignore
                )
                self.start(follower.run())
                self._registry = registry
            return self._registry

    async def now(self) -> int:
        """Return the prefix's own time, ms. Raises StoreUnavailable."""
        reader = self._connection.reader
        if not self._connection.on_facts:
            return await reader.now()
        return max([await reader.clock(number) for number in range(reader.partitions)])

    async def overview(self) -> Overview:
        """Return the health of the prefix, at most a second old. Raises StoreUnavailable and TopicUnreadable."""
        async with self._looking:
            if self._overview is not None and time.monotonic() - self._overview[0] < FRESH:
                return self._overview[1]
            registry = await self.registry()
            if time.monotonic() - self._counted > RECOUNT:
                self._counted = time.monotonic()
                self.start(self._count())
            one = self._connection
            held = await read_prefix(one.client, one.prefix)
            found = await look(one.client, one.reader, held, self._letters, self._grown, registry.definitions)
            self._overview = time.monotonic(), found
            return found

    async def _count(self) -> None:
        """Count dead letters and partitions of topics: that takes a moment, and no page waits for it."""
        one = self._connection
        letters = await count_dead_letters(one.bootstrap, one.topics.dead_letters.name, security=one.security)
        grown: Mapping[str, int] = {}
        with suppress(TopicsUnavailable):  # this user may not describe topics
            grown = await asyncio.to_thread(
                find_grown, one.bootstrap, list(one.topics), one.reader.partitions, **one.security
            )
        self._letters, self._grown = letters, dict(grown)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work beside pages until the prefix is closed; a server that does not answer ends it."""

        async def run() -> None:
            with suppress(TransientError):
                await work

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop what runs beside pages."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ignore() -> None:
    """Do nothing: pages look by themselves."""


@asynccontextmanager
async def live_prefix(connection: LiveConnection) -> AsyncIterator[LivePrefix]:
    """Open a prefix for pages; nothing is read before somebody looks."""
    async with AsyncExitStack() as exits:
        prefix = LivePrefix(connection)
        exits.push_async_callback(prefix.close)
        yield prefix
