"""Judge a version beside the one in force: replay the log of each owned partition into keys of its own, and follow it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from resegment.agents.batch import Batch, Message
from resegment.agents.deciding.decided import Owned
from resegment.agents.deciding.sweep import find_due_sweep, sweep
from resegment.agents.deciding.versions import KnownVersions
from resegment.agents.partition import OwnedPartition
from resegment.agents.segmenter import decide_due, segment
from resegment.errors import PartitionLost, ResegmentError, TransientError
from resegment.schemas.definitions.records import Apply
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.versions.era import Era
from resegment.segmentation.versions.timeline import Timeline
from resegment.state.account_cache import CacheBudget
from resegment.state.redis.partition import PartitionStore
from resegment.streams.definitions.preparing import SignalLog
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.worker.partitions import PartitionManager, cancel

log = structlog.get_logger(__name__)

LOOKED_AT: Final = 0.5
"""Seconds between two looks at which partitions are owned and whether there is a shadow."""
AGAIN_AFTER: Final = 2.0
"""Seconds until a partition whose server failed is followed again."""
TOGETHER: Final = 40
"""Records or accounts in one commit of the shadow, so that live events wait for few milliseconds."""
IDLE: Final = 9.0
"""How many times as long as they computed the shadows of a worker rest, so that live events keep their pace."""


class _Nowhere:
    """A shadow publishes nothing."""

    async def publish(self, messages: Sequence[Message]) -> None:
        del messages


class ShadowFollower:
    """Runs the shadow of each owned partition in a task of its own, and clears the keys of one that is discarded."""

    def __init__(
        self,
        registry: DefinitionRegistry,
        partitions: PartitionManager[Account],
        open_store: Callable[[int], PartitionStore],
        source: SignalLog,
        *,
        cache_bytes: int,
    ) -> None:
        self._registry, self._partitions, self._open_store = registry, partitions, open_store
        self._source, self._budget = source, CacheBudget(cache_bytes)
        self._turn = asyncio.Lock()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._judged: str | None = None
        """The apply whose shadow the tasks follow."""
        self._cleared: set[int] = set()

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(LOOKED_AT)
        finally:
            await cancel(list(self._tasks.values()))

    async def _look(self) -> None:
        history = self._registry.definitions.shadow
        shadow = None if history is None else history.apply
        judged = None if shadow is None else shadow.id
        if judged != self._judged:
            await self._stop(list(self._tasks))
            self._judged, self._cleared = judged, set()
        held = {one.number: one for one in self._partitions if one.fence is not None}
        await self._stop([number for number in self._tasks if number not in held])
        self._cleared &= held.keys()
        for number, owned in held.items():
            if shadow is not None and number not in self._tasks:
                self._tasks[number] = asyncio.create_task(self._follow(owned, shadow))
            elif shadow is None and number not in self._cleared:
                await self._clear(number)

    async def _stop(self, numbers: Sequence[int]) -> None:
        await cancel([self._tasks.pop(number) for number in numbers])

    async def _clear(self, number: int) -> None:
        try:
            await self._open_store(number).clear()
        except TransientError:
            return  # at the next look
        self._cleared.add(number)

    async def _follow(self, live: Owned, shadow: Apply) -> None:
        """Follow one partition. What fails is begun again from what was committed."""
        while True:
            try:
                await self._judge(live, shadow)
            except (PartitionLost, TransientError) as error:
                log.warning("a shadow is followed again", partition=live.number, reason=error.message)
                await asyncio.sleep(AGAIN_AFTER)
            except ResegmentError as error:
                log.error("a shadow ends", partition=live.number, reason=error.message)  # noqa: TRY400  # it says what to do
                return

    async def _judge(self, live: Owned, shadow: Apply) -> None:
        number, source = live.number, self._source
        if not source.has_whole(live):
            log.warning("the log has not the whole history: no shadow is judged", partition=number)
            await asyncio.Event().wait()
        versions = KnownVersions(self._timeline(shadow), self._registry.keys)
        store, judged = self._open_store(number), f"{live.position.log} {shadow.id}"
        before = (await store.claim()).position
        if before is not None and before.log != judged:
            await store.clear()  # it is of another shadow, or of another log
        owned: Owned = OwnedPartition(number, store, versions, budget=self._budget)
        start = await owned.take(judged)
        topic = source.topics.signals.name
        async with reading(source.bootstrap, topic, [number], security=source.security) as reader:
            async for records in reader.follow_from(number, start):
                for place in range(0, len(records), TOGETHER):
                    batch = Batch(topic, number, records[place : place + TOGETHER])
                    await self._learn(batch, owned, versions)

    async def _learn(self, batch: Batch, owned: Owned, versions: KnownVersions) -> None:
        ahead = self._source.ahead
        refused = frozenset[int]() if ahead is None else await ahead.find(batch)
        async with self._turn_taken():
            await segment(
                batch, owned, versions, publisher=_Nowhere(), factory=None, dead_letters="", ahead=refused
            )
        while owned.due:
            async with self._turn_taken():
                await decide_due(owned, versions, factory=None)
        cursor = 0
        while (version := find_due_sweep(owned.position, versions.timeline)) is not None:
            async with self._turn_taken():
                done = await sweep(owned, versions, cursor, version, factory=None, limit=TOGETHER)
                cursor = done.cursor

    @asynccontextmanager
    async def _turn_taken(self) -> AsyncIterator[None]:
        """Let one partition at a time compute, and rest after that: live events get the processor."""
        async with self._turn:
            began = time.thread_time()
            yield
            await asyncio.sleep(IDLE * (time.thread_time() - began))

    def _timeline(self, shadow: Apply) -> Timeline:
        """Return the versions up to the shadow's instant, and the shadow from there on."""
        eras = [one for one in self._registry.timeline.eras if one.at < shadow.at]
        engine = self._registry.runtime(shadow.version).engine
        number = max(shadow.version, eras[-1].number + 1)
        moved, judges = shadow.moved, shadow.judges
        return Timeline((*eras, Era(number, shadow.at, engine, moved, judges, gates_only=shadow.gates_only)))
