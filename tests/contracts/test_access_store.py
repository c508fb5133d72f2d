"""Tokens and sessions in Redis: kept by their hashes, shared by processes, ended by time, with the rights of the console."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from resegment.http.access.sessions import Lifetimes, Sessions
from resegment.http.access.tokens import add_token, find_live, revoke_token
from resegment.http.access.users import User
from resegment.state.access.records import Session, Token
from resegment.state.access.redis import RedisAccessStore
from resegment.state.partition_store import StoreUnavailable
from resegment.state.redis.keys import session_key
from resegment.state.redis.whole_prefix import copy_settings, delete_keys

pytestmark = pytest.mark.asyncio(loop_scope="session")

ACL = Path(__file__).parents[2] / "docs" / "operations" / "redis.acl"
SESSION = Session(name="ann", role="operator", made=0, ends=10, areas=("versions",), token="abc")  # noqa: S106


@pytest_asyncio.fixture(loop_scope="session")
async def client(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def store(client: Redis) -> RedisAccessStore:
    return RedisAccessStore(client, uuid.uuid4().hex)


async def test_a_token_is_found_by_its_text_and_kept_as_a_hash(
    client: Redis, store: RedisAccessStore
) -> None:
    text = await add_token(
        store, Token(name="ann", role="operator", made=1, made_by="root", areas=("owners",))
    )
    found = await find_live(store, text, 2)
    assert found is not None
    assert (found[1].name, found[1].areas) == ("ann", ("owners",))
    assert await find_live(store, text[:-1] + "x", 2) is None
    for key in await client.keys("*"):
        if await client.type(key) == b"hash":
            assert text.encode() not in b"".join(
                [part for pair in (await client.hgetall(key)).items() for part in pair]
            )
    await revoke_token(store, "ann", 3)
    assert await find_live(store, text, 4) is None
    assert [one.revoked for one in (await store.read_tokens()).values()] == [3]


async def test_a_session_ends_when_it_is_idle(client: Redis, store: RedisAccessStore) -> None:
    await store.keep_session("d", SESSION, 60_000)
    assert await store.find_session("d") == SESSION
    await store.touch_session("d", 30)
    async with asyncio.timeout(60):
        while await store.find_session("d") is not None:
            await asyncio.sleep(0.01)
    await store.keep_session("d", SESSION, 60_000)
    await store.end_session("d")
    assert await store.find_session("d") is None


async def test_a_touch_does_not_bring_an_ended_session_back(store: RedisAccessStore) -> None:
    await store.touch_session("gone", 60_000)
    assert await store.find_session("gone") is None


async def test_processes_share_the_secret_and_sessions(client: Redis, store: RedisAccessStore) -> None:
    other = RedisAccessStore(client, store._prefix)
    first, second = await asyncio.gather(store.read_secret(), other.read_secret())
    assert first == second
    assert len(first) >= 40
    sid = await Sessions(store).begin(User("ann", "operator"))
    assert await Sessions(other).find(sid) == User("ann", "operator", None, "session")
    assert await Sessions(store).csrf(sid) == await Sessions(other).csrf(sid)
    await Sessions(other).end(sid)
    assert await Sessions(store).find(sid) is None


async def test_what_a_later_release_keeps_is_no_login_here(client: Redis, store: RedisAccessStore) -> None:
    await client.set(session_key(store._prefix, "d"), b'{"name": 3}')
    assert await store.find_session("d") is None


async def test_a_session_has_both_ends(store: RedisAccessStore) -> None:
    at = [1_000]
    sessions = Sessions(store, Lifetimes(idle=60_000, whole=5_000), lambda: at[0])
    sid = await sessions.begin(User("ann", "viewer"))
    assert await sessions.find(sid) is not None
    at[0] += 5_000
    assert await sessions.find(sid) is None


async def test_tokens_go_with_a_prefix_and_sessions_do_not(client: Redis, store: RedisAccessStore) -> None:
    old, new = store._prefix, uuid.uuid4().hex
    text = await add_token(store, Token(name="ann", role="viewer", made=1, made_by="root"))
    await store.keep_session("d", SESSION, 60_000)
    await copy_settings(client, old, new, 3)
    copied = RedisAccessStore(client, new)
    assert await find_live(copied, text, 2) is not None
    assert await copied.find_session("d") is None
    await delete_keys(client, old)
    assert await find_live(store, text, 2) is None
    assert await store.find_session("d") is None


async def test_a_user_who_may_only_look_reads_pages_and_cannot_log_in(client: Redis, redis_url: str) -> None:
    async with limited(client, redis_url, "look") as restricted:
        store = RedisAccessStore(restricted, "resegment")
        assert await Sessions(store).csrf("x" * 43) == await Sessions(store).csrf("x" * 43)
        assert await store.read_tokens() == {}
        with pytest.raises(StoreUnavailable, match="permission"):
            await Sessions(store).begin(User("ann", "viewer"))


async def test_the_documented_user_of_the_console_may_keep_logins_and_change_nothing_else(
    client: Redis, redis_url: str
) -> None:
    async with limited(client, redis_url, "console") as restricted:
        store = RedisAccessStore(restricted, "resegment")
        sessions = Sessions(store)
        sid = await sessions.begin(User("ann", "viewer"))
        assert await sessions.find(sid) is not None
        await sessions.csrf(sid)
        await store.touch_session("d", 100)
        await sessions.end(sid)
        assert await store.read_tokens() == {}
        with pytest.raises(StoreUnavailable, match="permission"):
            await add_token(store, Token(name="eve", role="operator", made=1, made_by="eve"))


@asynccontextmanager
async def limited(client: Redis, redis_url: str, name: str) -> AsyncIterator[Redis]:
    """A client of a documented user."""
    user = f"resegment-{name}"
    (line,) = (one for one in ACL.read_text().splitlines() if one.startswith(f"user {user} "))
    rights = line.removeprefix(f"user {user} ").replace(f"{name.upper()}_PASSWORD", "x")
    await client.execute_command("ACL", "SETUSER", user, *rights.split())
    place = urlsplit(redis_url)
    restricted = Redis.from_url(f"redis://{user}:x@{place.hostname}:{place.port}")
    try:
        yield restricted
    finally:
        await restricted.aclose()
        await client.execute_command("ACL", "DELUSER", user)
        await delete_keys(client, "resegment")
