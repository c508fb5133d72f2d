"""Give a broker that has just started the journal's topics, records and offsets: same order, same offsets."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from kafka.protocol.admin import CreateTopicsRequest, CreateTopicsResponse
from kafka.protocol.consumer import OffsetCommitRequest, OffsetCommitResponse

from resegment.embedded.gateway.wire import PRODUCE, SIZE, read_answer
from resegment.embedded.journal.catalog import OWN_PARTITIONS, Catalog, Place
from resegment.embedded.journal.entries import BatchAt, TopicMade
from resegment.embedded.journal.files import JournalDamaged, mapped
from resegment.embedded.journal.journal import Journal, retention_of
from resegment.errors import FatalError

log = logging.getLogger(__name__)

REQUEST_BYTES: Final = 4 * 1024 * 1024
IN_FLIGHT: Final = 4
_VERSION: Final = 7
_CLIENT: Final = b"\0\x07journal"
_CONTROL: Final = 0x20
_MOST_OFFSETS: Final = (1 << 31) - 1
_CRC_AT: Final = 17
_ATTRIBUTES: Final = struct.Struct(">hi")
_ATTRIBUTES_AT: Final = 21
_MARKER: Final = b"\0\0\0\1"
"""The key of a control record: nobody reads its batch."""


class RestoreFailed(FatalError):
    """The broker did not take what the journal holds; `problem` says how."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"the embedded broker did not take its log from the journal: {problem}",
            remedy="Nothing is lost: the journal is as it was. Start again; if it fails again, report it with broker.log.",
        )
        self.problem = problem


class Connection:
    """One connection to the broker, on which requests are answered in order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._count = 0

    @classmethod
    async def open(cls, host: str, port: int) -> Connection:
        """Connect. Raises OSError."""
        return cls(*await asyncio.open_connection(host, port))

    async def send(self, key: int, version: int, body: bytes) -> None:
        """Send a request whose head has no tagged fields."""
        self._count += 1
        head = struct.pack(">hhi", key, version, self._count) + _CLIENT
        self._writer.writelines((SIZE.pack(len(head) + len(body)), head, body))
        await self._writer.drain()

    async def receive(self) -> bytes:
        """Return the next answer, with its length. Raises RestoreFailed."""
        try:
            size = await self._reader.readexactly(SIZE.size)
            return size + await self._reader.readexactly(SIZE.unpack(size)[0])
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise RestoreFailed("it closed the connection") from error

    async def ask(self, request: Any, answer: Any) -> Any:
        """Send a request of kafka-python, and return the decoded answer."""
        version = request.API_VERSION
        await self.send(request.API_KEY, version, bytes(request.encode()))
        return answer.decode((await self.receive())[2 * SIZE.size :], version=version)

    def close(self) -> None:
        """Close it."""
        self._writer.close()


async def restore(journal: Journal, connection: Connection) -> int:
    """Create the topics, append the records and commit the offsets; return how many batches there were.

    Leaves in the catalog where each partition begins and ends. Raises RestoreFailed and JournalDamaged.
    """
    catalog = journal.catalog
    await _create_topics(connection, catalog)
    catalog.starts.clear()
    flow = _Flow(connection, catalog)
    count = 0
    for held in journal.held:
        with mapped(held.file.path) as view:
            for at in held.batches:
                topic = catalog.topics.get(at.topic)
                if topic is None:
                    continue
                place = at.topic, at.partition
                end = flow.ends.get(place, 0)
                if at.base < end:
                    raise JournalDamaged(
                        held.file.path,
                        at.start,
                        f"offset {at.base} of {topic.name}-{at.partition} is there twice",
                    )
                if at.base > end:
                    await _fill(flow, catalog, topic, at.partition, end, at.base)
                    catalog.starts.setdefault(place, at.base)
                await flow.append(topic.name, place, bytes(view[at.start : at.end]), at.after)
                count += 1
    for place, end in list(catalog.ends.items()):
        if (found := flow.ends.get(place, 0)) < end:
            await _fill(flow, catalog, catalog.topics[place[0]], place[1], found, end)
    await flow.finish()
    await _commit_offsets(connection, catalog)
    return count


async def _fill(
    flow: _Flow, catalog: Catalog, topic: TopicMade, partition: int, start: int, end: int
) -> None:
    """Take the offsets of records that are gone, so that those behind them keep theirs."""
    if retention_of(topic) is None or start > 0:
        log.error(
            "offsets %d to %d of %s-%d are missing in the journal", start, end - 1, topic.name, partition
        )
    place = topic.number, partition
    for filler, after in fillers(start, end):
        await flow.append(topic.name, place, filler, after)
    catalog.ends[place] = max(end, catalog.ends.get(place, 0))


def fillers(start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Yield control batches that take the offsets from `start` to before `end`, each with the offset after it."""
    while start < end:
        count = min(end - start, _MOST_OFFSETS)
        builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1024)
        builder.append(0, 0, _MARKER, b"\0\0\0\0\0\0", [])
        batch = bytearray(builder.build())
        _ATTRIBUTES.pack_into(batch, _ATTRIBUTES_AT, _CONTROL, count - 1)
        struct.pack_into(">I", batch, _CRC_AT, _crc32c(bytes(batch[_ATTRIBUTES_AT:])))
        start += count
        yield bytes(batch), start


