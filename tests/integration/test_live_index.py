"""The index of the console follows its topics through the end of a broker, also where they are made again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from resegment.agents.batch import Message
from resegment.embedded.servers import Embedded, embedded
from resegment.settings import Settings
from resegment.state.redis.client import connect_redis
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka.admin import create_topics
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topics import Topics
from resegment.streams.live import follower
from resegment.streams.live.connection import LiveConnection
from resegment.streams.live.prefix import ViewedPrefix, viewed_prefix
from resegment.streams.live.queries import ChangeRow, changes_after
from tests.unit.http.console.test_feed import moved

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOPICS = Topics("watched")
PARTITIONS = 2
PATIENCE = 60.0


@pytest_asyncio.fixture(loop_scope="module")
async def watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Embedded, ViewedPrefix]]:
    monkeypatch.setattr(follower, "HEARD", 0.3)
    async with AsyncExitStack() as exits:
        servers = await exits.enter_async_context(embedded(tmp_path))
        client = connect_redis(Settings(), servers.redis_url)
        exits.push_async_callback(client.aclose)
        reader = PrefixReader(client, TOPICS.prefix, PARTITIONS)
        connection = LiveConnection(client, servers.bootstrap, TOPICS, {}, reader, "wall", 60_000, 2_000)
        yield servers, await exits.enter_async_context(viewed_prefix(connection))


async def publish(servers: Embedded, *values: bytes) -> None:
    await asyncio.to_thread(create_topics, servers.bootstrap, list(TOPICS), partitions=PARTITIONS)
    async with KafkaPublisher(servers.bootstrap, client_id="try", idempotent=False) as publisher:
        await publisher.publish(
            [Message(TOPICS.segment_changes.name, b"%d" % number, one) for number, one in enumerate(values)]
        )


async def read(prefix: ViewedPrefix) -> list[str]:
    def query(one: object) -> list[ChangeRow]:
        return changes_after(one, 0, 99)  # type: ignore[arg-type]

    return sorted(one.account for one in await prefix.find(query))


async def until(prefix: ViewedPrefix, look: Callable[[], bool], accounts: list[str] | None = None) -> None:
    async with asyncio.timeout(PATIENCE):
        while not look() or (accounts is not None and await read(prefix) != sorted(accounts)):
            await prefix.wait_for_changes(0.1)


@pytest.mark.faults  # what it tries is in the quick tests of the follower, on a broker in memory
@pytest.mark.parametrize("again", [2, 9])
async def test_topics_that_are_made_again_are_read_from_their_beginning(
    watched: tuple[Embedded, ViewedPrefix], again: int
) -> None:
    servers, prefix = watched
    assert await read(prefix) == []
    old, new = (
        [f"{name}-{number}.com" for number in range(count)] for name, count in (("old", 5), ("new", again))
    )
    await publish(servers, *(moved(1, name) for name in old))
    await until(prefix, lambda: prefix.progress.is_complete, old)
    await servers.broker.stop()
    await until(prefix, lambda: prefix.progress.problem is not None)
    assert await read(prefix) == sorted(old), "what was read is still shown"
    await servers.broker.start()
    await publish(servers, *(moved(1, name) for name in new))
    await until(prefix, lambda: prefix.progress.problem is None and prefix.progress.generation == 1, new)
    await publish(servers, moved(2, "later.com"))
    await until(prefix, lambda: prefix.progress.is_complete, [*new, "later.com"])
