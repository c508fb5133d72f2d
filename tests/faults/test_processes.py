"""Workers that are killed, stopped, frozen and fail, at every labelled point of the way."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time

import pytest

from tests.faults.conftest import SEED, Arena
from tests.faults.scenario import Scenario

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]
SEEDS = int(os.environ.get("SEEDS", "1"))

POINTS = [
    "before-script",
    "after-script",
    "intake-before-send",
    "intake-in-flight",
    "intake-after-send",
    "before-ack",
    "relay-before-send",
    "relay-in-flight",
    "relay-after-send",
    "router-before-send",
    "router-after-send",
    "before-take",
    "before-route-script",
    "after-route-script",
    "before-route-ack",
]
QUICK = {"after-script", "intake-in-flight", "after-route-script"}


def every(points: list[str], quick: set[str]) -> list[object]:
    return [pytest.param(one, marks=[] if one in quick else [pytest.mark.faults]) for one in points]


@pytest.mark.parametrize("point", every(POINTS, QUICK))
@pytest.mark.parametrize("seed", range(SEED, SEED + SEEDS))
async def test_a_worker_killed_at_a_point_of_the_way_changes_nothing(
    arena: Arena, point: str, seed: int
) -> None:
    draw = random.Random(f"{seed} {point}")
    skip = draw.randrange(1, 4) if point == "before-take" else draw.randrange(3, 12)

    async def killed(run: Scenario) -> int:
        async def dead() -> bool:
            return run.said(f"FAULT {point} kill") > 0

        await run.until(dead)
        await run.until(lambda: _tended(run))
        return run.deaths[-signal.SIGKILL]

    await arena.play(f"kill -9: {point}", killed, first=f"{point}:kill:{skip}:1")


async def _tended(run: Scenario) -> bool:
    return bool(run.deaths)


STUMBLES = [
    *(f"{agent}-{when}:bug" for agent in ("intake", "segmenter", "router") for when in ("before", "after")),
    *("before-script:away", "after-script:away", "before-ack:away", "relay-after-send:away"),
    *("intake-after-send:away", "router-after-send:away", "after-script:bug", "relay-before-send:bug"),
]


@pytest.mark.parametrize("stumble", every(STUMBLES, {"segmenter-after:bug", "after-script:away"}))
async def test_an_exception_in_an_agent_changes_nothing(arena: Arena, stumble: str) -> None:
    point, action = stumble.split(":")

    async def stumbles(run: Scenario) -> int:
        async def enough() -> bool:
            return run.said(f"FAULT {point} {action}") >= 1

        await run.until(enough)
        await run.reached(700)
        return run.said(f"FAULT {point} {action}")

    await arena.play(f"exception: {stumble}", stumbles, first=f"{point}:{action}:2:3")


@pytest.mark.faults
@pytest.mark.parametrize("point", ["before-script", "before-route-script"])
async def test_a_batch_slower_than_its_deadline_is_counted_and_changes_nothing(
    arena: Arena, point: str
) -> None:
    counted = 0

    async def hangs(run: Scenario) -> int:
        nonlocal counted

        async def enough() -> bool:
            return run.said(f"FAULT {point} hang") >= 3

        await run.until(enough)
        await run.reached(700)
        counted = run.said("BatchTooSlow") + run.said("took longer than")
        return run.said(f"FAULT {point} hang")

    await arena.play(
        f"no answer within a batch's deadline: {point}", hangs, first=f"{point}:hang:3:3", least=3
    )
    assert counted >= 3


async def test_sigterm_in_mid_batch_stops_a_worker_within_ten_seconds(arena: Arena) -> None:
    slowest = 0.0

    async def stopped(run: Scenario) -> int:
        nonlocal slowest
        for mark in (200, 400, 600):
            await run.reached(mark)
            began = time.monotonic()
            worker = run.live[0]
            code = await run.stop(worker)
            slowest = max(slowest, time.monotonic() - began)
            assert code == 0
            await run.start()
        return 3

    row = await arena.play("SIGTERM in mid-batch", stopped, least=3)
    row.remark = f"slowest stop {slowest:.1f} s"
    assert slowest < 10


@pytest.mark.faults
async def test_workers_that_join_and_leave_under_load_change_nothing(arena: Arena) -> None:
    draw = random.Random(SEED)

    async def come_and_go(run: Scenario) -> int:
        for turn in range(10):
            await run.reached(200 + turn * 150)
            if len(run.live) > 1 and (len(run.live) > 3 or draw.random() < 0.5):
                assert await run.stop(draw.choice(run.live)) == 0
            else:
                await run.start()
        return 10

    await arena.play("ten joins and leaves under load", come_and_go, least=10, one_in=8)


async def test_a_worker_frozen_beyond_its_session_is_fenced_off(arena: Arena) -> None:
    async def freeze(run: Scenario) -> int:
        async def frozen() -> bool:
            return run.said("FAULT before-script stop") > 0

        victim = run.live[0]
        await run.until(frozen)
        before = await run.done()
        await run.start()
        await run.reached(before + 100)
        victim.send_signal(signal.SIGCONT)
        await asyncio.sleep(0)

        async def fenced() -> bool:
            return run.fenced > 0

        await run.until(fenced)
        return run.fenced

    await arena.play("SIGSTOP in mid-batch, then SIGCONT: FENCED", freeze, first="before-script:stop:8:1")
