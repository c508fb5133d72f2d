"""Read and write the topic `identities`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from resegment.agents.batch import Message, Publisher
from resegment.identity.merges import Identities
from resegment.schemas.identities.records import IdentityRecord, encode_identity_record
from resegment.streams.kafka.topic_reader import LogReader, TopicReader, TopicUnreadable, reading
from resegment.streams.kafka.topics import Topics

PARTITION: Final = 0
"""The one partition, whose order is the truth."""


async def read_identities(
    bootstrap: str, topics: Topics, security: Mapping[str, Any] | None = None
) -> Identities:
    """Return what the topic says now; nothing where there is no such topic. Raises TopicUnreadable."""
    return await identities_in(reading_identities(bootstrap, topics, security))


async def identities_in(opening: AbstractAsyncContextManager[LogReader]) -> Identities:
    """Return what a log or an archive of the topic says, as `read_identities` does."""
    try:
        async with opening as reader:
            return await take_all(reader)
    except TopicUnreadable as error:
        if not error.is_missing:
            raise
    return Identities()


async def take_all(reader: LogReader) -> Identities:
    """Return what the topic says up to its end; the reader can follow it from there. Raises TopicUnreadable."""
    identities = Identities()
    async for records in reader.to_end():
        for record in records:
            identities.take(record.value, record.timestamp)
    return identities


@asynccontextmanager
async def reading_identities(
    bootstrap: str, topics: Topics, security: Mapping[str, Any] | None = None
) -> AsyncIterator[TopicReader]:
    """Open a reader of the topic. Raises TopicUnreadable."""
    async with reading(bootstrap, topics.identities.name, [PARTITION], security=security) as reader:
        yield reader


async def write_identity(publisher: Publisher, topics: Topics, *records: IdentityRecord) -> None:
    """Append records, and return when all are acknowledged. Raises PublishFailed."""
    values = [encode_identity_record(one) for one in records]
    await publisher.publish([Message(topics.identities.name, None, value, (), PARTITION) for value in values])


async def copy_identities(
    bootstrap: str, old: Topics, publisher: Publisher, new: Topics, security: Mapping[str, Any] | None = None
) -> int:
    """Copy all records to the topic of another prefix, and return how many. Raises TopicUnreadable, PublishFailed."""
    values: list[bytes | None] = []
    try:
        async with reading_identities(bootstrap, old, security) as reader:
            async for records in reader.to_end():
                values += [record.value for record in records]
    except TopicUnreadable as error:
        if not error.is_missing:
            raise
    await publisher.publish([Message(new.identities.name, None, value, (), PARTITION) for value in values])
    return len(values)
