"""Fold some accounts of a partition again from its log, and compare them with Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from resegment.agents.batch import Batch, Record, RecordedMessage
from resegment.agents.deciding.refolding import refold
from resegment.agents.deciding.sweep import find_due_sweep
from resegment.agents.deciding.versions import KnownVersions, Verdict
from resegment.agents.partition import OwnedPartition
from resegment.agents.segmenter import TICK
from resegment.errors import TransientError
from resegment.schemas.definitions.records import Apply
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.versions.comparison import Comparison, Difference
from resegment.state.account_cache import CacheBudget
from resegment.state.memory.partition import Memory, PartitionStore
from resegment.state.partition_store import Position
from resegment.state.redis.reader import PrefixReader
from resegment.streams.definitions.preparing import SignalLog
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.topic_reader import TopicReader, reading

DECODED_AT_ONCE: Final = 200
"""Records that are decoded before live events get their turn."""
TOGETHER: Final = 20
"""Records of the slice in one step of folding."""
COMPARED_AT_ONCE: Final = 50
"""Accounts that are read from Redis at one position."""
ATTEMPTS: Final = 5
"""How often an account is read whose parts commits replace meanwhile."""
IDLE: Final = 12.0
"""How many times as long as it computes a check rests."""
DECODING: Final = 15e-6
"""About the seconds that the client takes for one record, before the check sees it."""


class NotNow(TransientError):
    """The partition is on the way from one version to another, or was taken back: it is checked later."""


class LogCut(TransientError):
    """The log does not begin at its beginning: no account can be folded from it."""


@dataclass(frozen=True, slots=True)
class AccountSlice:
    """One of `of` slices of the accounts of a partition, by a hash of their names."""

    number: int
    of: int

    def has(self, key: bytes) -> bool:
        """Return whether the account of a key belongs to the slice."""
        return crc32(key) % self.of == self.number


@dataclass(slots=True)
class SliceFound:
    """How many accounts of a slice were compared, and the differences of those that differ."""

    checked: int = 0
    differences: dict[str, list[Difference]] = field(default_factory=dict)


class _FixedVersions(KnownVersions):
    """The versions of a registry at one moment, with engines of their own. A replay folds nothing in beside accounts."""

    def __init__(self, registry: DefinitionRegistry) -> None:
        super().__init__(registry.timeline.renewed(), registry.keys)
        self._registry = registry

    def knows(self, apply: str) -> bool:
        return self._registry.knows(apply)

    def verdict(self, apply: str) -> Verdict | None:
        return self._registry.verdict(apply)

    def apply_of(self, apply: str) -> Apply | None:
        return self._registry.apply_of(apply)


class SliceCheck:
    """One check of one slice: the fold in memory, the log that it reads, and Redis."""

    def __init__(
        self,
        partition: int,
        some: AccountSlice,
        registry: DefinitionRegistry,
        source: SignalLog,
        reader: PrefixReader,
        *,
        cache_bytes: int,
    ) -> None:
        self._partition, self._slice = partition, some
        self._registry, self._source, self._reader = registry, source, reader
        self._present = registry.timeline
        self._versions = _FixedVersions(registry)
        self._memory = Memory()
        self._owned: OwnedPartition[Account] = OwnedPartition(
            partition,
            PartitionStore(self._memory, partition),
            self._versions,
            budget=CacheBudget(cache_bytes),
        )
        self._clock = time.thread_time()

    async def run(self) -> SliceFound:
        """Fold the slice from the beginning of the log and compare each of its accounts at one position.

        Raises NotNow, LogCut, SwitchOpen, TopicUnreadable, StoreUnavailable.
        """
        await self._owned.take("")
        position = await self._reader.position(self._partition) or Position()
        topic, security = self._source.topics.signals.name, self._source.security
        found = SliceFound()
        async with reading(self._source.bootstrap, topic, [self._partition], security=security) as log:
            if log.oldest > 0:
                raise LogCut(f"the log of partition {self._partition} begins at offset {log.oldest}")
            await self._fold(log, position)
            wanted = sorted(name for name in self._memory.accounts if self._slice.has(name.encode()))
            for start in range(0, len(wanted), COMPARED_AT_ONCE):
                await self._compare(log, wanted[start : start + COMPARED_AT_ONCE], found)
        if self._registry.timeline is not self._present:
            raise NotNow("another version came while accounts were checked")
        return found

    # Folding

    async def _fold(self, log: TopicReader, position: Position) -> None:
        """Fold what the log has before a position of the partition."""
        start, end = self._owned.position.offset, position.offset
        if end < start:
            raise NotNow("the partition was taken back")
        ahead = self._source.ahead
        if ahead is not None and end > start:
            await ahead.load(self._partition)
        topic = self._source.topics.signals.name
        async for records in log.between(self._partition, start, end, at_once=DECODED_AT_ONCE):
            self._clock = time.thread_time()
            if not records:
                continue
            batch = Batch(topic, self._partition, records)
            refused = frozenset[int]() if ahead is None else await ahead.find(batch)
            for some in leave_out_others(records, self._slice, refused):
                await refold(
                    Batch(topic, self._partition, some),
                    self._owned,
                    self._versions,
                    ahead=refused,
                    rest=self._rest,
                    together=TOGETHER,
                )
            await self._rest(len(records) * DECODING)

    async def _rest(self, more: float = 0.0) -> None:
        """Rest in proportion to what was computed since the last rest: live events keep their pace."""
        await asyncio.sleep(IDLE * (time.thread_time() - self._clock + more))
        self._clock = time.thread_time()

    # Comparing

    async def _compare(self, log: TopicReader, names: Sequence[str], found: SliceFound) -> None:
        """Compare some accounts at the position at which Redis has them."""
        for _ in range(ATTEMPTS):
            look = await self._reader.look_at_states(self._partition, names)
            self._clock = time.thread_time()
            await self._fold(log, look.position)
            position = self._owned.position
            if position.offset != look.position.offset or position.clock != look.position.clock:
                raise NotNow("the log does not lead to the position in Redis")
            if find_due_sweep(look.position, self._versions.timeline) is not None:
                raise NotNow("accounts are being switched to another version")
            comparison = Comparison(self._versions.timeline, position.clock)
            for name in names:
                if name in look.changed:
                    continue
                in_redis, in_log = look.states.get(name), self._memory.accounts[name]
                if name in look.gone:
                    differences = [Difference(name, "state", f"cannot be read: {look.gone[name]}", "a state")]
                elif in_redis is None:
                    differences = [Difference(name, "account", None, "an account")]
                else:
                    differences = comparison.compare(name, in_redis, in_log, look.timers.get(name))
                found.checked += 1
                if differences:
                    found.differences[name] = differences
                await self._rest()
            names = look.changed
            if not names:
                return


def leave_out_others(
    records: Sequence[Record], some: AccountSlice, refused: frozenset[int]
) -> list[Sequence[Record]]:
    """Return the records in steps, those of other accounts replaced by the time that they tell."""
    steps: list[Sequence[Record]] = []
    step: list[Record] = []
    passed: Record | None = None
    latest = 0
    for record in records:
        if record.offset in refused:
            continue
        if record.key is not None and not some.has(record.key):
            passed, latest = record, max(latest, record.timestamp)
            continue
        if passed is not None:
            step.append(_tick(passed, latest))
            passed, latest = None, 0
        step.append(record)
        if len(step) >= TOGETHER:
            steps.append(step)
            step = []
    if passed is not None:
        step.append(_tick(passed, latest))
    if records[-1].offset in refused:
        step.append(_tick(records[-1], 0))
    return [*steps, step] if step else steps


def _tick(record: Record, timestamp: int) -> RecordedMessage:
    return RecordedMessage(record.offset, timestamp, None, None, [(TICK, b"")])
