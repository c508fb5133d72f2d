"""A prefix copied into one with another number of partitions: the same future, and nothing done twice."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import orjson
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from resegment.schemas.routing import RoutedState
from resegment.schemas.state import AccountState
from resegment.settings import Settings
from resegment.state.redis.client import connect_redis
from resegment.state.redis.owners import OwnerStore
from resegment.state.redis.reader import PrefixReader
from resegment.state.redis.whole_prefix import delete_keys
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics
from resegment.streams.operations.ingest import in_order, send_live, send_replay
from resegment.streams.prefix import ROUTING, read_prefix
from resegment.streams.worker.worker import Worker
from tests import companies
from tests.builders import net_moves
from tests.integration.conftest import Stack

ONE_IN, BEFORE, AFTER = 10, 4, 8
pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.parametrize("stack", ["apache"], indirect=True),
]


class Prefix:
    """One prefix and its workers."""

    def __init__(
        self,
        stack: Stack,
        client: Redis,
        name: str,
        partitions: int,
        clock: Literal["wall", "facts"] = "facts",
    ) -> None:
        self.clock: Literal["wall", "facts"] = clock
        self.stack, self.client, self.name, self.partitions = stack, client, name, partitions
        self.topics = Topics(name)
        self.reader = PrefixReader(client, name, partitions)

    async def work(self, events: list[Any] | None, *, until: int | None = None) -> None:
        """Run a worker until it has nothing left to do."""
        settings = Settings(
            prefix=self.name,
            partitions=self.partitions,
            clock=self.clock,
            route=None,
            segments=companies.SEGMENTS,
        )
        worker = Worker(
            settings,
            companies.definition(),
            bootstrap=self.stack.bootstrap,
            redis_url=self.stack.redis_url,
        )
        async with worker.running():
            if events is not None:
                async with KafkaPublisher(self.stack.bootstrap) as publisher:
                    if self.clock == "wall":
                        await self.send_live(events, publisher)
                    else:
                        await send_replay(
                            events, publisher, self.topics, partitions=self.partitions, until=until
                        )
            assert await worker.drain(200)

    async def send_live(self, events: list[Any], publisher: KafkaPublisher) -> None:
        """Send events as sources do, and wait until each is decided."""
        before = await self.decided()
        await send_live(events, publisher, self.topics)
        async with asyncio.timeout(200):
            while await self.decided() < before + len(events):  # it is Redis that knows
                await asyncio.sleep(0.1)

    async def decided(self) -> int:
        """Return how many records of `signals` are decided."""
        return sum(one.position.offset for one in await self.reader.look() if one.position is not None)

    async def command(self, *words: str) -> tuple[int, str]:
        """Run the command line on this prefix."""
        environment = {
            **os.environ,
            "RESEGMENT_KAFKA": self.stack.bootstrap,
            "RESEGMENT_REDIS": self.stack.redis_url,
            "RESEGMENT_PREFIX": self.name,
            "RESEGMENT_PARTITIONS": str(self.partitions),
            "RESEGMENT_CLOCK": self.clock,
            "RESEGMENT_SEGMENTS": str(companies.SEGMENTS),
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "resegment", *words),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 200)
        return process.returncode or 0, output.decode()

    async def values(self, topic: str) -> list[bytes]:
        async with reading(self.stack.bootstrap, topic) as reader:
            return [one.value async for records in reader.to_end() for one in records if one.value]

    async def changes(self) -> list[bytes]:
        return await self.values(self.topics.segment_changes.name)

    async def commands(self) -> Counter[str]:
        values = await self.values(self.topics.workflow_commands.name)
        return Counter(orjson.loads(one)["data"]["idempotency_key"] for one in values)

    async def states(self) -> dict[str, AccountState | None]:
        names = [place.account async for batch in self.reader.places() for place in batch]
        return dict(zip(names, await self.reader.states(names), strict=True))

    async def routed(self) -> dict[str, RoutedState]:
        return {name: state async for batch in self.reader.routings() for name, state in batch}


@pytest_asyncio.fixture(loop_scope="session")
async def client(stack: Stack) -> AsyncIterator[Redis]:
    client = connect_redis(Settings(), stack.redis_url)
    yield client
    await client.aclose()


@asynccontextmanager
async def half_way(stack: Stack, client: Redis) -> AsyncIterator[tuple[Prefix, list[Any]]]:
    """A prefix that has seen the first half of the events, and the other half."""
    events = in_order(companies.events(ONE_IN))
    old = Prefix(stack, client, f"old{uuid.uuid4().hex[:6]}", BEFORE)
    await old.work(None)
    code, output = await old.command("routing", "set", "all")
    assert code == 0, output
    await old.work(events[: len(events) // 2])
    yield old, events[len(events) // 2 :]


async def test_a_prefix_with_more_partitions_goes_on_where_the_old_one_stopped(
    stack: Stack, client: Redis
) -> None:
    async with half_way(stack, client) as (old, rest):
        new = Prefix(stack, client, f"{old.name}-new", AFTER)
        before, routed, owners = await old.states(), await old.routed(), OwnerStore(client, old.name)
        assert sum(one.enrollment is not None for one in routed.values()) > 20

        code, output = await old.command("repartition", new.name, "--partitions", str(AFTER))
        assert code == 0, output
        assert await new.states() == before
        assert await new.routed() == routed
        assert await OwnerStore(client, new.name).look() == await owners.look()
        assert (await read_prefix(client, new.name))[ROUTING] == "all"
        assert (await new.command("verify", "--json")) == (0, "")

        await new.work(None)
        assert await new.changes() == []
        assert not await new.commands()
        await new.work(rest, until=companies.UNTIL)

        everything = [*await old.changes(), *await new.changes()]
        assert net_moves(everything) == companies.expected(ONE_IN)
        assert {
            name: state.membership.segment for name, state in (await new.states()).items() if state
        } == companies.final(ONE_IN)
        numbers: dict[str, list[int]] = {}
        for data in (orjson.loads(one)["data"] for one in everything):
            numbers.setdefault(data["account"], []).append(data["sequence_number"])
        assert all(seen == list(range(1, len(seen) + 1)) for seen in numbers.values())
        assert not (await old.commands()).keys() & (await new.commands()).keys()
        assert (await new.command("verify", "--json")) == (0, "")

        code, output = await old.command("repartition", new.name, "--partitions", str(AFTER))
        assert (code, "is not empty" in output) == (1, True)


async def test_a_prefix_that_redis_lost_is_copied_from_its_log(stack: Stack, client: Redis) -> None:
    async with half_way(stack, client) as (old, _):
        new = Prefix(stack, client, f"{old.name}-new", AFTER)
        before, routed = await old.states(), await old.routed()
        await delete_keys(client, old.name)

        code, output = await old.command("repartition", new.name, "--partitions", str(AFTER))
        assert (code, "Redis has no prefix" in output) == (1, True)
        code, output = await old.command("repartition", new.name, "--partitions", str(AFTER), "--from-log")
        assert code == 0, output

        after = await new.states()
        assert {name: one and (one.membership, one.sequence) for name, one in after.items()} == {
            name: one and (one.membership, one.sequence) for name, one in before.items()
        }
        kept = {name: one.enrollment and one.enrollment.key for name, one in (await new.routed()).items()}
        assert kept == {name: one.enrollment and one.enrollment.key for name, one in routed.items()}
        await new.work(None)
        assert not await new.commands()


async def test_a_prefix_that_has_work_left_is_not_copied(stack: Stack, client: Redis) -> None:
    async with half_way(stack, client) as (old, rest):
        async with KafkaPublisher(stack.bootstrap) as publisher:
            await send_replay(rest[:7], publisher, old.topics, partitions=BEFORE)
        code, output = await old.command("repartition", f"{old.name}-new", "--partitions", str(AFTER))
        assert code == 1
        assert "events are not taken in" in output
        assert not await read_prefix(client, f"{old.name}-new")


async def test_a_live_prefix_is_copied_with_the_instants_at_which_facts_became_known(
    stack: Stack, client: Redis
) -> None:
    """Several old partitions with clocks of their own become one log, in which time never goes back."""
    old = Prefix(stack, client, f"old{uuid.uuid4().hex[:6]}", BEFORE, "wall")
    new = Prefix(stack, client, f"{old.name}-new", AFTER, "wall")
    events = in_order(companies.events(50))
    await old.work(events[: len(events) // 2])
    await old.work(events[len(events) // 2 :])
    before, routed = await old.states(), await old.routed()

    code, output = await old.command("repartition", new.name, "--partitions", str(AFTER))
    assert code == 0, output
    assert (await new.states(), await new.routed()) == (before, routed)
    assert (await new.command("verify", "--json")) == (0, "")
    async with reading(stack.bootstrap, new.topics.signals.name) as reader:
        times: dict[int, list[int]] = {}
        async for records in reader.to_end():
            for one in records:
                times.setdefault(one.partition, []).append(one.timestamp)
    assert times.keys() == set(range(AFTER))
    assert all(seen == sorted(seen) for seen in times.values())

    await new.work(events)  # all of them are known already
    assert await new.changes() == []
    assert not await new.commands()
    assert (await new.command("verify", "--json")) == (0, "")
