"""Faults of every kind, drawn by a seed, for as long as SOAK says (minutes): does the worker stay as quick and as small?"""

from __future__ import annotations

import asyncio
import math
import os
import random
import signal
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import combinations
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from resegment.benchmarks.servers import apache
from resegment.benchmarks.servers.debian import SystemRedis
from resegment.streams.operations.ingest import send_live
from tests import companies
from tests.faults.conftest import DETAILS, SEED, Arena
from tests.faults.probes import RATE as PROBES
from tests.faults.probes import WINDOW, Probes, Recovery
from tests.faults.scenario import Scenario

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.faults, pytest.mark.timeout(7200)]
MINUTES = float(os.environ.get("SOAK", "2"))
EVENTS = 19_962
RATE = 60.0
"""Events a second beside the probes. All come once in the first third of the time, and again after that."""
QUICK = 1.0
"""Seconds of p99 that are always good enough."""
RECOVERED = 30.0
"""Seconds after a fault within which p99 must be back."""
LONG = 10.0
"""Minutes from which on a soak tells how memory moves: a shorter one is all warm-up."""
LEAK = 40.0
"""MB an hour; a hundred bytes kept of each fact would be 20."""
CACHE_BYTES = 6_000_000
"""Accounts in memory, of each partition: so few that the cache is full after the warm-up."""
FROZEN = 4.0
"""Seconds that a worker sleeps: longer than its session."""
FAULTS = ["kill", "term", "freeze", "broker", "redis", "scripts"]
Sizes = dict[int, list[tuple[float, int]]]


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Soak:
    """What is done for so long, and what was seen."""

    def __init__(self, broker: apache.Kafka, redis: SystemRedis) -> None:
        self._broker, self._redis = broker, redis
        self._draw = random.Random(SEED)
        self._deck: list[str] = []
        self._over = False
        self.recoveries: list[Recovery] = []
        self.sizes: Sizes = {}

    async def send(self, run: Scenario) -> None:
        """All events once, and again and again until the end: that changes nothing, and is work."""
        events = companies.events(run.one_in)
        async with run.source(RATE) as source:
            await send_live(events, source, run.topics)
            while not self._over:
                for start in range(0, len(events), 100):
                    if not self._over:
                        await send_live(events[start : start + 100], source, run.topics)

    async def harm(self, run: Scenario) -> int:
        """Do one fault after another, each once the one before is got over."""
        await run.start()
        probes = Probes(run)
        beside = [asyncio.create_task(self._weigh(run)), asyncio.create_task(probes.keep_up())]
        end = time.monotonic() + MINUTES * 60
        try:
            await _back(run, probes, time.monotonic(), QUICK)
            while time.monotonic() < end:
                await asyncio.sleep(
                    WINDOW / PROBES + self._draw.uniform(0, 3)
                )  # `before` is of quiet times only
                await run.tend()
                kind, before, struck = self._next_fault(), probes.level(), time.monotonic()
                over = await self._strike(run, kind)
                back = await _back(run, probes, over, max(2 * before, QUICK))
                worst = max(probes.latencies(struck))
                self.recoveries.append(Recovery(kind, over - struck, before, worst, max(0.0, back - over)))
                print(f"soak: {self.recoveries[-1]}", flush=True)
        finally:
            self._over = True
            for one in beside:
                one.cancel()
            await asyncio.wait(beside)
        for one in beside:
            if not one.cancelled():
                one.result()
        return len(self.recoveries)

    def _next_fault(self) -> str:
        """Each kind comes once before any comes again."""
        if not self._deck:
            self._deck = self._draw.sample(FAULTS, len(FAULTS))
        return self._deck.pop()

    async def _strike(self, run: Scenario, kind: str) -> float:
        """Do it; the time from which on all that the rest needs is there."""
        victim = run.live[-1]  # the first lives on: its memory is looked at
        over = time.monotonic()
        match kind:
            case "kill":
                await run.kill(victim)
                await run.start()
            case "term":
                await run.stop(victim)
                await run.start()
            case "freeze":
                victim.send_signal(signal.SIGSTOP)
                await asyncio.sleep(FROZEN)
                victim.send_signal(signal.SIGCONT)
            case "broker":
                await self._broker.kill()
                await self._broker.start()
                over = time.monotonic()
            case "redis":
                await self._redis.kill()
                await self._redis.start()
                over = time.monotonic()
            case _:
                async with Redis.from_url(run.redis) as client:
                    with suppress(RedisError):
                        await client.script_flush()
        return over

    async def _weigh(self, run: Scenario) -> None:
        while True:
            for worker in run.live:
                with suppress(FileNotFoundError, ProcessLookupError, IndexError):
                    self.sizes.setdefault(worker.pid, []).append((time.monotonic(), resident(worker.pid)))
            await asyncio.sleep(1)


