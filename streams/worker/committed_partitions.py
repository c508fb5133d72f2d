"""Keeps a partition waiting whose state Redis has lost, so that it is never taken for a new one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import Gauge

from resegment.state.partition_store import StateMissing
from resegment.state.redis.keys import Stage
from resegment.streams.partition_marks import (
    has_committed,
    is_rebuilding,
    is_waiting,
    mark_committed,
    mark_waiting,
)
from resegment.streams.prefix import StateLost, is_known, read_prefix
from resegment.streams.worker.failure import Failure

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

LOOKED_AT: Final = 1.0
"""Seconds between two looks at whether a partition that waits has been rebuilt."""

Take = Callable[[bool], Awaitable[int]]
"""Takes the partition and returns the offset to read from; given is whether it has committed before."""


class CommittedPartitions:
    """Has partitions of one prefix taken, and records in the prefix which have ever committed."""

    def __init__(self, client: Redis, prefix: str, failure: Failure, gauge: Gauge) -> None:
        """`gauge` measures how many partitions wait."""
        self._client, self._prefix, self._failure, self._gauge = client, prefix, failure, gauge
        self._waiting: set[tuple[int, Stage]] = set()

    @property
    def waiting(self) -> list[int]:
        """Return the partitions of this worker that wait for their state."""
        return sorted({number for number, _ in self._waiting})

    async def take(self, stage: Stage, partition: int, take: Take) -> int:
        """Take the partition and return the offset to read from, once its state is whole.

        Where Redis has lost it, this says so and waits for a rebuild; other partitions are not held up. Where the
        record of the prefix is gone too, the worker ends. Raises StoreUnavailable.
        """
        while True:
            held = await self._read()
            if is_rebuilding(held, partition):
                await asyncio.sleep(LOOKED_AT)
                continue
            known = has_committed(held, stage, partition)
            try:
                offset = await take(known)
            except StateMissing as error:
                with self._counted(stage, partition):
                    await self._wait(stage, partition, error)
                continue
            if not known or is_waiting(held, stage, partition):
                await mark_committed(self._client, self._prefix, stage, partition)
            return offset

    @contextmanager
    def _counted(self, stage: Stage, partition: int) -> Iterator[None]:
        """Count the partition among those that wait."""
        self._waiting.add((partition, stage))
        self._gauge.set(len(self.waiting))
        try:
            yield
        finally:
            self._waiting.discard((partition, stage))
            self._gauge.set(len(self.waiting))

    async def _wait(self, stage: Stage, partition: int, error: StateMissing) -> None:
        """Wait until the mark is gone: a rebuild takes it away, or Redis is put back to how it was."""
        log.error(
            "a partition waits", partition=partition, stage=stage, reason=error.message, fix=error.remedy
        )
        await mark_waiting(self._client, self._prefix, stage, partition, error.missing)
        while True:
            await asyncio.sleep(LOOKED_AT)
            held = await self._read()
            if not is_waiting(held, stage, partition):
                log.info("a partition is there again", partition=partition, stage=stage)
                return

    async def _read(self) -> Mapping[str, str]:
        """Return the record of the prefix."""
        held = await read_prefix(self._client, self._prefix)
        if not is_known(held):
            self._failure.report(StateLost(self._prefix))
            await asyncio.Event().wait()  # take nothing more: the worker ends
        return held
