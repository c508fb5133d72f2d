"""States of the release that stored them as arrays, under load: they are converted, and not one change is lost."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from resegment.schemas.logs.log_framing import is_log
from resegment.schemas.logs.state_log import decode_state
from resegment.state.redis.keys import PartitionKeys
from tests.faults.conftest import Arena
from tests.faults.scenario import PARTITIONS, Scenario

FIELDS = 13
"""How many fields a state of that release had."""


async def put_back(run: Scenario) -> int:
    """Store all states as that release did, and return how many were logs."""
    logs = 0
    for number in range(PARTITIONS):
        keys = PartitionKeys.of(run.prefix, number)
        stored = {name: value async for name, value in run.reader.raw_states(number)}
        logs += sum(map(is_log, stored.values()))
        arrays = {
            name: msgspec.msgpack.encode(msgspec.structs.astuple(decode_state(value))[:FIELDS])
            for name, value in stored.items()
        }
        if arrays:
            answer: Any = run.client.hset(keys.accounts, mapping=arrays)  # type: ignore[arg-type]
            await answer
        await run.client.delete(keys.chunks)
        answer = run.client.hget(keys.meta, "kept")
        kept = (await answer or b"").split()
        if kept:
            answer = run.client.hset(keys.meta, "kept", b" ".join(kept[:5]))
            await answer
    return logs


@pytest.mark.faults
async def test_states_of_the_release_before_are_converted_while_workers_are_killed(arena: Arena) -> None:
    async def harm(run: Scenario) -> int:
        converted = 0
        for turn in range(3):
            await run.reached(200 + 250 * turn)
            await run.kill(run.live[0])
            converted += await put_back(run)
            await run.start()
            await run.reached(300 + 250 * turn)
            await run.kill(run.live[0])  # some are converted, and some are not
            await run.start()
        return converted

    await arena.play("kill -9, states of the release before put back", harm, least=100)
