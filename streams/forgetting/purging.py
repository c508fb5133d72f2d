"""Delete from the topics of events what intake has read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka import TopicPartition

from resegment.streams.kafka.admin import count_partitions, delete_records
from resegment.streams.kafka.group_offsets import read_committed_offsets
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics


async def purge_triggers(bootstrap: str, group: str, topics: Topics, security: Mapping[str, Any]) -> int:
    """Delete all records that intake has read and committed; return how many.

    Raises TopicsUnavailable, TopicUnreadable and KafkaError.
    """
    found = await asyncio.to_thread(count_partitions, bootstrap, topics.triggers, **security)
    total = 0
    for topic, count in found.items():
        read = [TopicPartition(topic, number) for number in range(count)]
        committed = await read_committed_offsets(bootstrap, group, read, security=security)
        async with reading(bootstrap, topic, security=security) as log:
            begins = dict(log.begins)
        upto = {
            one.partition: offset
            for one, offset in committed.items()
            if offset > begins.get(one.partition, 0)
        }
        if upto:
            await asyncio.to_thread(delete_records, bootstrap, topic, upto, **security)
            total += sum(offset - begins.get(number, 0) for number, offset in upto.items())
    return total
