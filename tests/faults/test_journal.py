"""Twenty kills of all processes of an embedded instance while 20,000 events are sent: nothing accepted is lost."""

from __future__ import annotations

import asyncio
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
        await trial.feed(EVENTS)
        assert trial.fed
        await check_all(trial)
        print(f"{len(trial.accepted):,} events accepted, {KILLS} kills")
        await trial.stop()
    finally:
        trial.kill()
