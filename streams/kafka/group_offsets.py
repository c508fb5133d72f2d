"""Read and place the offsets of a consumer group without being one of its members, and let a member leave the group."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
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
    """Commit a start for a group that has none: the end of each partition, or its beginning if `earliest`.

    The group receives everything that is written from now on, whatever happens next. Return False if the topic does
    not exist yet. Raises TopicUnreadable, KafkaError or TimeoutError.
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
        if topic not in await consumer.topics():  # asking for a topic that does not exist may create it
            return False
        async with reading(bootstrap, topic, security=security) as reader:
            ends = await reader.ends()
        # only once: the client's coordinator fails on a second assignment while it looks for the group's broker
        consumer.assign([TopicPartition(topic, number) for number in sorted(ends)])
        fresh = [tp for tp in consumer.assignment() if await consumer.committed(tp) is None]
        if fresh:
            begins = await consumer.beginning_offsets(fresh) if earliest else {}
            with suppress(CommitFailedError):  # another process was faster, and already reads
                async with asyncio.timeout(PATIENCE):
                    await consumer.commit({tp: begins.get(tp, ends[tp.partition]) for tp in fresh})
        return True
    finally:
        await leave(consumer)


async def read_committed_offsets(
    bootstrap: str, group: str, partitions: Iterable[TopicPartition], *, security: Mapping[str, Any]
) -> dict[TopicPartition, int]:
    """Return the offset that the group has committed in each partition, 0 where it has none. Raises KafkaError."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False, **security
    )
    await consumer.start()
    try:
        return {tp: await consumer.committed(tp) or 0 for tp in partitions}
    finally:
        await consumer.stop()


def enable_leaving(coordinator: Any) -> None:
    """Have a member of the first generation leave its group, too, when its client stops.

    Tansu counts generations from 0, where aiokafka believes that there is nothing to leave. The next member would
    then wait until this one's session is over.
    """
    if getattr(coordinator, "generation", None) == 0:
        coordinator.generation = 1


async def leave(consumer: AIOKafkaConsumer) -> None:
    """Leave the group and close the connections, within about LEAVING seconds, whatever the broker does."""
    enable_leaving(consumer._coordinator)
    # Not canceled and awaited: the client may swallow that and keep waiting for its broker.
    stopping = asyncio.create_task(consumer.stop())
    stopping.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody needs its error
    await asyncio.wait({stopping}, timeout=LEAVING)
    if stopping.done():
        return
    stopping.cancel()
    with suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(LEAVING):
            await consumer._client.close()