async def test_a_soak_under_random_faults_stays_quick_and_ends_where_its_log_does(
    arena: Arena, broker: apache.Kafka, redis: SystemRedis
) -> None:
    soak = Soak(broker, redis)
    row = await arena.play(
        f"soak of {MINUTES:.0f} min, random faults",
        soak.harm,
        least=3,
        one_in=max(1, math.ceil(EVENTS / (RATE * 60 * MINUTES / 3))),
        send=soak.send,
        oracle="log",
        clock="wall",
        cache_bytes=CACHE_BYTES,
    )
    slopes = {pid: slope for pid, points in soak.sizes.items() if (slope := _slope(points)) is not None}
    DETAILS.extend([*_recovery_table(soak.recoveries), "", *_memory_table(soak.sizes, slopes)])
    slowest = max(one.back for one in soak.recoveries)
    row.remark = (
        f"seed {SEED}; p99 back {slowest:.1f} s after a fault at most; "
        f"memory {max(slopes.values(), default=math.nan):+.1f} MB/h at most"
    )
    assert slowest < RECOVERED
    assert MINUTES < LONG or max(slopes.values()) < LEAK


async def _back(run: Scenario, probes: Probes, since: float, limit: float) -> float:
    """Since when p99 has been within the limit, once it is."""
    found: float | None = None

    async def steady() -> bool:
        nonlocal found
        found = probes.steady(since, limit)
        return found is not None

    await run.until(steady)
    assert found is not None
    return found


def _slope(points: Sequence[tuple[float, int]]) -> float | None:
    """MB an hour after the first third of a life, the median of all pairs' (Theil and Sen); None for a short one."""
    late = points[len(points) // 3 :]
    if not late or late[-1][0] - late[0][0] < 60:
        return None
    few = late[:: max(1, len(late) // 300)]
    return statistics.median(
        (size - earlier) / (at - before) * 3600 / 1e6
        for (before, earlier), (at, size) in combinations(few, 2)
        if at > before
    )


def _recovery_table(recoveries: Sequence[Recovery]) -> list[str]:
    lines = [
        "| fault | times | away, s, at most | p99 before, ms | worst probe, s | p99 back after, s: median | at most |",
        "|" + " --- |" * 7,
    ]
    for kind in FAULTS:
        mine = [one for one in recoveries if one.fault == kind]
        if mine:
            back = [one.back for one in mine]
            before = statistics.median(one.before for one in mine) * 1000
            lines.append(
                f"| {kind} | {len(mine)} | {max(one.lasted for one in mine):.1f} | {before:.0f} "
                f"| {max(one.worst for one in mine):.1f} | {statistics.median(back):.1f} | {max(back):.1f} |"
            )
    return lines


def _memory_table(sizes: Sizes, slopes: dict[int, float]) -> list[str]:
    lines = ["| worker | lived, min | MB at the end | MB an hour, after warm-up |", "|" + " --- |" * 4]
    for number, (pid, points) in enumerate(sizes.items()):
        lived = (points[-1][0] - points[0][0]) / 60
        slope = f"{slopes[pid]:+.1f}" if pid in slopes else "lived too short"
        lines.append(f"| {number} | {lived:.1f} | {points[-1][1] / 1e6:.0f} | {slope} |")
    return lines
