"""Faults of every kind, drawn by a seed, for as long as SOAK says (minutes)."""

from __future__ import annotations

import asyncio
import math
import os
import random
import signal
import statistics
import time
from contextlib import suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.faults.conftest import SEED, Arena
from tests.faults.scenario import Scenario
from tests.servers import apache
from tests.servers.debian import SystemRedis

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.faults, pytest.mark.timeout(7200)]
MINUTES = float(os.environ.get("SOAK", "2"))
RECOVERED = 30.0
"""Seconds after a fault within which all that has come must be decided."""


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_a_soak_under_random_faults_ends_where_the_backtest_does(
    arena: Arena, broker: apache.Kafka, redis: SystemRedis
) -> None:
    draw = random.Random(SEED)
    rate = 60.0
    one_in = max(1, math.ceil(19966 / (rate * 60 * MINUTES)))
    recoveries: list[float] = []
    memory: dict[int, list[tuple[float, int]]] = {}

    async def watch(run: Scenario) -> None:
        while True:
            for worker in run.live:
                with suppress(FileNotFoundError, ProcessLookupError, IndexError):
                    memory.setdefault(worker.pid, []).append((time.monotonic(), resident(worker.pid)))
            await asyncio.sleep(1)

    async def harm(run: Scenario) -> int:
        fired = 0
        client = Redis.from_url(run.redis)
        watching = asyncio.create_task(watch(run))
        end = time.monotonic() + MINUTES * 60
        await run.start()
        while time.monotonic() < end:
            await asyncio.sleep(draw.uniform(4, 8))
            kind = draw.choice(["kill", "term", "freeze", "broker", "redis", "scripts"])
            print(f"soak: {kind}", flush=True)
            await run.tend()
            victim = run.live[-1]  # the first lives on: its memory is looked at
            match kind:
                case "kill":
                    await run.kill(victim)
                    await run.start()
                case "term":
                    await run.stop(victim)
                    await run.start()
                case "freeze":
                    victim.send_signal(signal.SIGSTOP)
                    await asyncio.sleep(4)
                    victim.send_signal(signal.SIGCONT)
                case "broker":
                    await broker.kill()
                    await broker.start()
                case "redis":
                    await redis.kill()
                    await redis.start()
                case _:
                    with suppress(RedisError):
                        await client.script_flush()
            fired += 1
            began = time.monotonic()
            mark = await _produced(run)
            await run.reached(mark)
            recoveries.append(time.monotonic() - began)
        watching.cancel()
        await client.aclose()
        return fired

    row = await arena.play(
        f"soak of {MINUTES:.0f} min, random faults",
        harm,
        least=3,
        one_in=one_in,
        send=lambda run: run.send(rate),
    )
    slopes = [slope for points in memory.values() if (slope := _slope(points)) is not None]
    row.remark = (
        f"seed {SEED}; caught up after a fault in {max(recoveries):.1f} s at most; "
        f"memory {max(slopes, default=0):+.2f} MB/min at most"
    )
    assert max(recoveries) < RECOVERED


async def _produced(run: Scenario) -> int:
    """How many signals there are now."""
    while True:
        with suppress(Exception):
            return len(await run.records(run.topics.signals.name))
        await run.tend()
        await asyncio.sleep(0.2)


def _slope(points: list[tuple[float, int]]) -> float | None:
    """MB a minute, of the second half of a life that lasted; None for a short one."""
    late = points[len(points) // 2 :]
    if not late or late[-1][0] - late[0][0] < 30:
        return None
    fit = statistics.linear_regression([at for at, _ in late], [size / 1e6 for _, size in late])
    return fit.slope * 60
