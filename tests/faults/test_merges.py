"""Merges and unmerges of an embedded instance that is killed again and again in the middle of them."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
import yaml

from tests.oracle.naive import membership, moment_of
from tests.oracle.naive.identity import Wish, as_identified
from tests.trial import SEGMENTS, Trial, message

EVENTS = 1_500
PAIRS = [(f"acme{number}.com", f"acme{number + 1}.com") for number in range(0, 12, 2)]


@pytest.mark.faults
@pytest.mark.timeout(900)
async def test_merges_that_are_killed_in_the_middle_come_to_an_evaluation_from_scratch(
    tmp_path: Path,
) -> None:
    trial = Trial(tmp_path / "instance", EVENTS, partitions=4, seed=19)
    wishes: list[Wish] = []
    commands = [("merge", *pair, "--yes") for pair in PAIRS]
    commands += [("unmerge", pair[0]) for pair in PAIRS[::2]]
    try:
        for number, command in enumerate(commands, 1):
            await trial.start()
            feeding = asyncio.create_task(trial.feed(EVENTS * number // len(commands)))
            running = asyncio.create_task(trial.run("accounts", *command))
            await asyncio.sleep(trial.randomness.uniform(1.5, 5.0))  # a moment by chance
            trial.kill()
            await trial.ended()
            await feeding
            with suppress(TimeoutError):
                await running
        await trial.start()
        await trial.feed(EVENTS, patience=60.0)
        assert trial.fed
        for number, command in enumerate(commands):  # what was recorded already changes nothing
            code, _, error = await trial.run("accounts", *command)
            assert code == 0, error
            wishes.append(Wish(number, command[1], command[2] if command[0] == "merge" else None))
        await trial.settled()
        await compare(trial, wishes)
        code, output, error = await trial.run("verify")
        assert code == 0, output + error
        before = await trial.accounts()
        await trial.lose_accounts()
        await trial.rebuild()
        assert without_counts(await trial.accounts()) == without_counts(before)
        await trial.stop()
    finally:
        trial.kill()


def without_counts(accounts: list[dict[str, object]]) -> list[tuple[object, object]]:
    return [(one["account"], one["segment"]) for one in accounts]


async def compare(trial: Trial, wishes: list[Wish]) -> None:
    """Compare every account with an evaluation of all events, each under the account that its subject is part of."""
    file = yaml.safe_load(SEGMENTS.read_text())
    events = [orjson.loads(message(number)[1].value or b"") for number in range(EVENTS)]
    known, now = as_identified(wishes, events, len(wishes)), int(time.time() * 1000)
    found = {str(one["account"]): one["segment"] for one in await trial.accounts()}
    expected = {
        name: membership(moment_of(file, known, name, now)) for name in {one["subject"] for one in known}
    }
    assert found == expected
