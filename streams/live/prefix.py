"""A running prefix: its versions are followed, its health is read again at most once a second."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from resegment.errors import TransientError
from resegment.outcomes.dataset import Dataset
from resegment.outcomes.measuring.names import By
from resegment.outcomes.measuring.report import Report
from resegment.segmentation.planning.shadow import ShadowReport
from resegment.streams.definitions.follower import DefinitionFollower
from resegment.streams.definitions.log import read_definitions
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.admin import TopicsUnavailable, find_grown
from resegment.streams.live.account import AccountView, find_aliases, look_up_account, resolve
from resegment.streams.live.cached import Cached
from resegment.streams.live.connection import LiveConnection
from resegment.streams.live.follower import IndexFollower
from resegment.streams.live.index import Index, Progress
from resegment.streams.live.members import draw_accounts
from resegment.streams.live.outcomes import measure_prefix, read_account_outcomes
from resegment.streams.live.sampling import SAMPLED, Sample, judge_sample
from resegment.streams.live.shadow import (
    ShadowedAccount,
    ShadowLook,
    ShadowWatch,
    compare_live,
    look_up_shadowed,
)
from resegment.streams.operations.dead_letters import DeadLetterCount, count_dead_letters
from resegment.streams.operations.overview import Overview, look
from resegment.streams.operations.planning import Count
from resegment.streams.prefix import read_prefix

FRESH: Final = 1.0
"""Seconds for which what was read of the health is shown again."""
RESAMPLED: Final = 300.0
"""Seconds for which a sample of accounts is shown again."""
REMEASURED: Final = 120.0
"""Seconds for which a report on outcomes is shown again."""
RECOUNT: Final = 15.0
"""Seconds between two counts of the dead letters."""


T = TypeVar("T")


class ViewedPrefix:
    """See `resegment.http.console.prefix.ConsolePrefix`."""

    def __init__(self, connection: LiveConnection, index: Index) -> None:
        self._connection, self._index = connection, index
        self._shadow = ShadowWatch(self._compare_shadow, self.start)
        self._follower = IndexFollower(connection, index, self._shadow.forget)
        self._follows = False
        self._registry: Cached[DefinitionRegistry] = Cached(math.inf)
        self._overview: Cached[Overview] = Cached(FRESH)
        self._sample: Cached[Sample] = Cached(RESAMPLED)
        self._reports: dict[By, Cached[Report]] = {one: Cached(REMEASURED) for one in By}
        self._letters, self._grown = DeadLetterCount(), dict[str, int]()
        self._counted = -math.inf
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """The name of the prefix."""
        return self._connection.prefix

    async def registry(self) -> DefinitionRegistry:
        """Return the versions of the prefix, and follow them from then on. Raises TopicUnreadable."""
        return await self._registry.get(self._open_registry)

    async def _open_registry(self) -> DefinitionRegistry:
        one = self._connection
        definitions = await read_definitions(one.bootstrap, one.topics, one.security)
        keys = None if one.keys is None else one.keys.facts
        registry = DefinitionRegistry(definitions, one.topics, facts_per_test=one.facts_per_test, keys=keys)
        follower = DefinitionFollower(registry, one.bootstrap, one.topics, one.security, on_change=_ignore)
        self.start(follower.run())
        return registry

    async def now(self) -> int:
        """Return the prefix's own time, ms. Raises StoreUnavailable."""
        reader = self._connection.reader
        if not self._connection.on_facts:
            return await reader.now()
        return max([await reader.clock(number) for number in range(reader.partitions)])

    async def find(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Return what a query of `resegment.streams.live.queries` finds in the index."""
        self._look()
        return await self._index.read(query)

    @property
    def progress(self) -> Progress:
        """How much the index has read."""
        return self._follower.progress

    async def wait_for_changes(self, patience: float) -> None:
        """Wait until the index has new changes, for at most `patience` seconds."""
        self._look()
        await self._follower.wait_for_news(patience)

    def _look(self) -> None:
        self._follower.look()
        if not self._follows:
            self._follows = True
            self.start(self._follower.run())

    async def identify(self, text: str) -> str | None:
        """Return the account that a domain, URL, address, alias or id means, if it is known. Raises StoreUnavailable."""
        one = self._connection
        name = resolve(text, await read_prefix(one.client, one.prefix))
        return None if name is None or (await one.reader.states([name]))[0] is None else name

    async def aliases(self, text: str = "", account: str | None = None) -> list[tuple[str, str]]:
        """Return aliases that have a text, with their accounts; of one account or of any. Raises StoreUnavailable."""
        one = self._connection
        return find_aliases(await read_prefix(one.client, one.prefix), text, account)

    async def account(self, name: str, at: int | None) -> AccountView:
        """Return an account at an instant (ms), None for now. Raises as `look_up_account`."""
        return await look_up_account(self._connection, await self.registry(), name, at)

    async def shadow(self, patience: float) -> ShadowLook | None:
        """Return what is known of the shadow, None without one; wait up to so many seconds for a first comparison."""
        self._look()  # what is forgotten meanwhile leaves the comparison, too
        return await self._shadow.look(await self.registry(), patience)

    async def _compare_shadow(self, count: Count) -> ShadowReport:
        return await compare_live(self._connection, await self.registry(), count)

    async def shadowed_account(self, name: str, at: int) -> ShadowedAccount | None:
        """Return an account as the shadow has it at an instant (ms), None without a shadow. Raises StoreUnavailable."""
        return await look_up_shadowed(self._connection, await self.registry(), name, at)

    async def sample(self) -> Sample:
        """Return what tests say of a random sample of accounts, at most some minutes old. Raises StoreUnavailable."""

        async def judge() -> Sample:
            names = await self.find(partial(draw_accounts, most=SAMPLED))
            return await judge_sample(self._connection, await self.registry(), names, await self.now())

        return await self._sample.get(judge)

    async def outcomes(self, by: By) -> Report:
        """Return what came of touches, at most some minutes old. Raises as `measure_prefix`."""

        async def measure() -> Report:
            one = self._connection
            return await measure_prefix(one, await self.registry(), by, await self.now(), one.outcome_window)

        return await self._reports[by].get(measure)

    async def account_outcomes(self, name: str, until: int | None = None) -> Dataset:
        """Return the touches and outcomes of an account, as they were known at `until` (ms). Raises StoreUnavailable."""
        return await read_account_outcomes(self._connection, name, self._connection.outcome_window, until)

    async def overview(self) -> Overview:
        """Return the health of the prefix, at most a second old. Raises StoreUnavailable and TopicUnreadable."""
        return await self._overview.get(self._look_at_prefix)

    async def _look_at_prefix(self) -> Overview:
        registry = await self.registry()
        if time.monotonic() - self._counted > RECOUNT:
            self._counted = time.monotonic()
            self.start(self._count())
        one = self._connection
        held = await read_prefix(one.client, one.prefix)
        return await look(one.client, one.reader, held, self._letters, self._grown, registry.definitions)

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
async def viewed_prefix(
    connection: LiveConnection, folder: Path | None = None
) -> AsyncIterator[ViewedPrefix]:
    """Open a prefix for pages; nothing is read before somebody looks. `folder` is where the index is made."""
    async with AsyncExitStack() as exits:
        index = Index(folder)
        exits.push_async_callback(index.close)
        prefix = ViewedPrefix(connection, index)
        exits.push_async_callback(prefix.close)
        yield prefix
