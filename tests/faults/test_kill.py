"""A worker that is killed again and again in the middle of a replay: not one change is lost, made up or doubled."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path

import orjson
import pytest
from redis.asyncio import Redis

from resegment.embedded.servers import embedded
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics
from resegment.streams.operations.ingest import send_replay
from tests import companies
from tests.builders import net_moves
from tests.servers.workers import Workers, workers

PARTITIONS = 8
PATIENCE = 120.0
KILLS = 3
PREFIX = "killed"


async def decided(reader: PrefixReader, group: Workers, least: int) -> int:
    """Wait until so many records of `signals` are committed; return how many are."""
    async with asyncio.timeout(PATIENCE):
        while True:
            group.check()
            done = sum(one.position.offset for one in await reader.look() if one.position is not None)
            if done >= least:
                return done
            await asyncio.sleep(0.01)


async def at_end(reader: PrefixReader, group: Workers) -> None:
    """Wait until every clock is where the replay ends, and nothing is due or waits to be published."""
    async with asyncio.timeout(PATIENCE):
        while not all(
            one.position is not None
            and one.position.clock == companies.UNTIL
            and not one.outbox
            and not one.due
            for one in await reader.look()
        ):
            group.check()
            await asyncio.sleep(0.05)


@pytest.mark.faults
@pytest.mark.timeout(240)
async def test_a_worker_killed_three_times_in_a_replay_ends_where_a_backtest_does(tmp_path: Path) -> None:
    async with embedded(tmp_path / "servers") as servers:
        client = Redis.from_url(servers.redis_url)
        reader, topics = PrefixReader(client, PREFIX, PARTITIONS), Topics(PREFIX)
        settings = {
            "kafka": servers.bootstrap,
            "redis": servers.redis_url,
            "prefix": PREFIX,
            "partitions": PARTITIONS,
            "clock": "facts",
            "segments": companies.SEGMENTS,
            "chunk": 50,
            "session_timeout": 6,
        }
        async with workers(tmp_path, **settings) as group:
            worker = await group.start()
            async with KafkaPublisher(servers.bootstrap, idempotent=False) as publisher:
                await send_replay(
                    companies.events(), publisher, topics, partitions=PARTITIONS, until=companies.UNTIL
                )
            total = len(companies.events())
            for kill in range(1, KILLS + 1):
                done = await decided(reader, group, kill * total // (KILLS + 2))
                assert done < total, "killed too late to mean anything"
                await group.kill(worker)
                worker = await group.start()
            await at_end(reader, group)
            async with reading(servers.bootstrap, topics.segment_changes.name) as topic:
                changes = [record.value async for records in topic.to_end() for record in records]
        await client.aclose()

    assert net_moves(changes) == companies.expected()
    by_id: dict[str, bytes] = {}
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for value in changes:
        event = orjson.loads(value)
        if event["id"] not in by_id:
            numbers[event["data"]["account"]].append(event["data"]["sequence_number"])
        assert by_id.setdefault(event["id"], value) == value
    assert {account: seen for account, seen in numbers.items() if seen != list(range(1, len(seen) + 1))} == {}
