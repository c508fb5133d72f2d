"""Both stores of a partition, for one suite."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from resegment.embedded.servers import RedisServer
from resegment.state.memory import partition as memory
from resegment.state.partition_store import PartitionStore
from resegment.state.redis import partition as redis
from resegment.state.redis.keys import PartitionKeys

Open = Callable[[int], PartitionStore]
"""Opens a partition, once more if need be, as another worker does."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def redis_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    await server.start()
    yield server.url
    await server.stop()


class InMemory:
    """Partitions in memory. What was kept of them does not hold the clock."""

    def __init__(self) -> None:
        self._partitions: defaultdict[int, memory.Memory] = defaultdict(memory.Memory)
        self._kept: dict[int, memory.Memory] = {}

    def open(self, partition: int) -> PartitionStore:
        return memory.PartitionStore(self._partitions[partition], partition)

    async def keep(self) -> None:
        self._kept = {number: _copied(one) for number, one in self._partitions.items()}

    async def lose(self, partition: int, part: str) -> None:
        one = self._partitions[partition]
        if part == "meta":
            one.position = None
        else:
            getattr(one, part).clear()
            one.has_outbox = one.has_outbox and part != "outbox"

    async def roll_back(self) -> None:
        for number, kept in self._kept.items():
            vars(self._partitions[number]).update(vars(_copied(kept)))


def _copied(one: memory.Memory) -> memory.Memory:
    parts = {name: value.copy() for name, value in vars(one).items() if isinstance(value, dict)}
    return replace(one, **parts)


class InRedis:
    """Partitions of one prefix."""

    def __init__(self, client: Redis) -> None:
        self._client, self._prefix = client, uuid.uuid4().hex
        self._kept: dict[bytes, bytes] = {}

    def open(self, partition: int) -> PartitionStore:
        return redis.PartitionStore(self._client, self._prefix, partition)

    async def keep(self) -> None:
        self._kept = {key: await self._client.dump(key) for key in await self._keys()}

    async def roll_back(self) -> None:
        if keys := await self._keys():
            await self._client.delete(*keys)
        for key, value in self._kept.items():
            await self._client.restore(key, 0, value)

    async def lose(self, partition: int, part: str) -> None:
        await self._client.delete(getattr(PartitionKeys.of(self._prefix, partition), part))

    async def _keys(self) -> list[bytes]:
        return [key async for key in self._client.scan_iter(f"*{self._prefix}*")]


Server = InMemory | InRedis


@pytest_asyncio.fixture(params=["memory", "redis"])
async def server(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Server]:
    """Fresh partitions of either kind, which can be put back to how they were."""
    if request.param == "memory":
        yield InMemory()
        return
    async with Redis.from_url(redis_url) as client:
        yield InRedis(client)


@pytest.fixture
def open_store(server: Server) -> Open:
    return server.open


@pytest.fixture
def store(open_store: Open) -> PartitionStore:
    return open_store(0)
