"""Both stores of a partition, for one suite."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from resegment.embedded.servers import RedisServer
from resegment.state import memory, redis
from resegment.state.port import PartitionStore

Open = Callable[[int], PartitionStore]
"""Opens a partition, once more if need be, as another worker does."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def redis_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    await server.start()
    yield server.url
    await server.stop()


@pytest_asyncio.fixture(params=["memory", "redis"])
async def open_store(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Open]:
    """Fresh partitions on either store."""
    if request.param == "memory":
        kept: defaultdict[int, memory.Memory] = defaultdict(memory.Memory)
        yield lambda partition: memory.PartitionStore(kept[partition], partition)
        return
    client = Redis.from_url(redis_url)
    prefix = uuid.uuid4().hex
    yield lambda partition: redis.PartitionStore(client, prefix, partition)
    await client.aclose()


@pytest.fixture
def store(open_store: Open) -> PartitionStore:
    return open_store(0)
