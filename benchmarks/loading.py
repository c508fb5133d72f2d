"""Makes a prefix and fills its topics with the benchmark's events, before anybody reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice

from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from redis.asyncio import Redis

from resegment.agents.batch import Message
from resegment.agents.intake import REPLAYED
from resegment.agents.segmenter import TICK
from resegment.benchmarks.events import Event
from resegment.schemas.fact import Fact, encode_fact
from resegment.schemas.partitioning import partition_of
from resegment.streams.kafka.admin import create_topics
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topics import Topic, Topics
from resegment.streams.prefix import agree

_TOGETHER = 5_000


async def make_prefix(bootstrap: str, redis: Redis, prefix: str, *, partitions: int, clock: str) -> Topics:
    """Agree on the prefix and create its topics, which keep records of any age."""
    await agree(redis, prefix, partitions=partitions, clock=clock)
    topics = Topics(prefix)
    retention = dict.fromkeys(one.name for one in topics)
    await asyncio.to_thread(create_topics, bootstrap, topics, partitions=partitions, retention=retention)
    return topics


async def make_changes(bootstrap: str, prefix: str) -> None:
    """Create the one topic that participants without a worker write to."""
    topics = Topics(prefix)
    await asyncio.to_thread(create_topics, bootstrap, [topics.segment_changes], partitions=4)


async def load_events(bootstrap: str, topic: str, events: Iterable[Event], partitions: int, end: int) -> None:
    """Write events as sources do, and behind them a tick to `end` (ms) in each partition."""
    mark = (REPLAYED, b"")
    messages = (Message(topic, event.account.encode(), event.value, [mark]) for event in events)
    tick = [(TICK, str(end).encode()), mark]
    ticks = [Message(topic, None, None, tick, number) for number in range(partitions)]
    await publish_all(bootstrap, chain(messages, ticks))


async def load_plain(bootstrap: str, topic: str, events: Iterable[Event], partitions: int) -> None:
    """Make a topic and write events to it, and nothing else: other frameworks know no ticks."""
    wanted = [Topic(topic, "events of the benchmark")]
    await asyncio.to_thread(create_topics, bootstrap, wanted, partitions=partitions, retention={topic: None})
    await publish_all(bootstrap, (Message(topic, event.account.encode(), event.value) for event in events))


async def load_signals(bootstrap: str, topic: str, facts: Iterable[Fact], partitions: int, end: int) -> None:
    """Write facts as intake does, and behind them a tick to `end` (ms) in each partition."""
    await publish_all(bootstrap, make_signals(topic, facts, partitions, end))


def make_signals(topic: str, facts: Iterable[Fact], partitions: int, end: int) -> Iterator[Message]:
    """Return the messages that `load_signals` writes."""
    for fact in facts:
        key = fact.account.encode()
        yield Message(
            topic, key, encode_fact(fact), partition=partition_of(key, partitions), timestamp=fact.recorded
        )
    for number in range(partitions):
        yield Message(topic, None, None, [(TICK, b"")], number, end)


async def publish_all(bootstrap: str, messages: Iterable[Message]) -> None:
    """Write them all, in order."""
    left = iter(messages)
    async with KafkaPublisher(bootstrap, client_id="resegment-bench") as publisher:
        while some := list(islice(left, _TOGETHER)):
            await publisher.publish(some)


async def clear(bootstrap: str, redis: Redis, prefix: str) -> None:
    """Delete all that was made under the prefix."""
    await asyncio.to_thread(_delete_topics, bootstrap, prefix)
    found: list[bytes] = []
    async for key in redis.scan_iter(match=f"*{prefix}*", count=10_000):
        found.append(key)
        if len(found) >= _TOGETHER:
            await redis.unlink(*found)
            found.clear()
    if found:
        await redis.unlink(*found)


def _delete_topics(bootstrap: str, prefix: str) -> None:
    with suppress(KafkaError):
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, client_id="resegment-bench")
        try:
            # also those that a framework names after its group
            admin.delete_topics([name for name in admin.list_topics() if prefix in name])
        finally:
            admin.close()
