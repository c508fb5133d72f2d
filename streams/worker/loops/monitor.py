"""What a worker reports each second: gauges, its entry among the workers, and whether it stands still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import structlog
from aiokafka.errors import KafkaError
from prometheus_client import Histogram

from resegment.agents.partition import OwnedPartition
from resegment.errors import FatalError
from resegment.metrics import Metrics
from resegment.routing.account import RoutedAccount
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.state.partition_store import StoreUnavailable
from resegment.state.redis.client import measure_keys, read_memory
from resegment.state.redis.keys import PartitionKeys, Stage
from resegment.state.writes import StoredAccount
from resegment.streams.heartbeat import Heartbeat
from resegment.streams.reports.pace import HistogramDelays, Pace
from resegment.streams.runtime import Tidier
from resegment.streams.transport.config import PartitionProgress
from resegment.streams.worker.key_watch import KeyWatch
from resegment.streams.worker.partitions import PartitionManager
from resegment.streams.worker.progress import Progress

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

UNREACHABLE = (StoreUnavailable, KafkaError, ConnectionError, TimeoutError)
"""Errors of servers that are away: the report waits for them."""
STATE_EVERY: Final = 60
"""Looks between two measurements of what the state takes in Redis."""
ANSWERED_WITHIN: Final = 5.0
"""Seconds in which a partition's store has to answer the monitor."""

A = TypeVar("A", bound=StoredAccount)


class Stalled(FatalError):
    """There was lag and no progress for too long: the worker ends, so that its supervisor restarts it."""


class Counts(Protocol):
    """What evaluating accounts counts: facts that limits dropped, accounts over a limit, values of another type, repeated ids."""

    @property
    def dropped(self) -> Mapping[str, int]: ...

    @property
    def crowded(self) -> Mapping[str, int]: ...

    @property
    def misfits(self) -> Mapping[str, int]: ...

    @property
    def repeated(self) -> Mapping[str, int]: ...


class Gauges:
    """Measures the owned partitions of both stages. `now` is the wall clock, ms.

    `counts` returns what all versions of the definition count; without it, that of the engine counts.
    """

    def __init__(
        self,
        metrics: Metrics,
        engine: Engine,
        segmented: PartitionManager[Account],
        routed: PartitionManager[RoutedAccount],
        *,
        client: Redis | None,
        now: Callable[[], int],
        counts: Callable[[], Counts] | None = None,
        prefix: str = "",
    ) -> None:
        self._counts: Callable[[], Counts] = counts or (lambda: engine)
        self._metrics, self._engine, self._client, self._now = metrics, engine, client, now
        self.segmented, self._routed = segmented, routed
        self._prefix, self._looks = prefix, 0
        self._done: dict[tuple[str, int], int | None] = {}
        """Up to where each partition was done at the last look, or when that was known last."""
        self._measured: tuple[int, ...] = ()
        """The partitions whose state was measured last."""
        self.keys: KeyWatch | None = None
        """Asks the key store."""
        self._dropped: dict[str, int] = {}
        """Facts that the engine had dropped at the last look, by test."""
        self._misfits: dict[str, int] = {}
        """Values that did not fit the type of their attribute, at the last look."""
        self.repeated: dict[str, int] = {}
        """Events with the id of an earlier one and other data, at the last look, by source."""

    @property
    def stage_delay(self) -> Histogram:
        """The delays of each stage."""
        return self._metrics.stage_delay

    @property
    def dropped(self) -> dict[str, tuple[int, int]]:
        """The facts that a limit dropped since the worker started, and the accounts that lost them, by test."""
        counts = self._counts()
        crowded = counts.crowded
        return {test: (facts, crowded.get(test, 0)) for test, facts in counts.dropped.items()}

    async def measure(self, partition_progress: Sequence[PartitionProgress]) -> bool:
        """Set all gauges, and notice partitions that were lost; return whether all stores answered."""
        metrics = self._metrics
        for gauge in (
            *(metrics.lag, metrics.clock, metrics.clock_ahead, metrics.freshness),
            *(metrics.outbox, metrics.outbox_age),
        ):
            gauge.clear()  # partitions that went to another worker are not known here
        for one in partition_progress:
            metrics.lag.labels(one.topic, str(one.partition)).set(self._lag_of(one))
        self._done = {(one.topic, one.partition): self._done_of(one) for one in partition_progress}
        metrics.owned.set(len(self.segmented))
        for owned in self.segmented:
            number, position = str(owned.number), owned.position
            metrics.clock.labels(number).set(position.clock / 1000)
            metrics.clock_ahead.labels(number).set((position.clock - self._now()) / 1000)
            if position.timestamp >= 0:
                metrics.freshness.labels(number).set((self._now() - position.timestamp) / 1000)
            waiting = owned.outbox.entries
            metrics.outbox.labels(number).set(len(waiting))
            metrics.outbox_age.labels(number).set(waiting[0].age(self._now()) / 1000 if waiting else 0)
        none = dict.fromkeys([one.name for one in self._engine.program.segments], 0)
        reachable = await _measure_sizes(metrics.segment_size, self.segmented, none)
        reachable &= await _measure_sizes(metrics.routed_size, self._routed, {})
        reachable &= self.keys is None or await self.keys.ask()
        counts = self._counts()
        for test, count in counts.dropped.items():
            metrics.facts_dropped.labels(test).inc(count - self._dropped.get(test, 0))
            self._dropped[test] = count
        for attribute, count in counts.misfits.items():
            metrics.misfits.labels(attribute).inc(count - self._misfits.get(attribute, 0))
            self._misfits[attribute] = count
        for source, count in counts.repeated.items():
            metrics.repeated_ids.labels(source).inc(count - self.repeated.get(source, 0))
            if source not in self.repeated:
                log.warning(
                    "events with the id of an earlier one and other data change nothing; give each revision an id of its "
                    "own, and the same record",
                    source=source,
                )
            self.repeated[source] = count
        return reachable

    def _done_of(self, one: PartitionProgress) -> int | None:
        """Return where a partition is, or was last: while Redis is away, its position is not known."""
        return self._done.get((one.topic, one.partition)) if one.offset is None else one.offset

    def _lag_of(self, one: PartitionProgress) -> int:
        done = self._done_of(one)
        return 0 if done is None else max(0, one.end - done)

    def note_reachable(self, *, reachable: bool) -> None:
        """Set whether servers are away."""
        self._metrics.servers_away.set(not reachable)

    def note_lost(self, workers: int) -> None:
        """Set how many other workers were lost."""
        self._metrics.workers_lost.set(workers)

    async def measure_memory(self) -> None:
        """Set the gauges of what Redis uses. Raises StoreUnavailable."""
        if self._client is None:
            return
        used, limit = await read_memory(self._client)
        self._metrics.redis_memory.set(used)
        self._metrics.redis_limit.set(limit)
        owned = tuple(self.segmented.numbers)
        if self._looks % STATE_EVERY == 0 or owned != self._measured:
            with suppress(StoreUnavailable):  # a user of an earlier version's rights may not ask
                await self._measure_state(self._client)
            self._measured = owned
        self._looks += 1

    async def _measure_state(self, client: Redis) -> None:
        stages: Mapping[Stage, Sequence[int]] = {
            "segmenter": self.segmented.numbers,
            "router": self._routed.numbers,
        }
        for stage, numbers in stages.items():
            keys = [key for number in numbers for key in PartitionKeys.of(self._prefix, number, stage).all]
            self._metrics.state_bytes.labels(stage).set(await measure_keys(client, keys))


