"""Accounts folded again from the log while a worker runs: what differs is reported in the time that is promised."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from resegment.http.server import health_of
from resegment.schemas.logs.state_log import decode_state, encode_state
from resegment.schemas.partitioning import partition_of
from resegment.schemas.state import KIND_NUMBERS
from resegment.settings import Settings
from resegment.state.redis.keys import PartitionKeys
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.operations.dead_letters import DeadLetterCount
from resegment.streams.operations.ingest import send_replay
from resegment.streams.operations.overview import find_problems, look
from resegment.streams.prefix import read_prefix
from resegment.streams.spot_checks import SpotCheck, read_spot_checks
from resegment.streams.worker.loops import spot_checker
from resegment.streams.worker.worker import Worker
from tests import companies
from tests.integration.conftest import Stack

PREFIX, PARTITIONS, WITHIN = "spots", 2, 3.0
ONE_IN, PATIENCE = 32, 120.0
GRACE = 20.0
"""Seconds that a busy machine may take for the slice in progress, which the promise leaves out."""


def keys(account: str) -> PartitionKeys:
    return PartitionKeys.of(PREFIX, partition_of(account.encode(), PARTITIONS))


async def until(client: Redis, what: Callable[[dict[int, SpotCheck]], bool], limit: float) -> float:
    """Wait until the checks of all partitions say so; return how long it took."""
    began = time.monotonic()
    async with asyncio.timeout(limit):
        while not what(dict(await read_spot_checks(client, PREFIX))):
            await asyncio.sleep(0.05)
    return time.monotonic() - began


async def spoil(client: Redis, names: list[str]) -> dict[str, str]:
    """Damage four accounts, each in another way; return what a check should say of each."""
    moved, forgetful, unreadable, late = names
    state = decode_state(await client.hget(keys(moved).accounts, moved))
    before = state.membership.segment
    state.membership = replace(state.membership, segment="elsewhere")
    await client.hset(keys(moved).accounts, moved, encode_state(state))
    state = decode_state(await client.hget(keys(forgetful).accounts, forgetful))
    lost = next(one for one in state.entries if one.kind == KIND_NUMBERS["firmographic"])
    state.entries.remove(lost)  # of other kinds, it may be a fact that no test counts again
    await client.hset(keys(forgetful).accounts, forgetful, encode_state(state))
    await client.hset(keys(unreadable).accounts, unreadable, b"\xc1\x00")
    await client.zadd(keys(late).deadlines, {late: 9e12})
    return {
        moved: f"segment elsewhere in Redis, {before} by the log",
        forgetful: f"fact {lost.id} of {lost.source}",
        unreadable: "the state cannot be read",
        late: "timer",
    }


async def replace_partition(stack: Stack, number: int) -> tuple[int, str]:
    """Run `resegment rebuild --replace` as a process of its own."""
    environment = {
        **os.environ,
        "RESEGMENT_KAFKA": stack.bootstrap,
        "RESEGMENT_REDIS": stack.redis_url,
        "RESEGMENT_CLOCK": "facts",
    }
    arguments = ("rebuild", f"--partition={number}", "--replace", f"--prefix={PREFIX}")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "resegment", *arguments, "--segments", str(companies.SEGMENTS)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    return process.returncode or 0, output.decode()


@pytest.mark.asyncio(loop_scope="session")
async def test_a_damaged_account_is_reported_in_the_promised_time_and_a_sound_one_never(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spot_checker, "SLICE", 100)
    client = Redis.from_url(stack.redis_url)
    events = companies.events(ONE_IN)
    settings = Settings(
        prefix=PREFIX, partitions=PARTITIONS, clock="facts", spot_check=timedelta(seconds=WITHIN), chunk=50
    )
    worker = Worker(settings, companies.definition(), bootstrap=stack.bootstrap, redis_url=stack.redis_url)
    async with (
        worker.running(),
        KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as publisher,
    ):
        half = len(events) // 2
        await send_replay(events[:half], publisher, worker.topics, partitions=PARTITIONS)
        await until(client, bool, PATIENCE)
        for start in range(half, len(events), 20):  # accounts are checked while events arrive
            await send_replay(events[start : start + 20], publisher, worker.topics, partitions=PARTITIONS)
            assert not worker.differing
        await send_replay([], publisher, worker.topics, partitions=PARTITIONS, until=companies.UNTIL)
        assert await worker.drain(PATIENCE)
        reader = PrefixReader(client, PREFIX, PARTITIONS)
        accounts = sum(one.accounts for one in await reader.look())
        await until(client, lambda checks: sum(one.checked for one in checks.values()) == accounts, PATIENCE)
        assert not worker.differing

        timed = list(await reader.timers(0))
        others = [name async for name, _ in reader.raw_states(0) if name not in timed]
        expected = await spoil(client, [*others[:3], timed[0]])
        took = await until(
            client, lambda checks: sum(one.differing for one in checks.values()) == len(expected), PATIENCE
        )
        promised = max(one.within for one in (await read_spot_checks(client, PREFIX)).values())
        assert WITHIN <= promised < PATIENCE
        assert took <= promised + GRACE
        assert worker.differing.keys() == expected.keys()
        for name, what in expected.items():
            assert worker.differing[name].startswith(what), worker.differing[name]
        health = health_of(worker)
        assert (health.status, health.reason) == (
            "differs",
            "of 4 accounts, Redis and the log differ: see `resegment status`",
        )
        overview = await look(client, reader, await read_prefix(client, PREFIX), DeadLetterCount())
        problems = [one for one in find_problems(overview) if "Redis and the log differ" in one]
        assert any(name in one for name in expected for one in problems)
        assert all("resegment verify" in one for one in problems)

        code, output = await replace_partition(stack, 0)
        assert code == 0, output
        await until(client, lambda checks: not any(one.differing for one in checks.values()), PATIENCE)
        async with asyncio.timeout(PATIENCE):
            while health_of(worker).status != "ok":  # it takes the rebuilt partition by itself
                await asyncio.sleep(0.05)
    await client.aclose()
