"""How a consumer group gets its place in a topic, committed before anything is read, and how a member leaves it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from resegment.streams.kafka.topic_reader import reading

PATIENCE = 30.0
"""Seconds that a broker may take for the commit."""
LEAVING = 1.0
"""Seconds that a broker may take to let a member go."""


async def place(
    bootstrap: str, topic: str, group: str, *, earliest: bool, security: Mapping[str, Any]
) -> bool:
    """Let a group that has no place yet begin at the end of each partition, or where it begins; False: no topic yet.

    The place is committed at once: what is written from now on is the group's, come what may.
    Raises TopicUnreadable, KafkaError or TimeoutError.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        client_id="resegment-place",
        **security,
    )
    try:
        await consumer.start()
        if topic not in await consumer.topics():  # to ask for one that does not exist may create it
            return False
        async with reading(bootstrap, topic, security=security) as reader:
            ends = await reader.ends()
        # once only: the client's coordinator takes a second assignment ill while it looks for the group's broker
        consumer.assign([TopicPartition(topic, number) for number in sorted(ends)])
        fresh = [tp for tp in consumer.assignment() if await consumer.committed(tp) is None]
        if fresh:
            begins = await consumer.beginning_offsets(fresh) if earliest else {}
            with suppress(CommitFailedError):  # another process was faster, and is at work by now
                async with asyncio.timeout(PATIENCE):
                    await consumer.commit({tp: begins.get(tp, ends[tp.partition]) for tp in fresh})
        return True
    finally:
        await leave(consumer)


async def leave(consumer: AIOKafkaConsumer) -> None:
    """Leave the group and let go of the connections, within LEAVING seconds and some, whatever the broker does."""
    coordinator = consumer._coordinator
    if getattr(coordinator, "generation", None) == 0:
        # Tansu counts generations from 0, where aiokafka takes it that there is nothing to leave
        coordinator.generation = 1
    # Not cancelled and awaited: the client may swallow that, and then wait for its broker after all.
    stopping = asyncio.create_task(consumer.stop())
    stopping.add_done_callback(
        lambda task: task.cancelled() or task.exception()
    )  # its failure matters to nobody
    await asyncio.wait({stopping}, timeout=LEAVING)
    if stopping.done():
        return
    stopping.cancel()
    with suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(LEAVING):
            await consumer._client.close()
