"""The client of Redis where another server becomes the master: it writes again by itself, within seconds."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from redis.exceptions import RedisError

from resegment.settings import Settings
from resegment.state.partition_store import Commit, Position, StoreUnavailable
from resegment.state.redis.client import connect_redis
from resegment.state.redis.partition import PartitionStore
from tests.faults.proxy import proxied
from tests.servers.sentinels import replicated, watched

WITHIN = 20.0
"""Seconds for a busy machine: by itself, such a connection would stay with the replica for good."""


async def test_a_connection_to_a_server_that_became_a_replica_is_made_again(tmp_path: Path) -> None:
    async with replicated(tmp_path) as pair, proxied(pair.first.port) as proxy:
        client = connect_redis(Settings(), f"redis://127.0.0.1:{proxy.port}/0")
        store = PartitionStore(client, "p", 0)
        fence = (await store.claim()).fence
        await asyncio.gather(*(client.ping() for _ in range(8)))  # several connections stay open
        await store.commit(Commit(fence, Position(commit=1), [("acme.com", b"one")]))
        assert await client.wait(1, 60_000) == 1

        await pair.change_over()
        proxy.target = pair.second.port  # where the name leads from now on; what is open stays as it is

        began = time.monotonic()
        await store.commit(Commit(fence, Position(commit=2), [("acme.com", b"two")]))
        assert time.monotonic() - began < WITHIN
        assert await store.read(["acme.com"]) == [b"two"]
        await client.aclose()


async def test_the_master_that_a_sentinel_names_is_used_after_the_first_was_killed(tmp_path: Path) -> None:
    async with watched(tmp_path) as (pair, url):
        client = connect_redis(Settings(), url)
        store = PartitionStore(client, "p", 0)
        fence = (await store.claim()).fence
        await store.commit(Commit(fence, Position(commit=1), [("acme.com", b"one")]))
        assert await client.wait(1, 60_000) == 1

        await pair.first.kill()
        began = time.monotonic()
        async with asyncio.timeout(120):
            while True:
                try:
                    await store.commit(Commit(fence, Position(commit=2), [("acme.com", b"two")]))
                    break
                except (StoreUnavailable, RedisError):
                    await asyncio.sleep(0.1)

        assert time.monotonic() - began < 60
        assert await store.read(["acme.com"]) == [b"two"]
        address = client.connection_pool.connection_kwargs
        assert "sentinel" not in str(address.get("host", ""))
        await client.aclose()
