"""A worker's clock is never ahead of Redis, whatever the host's does."""

from __future__ import annotations

import pytest

from resegment.schemas.times import parse_instant
from resegment.streams.worker.loops.worker_clock import ClocksDiffer, WorkerClock

NOW = 1_770_000_000_000
TOLERANCE = 300_000


class Machine:
    """A host and a Redis whose clocks a test sets. `since_boot` is the host's monotonic clock, seconds."""

    def __init__(self) -> None:
        self.host = self.redis = NOW
        self.since_boot = 100.0
        self.clock = WorkerClock(TOLERANCE, host=lambda: self.host, monotonic=lambda: self.since_boot)

    async def read_time(self) -> int:
        return self.redis

    async def compare(self) -> None:
        await self.clock.compare(self.read_time)

    def wait(self, seconds: float) -> None:
        self.since_boot += seconds
        self.host += int(seconds * 1000)
        self.redis += int(seconds * 1000)


async def test_time_is_that_of_redis_carried_on() -> None:
    machine = Machine()
    machine.host += 1_000
    await machine.compare()
    machine.wait(7.5)
    assert machine.clock() == NOW + 7_500


@pytest.mark.parametrize("wrong", [TOLERANCE + 1, -TOLERANCE - 1])
async def test_a_worker_whose_host_and_redis_disagree_does_not_start(wrong: int) -> None:
    machine = Machine()
    machine.host += wrong
    with pytest.raises(ClocksDiffer, match=r"300 s apart") as caught:
        await machine.compare()
    assert "NTP" in (caught.value.remedy or "")


@pytest.mark.parametrize("allowed", [TOLERANCE, -TOLERANCE])
async def test_clocks_may_differ_within_the_tolerance(allowed: int) -> None:
    machine = Machine()
    machine.host += allowed
    await machine.compare()
    assert machine.clock() == NOW


async def test_a_host_whose_clock_jumps_ahead_writes_no_such_time_and_is_found() -> None:
    machine = Machine()
    await machine.compare()
    machine.wait(1.0)
    machine.host = parse_instant("2036-01-01T00:00:00Z")
    assert machine.clock() == NOW + 1_000
    with pytest.raises(ClocksDiffer, match="2036-01-01"):
        await machine.compare()
    assert machine.clock() == NOW + 1_000


async def test_a_redis_whose_clock_jumps_ahead_moves_no_time_either() -> None:
    machine = Machine()
    await machine.compare()
    machine.redis = parse_instant("2036-01-01T00:00:00Z")
    with pytest.raises(ClocksDiffer):
        await machine.compare()
    assert machine.clock() == NOW


async def test_a_host_that_was_suspended_catches_up() -> None:
    machine = Machine()
    await machine.compare()
    machine.host += 3_600_000
    machine.redis += 3_600_000
    await machine.compare()
    assert machine.clock() == NOW + 3_600_000
