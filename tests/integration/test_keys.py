"""A worker whose personal fields are sealed: it waits while its key store is away, and refuses another one."""

from __future__ import annotations

import asyncio
import time
from base64 import urlsafe_b64encode
from itertools import count
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from resegment.agents.batch import Message
from resegment.schemas.privacy.wrapping import BadOperatorKey
from resegment.settings import Settings
from resegment.state.keys.keyring import make_keys
from resegment.state.keys.opening import open_key_store, read_operator_key
from resegment.state.redis.client import connect_redis
from resegment.state.redis.reader import PrefixReader
from resegment.streams.heartbeat import read_workers
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.prefix import KeysDiffer
from resegment.streams.recovery.replay import LogSource
from resegment.streams.recovery.verify import verify_partition
from resegment.streams.sealing.keys import ProcessKeys
from resegment.streams.worker.worker import Worker
from tests.builders import definition_of
from tests.integration.conftest import Stack
from tests.oracle.cases import event, segments
from tests.servers.postgres import running_postgres

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBERS = count()
PARTITIONS = 2
FILE = segments(
    reached={"event": "engagement", "where": {"person": "Philippa Featherstonehaugh"}, "count": {"gte": 2}},
    spoken={"event": "engagement"},
)


def settings_of(stack: Stack, keys: str | None, key: bytes = b"k" * 32) -> Settings:
    kafka = {} if stack.name == "embedded" else {"kafka": stack.bootstrap}
    sealed: dict[str, Any] = {}
    if keys is not None:
        sealed = {"keys": SecretStr(keys), "key": SecretStr(urlsafe_b64encode(key).decode())}
    return Settings(prefix=f"keys{stack.name}", partitions=PARTITIONS, **kafka, **sealed)  # type: ignore[arg-type]


def visit(account: str, **data: Any) -> bytes:
    now, number = time.time_ns() // 1_000_000, next(NUMBERS)
    named = {"person": "Philippa Featherstonehaugh", "action": "visited", **data}
    return orjson.dumps(event("engagement", now, id=f"philippa@acme.com/{number}", account=account, **named))


async def test_batches_wait_while_the_key_store_is_away_and_nothing_is_lost(stack: Stack) -> None:
    with running_postgres() as server:
        settings = settings_of(stack, server.url)
        store = open_key_store(settings)
        await make_keys(store, read_operator_key(settings))
        await store.aclose()
        worker = Worker(settings, definition_of(FILE), bootstrap=stack.bootstrap, redis_url=stack.redis_url)
        client = connect_redis(settings, stack.redis_url)
        reader = PrefixReader(client, settings.prefix, PARTITIONS)
        topic = worker.topics.of_kind("engagement").name

        async def segment_of(account: str) -> str | None:
            (state,) = await reader.states([account])
            return None if state is None else state.membership.segment

        async def until(reached: Any) -> None:
            async with asyncio.timeout(120):
                while not reached():  # the worker looks by itself
                    await asyncio.sleep(0.05)

        async with KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as source:

            async def send(*values: bytes) -> None:
                await source.publish([Message(topic, None, one) for one in values])

            async with worker.running():
                await send(visit("acme.com"), visit("acme.com"), visit("globex.com"))
                assert await worker.drain(120.0)
                assert [await segment_of(one) for one in ("acme.com", "globex.com")] == ["reached", "spoken"]

                server.kill()
                await until(lambda: not worker.reachable)
                assert worker.metrics.key_store_up._value.get() == 0

                async def said_so() -> bool:
                    entries = (await read_workers(client, settings.prefix)).values()
                    return any("key store in PostgreSQL" in str(one["keys_away"]) for one in entries)

                async with asyncio.timeout(120):
                    while not await said_so():
                        await asyncio.sleep(0.1)
                await send(visit("globex.com"), visit("new.com"))
                await asyncio.sleep(1)
                assert await segment_of("new.com") is None  # the keys of globex.com may be in memory still
                server.start()
                assert await worker.drain(120.0)
                await until(lambda: worker.reachable)
                assert [await segment_of(one) for one in ("globex.com", "new.com")] == ["reached", "spoken"]

                keys = ProcessKeys(settings)
                log = LogSource(stack.bootstrap, worker.topics, {}, keys=keys)
                logged = b""
                async with reading(stack.bootstrap, worker.topics.signals.name) as found:
                    async for records in found.to_end():
                        logged += b"".join(one.value or b"" for one in records)
                assert logged.count(b'"sealed":"s1.') == 5
                assert b"hilippa" not in logged
                for number in range(PARTITIONS):
                    position = await reader.position(number)
                    assert position is not None
                    stored = {name: value async for name, value in reader.raw_states(number)}
                    timers = await reader.timers(number)
                    assert not await verify_partition(
                        number, worker.registry, stored, timers, position.offset, log
                    )
                await keys.aclose()

        wrong = {
            KeysDiffer: settings_of(stack, None),
            BadOperatorKey: settings_of(stack, server.url, b"x" * 32),
        }
        for error, given in wrong.items():
            other = Worker(given, definition_of(FILE), bootstrap=stack.bootstrap, redis_url=stack.redis_url)
            with pytest.raises(error):
                async with other.running():
                    pass
        await client.aclose()
