"""The main job on real servers: four years of real companies, live and in a backtest, to the same end."""

from __future__ import annotations

import asyncio
import os
import random
import runpy
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from resegment.agents.batch import Message
from resegment.benchmarks.servers import apache
from resegment.benchmarks.servers.debian import SystemRedis
from resegment.schemas.fact import Fact
from resegment.schemas.times import parse_instant
from resegment.segmentation.definition import read_definition
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import backtest
from resegment.sources.providers.yc import read_files
from resegment.state.partition_store import StoreUnavailable
from resegment.state.redis.reader import PrefixReader
from resegment.streams.heartbeat import read_workers
from resegment.streams.kafka.admin import create_topics
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topic, Topics
from resegment.streams.operations.ingest import send_replay
from tests.events import read_fact
from tests.integration.conftest import Stack, require_apache
from tests.servers.workers import Workers, workers

ROOT = Path(__file__).parents[2]
SEGMENTS = ROOT / "examples" / "segments.yaml"
UNTIL = parse_instant("2025-04-01T00:00:00Z")
PARTITIONS = 8
PATIENCE = 240.0
FAULTS = int(os.environ.get("FAULTS", "10"))
SEED = int(os.environ.get("FAULTS_SEED", "1"))

Move = tuple[str, str | None, str, int]
apply_change: Callable[[dict[str, Any], dict[str, Any], Any], None] = runpy.run_path(
    str(ROOT / "docs" / "contracts" / "consumer.py")
)["apply"]


@cache
def real_events() -> list[tuple[Fact, bytes]]:
    folder = ROOT / "examples" / "yc"
    events, _ = read_files(folder / "snapshot-2021-12-02.jsonl.gz", folder / "changes-2022-2025.jsonl.gz")
    return [(read_fact(event), orjson.dumps(event)) for event in events]


@cache
def expected() -> list[Move]:
    definition = read_definition([(SEGMENTS.name, SEGMENTS.read_bytes())])
    found = backtest(Program(definition), [fact for fact, _ in real_events()], UNTIL)
    return sorted(
        ((one.account, one.from_, one.to, one.effective_at) for _, changes in found for one in changes),
        key=repr,
    )


@dataclass
class Run:
    """One replay into a prefix of its own."""

    stack: Stack
    prefix: str
    workers: Workers
    client: Redis

    def __post_init__(self) -> None:
        self.owners: list[list[int]] = []
        self.topics = Topics(self.prefix)
        self.reader = PrefixReader(self.client, self.prefix, PARTITIONS)

    async def send(self) -> None:
        async with KafkaPublisher(self.stack.bootstrap) as publisher:
            await send_replay(real_events(), publisher, self.topics, partitions=PARTITIONS, until=UNTIL)

    async def done(self) -> int:
        """Records of `signals` whose outcome is committed."""
        return sum(one.position.offset for one in await self.reader.look() if one.position is not None)

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(StoreUnavailable):  # the first command after a restart of Redis
                    if await holds():
                        return
                self.workers.check()
                await asyncio.sleep(0.02)

    async def drained(self) -> None:
        """Every clock is at the end, nothing waits, and whoever owns a partition now has read it to its end."""
        await self.until(self._is_at_end)
        since = await self.reader.now() / 1000

        async def idle() -> bool:
            said = [
                one for one in (await read_workers(self.client, self.prefix)).values() if one["at"] > since
            ]
            lags = {place: lag for one in said for place, lag in one["lag"].items()}
            self.owners = [one["partitions"] for one in said]
            every = {
                f"{topic}:{n}"
                for topic in (self.topics.replay.name, self.topics.signals.name)
                for n in range(8)
            }
            return every <= lags.keys() and not any(lags.values())

        await self.until(idle)
        await self.until(self._is_at_end)

    async def _is_at_end(self) -> bool:
        return all(
            one.position is not None and one.position.clock == UNTIL and not one.outbox and not one.due
            for one in await self.reader.look()
        )

    async def changes(self) -> list[bytes]:
        async with reading(self.stack.bootstrap, self.topics.segment_changes.name) as topic:
            return [record.value async for records in topic.to_end() for record in records]


async def check(run: Run) -> None:
    """0 differences to the backtest, 0 gaps, 0 doubles, and a consumer's table that equals Redis."""
    by_id: dict[str, bytes] = {}
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    table: dict[str, tuple[str, int]] = {}
    moves: dict[str, tuple[str, str | None, str, str]] = {}
    for value in await run.changes():
        event = orjson.loads(value)
        if event["id"] not in by_id:
            numbers[event["data"]["account"]].append(event["data"]["sequence_number"])
        assert by_id.setdefault(event["id"], value) == value
        apply_change(table, moves, event)
    wrong = {account: seen for account, seen in numbers.items() if seen != list(range(1, len(seen) + 1))}
    assert not wrong
    net = sorted(
        ((account, from_, to, parse_instant(at)) for account, from_, to, at in moves.values()), key=repr
    )
    assert net == expected()
    accounts = list(table)
    states = await run.reader.states(accounts)
    assert table == {
        account: (state.membership.segment, state.sequence)
        for account, state in zip(accounts, states, strict=True)
        if state is not None
    }
    assert {place.account async for batch in run.reader.places() for place in batch} == table.keys()


