"""`resegment tables` beside real servers: killed, restarted, its database killed, and compared with the topics row by row."""

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
import psycopg
import pytest
from redis.asyncio import Redis

from resegment.agents.batch import Message
from resegment.schemas.fact import Fact, encode_fact
from resegment.schemas.times import format_instant, parse_instant
from resegment.streams.kafka.admin import create_topics
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topics import Topics
from resegment.streams.prefix import agree
from resegment.tables.columns import TABLES
from tests.integration.conftest import Stack
from tests.servers.postgres import PostgresServer, running_postgres

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTITIONS = 2
PATIENCE = 120.0
START = parse_instant("2026-03-01T00:00:00Z")
ACCOUNTS = 40
SEGMENTS = ("fits", "hot", "cold")
_names = itertools.count()


class Traffic:
    """Makes what the pipeline publishes, an account's changes in their order, and keeps count."""

    def __init__(self, topics: Topics, seed: int) -> None:
        self.topics, self.chosen = topics, random.Random(seed)
        self.numbers: dict[str, int] = {}
        self.latest: dict[str, tuple[str, str]] = {}
        self.made = 0

    def make(self, count: int) -> list[Message]:
        return [message for _ in range(count) for message in self._move()]

    def _move(self) -> list[Message]:
        account = f"c{self.chosen.randrange(ACCOUNTS)}.com"
        number = self.numbers[account] = self.numbers.get(account, 0) + 1
        held = self.latest.get(account)
        to = self.chosen.choice(SEGMENTS)
        supersedes = held is not None and self.chosen.random() < 0.2
        at = held[1] if supersedes and held is not None else format_instant(START + self.made * 60_000)
        self.made += 1
        change = f"{account}/{number}"
        self.latest[account] = (change, at)
        events = [
            (self.topics.segment_changes, change, {
                "account": account, "sequence_number": number, "from": None if held is None else "before", "to": to,
                "effective_at": at, "decided_at": at, "cause": {"events": [change]}, "definition_version": "v",
                "supersedes": held[0] if supersedes and held is not None else None, "play": to,
                "route": {"workflow": to}, "holdout": False,
            }),
            (self.topics.workflow_commands, f"enroll/{change}", {
                "action": "enroll", "account": account, "workflow": to, "segment": to, "idempotency_key": f"enroll/{change}",
                "cause": {"change": change, "sequence_number": number, "effective_at": at},
            }),
        ]  # fmt: skip
        messages = [
            Message(
                topic.name,
                account.encode(),
                json.dumps({"specversion": "1.0", "id": name, "time": at, "data": data}).encode(),
            )
            for topic, name, data in events
        ]
        fact = Fact(
            account=account, kind="outcome", id=f"reply/{change}", source="sequencer", record=f"reply/{number % 3}",
            time=START + self.made * 60_000, recorded=START + self.made * 60_000,
            op="retract" if self.chosen.random() < 0.2 else "assert", data={"action": "replied", "person": f"jo@{account}"},
        )  # fmt: skip
        return [*messages, Message(self.topics.signals.name, account.encode(), encode_fact(fact))]


class Tabled:
    """A prefix without workers, whose topics a test fills, and the tables that are written of it."""

    def __init__(self, stack: Stack, to: str) -> None:
        self.stack, self.to = stack, to
        self.topics = Topics(f"tabled-{stack.name}-{next(_names)}")
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("RESEGMENT_")
        } | {
            "RESEGMENT_KAFKA": stack.bootstrap,
            "RESEGMENT_REDIS": stack.redis_url,
            "RESEGMENT_PREFIX": self.topics.prefix,
            "RESEGMENT_PARTITIONS": str(PARTITIONS),
            "RESEGMENT_TABLES": to,
        }

    async def begin(self) -> None:
        await asyncio.to_thread(
            create_topics,
            self.stack.bootstrap,
            list(self.topics),
            partitions=PARTITIONS,
            retention={one.name: None for one in self.topics},
        )
        client = Redis.from_url(self.stack.redis_url)
        try:
            await agree(client, self.topics.prefix, partitions=PARTITIONS, clock="wall")
        finally:
            await client.aclose()

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "resegment", "tables", *arguments),
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str) -> str:
        process = await self.start(*arguments)
        output, error = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == 0, error.decode()
        return output.decode()

    async def writing(self) -> asyncio.subprocess.Process:
        process = await self.start("write")
        assert process.stderr is not None
        assert b"Writing" in await asyncio.wait_for(process.stderr.readline(), PATIENCE)
        return process

    async def expect_agreement(self) -> dict[str, int]:
        found = [json.loads(line) for line in (await self.run("check", "--json")).splitlines()]
        assert [one["table"] for one in found] == list(TABLES)
        assert [one for one in found if not one["agrees"]] == []
        return {one["table"]: one["rows"] for one in found}


