"""Read and write the topic `definitions`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from resegment.agents.batch import Message, Publisher
from resegment.schemas.definitions.records import DefinitionRecord, encode_definition_record
from resegment.streams.definitions.history import Definitions
from resegment.streams.kafka.topic_reader import TopicUnreadable, reading
from resegment.streams.kafka.topics import Topics

PARTITION = 0
"""The one partition, whose order is the truth."""


async def read_definitions(
    bootstrap: str, topics: Topics, security: Mapping[str, Any] | None = None
) -> Definitions:
    """Return what the topic says now; nothing where there is no such topic. Raises TopicUnreadable."""
    definitions = Definitions()
    try:
        async with reading(bootstrap, topics.definitions.name, [PARTITION], security=security) as reader:
            async for records in reader.to_end():
                for record in records:
                    definitions.take(record.value)
    except TopicUnreadable as error:
        if not error.is_missing:
            raise
    return definitions


async def copy_definitions(
    bootstrap: str, old: Topics, publisher: Publisher, new: Topics, security: Mapping[str, Any] | None = None
) -> int:
    """Copy all records to the topic of another prefix, and return how many. Raises TopicUnreadable, PublishFailed."""
    values: list[bytes] = []
    try:
        async with reading(bootstrap, old.definitions.name, [PARTITION], security=security) as reader:
            async for records in reader.to_end():
                values += [record.value for record in records]
    except TopicUnreadable as error:
        if not error.is_missing:
            raise
    await DefinitionWriter(publisher, new).write_encoded(values)
    return len(values)


class DefinitionWriter:
    """Appends records to the topic, in order."""

    def __init__(self, publisher: Publisher, topics: Topics) -> None:
        self._publisher, self._topic = publisher, topics.definitions.name

    async def write(self, *records: DefinitionRecord) -> None:
        """Append the records and return when all are acknowledged. Raises PublishFailed."""
        await self.write_encoded([encode_definition_record(one) for one in records])

    async def write_encoded(self, values: Sequence[bytes]) -> None:
        """Append records that are encoded. Raises PublishFailed."""
        messages = [Message(self._topic, None, value, (), PARTITION) for value in values]
        await self._publisher.publish(messages)