class Monitor:
    """Looks at a worker each second: reports its lag, and raises Stalled where nothing moves any more."""

    def __init__(
        self,
        gauges: Gauges,
        heartbeat: Heartbeat,
        progress: Progress,
        *,
        partition_progress: Callable[[], Awaitable[Sequence[PartitionProgress]]],
        stalled_after: float,
        kept: Callable[[], int] = lambda: 0,
    ) -> None:
        """`kept` says about how many bytes the accounts in memory take."""
        self._gauges, self._heartbeat, self._progress = gauges, heartbeat, progress
        self._pace = Pace(HistogramDelays(gauges.stage_delay))
        self._partition_progress, self._stalled_after = partition_progress, stalled_after
        self._still_since: float | None = None
        self._tidier = Tidier(kept=kept)
        self.lag = 0
        """Records of the owned partitions that are not done yet, as of the last look."""
        self.reachable = True
        """Whether Kafka and Redis answered at the last look."""

    @property
    def stalled_for(self) -> float:
        """Return for how many seconds there has been lag and no progress; 0 while things move."""
        return 0.0 if self._still_since is None else time.monotonic() - self._still_since

    async def run(self) -> None:
        """Look each second. Raises Stalled."""
        seen = -1
        while True:
            reachable = False
            with suppress(*UNREACHABLE):
                reachable = await self._look()
            self.reachable = reachable
            self._gauges.note_reachable(reachable=reachable)
            self._tidier.look(idle=seen == self._progress.steps)
            if seen != self._progress.steps or not self.lag or not self.reachable:
                # waiting for servers that are away is no standstill of the worker's own
                seen, self._still_since = self._progress.steps, None
            elif self._still_since is None:
                self._still_since = time.monotonic()
            elif self.stalled_for > self._stalled_after:
                raise Stalled(
                    f"there is lag, and no batch was done for {self._stalled_after:.0f} s",
                    remedy="The worker ends, so that its supervisor restarts it.",
                )
            await asyncio.sleep(1.0)

    async def _look(self) -> bool:
        partition_progress = await self._partition_progress()
        self.lag = sum(one.lag or 0 for one in partition_progress)
        reachable = await self._gauges.measure(partition_progress)
        self._heartbeat.keys_away = None if self._gauges.keys is None else self._gauges.keys.away
        self._heartbeat.note_dropped(self._gauges.dropped)
        self._heartbeat.note_repeated(self._gauges.repeated)
        lag = {f"{one.topic}:{one.partition}": one.lag or 0 for one in partition_progress}
        self._heartbeat.note_pace(self._pace.note(lag))
        await self._heartbeat.report(self._gauges.segmented.numbers, lag)
        self._gauges.note_lost(self._heartbeat.lost)
        await self._gauges.measure_memory()
        return reachable


async def _measure_sizes(gauge: Any, manager: PartitionManager[A], sizes: dict[str, int]) -> bool:
    """Set how many accounts each group has; return whether all stores answered.

    Partitions are looked at side by side: one whose store is away delays no other.
    """

    async def look(owned: OwnedPartition[A]) -> dict[str, int]:
        async with asyncio.timeout(ANSWERED_WITHIN):
            found = await owned.store.sizes()
            await manager.check(owned)
            return found

    looks = await asyncio.gather(*map(look, manager), return_exceptions=True)
    for found in looks:
        if isinstance(found, (StoreUnavailable, TimeoutError)):
            return False
        if isinstance(found, BaseException):
            raise found
        for name, size in found.items():
            sizes[name] = sizes.get(name, 0) + size
    for name, size in sizes.items():
        gauge.labels(name).set(size)
    return True
