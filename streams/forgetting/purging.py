"""Delete from the topics of events what intake has read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka import TopicPartition

from resegment.errors import FatalError
from resegment.streams.kafka.admin import TopicsUnavailable, count_partitions, delete_records
from resegment.streams.kafka.group_offsets import read_committed_offsets
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics


class PurgeFailed(FatalError):
    """Records of a topic could not be deleted; `cause` says why."""

    def __init__(self, topic: str, cause: BaseException) -> None:
        super().__init__(
            f"the records of {topic} that intake has read were not deleted: {cause}",
            remedy="What you asked to forget is forgotten; only the events as they were sent are left. Deleting needs the "
            "right to delete records of these topics, and a broker that can: the embedded one cannot. Else they go with their "
            "retention.",
        )
        self.topic = topic
        self.cause = cause


async def purge_triggers(bootstrap: str, group: str, topics: Topics, security: Mapping[str, Any]) -> int:
    """Delete all records that intake has read and committed; return how many.

    Raises PurgeFailed, TopicsUnavailable, TopicUnreadable and KafkaError.
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
            try:
                await asyncio.to_thread(delete_records, bootstrap, topic, upto, **security)
            except TopicsUnavailable as error:
                raise PurgeFailed(topic, error.cause) from error
            total += sum(offset - begins.get(number, 0) for number, offset in upto.items())
    return total
