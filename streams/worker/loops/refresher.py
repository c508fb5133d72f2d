"""Ask enrichment tools, a few times a day, for attributes of the owned accounts that are unknown or old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from resegment.agents.deciding.decided import Owned
from resegment.errors import ResegmentError
from resegment.metrics import Metrics
from resegment.schemas.logs.state_log import decode_state
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.outlook.staleness import StaleFinder
from resegment.state.redis.reader import PrefixReader
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.refresh import RefreshAsker, count_today
from resegment.streams.worker.partitions import PartitionManager

log = structlog.get_logger(__name__)

FIRST_AFTER: Final = 60.0
"""Seconds after the start until accounts are looked at."""
AGAIN_AFTER: Final = 6 * 3600.0
"""Seconds until they are looked at again."""
TOGETHER: Final = 20
"""Accounts that are looked at before live events get their turn."""
IDLE: Final = 9.0
"""How many times as long as it computes a look rests."""


@dataclass(frozen=True, slots=True)
class RefreshPlan:
    """From which age (ms) on a value is old, and how many accounts of the prefix are asked for in a day."""

    older: int
    per_day: int

    def share(self, partition: int, partitions: int) -> int:
        """Return how many of them are of one partition."""
        return self.per_day // partitions + (partition < self.per_day % partitions)


class Refresher:
    """Looks at the owned partitions one after another. `now` is the time of a partition, ms."""

    def __init__(
        self,
        registry: DefinitionRegistry,
        partitions: PartitionManager[Account],
        reader: PrefixReader,
        asker: RefreshAsker,
        plan: RefreshPlan | None,
        metrics: Metrics,
        *,
        now: Callable[[Owned], int],
    ) -> None:
        """Without a `plan`, nobody is asked."""
        self._registry, self._partitions, self._reader = registry, partitions, reader
        self._asker, self._plan, self._metrics, self._now = asker, plan, metrics, now

    async def run(self) -> None:
        """Ask until cancelled."""
        if self._plan is None:
            return
        await asyncio.sleep(FIRST_AFTER)
        while True:
            for owned in list(self._partitions):
                if owned.fence is not None:
                    await self._look(owned, self._plan)
            await asyncio.sleep(AGAIN_AFTER)

    async def _look(self, owned: Owned, plan: RefreshPlan) -> None:
        """Ask for accounts of a partition. What fails is tried at the next look."""
        try:
            await self._ask(owned, plan)
        except ResegmentError as error:
            log.warning("no attributes are asked for now", partition=owned.number, reason=error.message)
        except Exception:
            log.exception("asking for attributes failed", partition=owned.number)  # no work rests on it

    async def _ask(self, owned: Owned, plan: RefreshPlan) -> None:
        now, number = self._now(owned), owned.number
        asked = await self._asker.read_asked(number)
        left = plan.share(number, self._reader.partitions) - count_today(asked, now)
        if left <= 0:
            return
        timeline = self._registry.timeline.renewed()
        finder = StaleFinder(timeline.at(now).engine, now, plan.older, keep=left)
        looked, began = 0, time.thread_time()
        async for name, value in self._reader.raw_states(number):
            if not self._asker.is_recent(asked.get(name), now):
                account = timeline.open(name, decode_state(value))
                timeline.advance(account, now)
                finder.take(account)
            looked += 1
            if looked % TOGETHER == 0:
                await asyncio.sleep(IDLE * (time.thread_time() - began))
                began = time.thread_time()
        done = await self._asker.ask(finder.ranked(), now, left)
        self._metrics.events_out.labels("refresh").inc(done)
        if done:
            log.info("attributes are asked for", partition=number, accounts=done)
