"""What only the store in Redis has to promise: a server that forgets scripts, loses all, or goes away."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from resegment.schemas.logs.log_framing import begin_log
from resegment.schemas.outcomes.ledger import encode_ledger
from resegment.state.partition_store import Commit, Fenced, Position, RolledBack, StoreUnavailable
from resegment.state.redis.chunks import read_whole
from resegment.state.redis.client import EvictionEnabled, check_eviction
from resegment.state.redis.owners import OwnerStore
from resegment.state.redis.partition import PartitionStore
from resegment.state.redis.reader import BrokenState, PrefixReader
from resegment.state.redis.whole_prefix import count_keys, delete_keys
from resegment.streams.partition_marks import STAGES
from resegment.streams.prefix import agree, read_prefix


async def test_a_server_that_forgot_the_script_takes_commits_as_before(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = PartitionStore(client, "forgetful", 0)
        fence = (await store.claim()).fence
        await store.commit(Commit(fence, Position(commit=1), [("acme.com", b"one")]))
        await client.script_flush()
        await store.commit(Commit(fence, Position(commit=2), [("acme.com", b"two")]))
        assert await store.read(["acme.com"]) == [b"two"]


async def test_fences_grow_one_by_one_where_the_clock_stands_before_the_last(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = PartitionStore(client, "early", 0)
        ahead = 8_999_999_999_999_998
        await client.hset(store.keys.meta, "fence", str(ahead))
        assert [(await store.claim()).fence for _ in range(2)] == [ahead + 1, ahead + 2]
        await store.commit(Commit(ahead + 2, Position(commit=1)))
        await store.check(ahead + 2, 1)


async def test_a_first_fence_is_what_the_servers_clock_says(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        seconds, _ = await client.time()
        fence = (await PartitionStore(client, uuid.uuid4().hex, 0).claim()).fence
        assert seconds <= fence // 1_000_000 <= seconds + 60


async def test_a_server_that_lost_all_lets_no_owner_go_on(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = PartitionStore(client, "lost", 0)
        fence = (await store.claim()).fence
        await store.commit(Commit(fence, Position(commit=1)))
        await client.flushdb()
        with pytest.raises((Fenced, RolledBack)):
            await store.check(fence, 1)
        with pytest.raises((Fenced, RolledBack)):
            await store.commit(Commit(fence, Position(commit=2), [("acme.com", b"two")]))
        assert await store.read(["acme.com"]) == [None]


async def test_a_server_that_is_away_is_said_to_be(unused_tcp_port: int) -> None:
    async with Redis(port=unused_tcp_port, retry=Retry(NoBackoff(), 0)) as client:
        store = PartitionStore(client, "away", 0)
        for asked in (
            store.claim(), store.read(["a"]), store.commit(Commit(1, Position(commit=1))), store.check(1, 1),
            store.outbox(None, 1), store.sizes(), store.acknowledge(["1-0"]),
        ):  # fmt: skip
            with pytest.raises(StoreUnavailable):
                await asked


async def test_a_server_without_memory_left_refuses_the_whole_commit(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = PartitionStore(client, "full", 0)
        fence = (await store.claim()).fence
        await client.config_set("maxmemory", "1")
        try:
            with pytest.raises(StoreUnavailable):
                await store.commit(Commit(fence, Position(commit=1), [("acme.com", b"one")], outbox=b"x"))
        finally:
            await client.config_set("maxmemory", "0")
        assert await store.read(["acme.com"]) == [None]
        assert await store.outbox(None, 1) == []
        await store.check(fence, 0)


async def test_commits_of_a_version_that_keeps_no_counts_are_not_taken_for_a_loss(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = PartitionStore(client, "older", 0)
        fence = (await store.claim()).fence
        await store.commit(Commit(fence, Position(commit=1), [("acme.com", b"one")]))
        await client.hset(store.keys.accounts, "other.com", b"two")  # type: ignore[misc]
        await client.hset(store.keys.meta, "commit", 2)  # type: ignore[misc]
        claim = await store.claim()
        assert (claim.missing, claim.position and claim.position.commit) == ([], 2)
        await store.commit(Commit(claim.fence, Position(commit=3), [("third.com", b"three")]))
        assert (await store.claim()).missing == []


async def test_a_server_that_deletes_keys_when_it_is_full_is_refused(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        await check_eviction(client)
        await client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(EvictionEnabled) as refused:
                await check_eviction(client)
        finally:
            await client.config_set("maxmemory-policy", "noeviction")
    assert refused.value.policy == "allkeys-lru"


async def test_one_prefix_is_deleted_and_those_whose_names_begin_alike_stay(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        for name in ("gone", "gone-too", "gon", "agone"):
            for stage in STAGES:
                store = PartitionStore(client, name, 0, stage=stage)
                await store.commit(Commit((await store.claim()).fence, Position(commit=1), [("a.com", b"x")]))
            await agree(client, name, partitions=1, clock="wall")
            await OwnerStore(client, name).leave("ada")

        before = {key async for key in client.scan_iter("rs:*")}
        assert await count_keys(client, "gone") == {"accounts": 2, "gone": 1, "meta": 2, "prefix": 1}
        assert {key async for key in client.scan_iter("rs:*")} == before
        assert await delete_keys(client, "gone") == 6

        left = {key async for key in client.scan_iter("rs:*")}
        assert before - left == {key for key in before if key.startswith((b"rs:{gone}", b"rs:{gone."))}
        assert await read_prefix(client, "gone-too")
        assert await count_keys(client, "gone") == {}


LONG = begin_log(1) + bytes(10_000)


async def test_a_long_log_is_in_a_hash_of_its_own_until_it_is_short_again(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = PartitionStore(client, "long", 0)
        commit = Commit((await store.claim()).fence, Position(commit=1), [("acme.com", LONG)])
        await store.commit(commit)
        assert await client.hlen(store.keys.chunks) == 1  # type: ignore[misc]
        commit = replace(commit, position=Position(commit=2), states=[], appended=[("acme.com", LONG)])
        await store.commit(commit)
        assert await client.hlen(store.keys.chunks) == 2  # type: ignore[misc]
        assert await client.hstrlen(store.keys.accounts, "acme.com") < 30  # type: ignore[misc]
        short = replace(commit, position=Position(commit=3), states=[("acme.com", b"short")], appended=[])
        await store.commit(short)
        assert not await client.exists(store.keys.chunks)


async def test_a_reader_gets_the_newer_state_where_the_chunks_it_asks_for_were_replaced(
    redis_url: str,
) -> None:
    async with Redis.from_url(redis_url) as client:
        store = PartitionStore(client, "replaced", 0)
        commit = Commit((await store.claim()).fence, Position(commit=1), [("acme.com", LONG)])
        await store.commit(commit)
        seen = await client.hmget(store.keys.accounts, ["acme.com"])  # type: ignore[misc]
        newer = LONG + b"newer"
        await store.commit(replace(commit, position=Position(commit=2), states=[("acme.com", newer)]))
        assert await read_whole(client, store.keys, [b"acme.com"], seen) == [newer]


async def test_a_state_whose_chunk_is_gone_is_not_read(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = PartitionStore(client, "torn", 0)
        commit = Commit((await store.claim()).fence, Position(commit=1), [("a.com", LONG), ("b.com", LONG)])
        await store.commit(commit)
        await client.hdel(store.keys.chunks, "a.com\0001.0")  # type: ignore[misc]
        with pytest.raises(RolledBack):
            await store.read(["a.com"])
        assert await store.read(["b.com"]) == [LONG]
        reader = PrefixReader(client, "torn", 1)
        with pytest.raises(BrokenState, match=r"a\.com"):
            await reader.states(["a.com"])
        assert await reader.missing(0) == (await store.claim()).missing == ["chunks"]


@pytest.mark.parametrize("kept", ["1 1 0 0 0", "1 1 0 0 0 0"], ids=["chunks", "ledgers"])
async def test_the_first_commit_after_a_version_without_them_is_taken(redis_url: str, kept: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = PartitionStore(client, f"before-{len(kept)}", 0)
        commit = Commit((await store.claim()).fence, Position(commit=1), [("acme.com", b"one")])
        await store.commit(commit)
        assert await client.hget(store.keys.meta, "kept") == b"1 1 0 0 0 0 0"  # type: ignore[misc]
        await client.hset(store.keys.meta, "kept", kept)  # type: ignore[misc]
        reader = PrefixReader(client, f"before-{len(kept)}", 1)
        assert (await store.claim()).missing == await reader.missing(0) == []
        fence = (await store.claim()).fence
        await store.commit(replace(commit, fence=fence, position=Position(commit=2)))


async def test_a_partition_whose_ledgers_are_gone_is_not_continued(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        store = PartitionStore(client, "no-ledgers", 0)
        commit = Commit(
            (await store.claim()).fence, Position(commit=1), ledgers=[("a.com", encode_ledger([]))]
        )
        await store.commit(commit)
        await client.delete(store.keys.ledgers)
        with pytest.raises(RolledBack):
            await store.commit(replace(commit, position=Position(commit=2)))
        assert (await store.claim()).missing == ["ledgers"]
