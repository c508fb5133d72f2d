"""What a group holds: batches of records, topics that come and go, committed offsets, and the state at a file's start."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

_ENTRY: Final = struct.Struct(">BI")
"""Kind and length."""
_BATCH: Final = struct.Struct(">IIQQ")
"""Topic, partition, offset of its first record, and when it was written (ms)."""
_LAST_DELTA: Final = struct.Struct(">i")
_LAST_DELTA_AT: Final = 23
BATCH_HEADER: Final = 61
"""Bytes before the first record of a batch of Kafka's second format."""
_KIND_BATCH: Final = 1
_KIND_OTHER: Final = 2


class TopicMade(msgspec.Struct, frozen=True, tag="topic", array_like=True):
    """A topic was created. `number` names this incarnation; `partitions` 0: unknown."""

    number: int
    name: str
    partitions: int
    configs: dict[str, str]


class TopicGone(msgspec.Struct, frozen=True, tag="gone", array_like=True):
    """A topic was deleted: its batches no longer count."""

    number: int


class OffsetsCommitted(msgspec.Struct, frozen=True, tag="offsets", array_like=True):
    """A group committed offsets: (topic, partition, offset)."""

    group: str
    offsets: list[tuple[str, int, int]]


class State(msgspec.Struct, frozen=True, tag="state", array_like=True):
    """Everything but the batches, as it is where a file begins: older files may be gone.

    `ends` has the offset of the next record by topic and partition, `starts` that of the oldest one kept.
    """

    topics: list[TopicMade]
    next_topic: int
    ends: list[tuple[int, int, int]]
    starts: list[tuple[int, int, int]]
    offsets: list[OffsetsCommitted]


class BatchAt(NamedTuple):
    """A batch in a file: what it holds, and where its bytes are."""

    topic: int
    partition: int
    base: int
    written: int
    start: int
    end: int
    after: int
    """The offset after its last record."""


Other = TopicMade | TopicGone | OffsetsCommitted | State
Entry = BatchAt | Other

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Other] = msgspec.msgpack.Decoder(Other)


def encode_batch(topic: int, partition: int, base: int, written: int, batch: bytes) -> bytes:
    """Return the entry of one batch."""
    head = _BATCH.pack(topic, partition, base, written)
    return b"".join((_ENTRY.pack(_KIND_BATCH, len(head) + len(batch)), head, batch))


def encode_other(entry: Other) -> bytes:
    """Return the entry of anything but a batch."""
    body = _encoder.encode(entry)
    return _ENTRY.pack(_KIND_OTHER, len(body)) + body


def count_offsets(batch: bytes | memoryview) -> int:
    """Return how many offsets a batch takes."""
    last: int = _LAST_DELTA.unpack_from(batch, _LAST_DELTA_AT)[0]
    return last + 1


def read_entries(view: memoryview, start: int, end: int) -> Iterator[Entry]:
    """Yield the entries of one whole group. Raises ValueError, which only another release's file leads to."""
    at = start
    while at < end:
        kind, size = _ENTRY.unpack_from(view, at)
        at += _ENTRY.size
        if kind == _KIND_BATCH:
            topic, partition, base, written = _BATCH.unpack_from(view, at)
            first = at + _BATCH.size
            after = base + count_offsets(view[first : at + size])
            yield BatchAt(topic, partition, base, written, first, at + size, after)
        elif kind == _KIND_OTHER:
            yield _decoder.decode(view[at : at + size])
        else:
            raise ValueError(f"unknown kind of entry {kind}")
        at += size
