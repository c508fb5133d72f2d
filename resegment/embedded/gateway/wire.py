"""The few parts of the Kafka protocol that the gateway reads and writes itself: produce requests and their answers."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from resegment.embedded.journal.entries import BATCH_HEADER

PRODUCE: Final = 0
LIST_OFFSETS: Final = 2
OFFSET_COMMIT: Final = 8
CREATE_TOPICS: Final = 19
DELETE_TOPICS: Final = 20

SIZE: Final = struct.Struct(">i")
_REQUEST: Final = struct.Struct(">hhi")
_PRODUCE_HEAD: Final = struct.Struct(">hi")
_BATCH_LENGTH: Final = struct.Struct(">qi")
_MAGIC_AT: Final = 16
_FORMAT: Final = 2
_FLEXIBLE: Final = 9
"""The first version of a produce request with compact lengths and tagged fields."""
STORAGE_ERROR: Final = 56
"""KAFKA_STORAGE_ERROR: clients try again."""


class Malformed(ValueError):
    """A request that is none, or one that only clients of before Kafka 0.11 send."""


class RequestHead(NamedTuple):
    """What a request begins with."""

    key: int
    version: int
    correlation: int


class Appended(NamedTuple):
    """The batches of one partition in a produce request."""

    topic: str
    partition: int
    batches: list[bytes]


class Produced(NamedTuple):
    """A produce request. `acks_at`: where its field of acks is."""

    version: int
    correlation: int
    acks: int
    acks_at: int
    appended: list[Appended]


class Answered(NamedTuple):
    """What the broker says of one partition."""

    topic: str
    partition: int
    error: int
    base: int


class _Cursor:
    """Reads the fields of a message one after another. Raises Malformed."""

    def __init__(self, data: bytes, at: int, *, flexible: bool) -> None:
        self.data, self.at, self._flexible = data, at, flexible

    def take(self, form: struct.Struct) -> tuple[int, ...]:
        try:
            values = form.unpack_from(self.data, self.at)
        except struct.error as error:
            raise Malformed("the request ends early") from error
        self.at += form.size
        return values

    def span(self, size: int) -> tuple[int, int]:
        start, self.at = self.at, self.at + max(size, 0)
        if self.at > len(self.data):
            raise Malformed("a part is longer than the request")
        return start, self.at

    def text(self, *, compact: bool | None = None) -> str:
        compact = self._flexible if compact is None else compact
        size = self.varint() - 1 if compact else self.take(_SHORT)[0]
        start, end = self.span(size)
        try:
            return self.data[start:end].decode()
        except UnicodeDecodeError as error:
            raise Malformed("a name is not UTF-8") from error

    def count(self) -> int:
        return self.varint() - 1 if self._flexible else self.take(SIZE)[0]

    def tags(self) -> None:
        if self._flexible:
            for _ in range(self.varint()):
                self.varint()
                self.span(self.varint())

    def varint(self) -> int:
        value = shift = 0
        while True:
            if self.at >= len(self.data) or shift > 28:
                raise Malformed("a length is impossible")
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7


_SHORT: Final = struct.Struct(">h")
_INDEX_ERROR_BASE: Final = struct.Struct(">ihq")


def read_head(frame: bytes) -> RequestHead:
    """Return the head of a request, given with its length. Raises Malformed."""
    try:
        return RequestHead(*_REQUEST.unpack_from(frame, SIZE.size))
    except struct.error as error:
        raise Malformed("the request is too short") from error


def read_produce(frame: bytes) -> Produced:
    """Return what a produce request, given with its length, appends. Raises Malformed."""
    head = read_head(frame)
    flexible = head.version >= _FLEXIBLE
    cursor = _Cursor(frame, SIZE.size + _REQUEST.size, flexible=flexible)
    cursor.text(compact=False)  # the client's id
    cursor.tags()
    if head.version >= 3:
        cursor.text()  # the transaction
    acks_at = cursor.at
    acks, _ = cursor.take(_PRODUCE_HEAD)
    appended = []
    for _ in range(cursor.count()):
        topic = cursor.text()
        for _ in range(cursor.count()):
            (partition,) = cursor.take(SIZE)
            start, end = cursor.span(cursor.count())
            appended.append(Appended(topic, partition, split_batches(frame, start, end)))
            cursor.tags()
        cursor.tags()
    return Produced(head.version, head.correlation, acks, acks_at, appended)


def split_batches(data: bytes, start: int, end: int) -> list[bytes]:
    """Return the batches in a part of a request. Raises Malformed."""
    batches, at = [], start
    while at < end:
        if end - at < BATCH_HEADER:
            raise Malformed("a batch ends early")
        after = at + _BATCH_LENGTH.size + _BATCH_LENGTH.unpack_from(data, at)[1]
        if not at + BATCH_HEADER <= after <= end:
            raise Malformed("a batch has an impossible length")
        if data[at + _MAGIC_AT] != _FORMAT:
            raise Malformed(f"a batch has the old format {data[at + _MAGIC_AT]}")
        batches.append(data[at:after])
        at = after
    return batches


def await_all(frame: bytes, produced: Produced) -> bytes:
    """Return the request with all acks asked for, so that the broker always answers."""
    if produced.acks == -1:
        return frame
    at = produced.acks_at
    return b"".join((frame[:at], _SHORT.pack(-1), frame[at + _SHORT.size :]))


def read_answer(frame: bytes, version: int) -> list[Answered]:
    """Return what the answer to a produce request, given with its length, says. Raises Malformed."""
    flexible = version >= _FLEXIBLE
    cursor = _Cursor(frame, 2 * SIZE.size, flexible=flexible)
    cursor.tags()
    answered = []
    for _ in range(cursor.count()):
        topic = cursor.text()
        for _ in range(cursor.count()):
            partition, error, base = cursor.take(_INDEX_ERROR_BASE)
            answered.append(Answered(topic, partition, error, base))
            cursor.span((version >= 2) * 8 + (version >= 5) * 8)
            if version >= 8:
                for _ in range(cursor.count()):
                    cursor.span(4)
                    cursor.text()
                    cursor.tags()
                cursor.text()
            cursor.tags()
        cursor.tags()
    return answered


def refuse(produced: Produced, error: int) -> bytes:
    """Return the answer that refuses every batch of a request with an error code."""
    version, flexible = produced.version, produced.version >= _FLEXIBLE
    tags = b"\0" if flexible else b""
    topics: dict[str, list[int]] = {}
    for one in produced.appended:
        topics.setdefault(one.topic, []).append(one.partition)
    parts = [SIZE.pack(produced.correlation), tags, _count(len(topics), flexible=flexible)]
    for topic, partitions in topics.items():
        parts += [_text(topic, flexible=flexible), _count(len(partitions), flexible=flexible)]
        for partition in partitions:
            parts.append(_INDEX_ERROR_BASE.pack(partition, error, -1))
            parts.append(b"\xff" * ((version >= 2) * 8 + (version >= 5) * 8))
            if version >= 8:
                parts += [_count(0, flexible=flexible), b"\0" if flexible else b"\xff\xff"]
            parts.append(tags)
        parts.append(tags)
    if version >= 1:
        parts.append(SIZE.pack(0))
    parts.append(tags)
    body = b"".join(parts)
    return SIZE.pack(len(body)) + body


def _count(number: int, *, flexible: bool) -> bytes:
    return _varint(number + 1) if flexible else SIZE.pack(number)


def _text(text: str, *, flexible: bool) -> bytes:
    data = text.encode()
    return (_varint(len(data) + 1) if flexible else _SHORT.pack(len(data))) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