@asynccontextmanager
async def tabled(stack: Stack, to: str) -> AsyncIterator[tuple[Tabled, KafkaPublisher]]:
    one = Tabled(stack, to)
    await one.begin()
    async with KafkaPublisher(stack.bootstrap, idempotent=stack.name == "apache") as publisher:
        yield one, publisher


async def test_tables_are_written_continued_and_compared(stack: Stack, tmp_path: Path) -> None:
    async with tabled(stack, f"parquet:{tmp_path}") as (one, publisher):
        traffic = Traffic(one.topics, 1)
        for _ in range(2):
            await publisher.publish(traffic.make(100))
            await one.run("write", "--once")
        rows = await one.expect_agreement()
        assert rows["segment_event"] == rows["command"] == 200
        read = duckdb.sql(f"SELECT count(*), count(DISTINCT account) FROM '{tmp_path}/segment_event.parquet'")
        assert read.fetchall() == [(200, len(traffic.numbers))]
        damage = duckdb.connect(str(tmp_path / "tables.duckdb"))
        damage.execute("DELETE FROM command WHERE account = (SELECT min(account) FROM command)")
        damage.close()
        process = await one.start("check", "--json")
        output, error = await process.communicate()
        assert process.returncode == 1
        assert b"command" in error
        assert [line["table"] for line in map(json.loads, output.splitlines()) if line["missing"]] == [
            "command"
        ]


async def kill_and_compare(stack: Stack, server: PostgresServer, kills: int, seed: int) -> None:
    chosen = random.Random(seed)
    async with tabled(stack, server.url) as (one, publisher):
        schema = f"s{seed}"
        one.environment["RESEGMENT_TABLES"] = server.url
        traffic = Traffic(one.topics, seed)
        await one.run("migrate", "--schema", schema)
        process = await start_writing(one, schema)
        for _ in range(kills):
            for _ in range(chosen.randrange(5, 60)):  # as long as that takes, and no more than can be written
                await publisher.publish(traffic.make(20))
            if chosen.random() < 0.5:
                server.kill()
                await publisher.publish(traffic.make(20))
                await asyncio.to_thread(server.start)
            else:
                process.kill()
                await process.communicate()
                process = await start_writing(one, schema)
        await publisher.publish(traffic.make(20))
        async with asyncio.timeout(PATIENCE):
            while await count_events(server, schema) < traffic.made:
                assert process.returncode is None, await process.communicate()
                await asyncio.sleep(0.1)
        process.terminate()
        await process.communicate()
        await one.run("write", "--once", "--schema", schema)
        found = [
            json.loads(line) for line in (await one.run("check", "--json", "--schema", schema)).splitlines()
        ]
        assert [line for line in found if not line["agrees"]] == []
        assert found[2]["rows"] == traffic.made
        expect_no_gap_and_no_overlap(server, schema)


async def start_writing(one: Tabled, schema: str) -> asyncio.subprocess.Process:
    process = await one.start("write", "--schema", schema)
    assert process.stderr is not None
    while b"Writing" not in (line := await asyncio.wait_for(process.stderr.readline(), PATIENCE)):
        assert line, "the writer ended"
    return process


async def count_events(server: PostgresServer, schema: str) -> int:
    def ask() -> int:
        with psycopg.connect(server.url) as connection:
            row: Any = connection.execute(f'SELECT count(*) FROM "{schema}".segment_event').fetchone()
            return int(row[0])

    return await asyncio.to_thread(ask)


def expect_no_gap_and_no_overlap(server: PostgresServer, schema: str) -> None:
    with psycopg.connect(server.url) as connection:
        wrong = connection.execute(
            f"""
            SELECT account FROM (
              SELECT account, valid_to, lead(valid_from) OVER (PARTITION BY account ORDER BY sequence_number) AS next
              FROM "{schema}".account_segment_history
            ) AS stays WHERE valid_to IS DISTINCT FROM next
            """
        ).fetchall()
        assert wrong == []


async def test_neither_a_killed_writer_nor_a_killed_database_loses_or_doubles_a_row(stack: Stack) -> None:
    with running_postgres() as server:
        await kill_and_compare(stack, server, 3, 1)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(2, 12))
async def test_tables_equal_the_topics_after_many_kills(stack: Stack, seed: int) -> None:
    with running_postgres() as server:
        await kill_and_compare(stack, server, 10, seed)
