"""One suite for every key store, and for the keyring on it: no key is lost, and no destroyed one comes back."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from resegment.errors import UserError
from resegment.schemas.privacy.envelope import Forgotten, open_sealed, seal
from resegment.schemas.privacy.wrapping import BadOperatorKey, OperatorKey
from resegment.state.keys.copying import KeysThere, copy_keys
from resegment.state.keys.counting import KeyCounts, count_keys
from resegment.state.keys.keyring import Keyring, UnknownKey, make_keys, open_keyring
from resegment.state.keys.memory import MemoryKeyStore
from resegment.state.keys.postgres import PostgresKeyStore
from resegment.state.keys.redis import RedisKeyStore
from resegment.state.keys.rotation import pending_label, rotate
from resegment.state.keys.store import (
    KeyStore,
    KeyStoreMissing,
    KeyStoreNotDurable,
    KeyStoreUnavailable,
    NewVersion,
)
from resegment.streams.prefix import KeysDiffer, agree_on_keys
from tests.servers.postgres import running_postgres

pytestmark = pytest.mark.asyncio(loop_scope="session")

Connect = Callable[[], KeyStore]
"""Connects once more to the same keys, as another process does."""
Make = Callable[..., KeyStore]
"""Makes the store of a prefix, by default of a new one."""
OPERATOR = OperatorKey(b"o" * 32)
JANE = ("acme.com", "jane doe")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with running_postgres() as server:
        yield server.url


@pytest.fixture(params=["memory", "redis", "postgresql"])
def make(request: pytest.FixtureRequest) -> Make:
    if request.param == "memory":
        return lambda _=None: MemoryKeyStore()
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        return lambda prefix=None: RedisKeyStore(
            lambda: Redis.from_url(url), prefix or uuid.uuid4().hex, url, durable=False
        )
    url = request.getfixturevalue("postgres")
    return lambda prefix=None: PostgresKeyStore(url, prefix or uuid.uuid4().hex, url)


@pytest.fixture
def connect(make: Make) -> Connect:
    prefix = uuid.uuid4().hex
    first = make(prefix)
    return (lambda: first) if isinstance(first, MemoryKeyStore) else (lambda: make(prefix))


@pytest_asyncio.fixture(loop_scope="session")
async def store(connect: Connect) -> AsyncIterator[KeyStore]:
    made = connect()
    await made.init()
    yield made
    await made.aclose()


async def test_the_first_writer_of_a_version_wins(store: KeyStore, connect: Connect) -> None:
    other = connect()
    wanted = [[NewVersion(f"n{number}", 1, f"{who}{number}") for number in range(20)] for who in "ab"]
    found = await asyncio.gather(store.create(wanted[0]), other.create(wanted[1][::-1]))
    assert found[0] == found[1][::-1]
    assert await other.read([f"n{number}" for number in range(20)]) == found[0]
    assert {len(one.versions) for one in found[0]} == {1}
    await other.aclose()


async def test_a_destroyed_version_stays_destroyed_and_the_next_one_seals(store: KeyStore) -> None:
    await store.create([NewVersion("a", 1, "one"), NewVersion("b", 1, "one")])
    assert await store.destroy(["a", "never"]) == 1
    assert await store.destroy(["a"]) == 0
    assert (await store.create([NewVersion("a", 1, "again")]))[0].versions == (None,)
    assert (await store.create([NewVersion("a", 2, "two")]))[0].versions == (None, "two")
    assert (await store.create([NewVersion("a", 3, "three")]))[0].versions == (None, "two")
    assert [one and one.versions for one in await store.read(["a", "b", "never"])] == [(None, "two"), ("one",), None]  # fmt: skip
    assert await store.forgotten() == frozenset()


async def test_a_forgotten_key_gets_no_new_version_until_that_is_lifted(store: KeyStore) -> None:
    await store.create([NewVersion("a", 1, "one")])
    assert await store.destroy(["a", "unseen"], forget=True) == 1
    assert await store.forgotten() == {"a", "unseen"}
    found = await store.create([NewVersion("a", 2, "two"), NewVersion("unseen", 1, "one")])
    assert [(one.versions, one.forgotten) for one in found] == [((None,), True), ((), True)]
    await store.lift(["a", "unseen", "never"])
    assert await store.forgotten() == frozenset()
    found = await store.create([NewVersion("a", 2, "two"), NewVersion("unseen", 1, "one")])
    assert [one.versions for one in found] == [(None, "two"), ("one",)]


async def test_all_records_are_scanned(store: KeyStore) -> None:
    names = {f"n{number:04}" for number in range(2500)}
    await store.create([NewVersion(name, 1, name) for name in names])
    assert {name async for name, record in store.scan() if record.versions == (name,)} == names


async def test_pending_operations_are_kept_until_they_are_removed(store: KeyStore) -> None:
    await store.put_pending("1", "a")
    await store.put_pending("2", "b")
    await store.put_pending("1", "c")
    assert await store.pending() == {"1": "c", "2": "b"}
    await store.remove_pending("1")
    await store.remove_pending("1")
    assert await store.pending() == {"2": "b"}


async def test_the_secret_is_made_once(store: KeyStore, connect: Connect) -> None:
    assert await store.read_secret() is None
    with pytest.raises(KeyStoreMissing):
        await open_keyring(connect(), OPERATOR, "p")
    assert await make_keys(store, OPERATOR)
    assert not await make_keys(connect(), OPERATOR)
    rings = [await open_keyring(connect(), OPERATOR, "p") for _ in range(2)]
    assert len({one.names.account("acme.com") for one in rings}) == 1
    with pytest.raises(BadOperatorKey):
        await open_keyring(store, OperatorKey(b"x" * 32), "p")


async def ring(store: KeyStore, operator: OperatorKey = OPERATOR, now: Callable[[], float] | None = None) -> Keyring:  # fmt: skip
    await make_keys(store, operator)
    found = await open_keyring(store, operator, "p")
    return found if now is None else Keyring(store, operator, found.names, now=now)


async def test_two_processes_seal_and_open_with_the_same_keys(store: KeyStore, connect: Connect) -> None:
    one, other = await ring(store), await ring(connect())
    subjects = [JANE, ("acme.com", None), ("globex.com", None)]
    pairs, others = await asyncio.gather(one.pairs(subjects), other.pairs(subjects))
    for subject in subjects:
        pair, same = pairs[subject], others[subject]
        assert pair is not None
        assert same is not None
        text = seal(b"x", pair, [])
        assert text == seal(b"x", same, [])
        ids = text.split(".")[1].split("~")
        third = await ring(connect())
        assert open_sealed(text, await third.prepare(ids), []) == b"x"
    assert one.lookups == 2


async def test_a_destroyed_key_is_forgotten_and_an_unknown_one_is_not(store: KeyStore) -> None:
    keys = await ring(store)
    pair = (await keys.pairs([JANE]))[JANE]
    assert pair is not None
    text, ids = seal(b"x", pair, []), [one.id for one in pair]
    await store.destroy([keys.names.person(*JANE)])
    assert open_sealed(text, await keys.prepare(ids), []) == b"x"  # for some seconds, from memory
    keys.drop([keys.names.person(*JANE)])
    with pytest.raises(Forgotten):
        open_sealed(text, await keys.prepare(ids), [])
    stranger = f"s1.{'x' * 22}-1.AAAA"
    with pytest.raises(UnknownKey):
        open_sealed(stranger, await keys.prepare([f"{'x' * 22}-1"]), [])
    later = f"{ids[0].rpartition('-')[0]}-7"
    with pytest.raises(UnknownKey):
        (await keys.prepare([later]))[later]
    fresh = (await keys.pairs([JANE]))[JANE]
    assert fresh is not None
    assert [one.id[-2:] for one in fresh] == ["-1", "-2"]


async def test_what_is_forgotten_is_sealed_by_nothing(store: KeyStore) -> None:
    keys = await ring(store)
    await store.destroy([keys.names.account("acme.com")], forget=True)
    await store.destroy([keys.names.person("globex.com", "joe")], forget=True)
    found = await keys.pairs([JANE, ("acme.com", None), ("globex.com", "joe"), ("globex.com", "ann")])
    gone = {JANE, ("acme.com", None), ("globex.com", "joe")}
    assert {one for one, pair in found.items() if pair is None} == gone
    assert (await keys.message_pairs(["acme.com", "globex.com"]))["acme.com"] is None
    await keys.refresh_forgotten()
    assert [keys.is_forgotten(one) for one in ("acme.com", "globex.com")] == [True, False]


async def test_a_batch_is_one_look_and_a_key_is_looked_up_again_after_some_seconds(store: KeyStore) -> None:
    at = [0.0]
    keys = await ring(store, now=lambda: at[0])
    subjects = [(f"a{number}.com", f"person {number}") for number in range(300)]
    before = await keys.pairs(subjects)
    assert keys.lookups == 2  # to read, and to make
    at[0] = 9.9
    assert await keys.pairs(subjects) == before
    assert keys.lookups == 2
    await store.destroy([keys.names.person(*subjects[0])])
    at[0] = 10.1
    after = await keys.pairs(subjects)
    assert keys.lookups == 4
    assert [one for one in subjects if before[one] != after[one]] == [subjects[0]]


async def test_memory_is_bounded_and_a_larger_batch_still_works(store: KeyStore) -> None:
    await make_keys(store, OPERATOR)
    names = (await open_keyring(store, OPERATOR, "p")).names
    keys = Keyring(store, OPERATOR, names, most=10)
    subjects = [(f"a{number}.com", None) for number in range(30)]
    pairs = await keys.pairs(subjects)
    ids = [one.id for pair in pairs.values() if pair for one in pair]
    assert set(await keys.prepare(ids)) == set(ids)
    await keys.pairs([("b.com", None)])
    assert len(keys._held) <= 10


async def test_a_rotation_changes_no_id_and_can_be_run_again(store: KeyStore, connect: Connect) -> None:
    old, new = b"o" * 32, b"n" * 32
    keys = await ring(store)
    pair = (await keys.pairs([JANE]))[JANE]
    assert pair is not None
    text, ids = seal(b"x", pair, []), [one.id for one in pair]
    await store.destroy([keys.names.account("gone.com")], forget=True)
    await store.put_pending("7", OPERATOR.wrap(b"who", pending_label("7")).decode())
    both = OperatorKey(new, old)
    half = await store.read([ids[0].rpartition("-")[0]])
    assert half[0] is not None
    held = half[0].versions[0]
    assert held is not None
    await store.rewrap(ids[0].rpartition("-")[0], 1, held, both.rewrap(held.encode(), ids[0]).decode())

    # it was stopped here: who has both keys works, and so does the next run
    assert open_sealed(text, await (await ring(connect(), both)).prepare(ids), []) == b"x"
    assert await rotate(store, both, "p") == (1, 1)
    assert await rotate(store, both, "p") == (0, 2)
    only = OperatorKey(new)
    fresh = await ring(connect(), only)
    assert open_sealed(text, await fresh.prepare(ids), []) == b"x"
    assert fresh.names.account("acme.com") == keys.names.account("acme.com")
    assert only.unwrap((await store.pending())["7"].encode(), pending_label("7")) == b"who"
    assert await store.forgotten() == {keys.names.account("gone.com")}
    with pytest.raises(BadOperatorKey):
        await open_keyring(connect(), OperatorKey(old), "p")


async def test_the_keys_of_a_prefix_can_be_copied_to_another_and_open_the_same(
    store: KeyStore, make: Make
) -> None:
    keys = await ring(store)
    pair = (await keys.pairs([JANE]))[JANE]
    assert pair is not None
    text, ids = seal(b"x", pair, []), [one.id for one in pair]
    await store.destroy([keys.names.account("gone.com")], forget=True)
    other = make()
    assert await copy_keys(store, other, "p") == 3
    assert await copy_keys(store, other, "p") == 3
    copied = await open_keyring(other, OPERATOR, "new")
    assert open_sealed(text, await copied.prepare(ids), []) == b"x"
    assert await other.forgotten() == await store.forgotten()
    assert await count_keys(other, OPERATOR, "new") == KeyCounts(2, 0, 1, 0, 0)
    await other.aclose()
    taken = make()
    await make_keys(taken, OPERATOR)
    with pytest.raises(KeysThere):
        await copy_keys(store, taken, "p")
    await taken.aclose()


async def test_nothing_in_the_store_can_be_read_without_the_key_of_the_operator(store: KeyStore) -> None:
    keys = await ring(store)
    pair = (await keys.pairs([JANE]))[JANE]
    assert pair is not None
    text = repr([one async for one in store.scan()])
    assert pair[0].secret.hex() not in text
    assert "jane" not in text
    assert "acme" not in text


async def test_redis_without_an_append_only_file_is_refused(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        appends = int((await client.info("persistence"))["aof_enabled"])
        await client.config_set("appendonly", "no")
        store = RedisKeyStore(lambda: Redis.from_url(redis_url), "p", redis_url)
        with pytest.raises(KeyStoreNotDurable) as refused:
            await store.check()
        assert "appendonly yes" in str(refused.value.remedy)
        await client.config_set("appendonly", "yes")
        await store.check()
        await client.config_set("appendonly", "yes" if appends else "no")
        await store.aclose()


async def test_a_store_that_is_away_says_so_and_comes_back() -> None:
    with running_postgres() as server:
        store = PostgresKeyStore(server.url, "p", "pg")
        with pytest.raises(UserError):
            await store.read(["a"])
        await store.init()
        await store.create([NewVersion("a", 1, os.urandom(4).hex())])
        server.kill()
        for _ in range(2):
            with pytest.raises(KeyStoreUnavailable):
                await store.read(["a"])
        server.start()
        assert (await store.read(["a"]))[0] is not None
        await store.aclose()
    away = RedisKeyStore(lambda: Redis(port=1), "p", "redis://nowhere")
    with pytest.raises(KeyStoreUnavailable):
        await away.read(["a"])
    await away.aclose()


async def test_a_prefix_is_opened_only_with_the_keys_that_it_was_sealed_with(redis_url: str) -> None:
    prefix = uuid.uuid4().hex
    keys, others = await ring(MemoryKeyStore()), await ring(MemoryKeyStore())
    async with Redis.from_url(redis_url) as client:
        await agree_on_keys(client, prefix, None)  # nothing is sealed yet
        await agree_on_keys(client, prefix, keys)
        await agree_on_keys(client, prefix, keys)
        with pytest.raises(KeysDiffer, match="RESEGMENT_KEYS is not set"):
            await agree_on_keys(client, prefix, None)
        with pytest.raises(KeysDiffer, match="other keys"):
            await agree_on_keys(client, prefix, others)