def _crc32c(data: bytes) -> int:
    from aiokafka.record.util import calc_crc32c  # noqa: PLC0415  # only here

    checksum: int = calc_crc32c(data)
    return checksum


class _Flow:
    """Appends batches in large requests, several of them in flight."""

    def __init__(self, connection: Connection, catalog: Catalog) -> None:
        self._connection, self._catalog = connection, catalog
        self.ends: dict[Place, int] = {}
        self._names: dict[Place, str] = {}
        self._parts: dict[Place, list[bytes]] = {}
        self._bases: dict[Place, int] = {}
        self._size = 0
        self._sent: deque[dict[tuple[str, int], int]] = deque()

    async def append(self, topic: str, place: Place, batch: bytes, after: int) -> None:
        """Append a batch at the end of its partition, which is then at `after`."""
        self._names[place] = topic
        self._bases.setdefault(place, self.ends.get(place, 0))
        self._parts.setdefault(place, []).append(batch)
        self.ends[place] = after
        self._size += len(batch)
        if self._size >= REQUEST_BYTES:
            await self._send()

    async def finish(self) -> None:
        """Return when the broker has everything."""
        if self._parts:
            await self._send()
        while self._sent:
            await self._check()

    async def _send(self) -> None:
        topics: dict[str, list[bytes]] = {}
        for place, parts in self._parts.items():
            data = b"".join(parts)
            topics.setdefault(self._names[place], []).append(struct.pack(">ii", place[1], len(data)) + data)
        body = [struct.pack(">hhii", -1, -1, 30_000, len(topics))]
        for name, partitions in topics.items():
            body += [
                struct.pack(">h", len(name.encode())),
                name.encode(),
                SIZE.pack(len(partitions)),
                *partitions,
            ]
        self._sent.append({(self._names[place], place[1]): base for place, base in self._bases.items()})
        await self._connection.send(PRODUCE, _VERSION, b"".join(body))
        self._parts.clear()
        self._bases.clear()
        self._size = 0
        if len(self._sent) >= IN_FLIGHT:
            await self._check()

    async def _check(self) -> None:
        expected = self._sent.popleft()
        for one in read_answer(await self._connection.receive(), _VERSION):
            base = expected[one.topic, one.partition]
            if one.error or one.base != base:
                raise RestoreFailed(
                    f"offset {base} of {one.topic}-{one.partition} became {one.base} (error {one.error})"
                )


async def _create_topics(connection: Connection, catalog: Catalog) -> None:
    if not catalog.topics:
        return
    used = {topic: partition + 1 for topic, partition in sorted(catalog.ends)}
    kind = CreateTopicsRequest.CreatableTopic
    config = kind.CreatableTopicConfig
    request = CreateTopicsRequest[2](
        topics=[
            kind(
                name=one.name,
                num_partitions=max(
                    one.partitions, used.get(one.number, 1), 0 if one.partitions else OWN_PARTITIONS
                ),
                replication_factor=1,
                assignments=[],
                configs=[config(name=name, value=value) for name, value in one.configs.items()],
            )
            for one in catalog.topics.values()
        ],
        timeout_ms=30_000,
        validate_only=False,
    )
    answer = await connection.ask(request, CreateTopicsResponse)
    for one in answer.topics:
        if one.error_code:
            raise RestoreFailed(f"topic {one.name} was not created (error {one.error_code})")


async def _commit_offsets(connection: Connection, catalog: Catalog) -> None:
    kind = OffsetCommitRequest.OffsetCommitRequestTopic
    for group, held in catalog.offsets.items():
        topics: dict[str, list[Any]] = {}
        for (topic, partition), offset in held.items():
            if topic in catalog.numbers:
                one = kind.OffsetCommitRequestPartition(
                    partition_index=partition, committed_offset=offset, committed_metadata=""
                )
                topics.setdefault(topic, []).append(one)
        if not topics:
            continue
        request = OffsetCommitRequest[2](
            group_id=group,
            generation_id_or_member_epoch=-1,
            member_id="",
            retention_time_ms=-1,
            topics=[kind(name=name, partitions=partitions) for name, partitions in topics.items()],
        )
        answer = await connection.ask(request, OffsetCommitResponse)
        refused = {part.error_code for one in answer.topics for part in one.partitions} - {0}
        if refused:
            raise RestoreFailed(f"the offsets of group {group} were not taken (errors {sorted(refused)})")


__all__ = ["BatchAt", "Connection", "RestoreFailed", "fillers", "restore"]