async def replay(stack: Stack, folder: Path, during: Callable[[Run], Awaitable[None]]) -> Run:
    """Start one worker, send everything while `during` does what it likes, and wait for the end."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    settings = {
        "kafka": stack.bootstrap,
        "redis": stack.redis_url,
        "prefix": prefix,
        "clock": "facts",
        "segments": SEGMENTS,
        "chunk": 200,
        "session_timeout": 6,
    }
    client = Redis.from_url(stack.redis_url)
    try:
        async with workers(folder, **settings) as group:
            run = Run(stack, prefix, group, client)
            await group.start()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(run.send())
                await during(run)
            await run.drained()
            for worker in list(group.live):
                await group.stop(worker)
            await check(run)
            return run
    finally:
        await client.aclose()


@pytest.mark.parametrize("count", [1, 3])
async def test_the_stream_agrees_with_the_backtest(stack: Stack, count: int, tmp_path: Path) -> None:
    async def join(run: Run) -> None:
        for _ in range(count - 1):
            await run.workers.start()

        async def is_shared() -> bool:
            shares = [one["partitions"] for one in (await read_workers(run.client, run.prefix)).values()]
            return len(shares) == count and all(shares) and sorted(chain(*shares)) == list(range(PARTITIONS))

        await run.until(is_shared)

    run = await replay(stack, tmp_path, join)
    assert len(run.owners) == count
    assert all(run.owners)
    assert sorted(chain.from_iterable(run.owners)) == list(range(PARTITIONS))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("stack", ["apache"], indirect=True)
async def test_workers_that_are_killed_stopped_and_started_change_nothing(
    stack: Stack, tmp_path: Path
) -> None:
    draw = random.Random(SEED)
    total = len(real_events())
    marks = sorted(draw.randrange(total // 20, total * 19 // 20) for _ in range(FAULTS))

    async def fault(run: Run) -> None:
        group = run.workers
        await group.start()
        await group.start()
        for mark in marks:
            if group.live:
                await run.until(lambda mark=mark: reached(run, mark))
            possible = ["kill", "stop"] if len(group.live) > 3 else ["kill", "stop", "start"]
            match draw.choice(possible) if group.live else "start":
                case "kill":
                    await group.kill(draw.choice(group.live))
                case "stop":
                    await group.stop(draw.choice(group.live))
                case _:
                    await group.start()
        if not group.live:
            await group.start()

    await replay(stack, tmp_path, fault)


async def reached(run: Run, mark: int) -> bool:
    return await run.done() >= mark


@pytest.mark.faults
@pytest.mark.timeout(600)
async def test_servers_that_are_killed_and_come_back_change_nothing(tmp_path: Path) -> None:
    require_apache()
    async with apache.cluster(tmp_path) as (kafka,):
        redis = SystemRedis(tmp_path)
        await redis.start()
        try:

            async def fault(run: Run) -> None:
                await run.workers.start()
                await run.until(lambda: reached(run, len(real_events()) // 4))
                await redis.kill()
                await redis.start()
                await run.until(lambda: reached(run, len(real_events()) // 2))
                await kafka.kill()
                await kafka.start()

            await replay(Stack("apache", kafka.bootstrap, redis.url), tmp_path, fault)
        finally:
            await redis.stop()


@pytest.mark.parametrize("stack", ["apache"], indirect=True)
async def test_signals_take_and_keep_records_of_any_age(stack: Stack) -> None:
    topics = Topics(f"t{uuid.uuid4().hex[:8]}")
    forgetful = Topic(f"{topics.prefix}.forgetful", "what a retention of a week takes away")
    await asyncio.to_thread(create_topics, stack.bootstrap, [topics.signals, forgetful], partitions=1)
    instants = [parse_instant(text) for text in ("1990-01-01T00:00:00Z", "2045-01-01T00:00:00Z")]
    async with KafkaPublisher(stack.bootstrap) as publisher:
        await publisher.publish(
            [Message(topics.signals.name, b"acme.com", b"", timestamp=at) for at in instants]
        )
        await publisher.publish([Message(forgetful.name, b"acme.com", b"", timestamp=instants[0])])
    async with asyncio.timeout(PATIENCE):  # until the broker has looked for what is too old
        while True:
            async with reading(stack.bootstrap, forgetful.name) as topic:
                if topic.oldest == 1:
                    break
            await asyncio.sleep(0.2)
    async with reading(stack.bootstrap, topics.signals.name) as topic:
        assert [record.timestamp async for records in topic.to_end() for record in records] == instants
