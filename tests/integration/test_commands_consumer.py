"""The consumer of workflow commands in docs/contracts: killed and fed doubles, it knows what the router knows."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import uuid
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord
from redis.asyncio import Redis

from resegment.agents.batch import Message
from resegment.schemas.routing import decode_routed
from resegment.schemas.times import format_instant, parse_instant
from resegment.settings import Settings
from resegment.state.redis.keys import PartitionKeys
from resegment.state.redis.owners import OwnerStore
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.operations.owner_transfer import Portfolio
from resegment.streams.worker.loops.worker_clock import host_clock
from resegment.streams.worker.worker import Worker
from tests.builders import definition_of, raw_event
from tests.integration.conftest import Stack
from tests.oracle.cases import segments

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONSUMER = Path(__file__).parents[2] / "docs" / "contracts" / "commands_consumer.py"
PARTITIONS = 4
PATIENCE = 90.0
SEED = 7
ROUNDS = 12
ACCOUNTS = [f"company-{number}.com" for number in range(40)]
START = parse_instant("2026-01-01T00:00:00Z")

Row = tuple[str, str, str, str | None, str]
"""Account, workflow, segment, owner, key."""


def sales(workflow: str, **given: str) -> dict[str, str]:
    return {"workflow": workflow, "team": "sales", **given}


FILE = segments(trial={"stage": "trial"}, pilot={"stage": "pilot"}, large={"stage": "large"})
for entry, route in zip(
    FILE["segments"],
    (
        sales("onboarding", on_exit="pause"),
        sales("closing", on_exit="finish"),
        sales("onboarding", qualification="fast"),
    ),
    strict=True,
):
    entry["route"] = route
FILE |= {
    "suppression": ["customers"],
    "teams": {
        "sales": {"members": [{"name": "ann", "capacity": 12}, {"name": "bob", "weight": 2}, "eve"]},
    },
}


def news(draw: random.Random, account: str, number: int) -> bytes:
    """A snapshot that moves the account, or says that it is a customer, or no more."""
    data = draw.choice(
        [{"stage": name} for name in ("trial", "pilot", "large", "none")]
        + [{"customer": True}, {"customer": False}]
    )
    return raw_event(
        id=f"{account}-{number}",
        type="gtm.firmographic.v1",
        subject=account,
        time=format_instant(START + number * 1000),
        data=data,
    )


class Consumer:
    """The program as people start it, and the tables that it keeps."""

    def __init__(self, stack: Stack, topic: str, store: Path) -> None:
        self._arguments = (stack.bootstrap, topic, str(store))
        self._store = store
        self.process: Process | None = None
        self.kills = 0

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, str(CONSUMER), *self._arguments, stdout=DEVNULL
        )

    async def kill(self) -> None:
        assert self.process is not None
        assert self.process.returncode is None, "the consumer ended by itself"
        self.process.kill()
        await self.process.wait()
        self.kills += 1

    def ask(self, query: str) -> list[Any]:
        if not self._store.exists():
            return []
        with closing(sqlite3.connect(self._store)) as store:
            try:
                return store.execute(query).fetchall()
            except sqlite3.OperationalError:  # its tables are not there yet
                return []

    def forget_offsets(self) -> None:
        with closing(sqlite3.connect(self._store)) as store, store:
            store.execute("DELETE FROM offsets")

    @property
    def applied(self) -> int:
        return sum(number for (number,) in self.ask("SELECT count(*) FROM applied"))

    @property
    def running(self) -> set[Row]:
        return set(self.ask("SELECT * FROM running"))

    async def applies_more_than(self, number: int) -> None:
        await until(lambda: self.applied > number)

    async def reaches(self, offsets: dict[int, int]) -> None:
        await until(lambda: dict(self.ask("SELECT * FROM offsets")) == offsets)


@asynccontextmanager
async def consuming(stack: Stack, topic: str, store: Path) -> AsyncIterator[Consumer]:
    consumer = Consumer(stack, topic, store)
    await consumer.start()
    try:
        yield consumer
    finally:
        if consumer.process is not None and consumer.process.returncode is None:
            consumer.process.kill()
            await consumer.process.wait()


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            held = holds()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.02)


async def commands_of(stack: Stack, topic: str) -> list[ConsumerRecord]:
    async with reading(stack.bootstrap, topic) as reader:
        return [record async for records in reader.to_end() for record in records]


def again(records: list[ConsumerRecord], draw: random.Random) -> list[Message]:
    """Some commands once more, late too: as a worker sends them that slept before it noted their sending."""
    first = draw.randrange(len(records))
    return [Message(one.topic, one.key, one.value, one.headers) for one in records[first : first + 20]]


def next_offsets(records: list[ConsumerRecord]) -> dict[int, int]:
    return {record.partition: record.offset + 1 for record in records}


async def routed(client: Redis, prefix: str) -> set[Row]:
    """What the router says that each account is in."""
    found: set[Row] = set()
    for number in range(PARTITIONS):
        answer: Any = client.hgetall(PartitionKeys.of(prefix, number, "router").accounts)
        for account, value in (await answer).items():
            one = decode_routed(value).enrollment
            if one is not None:
                found.add((account.decode(), one.workflow, one.segment, one.owner, one.key))
    return found


async def test_a_consumer_that_is_killed_and_fed_doubles_knows_what_the_router_knows(
    stack: Stack, tmp_path: Path
) -> None:
    draw = random.Random(SEED)
    embedded = stack.name == "embedded"
    given: dict[str, Any] = {} if embedded else {"kafka": stack.bootstrap}
    settings = Settings(prefix=f"t{uuid.uuid4().hex[:8]}", partitions=PARTITIONS, route="all", **given)
    worker = Worker(settings, definition_of(FILE), bootstrap=stack.bootstrap, redis_url=stack.redis_url)
    topic = worker.topics.workflow_commands.name
    client = Redis.from_url(stack.redis_url)
    async with (
        KafkaPublisher(stack.bootstrap, idempotent=not embedded) as publisher,
        worker.running(),
        consuming(stack, topic, tmp_path / "commands.db") as consumer,
    ):
        for number in range(ROUNDS):
            applied = consumer.applied
            values = [news(draw, account, number) for account in ACCOUNTS]
            if number == ROUNDS // 2:  # between two rounds, so that no account leaves her by itself meanwhile
                assert await worker.drain(PATIENCE)
                await OwnerStore(client, settings.prefix).leave("ann")
                portfolio = Portfolio(
                    "ann", client, settings.prefix, PARTITIONS, publisher, worker.topics.routing_events.name
                )
                await portfolio.hand_over(host_clock())
                assert await worker.drain(PATIENCE)
            await publisher.publish([Message(worker.topics.accounts.name, None, one) for one in values])
            await consumer.applies_more_than(applied)
            if number % 3 == 2:
                await consumer.kill()
                await publisher.publish(again(await commands_of(stack, topic), draw))
                await consumer.start()
        assert await worker.drain(PATIENCE)
        assert worker.failure is None
        records = await commands_of(stack, topic)
        await consumer.reaches(next_offsets(records))
        expected = await routed(client, settings.prefix)
        assert consumer.running == expected

        await consumer.kill()
        consumer.forget_offsets()
        applied = consumer.applied
        await consumer.start()
        await consumer.reaches(next_offsets(records))
        assert (consumer.running, consumer.applied) == (expected, applied)
    await client.aclose()

    by_key = {one["idempotency_key"]: one for one in map(data_of, records)}
    assert {one["action"] for one in by_key.values()} == {"enroll", "stop", "finish", "pause", "reassign"}
    assert len(records) > len(by_key) == applied
    owners = {owner for _, _, segment, owner, _ in expected if segment != "out"}
    assert owners
    assert owners <= {"bob", "eve"}
    assert consumer.kills == 5


def data_of(record: ConsumerRecord) -> dict[str, Any]:
    return orjson.loads(record.value)["data"]  # type: ignore[no-any-return]
