"""What a worker says of itself: metrics, its entry in the registry, and whether it stands still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from aiokafka.errors import KafkaError

from resegment.errors import FatalError
from resegment.metrics import Metrics
from resegment.routing.account import RoutedAccount
from resegment.segmentation.evaluation.account import Account
from resegment.state.partition_store import StoreUnavailable
from resegment.streams.consumer.config import PartitionProgress
from resegment.streams.heartbeat import Heartbeat
from resegment.streams.worker.partitions import PartitionManager

UNREACHABLE = (StoreUnavailable, KafkaError, ConnectionError, TimeoutError)
"""Errors of servers that are away: what is to be said has to wait."""


class Stalled(FatalError):
    """There was lag and no progress for too long: better to end and be started anew than to stand still."""


class Monitor:
    """Looks at a worker each second. `progress` counts whatever the worker gets done."""

    def __init__(
        self,
        *,
        manager: PartitionManager[Account],
        routed: PartitionManager[RoutedAccount],
        metrics: Metrics,
        heartbeat: Heartbeat,
        segments: Sequence[str],
        partition_progress: Callable[[], Awaitable[Sequence[PartitionProgress]]],
        redis_memory: Callable[[], Awaitable[int]],
        dropped: Callable[[], int],
        now: Callable[[], int],
        stalled_after: float,
    ) -> None:
        self._manager, self._routed, self._metrics, self._heartbeat = manager, routed, metrics, heartbeat
        self._segments, self._partition_progress, self._redis_memory = (
            segments,
            partition_progress,
            redis_memory,
        )
        self._dropped, self._now, self._stalled_after = dropped, now, stalled_after
        self._told_dropped = 0
        self._still_since: float | None = None
        self.progress = 0
        self.lag = 0
        """Records of the partitions owned that are not done yet, as of the last look."""
        self.reachable = True
        """Whether Kafka and Redis answered at the last look."""

    @property
    def stalled_for(self) -> float:
        """Seconds for which there has been lag and no progress; 0 while things move."""
        return 0.0 if self._still_since is None else time.monotonic() - self._still_since

    async def run(self) -> None:
        """Look, each second. Raises Stalled."""
        seen = -1
        while True:
            self.reachable = False
            with suppress(*UNREACHABLE):
                await self._look()
                self.reachable = True
            if seen != self.progress or not self.lag or not self.reachable:
                # servers that are away are waited for: that is no standstill of the worker's own
                seen, self._still_since = self.progress, None
            elif self._still_since is None:
                self._still_since = time.monotonic()
            elif self.stalled_for > self._stalled_after:
                raise Stalled(
                    f"there is lag, and no batch was done for {self._stalled_after:.0f} s",
                    remedy="The worker ends, so that whoever runs it starts it anew.",
                )
            await asyncio.sleep(1.0)

    async def _look(self) -> None:
        metrics = self._metrics
        partitions = await self._partition_progress()
        self.lag = sum(one.lag or 0 for one in partitions)
        for gauge in (metrics.lag, metrics.clock, metrics.outbox, metrics.freshness):
            gauge.clear()  # of partitions that went to another worker nothing is known here
        for one in partitions:
            metrics.lag.labels(one.topic, str(one.partition)).set(one.lag or 0)
        metrics.owned.set(len(self._manager))
        sizes = dict.fromkeys(self._segments, 0)
        for owned in self._manager:
            number, position = str(owned.number), owned.position
            metrics.clock.labels(number).set(position.clock / 1000)
            if position.timestamp >= 0:
                metrics.freshness.labels(number).set((self._now() - position.timestamp) / 1000)
            metrics.outbox.labels(number).set(len(owned.outbox.entries))
            for name, size in (await owned.store.sizes()).items():
                sizes[name] = sizes.get(name, 0) + size
            await self._manager.check(owned)
        await self._look_at_routes()
        for name, size in sizes.items():
            metrics.segment_size.labels(name).set(size)
        dropped = self._dropped()
        metrics.facts_dropped.inc(dropped - self._told_dropped)
        self._told_dropped = dropped
        metrics.redis_memory.set(await self._redis_memory())
        lag = {f"{one.topic}:{one.partition}": one.lag or 0 for one in partitions}
        await self._heartbeat.report(self._manager.numbers, lag)

    async def _look_at_routes(self) -> None:
        decided: dict[str, int] = {}
        for owned in self._routed:
            for name, size in (await owned.store.sizes()).items():
                decided[name] = decided.get(name, 0) + size
            await self._routed.check(owned)
        for name, size in decided.items():
            self._metrics.routed_size.labels(name).set(size)
