"""Twenty kills of all processes of an embedded instance while 20,000 events are sent: nothing accepted is lost."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.trial import Trial, check_all

EVENTS = 20_000
KILLS = 20


@pytest.mark.faults
@pytest.mark.timeout(900)
async def test_twenty_kills_lose_no_accepted_event(tmp_path: Path) -> None:
    trial = Trial(tmp_path / "instance", EVENTS, partitions=4, seed=17)
    try:
        for kill in range(1, KILLS + 1):
            await trial.start()
            feeding = asyncio.create_task(trial.feed(EVENTS * kill // KILLS))
            await asyncio.sleep(trial.randomness.uniform(0.0, 2.0))  # a moment by chance
            trial.kill()
            await trial.ended()
            await feeding
        await trial.start()
        await trial.feed(EVENTS, patience=60.0)
        assert trial.fed
        await check_all(trial)
        print(f"{len(trial.accepted):,} events accepted, {KILLS} kills")
        await trial.stop()
    finally:
        trial.kill()


@pytest.mark.faults
@pytest.mark.timeout(300)
async def test_a_redis_that_a_power_cut_put_behind_the_log_catches_up(tmp_path: Path) -> None:
    """Redis syncs each second, the journal always: here, Redis is put back to how it was before 400 events."""
    trial = Trial(tmp_path / "instance", 600, partitions=2)
    redis, older = tmp_path / "instance" / "redis", tmp_path / "older"
    try:
        await trial.start()
        await trial.feed(200)
        await trial.settled()
        trial.kill()
        await trial.ended()
        shutil.copytree(redis, older)
        await trial.start()
        await trial.feed(600)
        await trial.settled()
        before = await trial.accounts()
        trial.kill()
        await trial.ended()
        shutil.rmtree(redis)
        shutil.copytree(older, redis)
        await trial.start()
        await trial.settled()
        assert await trial.accounts() == before
        await check_all(trial)
        await trial.stop()
    finally:
        trial.kill()
