"""Redis from the log, and Redis against the log."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import orjson
import pytest
from kafka import KafkaAdminClient, TopicPartition
from redis.asyncio import Redis

from resegment.agents.batch import Message
from resegment.schemas.logs.state_log import decode_state, encode_state
from resegment.settings import Settings
from resegment.state.redis.keys import OwnersKeys, PartitionKeys, prefix_key
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka import admin
from resegment.streams.kafka.admin import TopicsUnavailable
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.operations.ingest import send_replay
from resegment.streams.partition_marks import begin_rebuild
from resegment.streams.prefix import Rebuilding, StateLost
from resegment.streams.worker.worker import Worker
from tests import companies
from tests.integration.conftest import Stack

PREFIX, PARTITIONS, FILE = "recovery", 4, companies.SEGMENTS


async def resegment(stack: Stack, *arguments: str) -> tuple[int, str]:
    """Run the command line as a process of its own."""
    environment = {
        **os.environ,
        "RESEGMENT_KAFKA": stack.bootstrap,
        "RESEGMENT_REDIS": stack.redis_url,
        "RESEGMENT_PARTITIONS": str(PARTITIONS),
        "RESEGMENT_CLOCK": "facts",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "resegment", *arguments, "--prefix", PREFIX, "--segments", str(FILE)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 200)
    return process.returncode or 0, output.decode()


def worker(stack: Stack) -> Worker:
    settings = Settings(prefix=PREFIX, partitions=PARTITIONS, clock="facts", route="all")
    return Worker(settings, companies.definition(), bootstrap=stack.bootstrap, redis_url=stack.redis_url)


async def states(client: Redis) -> dict[str, bytes]:
    """Every account's state, but for what only says how far the log was read."""
    reader = PrefixReader(client, PREFIX, PARTITIONS)
    return {
        name: encode_state(decode_state(value))
        for number in range(PARTITIONS)
        async for name, value in reader.raw_states(number)
    }


def standing(value: bytes) -> object:
    """What decides the account's future; how many decisions an instant took is not of it."""
    state = decode_state(value)
    return state.entries, state.membership, state.deadline


async def count(stack: Stack, topic: str) -> int:
    async with reading(stack.bootstrap, topic) as reader:
        return sum((await reader.ends()).values())


