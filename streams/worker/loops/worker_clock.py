"""A worker's clock: that of Redis, carried on by the monotonic clock, as long as the host agrees with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from resegment.errors import FatalError
from resegment.schemas.times import format_instant
from resegment.state.partition_store import StoreUnavailable
from resegment.state.redis.client import read_time

if TYPE_CHECKING:
    from redis.asyncio import Redis

CHECKED_EVERY: Final = 10.0
"""Seconds between two comparisons with the clock of Redis."""


class ClocksDiffer(FatalError):
    """The clocks of the host and of Redis are too far apart. It is not known which of them is right."""

    def __init__(self, host: int, redis: int, tolerance: int) -> None:
        super().__init__(
            f"the clock of this host says {format_instant(host)}, and that of Redis {format_instant(redis)}: "
            f"{abs(host - redis) / 1000:,.0f} s apart, with a tolerance of {tolerance / 1000:g} s",
            remedy="Synchronize both machines (NTP, chrony), then start the worker again. Time that a worker wrote "
            "into `signals` never goes back. The tolerance is RESEGMENT_CLOCK_TOLERANCE.",
        )
        self.host, self.redis = host, redis


def host_clock() -> int:
    """Return the host's milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class WorkerClock:
    """Tells the time (ms) that a worker writes into `signals`, and by which it decides what is due.

    Between two comparisons time passes as the monotonic clock says. So a host whose clock jumps ahead moves no
    partition: the next comparison notices it, and the worker ends.
    """

    def __init__(
        self,
        tolerance: int,
        *,
        host: Callable[[], int] = host_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tolerance, self._host, self._monotonic = tolerance, host, monotonic
        self._anchor: tuple[int, float] | None = None

    def __call__(self) -> int:
        """Return the time. Before the first comparison it is the host's."""
        if self._anchor is None:
            return self._host()
        at, since = self._anchor
        return at + int((self._monotonic() - since) * 1000)

    async def compare(self, read_time: Callable[[], Awaitable[int]]) -> None:
        """Compare the host with Redis, and set the clock. Raises ClocksDiffer, and what `read_time` raises."""
        asked = self._monotonic()
        redis = await read_time()
        now = self._monotonic()
        redis += int((now - asked) * 500)  # half the way there and back
        host = self._host()
        if abs(host - redis) > self._tolerance:
            raise ClocksDiffer(host, redis, self._tolerance)
        self._anchor = redis, now

    async def run(self, client: Redis) -> None:
        """Compare again and again, while Redis answers. Raises ClocksDiffer."""
        while True:
            await asyncio.sleep(CHECKED_EVERY)
            with suppress(StoreUnavailable):
                await self.compare(lambda: read_time(client))
