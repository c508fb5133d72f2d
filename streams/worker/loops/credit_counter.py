"""Count how many outcomes of the partitions that a worker owns are credited to touches."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from resegment.metrics import Metrics
from resegment.outcomes.dataset import Dataset
from resegment.outcomes.frames import Ledgers
from resegment.schemas.outcomes.ledger import decode_ledger
from resegment.segmentation.evaluation.account import Account
from resegment.state.partition_store import StoreUnavailable
from resegment.state.redis.reader import PrefixReader
from resegment.streams.outcomes.counts import Credits, PartitionCredits, add_credits, write_credits
from resegment.streams.worker.partitions import PartitionManager

if TYPE_CHECKING:
    from redis.asyncio import Redis

LOOKED_AT: Final = 10.0
"""Seconds between two looks."""
TOGETHER: Final = 5_000
"""Ledgers that are counted together: more would take memory for all of a large partition at once."""
NAMES: Final = 10_000
"""Names that a count remembers, the latest. Redis gives an account again only where the hash has shrunk meanwhile, and then
soon: to remember all names of a partition would take memory for each of its accounts."""
RESTS: Final = 30
"""It rests so many times as long as it counted, so that events don't wait for it."""


class CreditCounter:
    """Counts one partition after another, each again once its router has committed something."""

    def __init__(
        self,
        partitions: PartitionManager[Account],
        client: Redis,
        reader: PrefixReader,
        metrics: Metrics,
        window: timedelta,
    ) -> None:
        self._partitions, self._client, self._reader = partitions, client, reader
        self._metrics, self._window = metrics, window
        self._counted: dict[int, tuple[int, PartitionCredits]] = {}
        """By partition: the router's commit that was counted last, and the counts."""

    async def run(self) -> None:
        """Count until cancelled. What Redis does not answer is asked at the next look."""
        while True:
            await asyncio.sleep(LOOKED_AT)
            with suppress(StoreUnavailable):
                await self.look()

    async def look(self) -> None:
        """Count each partition that has changed. Raises StoreUnavailable."""
        owned = set(self._partitions.numbers)
        for number in self._counted.keys() - owned:
            del self._counted[number]
        for number in sorted(owned):
            position = await self._reader.position(number, "router")
            before = self._counted.get(number)
            if position is None or (before is not None and before[0] == position.commit):
                continue
            counted, began = await self._count(number)
            if number not in self._partitions.numbers:
                continue  # another worker counts it now
            await write_credits(self._client, self._reader.prefix, number, counted)
            self._counted[number] = position.commit, counted
            self._show()
            await _rest(began)
        self._show()

    async def _count(self, number: int) -> tuple[PartitionCredits, float]:
        """Count the ledgers of a partition, some at a time: what an account has is credited by that alone.

        It rests after each part. Also returns since when (by the monotonic clock) the last part was counted.
        """
        counted = PartitionCredits(at=await self._reader.now())
        ledgers, waiting, latest = Ledgers(), 0, OrderedDict[bytes, None]()
        began = time.monotonic()
        async for found in self._reader.ledgers(number):
            fresh = [value for name, value in found.items() if name not in latest]
            latest.update(dict.fromkeys(found))
            while len(latest) > NAMES:
                latest.popitem(last=False)
            for value in fresh:
                ledgers.take(decode_ledger(value))
            waiting += len(fresh)
            if waiting >= TOGETHER:
                counted = add_credits(counted, await self._count_some(ledgers, counted.at))
                ledgers, waiting = Ledgers(), 0
                await _rest(began)
                began = time.monotonic()
            await asyncio.sleep(0)
        return add_credits(counted, await self._count_some(ledgers, counted.at)), began

    async def _count_some(self, ledgers: Ledgers, now: int) -> PartitionCredits:
        dataset = await asyncio.to_thread(lambda: Dataset.of(ledgers, window=self._window))
        return count_credits(dataset, now)

    def _show(self) -> None:
        """Set the metrics to what the partitions owned have together."""
        together = Credits({number: counted for number, (_, counted) in self._counted.items()})
        gauge = self._metrics.outcomes
        gauge.clear()
        for credit, number in [*together.total("credited").items(), *together.total("uncredited").items()]:
            gauge.labels(credit).set(number)
        self._metrics.touches.clear()
        for arm, number in together.total("touches").items():
            self._metrics.touches.labels(arm).set(number)
        self._metrics.ledgers_dropped.set(together.dropped)


async def _rest(began: float) -> None:
    await asyncio.sleep(min((time.monotonic() - began) * RESTS, 600.0))


def count_credits(dataset: Dataset, at: int) -> PartitionCredits:
    """Count what a data set has, at an instant (ms)."""
    touches = dict(dataset.touches.group_by("arm").len().sort("arm").iter_rows())
    credited = dataset.outcomes.filter(pl.col("touch").is_not_null()).group_by("credited_by").len()
    return PartitionCredits(
        at=at,
        touches=touches,
        credited=dict(credited.sort("credited_by").iter_rows()),
        uncredited=dataset.uncredited,
        dropped=dataset.dropped,
    )
