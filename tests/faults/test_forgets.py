"""Accounts that are forgotten in an embedded instance that is killed again and again in the middle of it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
import yaml

from tests.oracle.naive import membership, moment_of
from tests.oracle.naive.identity import as_identified
from tests.trial import ACCOUNTS, SEGMENTS, Trial, message

EVENTS = 450
KILLS = 3


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", range(10))
async def test_forgets_that_are_killed_in_the_middle_end_complete_and_change_nothing_else(
    tmp_path: Path, seed: int
) -> None:
    trial = Trial(tmp_path / "instance", EVENTS, partitions=4, seed=seed)
    names = trial.randomness.sample([f"acme{number}.com" for number in range(ACCOUNTS)], KILLS + 1)
    try:
        await trial.start()
        await trial.feed(EVENTS // 2)
        for number, name in enumerate(names[:KILLS], 1):
            feeding = asyncio.create_task(trial.feed(EVENTS // 2 + EVENTS * number // 10))
            running = asyncio.create_task(trial.run("forget", name, "--yes"))
            await asyncio.sleep(trial.randomness.uniform(0.8, 3.5))  # a moment by chance
            trial.kill()
            await trial.ended()
            await feeding
            with suppress(TimeoutError):
                await running
            await trial.start()
        for name in names:  # what was recorded already changes nothing
            code, _, error = await trial.run("forget", name, "--yes")
            assert code == 0, error
        await trial.feed(EVENTS, patience=60.0)
        assert trial.fed
        await trial.settled()
        await compare(trial, names)
        code, output, error = await trial.run("verify")
        assert code == 0, output + error
        code, output, error = await trial.run("verify", "--forgotten", "--json")
        assert code == 0, output + error
        assert {orjson.loads(line)["account"] for line in output.splitlines()} == {*names}
        await trial.lose_accounts()
        await trial.rebuild()
        await compare(trial, names)
        await trial.stop()
    finally:
        trial.kill()


async def compare(trial: Trial, gone: list[str]) -> None:
    """Compare every account with an evaluation of all events but those of forgotten accounts."""
    file = yaml.safe_load(SEGMENTS.read_text())
    events = [orjson.loads(message(number)[1].value or b"") for number in range(EVENTS)]
    known = as_identified([], [one for one in events if one["subject"] not in gone], 0)
    now = int(time.time() * 1000)
    found = {str(one["account"]): one["segment"] for one in await trial.accounts()}
    assert found == {
        name: membership(moment_of(file, known, name, now)) for name in {one["subject"] for one in known}
    }
