"""`resegment archive` beside real servers: killed, restarted, and compared with the topics record by record."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from redis.asyncio import Redis

from resegment.agents.batch import Message
from resegment.schemas.times import parse_instant
from resegment.streams.kafka.admin import create_topics
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics
from resegment.streams.prefix import agree
from tests.integration.conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTITIONS = 2
PATIENCE = 120.0
DAY = 86_400_000
START = parse_instant("2026-03-01T00:00:00Z")
_names = itertools.count()

Found = set[tuple[int, int, bytes | None]]


class Archived:
    """A prefix without workers, whose topics a test fills, and its archive."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        self.topics = Topics(f"archived-{stack.name}-{next(_names)}")
        self.path = folder / "archive"
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("RESEGMENT_")
        } | {
            "RESEGMENT_KAFKA": stack.bootstrap,
            "RESEGMENT_REDIS": stack.redis_url,
            "RESEGMENT_PREFIX": self.topics.prefix,
            "RESEGMENT_PARTITIONS": str(PARTITIONS),
        }

    async def begin(self) -> None:
        await asyncio.to_thread(
            create_topics,
            self.stack.bootstrap,
            list(self.topics),
            partitions=PARTITIONS,
            retention={one.name: None for one in self.topics},  # the records are old
        )
        client = Redis.from_url(self.stack.redis_url)
        try:
            await agree(client, self.topics.prefix, partitions=PARTITIONS, clock="wall")
        finally:
            await client.aclose()

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "resegment", "archive", str(self.path), *arguments),
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str) -> tuple[int | None, str, str]:
        process = await self.start(*arguments)
        output, error = await asyncio.wait_for(process.communicate(), PATIENCE)
        return process.returncode, output.decode(), error.decode()

    async def in_topic(self, topic: str) -> Found:
        found: Found = set()
        async with reading(self.stack.bootstrap, f"{self.topics.prefix}.{topic}") as reader:
            async for records in reader.to_end():
                found |= {(one.partition, one.offset, one.value) for one in records}
        return found

    def in_files(self, topic: str) -> list[tuple[int, int, bytes | None]]:
        files = f"{self.path}/{topic}/**/*.parquet"
        rows = duckdb.sql(f"select partition, log_offset, value from read_parquet('{files}')").fetchall()
        return [(int(partition), int(offset), value) for partition, offset, value in rows]

    async def expect_one_row_for_each_record(self, topics: tuple[str, ...]) -> int:
        total = 0
        for topic in topics:
            rows, records = self.in_files(topic), await self.in_topic(topic)
            assert len(rows) == len(set(rows)) == len(records)
            assert set(rows) == records
            total += len(rows)
        return total


@asynccontextmanager
async def archived(stack: Stack, folder: Path) -> AsyncIterator[tuple[Archived, KafkaPublisher]]:
    one = Archived(stack, folder)
    await one.begin()
    async with KafkaPublisher(stack.bootstrap, idempotent=stack.name == "apache") as publisher:
        yield one, publisher


async def fill(publisher: KafkaPublisher, topics: Topics, first: int, count: int) -> None:
    """Write records over several days to two topics."""
    messages = []
    for number in range(first, first + count):
        value = json.dumps({"id": f"e{number}", "data": {"n": number}}).encode()
        topic = topics.signals if number % 3 else topics.segment_changes
        at = START + number % 5 * DAY
        messages.append(Message(topic.name, f"c{number % 50}.com".encode(), value, (), None, at))
    await publisher.publish(messages)


async def kill_and_compare(stack: Stack, folder: Path, kills: int) -> None:
    chosen = random.Random(17)
    async with archived(stack, folder) as (one, publisher):
        written = 0
        for _ in range(kills):
            process = await one.start("--every", "1s")
            assert process.stderr is not None
            assert b"Archiving" in await asyncio.wait_for(process.stderr.readline(), PATIENCE)
            end = asyncio.get_running_loop().time() + chosen.uniform(0.1, 4.0)
            while asyncio.get_running_loop().time() < end and process.returncode is None:
                await fill(publisher, one.topics, written, 50)
                written += 50
                await asyncio.sleep(0.05)
            assert process.returncode is None, await process.communicate()
            process.kill()
            await process.communicate()
            rows = one.in_files("signals") if list(one.path.glob("signals/**/*.parquet")) else []
            assert len(rows) == len({row[:2] for row in rows})
        code, output, error = await one.run("--once", "--json")
        assert code == 0, error
        assert {json.loads(line)["lag"] for line in output.splitlines()} == {0}
        assert await one.expect_one_row_for_each_record(("signals", "segment-changes")) == written


async def test_an_archiver_that_is_killed_loses_and_doubles_nothing(stack: Stack, tmp_path: Path) -> None:
    await kill_and_compare(stack, tmp_path, 2)


@pytest.mark.faults
async def test_an_archiver_that_is_killed_twenty_times_loses_and_doubles_nothing(
    stack: Stack, tmp_path: Path
) -> None:
    await kill_and_compare(stack, tmp_path, 20)


@pytest.mark.faults
async def test_a_topic_that_was_created_again_is_refused(stack: Stack, tmp_path: Path) -> None:
    async with archived(stack, tmp_path) as (one, publisher):
        await fill(publisher, one.topics, 0, 300)
        assert (await one.run("--once"))[0] == 0
        kept = one.in_files("signals")
        other = Archived(stack, tmp_path)
        other.path, other.topics = one.path, one.topics
        await delete_topic(stack, one.topics.signals.name)
        await other.begin()
        await fill(publisher, one.topics, 0, 30)
        code, _, error = await one.run("--once")
        assert code == 1
        assert "is not the log that was archived" in error
        assert one.in_files("signals") == kept


async def delete_topic(stack: Stack, name: str) -> None:
    from kafka import KafkaAdminClient  # noqa: PLC0415

    def delete() -> None:
        admin: Any = KafkaAdminClient(bootstrap_servers=stack.bootstrap)
        admin.delete_topics([name])
        admin.close()

    await asyncio.to_thread(delete)
    while name in await asyncio.to_thread(list_topics, stack.bootstrap):
        await asyncio.sleep(0.1)


def list_topics(bootstrap: str) -> set[str]:
    from kafka import KafkaAdminClient  # noqa: PLC0415

    admin: Any = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        return set(admin.list_topics())
    finally:
        admin.close()
