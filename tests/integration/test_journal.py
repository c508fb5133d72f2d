"""An embedded instance keeps its log: killed at any moment, it loses nothing that it accepted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.trial import Trial, check_all

EVENTS = 500


async def test_killed_twice_it_has_every_accepted_event_and_rebuilds_the_same_accounts(
    tmp_path: Path,
) -> None:
    trial = Trial(tmp_path / "instance", EVENTS, partitions=1)
    try:
        for kill in (1, 2):
            await trial.start()
            feeding = asyncio.create_task(trial.feed(EVENTS * kill // 3 + 50))
            await asyncio.sleep(trial.randomness.uniform(0.05, 0.4))  # a moment by chance
            trial.kill()
            await trial.ended()
            await feeding
        await trial.start()
        await trial.feed(EVENTS, patience=60.0)
        assert trial.fed
        await check_all(trial)
        await trial.stop()
    finally:
        trial.kill()
