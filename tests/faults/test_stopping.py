"""`resegment worker` is told to end while what it waits for is away."""

from __future__ import annotations

import os
import signal
import time

import pytest

from resegment.benchmarks.servers import apache
from resegment.benchmarks.servers.debian import SystemRedis
from tests.faults.conftest import Arena
from tests.faults.scenario import COMMAND, Scenario

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]
STOPPED_WITHIN = 10.0
"""Seconds that a clean stop may take, whatever is away."""
AWAY = ["Kafka", "Redis", "both"]


async def stop(run: Scenario) -> float:
    """Tell the worker to end; the seconds that it took."""
    began = time.monotonic()
    code = await run.stop(run.live[0])
    took = time.monotonic() - began
    assert code == 0, f"a stop that was asked for ended with {code}"
    return took


@pytest.mark.parametrize(
    "away", [pytest.param(one, marks=[] if one == "both" else [pytest.mark.faults]) for one in AWAY]
)
async def test_sigterm_while_servers_do_not_answer_stops_a_worker_in_time_and_loses_nothing(
    arena: Arena, broker: apache.Kafka, redis: SystemRedis, away: str
) -> None:
    servers = {"Kafka": [broker], "Redis": [redis], "both": [redis, broker]}[away]
    took = 0.0

    async def harm(run: Scenario) -> int:
        nonlocal took
        await run.reached(200)
        sent = await run.done()

        async def waiting() -> bool:
            return len(await run.records(run.topics.signals.name)) > sent + 50

        try:
            for server in servers:
                os.kill(server.pid, signal.SIGSTOP)
                if server is redis:
                    await run.until(waiting)
            took = await stop(run)
        finally:
            for server in servers:
                os.kill(server.pid, signal.SIGCONT)
        assert run.said("Stopping with unfinished batches"), "nothing was in flight"
        await run.start()
        return 1

    row = await arena.play(f"SIGTERM, {away} not answering", harm, worker=COMMAND)
    row.remark = f"stopped in {took:.1f} s"
    assert took < STOPPED_WITHIN


@pytest.mark.parametrize("away", [pytest.param(one, marks=[pytest.mark.faults]) for one in AWAY])
async def test_sigterm_while_servers_are_gone_stops_a_worker_in_time_and_loses_nothing(
    arena: Arena, broker: apache.Kafka, redis: SystemRedis, away: str
) -> None:
    servers = {"Kafka": [broker], "Redis": [redis], "both": [redis, broker]}[away]
    took = 0.0

    async def harm(run: Scenario) -> int:
        nonlocal took
        await run.reached(200)
        try:
            for server in servers:
                words = "retrying in" if server is redis else "Failed fetch messages"

                async def noticed(words: str = words) -> bool:
                    return run.said(words) > 0

                await server.kill()
                await run.until(noticed)
            took = await stop(run)
        finally:
            for server in servers:
                await server.start()
        await run.start()
        return 1

    row = await arena.play(f"SIGTERM, {away} gone", harm, worker=COMMAND)
    row.remark = f"stopped in {took:.1f} s"
    assert took < STOPPED_WITHIN
