"""Raw record batches, built by the format's description: no client can build what is wrong."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
ENCODERS = {"gzip": gzip_encode, "lz4": lz4_encode, "zstd": zstd_encode}
HEADER = struct.Struct(">qiibIhiqqqhii")
NOON = 1_700_000_000_000


class Given(NamedTuple):
    """One record. `header`: the name of a header."""

    value: bytes | None
    header: bytes | None = None
    key: bytes | None = None


def batch_of(
    records: Sequence[Given | bytes],
    *,
    base: int = 0,
    codec: str = "none",
    attributes: int = 0,
    producer: int = -1,
    timestamp: int = NOON,
) -> bytes:
    """Build a batch of records."""
    body = bytearray()
    for delta, one in enumerate(records):
        given = one if isinstance(one, Given) else Given(one)
        record = b"\x00" + varint(0) + varint(delta) + sized(given.key) + sized(given.value)
        record += varint(0) if given.header is None else varint(1) + sized(given.header) + sized(b"x")
        body += varint(len(record)) + record
    return seal(
        compress(codec, bytes(body)),
        len(records),
        base,
        CODECS[codec] | attributes,
        producer,
        timestamp=timestamp,
    )


def seal(
    payload: bytes,
    count: int,
    base: int = 0,
    attributes: int = 0,
    producer: int = -1,
    *,
    timestamp: int = NOON,
) -> bytes:
    """Put a header with a right checksum before what stands for `count` records."""
    after = struct.pack(">hiqqqhii", attributes, count - 1, timestamp, timestamp, producer, 0, 0, count)
    if producer < 0:
        after = struct.pack(">hiqqqhii", attributes, count - 1, timestamp, timestamp, -1, -1, -1, count)
    checked = after + payload
    return struct.pack(">qiibI", base, len(checked) + 9, 0, 2, calc_crc32c(checked)) + checked


def varint(value: int) -> bytes:
    """Encode a signed number as records have it."""
    out, left = bytearray(), (value << 1) ^ (value >> 63)
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def sized(data: bytes | None) -> bytes:
    """Put the length before bytes."""
    return varint(-1) if data is None else varint(len(data)) + data


def compress(codec: str, data: bytes) -> bytes:
    """Compress as producers do."""
    if codec == "snappy":  # half of the producers write it in the framing of Java, and half do not
        return bytes(snappy_encode(data, xerial_compatible=len(data) % 2 == 0))
    if codec != "none":
        return bytes(ENCODERS[codec](data))
    return data


async def produce(client: AIOKafkaClient, topic: str, partition: int, batch: bytes) -> int:
    """Send one raw batch to the leader, and return the offset of its first record. Raises KafkaError."""
    request = ProduceRequest(
        transactional_id=None, required_acks=-1, timeout=10_000, topics=[(topic, [(partition, batch)])]
    )
    leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
    if leader is None or leader < 0:
        client.add_topic(topic)
        await client.force_metadata_update()
        leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
    response = await client.send(leader, request)
    ((_, ((_, code, offset, *_),)),) = response.topics
    if code:
        raise for_code(code)
    return int(offset)