@pytest.mark.asyncio(loop_scope="session")
async def test_a_lost_redis_is_noticed_and_rebuilt_from_the_log_without_routing_anything(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Redis.from_url(stack.redis_url)
    events = companies.events()
    running = worker(stack)
    async with running.running():
        async with KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as publisher:
            await send_replay(events, publisher, running.topics, partitions=PARTITIONS, until=companies.UNTIL)
        assert await running.drain(200)
        async with KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as publisher:
            outputs = running.topics.segment_changes, running.topics.workflow_commands
            await publisher.publish([Message(one.name, b"poison", b'{"data": 1}') for one in outputs])
        assert await running.drain(200)
    before = await states(client)
    announced = await count(stack, running.topics.segment_changes.name)
    commanded = await count(stack, running.topics.workflow_commands.name)
    assert len(before) > 6_000

    assert await resegment(stack, "verify", "--json") == (0, "")

    victim, state = next(iter(before.items()))
    await _spoil(client, victim, state)
    late = await _stop_a_timer(client, victim)
    code, output = await resegment(stack, "verify", "--json")
    found = {(one["account"], one["what"]) for one in map(orjson.loads, output.splitlines())}
    assert (code, found) == (1, {(victim, "membership"), (late, "timer")})

    await client.flushdb()

    def refuse(bootstrap: str, *_: Any, **__: Any) -> None:
        raise TopicsUnavailable(bootstrap, TimeoutError())

    with monkeypatch.context() as away:
        away.setattr(admin, "create_topics", refuse)
        with pytest.raises(TopicsUnavailable):
            async with worker(stack).running():
                pass
    with pytest.raises(StateLost):  # a start that failed leaves nothing that could be taken for state
        async with worker(stack).running():
            pass

    code, output = await resegment(stack, "rebuild")
    assert code == 0, output
    rebuilt = await states(client)
    assert {name: standing(value) for name, value in rebuilt.items()} == {
        name: standing(value) for name, value in before.items()
    }
    assert all(decode_state(rebuilt[name]).sequence >= decode_state(before[name]).sequence for name in before)
    assert (await resegment(stack, "verify", "--json"))[0] == 0
    code, output = await resegment(stack, "rebuild")
    assert (code, "Redis holds accounts" in output) == (1, True)

    # only what the prefix shares is gone
    await client.delete(prefix_key(PREFIX), OwnersKeys.of(PREFIX).held)
    with pytest.raises(StateLost):
        async with worker(stack).running():
            pass
    code, output = await resegment(stack, "rebuild", "--json")
    assert code == 0, output
    assert orjson.loads(output[output.index("{") :]) == {"partitions": [], "records": 0, "routing": "none"}
    assert await states(client) == rebuilt

    # as a rebuild leaves it that was killed in the middle of a partition
    await begin_rebuild(client, PREFIX, [1], whole=True)
    await client.delete(PartitionKeys.of(PREFIX, 1).deadlines, PartitionKeys.of(PREFIX, 1, "router").meta)
    with pytest.raises(Rebuilding):
        async with worker(stack).running():
            pass
    code, output = await resegment(stack, "rebuild", "--json")
    assert code == 0, output
    assert orjson.loads(output[output.index("{") :])["partitions"] == [1]
    assert await states(client) == rebuilt
    assert (await resegment(stack, "verify", "--json"))[0] == 0

    async with worker(stack).running() as again:
        assert await again.drain(200)
        assert again.changes_decided == 0
    assert await count(stack, running.topics.segment_changes.name) == announced
    assert await count(stack, running.topics.workflow_commands.name) == commanded
    await client.aclose()


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("stack", ["apache"], indirect=True)
async def test_events_that_retention_took_before_they_were_read_are_counted_and_the_rest_is_read(
    stack: Stack,
) -> None:
    settings = Settings(prefix="gap", partitions=1)

    def gap_worker() -> Worker:
        return Worker(settings, companies.definition(), bootstrap=stack.bootstrap, redis_url=stack.redis_url)

    async def send(numbers: range) -> None:
        events = [
            {
                "specversion": "1.0", "id": f"f-{number}", "source": "/test", "type": "gtm.funding.v1",
                "subject": f"gap{number}.com", "time": "2026-01-31T09:00:00Z", "data": {"round": "seed"},
            }
            for number in numbers
        ]  # fmt: skip
        async with KafkaPublisher(stack.bootstrap) as publisher:
            await publisher.publish([Message(topic, b"k", orjson.dumps(one)) for one in events])

    first = gap_worker()
    topic = first.topics.funding.name
    async with first.running():
        await send(range(10))
        assert await first.drain(200)
    await send(range(10, 20))
    admin = KafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await asyncio.to_thread(admin.delete_records, {TopicPartition(topic, 0): 15})
    admin.close()
    second = gap_worker()
    async with second.running():
        assert await second.drain(200)
        assert second.metrics.registry.get_sample_value("resegment_log_gaps_total") == 1
    async with Redis.from_url(stack.redis_url) as client:
        kept = await client.hkeys(PartitionKeys.of("gap", 0).accounts)  # type: ignore[misc]
    assert {name.decode() for name in kept} == {f"gap{number}.com" for number in (*range(10), *range(15, 20))}


async def _spoil(client: Redis, account: str, value: bytes) -> None:
    state = decode_state(value)
    state.membership = type(state.membership)("somewhere-else", state.membership.entered)
    for number in range(PARTITIONS):
        key = PartitionKeys.of(PREFIX, number).accounts
        if await client.hexists(key, account):  # type: ignore[misc]
            await client.hset(key, account, encode_state(state))  # type: ignore[misc]


async def _stop_a_timer(client: Redis, but: str) -> str:
    """Take the timer of some account out of Redis."""
    for number in range(PARTITIONS):
        key = PartitionKeys.of(PREFIX, number).deadlines
        for name in await client.zrange(key, 0, 5):
            if name.decode() != but:
                await client.zrem(key, name)
                return str(name.decode())
    raise AssertionError("no account has a deadline")
