"""Unpack the record batches of a fetch so that nothing in them can stop a reader.

aiokafka raises where a batch or one of its records cannot be unpacked, at the same offset again and again, and
decompresses without a limit. Here whatever is wrong becomes an `UnreadableRecord` in the place of the record or the
batch, which its reader sets aside as a dead letter. aiokafka has no setting for this, so that its classes are
replaced: importing this module is enough.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.util import decode_varint

from resegment.agents.batch import UnreadableRecord, size_of
from resegment.agents.dead_letters import KEPT_BYTES
from resegment.streams.kafka.decompression import Codec, Undecodable, decompress

MAX_UNPACKED: Final = 64 * 1024 * 1024
"""Bytes of one decompressed batch that are read: a full batch of a megabyte may shrink to a sixty-fourth."""
MAX_AT_ONCE: Final = 8 * 1024 * 1024
"""Bytes of records that are handed over together; also of a batch that is unpacked in one piece."""
MAX_IN_ONE_PIECE: Final = 50_000
"""Records of a batch that is unpacked in one piece: a megabyte may hold a million empty ones."""

_LENGTH: Final = struct.Struct(">qi")
_SIZE: Final = struct.Struct(">i")
_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_MIN_LEGACY: Final = 26
_MAGIC_AT: Final = 16
_ATTRIBUTES_AT: Final = 21
_CODEC: Final = 0x07
_LOG_APPEND_TIME: Final = 0x08


class RawBatches:
    """The batches of a fetch, each as its bytes. Stands for aiokafka's MemoryRecords."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    def size_in_bytes(self) -> int:
        """Return how many bytes are left."""
        return len(self._data)

    def has_next(self) -> bool:
        """Return whether another batch is complete; a fetch may end in the middle of one."""
        return len(self._data) >= _LENGTH.size and self._end() <= len(self._data)

    def next_batch(self) -> memoryview:
        """Take the next batch out."""
        end = self._end()
        batch, self._data = self._data[:end], self._data[end:]
        return batch

    def _end(self) -> int:
        end: int = _LENGTH.size + _LENGTH.unpack_from(self._data)[1]
        # an impossible length: nothing that follows can be found
        return end if end >= _MIN_LEGACY else len(self._data)


class PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of a fetch of one partition. Raises nothing; `next_fetch_offset` moves past what is unreadable."""

    plain = False
    """Whether records are handed over as they were unpacked, not each copied into one that names topic and partition."""

    def _unpack_records(self) -> Iterator[Any]:
        while self._records.has_next():
            yield from self._unpack_batch(self._records.next_batch())

    def _unpack_batch(self, raw: memoryview) -> Iterator[Any]:
        try:
            batch = _open(raw)
            if self._is_left_out(batch):
                self.next_fetch_offset = batch.next_offset
                return
            records = _read_batch(raw, batch)
        except Exception as error:  # noqa: BLE001 - the border: a batch may be broken in any way
            whole = _set_batch_aside(raw, self.next_fetch_offset, _say(error))
            self.next_fetch_offset = whole.offset + 1
            yield self._placed(whole)
            return
        for record in records:
            if record.offset < self.next_fetch_offset:
                continue  # of a batch that begins before the offset asked for
            self.next_fetch_offset = record.offset + 1
            if isinstance(record, UnreadableRecord):
                yield self._placed(record)
            elif self.plain:
                yield record
            else:
                yield self._consumer_record(self._tp, record)
        if batch.next_offset is not None:
            self.next_fetch_offset = max(self.next_fetch_offset, batch.next_offset)

    def _placed(self, record: UnreadableRecord) -> UnreadableRecord:
        return record._replace(topic=self._tp.topic, partition=self._tp.partition)

    def _is_left_out(self, batch: Any) -> bool:
        """Return whether the batch is a marker, or of a transaction that was aborted."""
        if batch.producer_id is not None and self._isolation_level == fetcher.READ_COMMITTED:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and self._contains_abort_marker(batch):
                self._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return True
        return bool(batch.is_control_batch)


class FetchResult(fetcher.FetchResult):  # type: ignore[misc]
    """A fetch of one partition, handed over in parts that are bounded by bytes, too."""

    _partition_records: Any

    @property
    def next_offset(self) -> int | None:
        """The offset of the next record that `getall` may return; None where nothing is left."""
        return None if self._partition_records is None else int(self._partition_records.next_fetch_offset)

    @property
    def position(self) -> int | None:
        """The offset up to which the partition was handed over; None where it is no longer assigned."""
        if not self._assignment.active:
            return None
        state = self._assignment.state_value(self._topic_partition)
        return int(state.position) if state.has_valid_position else None

    def getall(self, max_records: int | None = None) -> list[Any]:
        """Return the next records: no more than so many, and none more once they have MAX_AT_ONCE bytes."""
        return self._take(max_records)[0]

    def take(self, limit: int) -> tuple[list[Any], int]:
        """Return the next records as `getall` does, each with the fields of a `Record` alone, and about their bytes."""
        if self._partition_records is not None:
            self._partition_records.plain = True
        return self._take(limit)

    def _take(self, limit: int | None) -> tuple[list[Any], int]:
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return [], 0
        found: list[Any] = []
        size = 0
        for record in self._partition_records:
            found.append(record)
            size += size_of(record)
            if size >= MAX_AT_ONCE or (limit is not None and len(found) >= limit):
                self._update_position()
                return found, size
        self._update_position()
        self._partition_records = None
        return found, size


fetcher.MemoryRecords = RawBatches
fetcher.PartitionRecords = PartitionRecords
fetcher.FetchResult = FetchResult


def _open(raw: memoryview) -> Any:
    """Return the batch, not unpacked yet. Raises whatever is wrong with it."""
    if len(raw) < _MIN_LEGACY:
        raise Undecodable("its length is impossible")
    magic = raw[_MAGIC_AT]
    if magic >= 2 and len(raw) < _HEADER.size:
        raise Undecodable("its length is impossible")
    batch = DefaultRecordBatch(raw) if magic >= 2 else LegacyRecordBatch(raw, magic)
    if not batch.validate_crc():
        raise Undecodable("the checksum is wrong")
    return batch


def _read_batch(raw: memoryview, batch: Any) -> Iterator[Any]:
    """Return the records of a batch. Raises what is wrong with all of it, before the first record."""
    if raw[_MAGIC_AT] < 2:
        _check_legacy(raw)
        return iter(list(batch))
    header = _HEADER.unpack_from(raw)
    codec = header[5] & _CODEC
    payload, complete = decompress(codec, raw[_HEADER.size :], MAX_UNPACKED)
    if complete and len(payload) <= MAX_AT_ONCE and header[12] <= MAX_IN_ONE_PIECE:
        try:
            return iter(list(_uncompressed(raw, header, payload) if codec else batch))
        except Exception:  # noqa: BLE001 - the same border, for one record: find out which
            return _read_one_by_one(payload, header, complete=True)
    return _read_one_by_one(payload, header, complete=complete)


def _check_legacy(raw: memoryview) -> None:
    """Raise Undecodable where an old batch is compressed and would become too large: the client has no limit."""
    codec = raw[_MAGIC_AT + 1] & _CODEC
    if codec == Codec.NONE:
        return
    at = _MAGIC_AT + (2 if raw[_MAGIC_AT] == 0 else 10)
    key: int = _SIZE.unpack_from(raw, at)[0]
    at += _SIZE.size + max(key, 0)
    size: int = _SIZE.unpack_from(raw, at)[0]
    if key < -1 or not 0 <= size <= len(raw) - at - _SIZE.size:
        raise Undecodable("a part is longer than the batch")
    at += _SIZE.size
    if not decompress(codec, raw[at : at + size], MAX_UNPACKED).complete:
        raise Undecodable(f"it has more than {MAX_UNPACKED >> 20} MB when decompressed")


def _uncompressed(raw: memoryview, header: tuple[int, ...], payload: bytes | memoryview) -> Any:
    plain = bytearray(raw[: _HEADER.size])
    plain[_ATTRIBUTES_AT : _ATTRIBUTES_AT + 2] = (header[5] & ~_CODEC).to_bytes(2, "big", signed=True)
    plain += payload
    return DefaultRecordBatch(bytes(plain))


class _PlainRecord:
    __slots__ = ("headers", "key", "offset", "timestamp", "timestamp_type", "value")

    checksum = None

    def __init__(
        self, offset: int, timestamp: int, timestamp_type: int, key: bytes | None, value: bytes | None
    ) -> None:
        self.offset, self.timestamp, self.timestamp_type = offset, timestamp, timestamp_type
        self.key, self.value = key, value
        self.headers: list[tuple[str, bytes | None]] = []


def _read_one_by_one(
    payload: bytes | memoryview, header: tuple[int, ...], *, complete: bool
) -> Iterator[_PlainRecord | UnreadableRecord]:
    """Read the records of a decompressed batch, and each that is broken as an UnreadableRecord."""
    base, last, count = header[0], header[0] + header[6], header[12]
    data = memoryview(payload)
    at, before = 0, base - 1
    for _ in range(count):
        try:
            length, begin = decode_varint(data, at)
        except (ValueError, IndexError):
            break
        if length <= 0 or begin + length > len(data):
            break
        at = begin + length
        record = _read_record(data[begin:at], header, before)
        before = max(before, record.offset)
        yield record
    else:
        return
    if before < last:
        problem = (
            f"the batch ends in the middle of a record; offsets {before + 1} to {last} are not read"
            if complete
            else f"the batch has more than {MAX_UNPACKED >> 20} MB when decompressed; "
            f"offsets {before + 1} to {last} are not read"
        )
        reason = "unreadable" if complete else "too-large"
        yield UnreadableRecord(
            before + 1, _timestamp(header), None, bytes(data[at : at + KEPT_BYTES]), (), reason, problem
        )


def _read_record(data: memoryview, header: tuple[int, ...], before: int) -> _PlainRecord | UnreadableRecord:
    offset, timestamp = before + 1, _timestamp(header)
    try:
        delta, at = decode_varint(data, 1)
        if not header[5] & _LOG_APPEND_TIME:
            timestamp = header[7] + delta
        delta, at = decode_varint(data, at)
        if before < header[0] + delta <= header[0] + header[6]:
            offset = header[0] + delta
        key, at = _read_bytes(data, at)
        value, at = _read_bytes(data, at)
        names = _read_headers(data, at)
    except (ValueError, IndexError) as error:
        return UnreadableRecord(
            offset,
            timestamp,
            None,
            bytes(data[:KEPT_BYTES]),
            (),
            "unreadable",
            f"the record is broken: {error}",
        )
    try:
        headers = [(name.decode(), content) for name, content in names]
    except UnicodeDecodeError as error:
        shown = [(name.decode(errors="backslashreplace"), content or b"") for name, content in names]
        problem = f"the header name {error.object[:100]!r} is not UTF-8"
        return UnreadableRecord(offset, timestamp, key, value, shown, "unreadable", problem)
    record = _PlainRecord(offset, timestamp, int(bool(header[5] & _LOG_APPEND_TIME)), key, value)
    record.headers = headers
    return record


def _read_headers(data: memoryview, at: int) -> list[tuple[bytes, bytes | None]]:
    """Read the headers, which end where the record does. Raises ValueError or IndexError."""
    found: list[tuple[bytes, bytes | None]] = []
    count, at = decode_varint(data, at)
    for _ in range(count):
        name, at = _read_bytes(data, at)
        content, at = _read_bytes(data, at)
        found.append((name or b"", content))
    if at != len(data) or count < 0:
        raise ValueError("its length is wrong")
    return found


def _read_bytes(data: memoryview, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(data, at)
    if length < 0:
        return None, at
    if at + length > len(data):
        raise ValueError("a part is longer than the record")
    return bytes(data[at : at + length]), at + length


def _timestamp(header: tuple[int, ...]) -> int:
    return header[8] if header[5] & _LOG_APPEND_TIME else header[7]


def _last_offset(raw: memoryview, asked: int) -> int:
    """Return the last offset of a broken batch: what its header says where that can be, else the one asked for."""
    if len(raw) < _HEADER.size or raw[_MAGIC_AT] < 2:
        return max(asked, _LENGTH.unpack_from(raw)[0] if len(raw) >= _LENGTH.size else asked)
    header = _HEADER.unpack_from(raw)
    # both are in the part that the checksum covers: where they agree, neither is what is broken
    last: int = header[0] + header[6] if 0 <= header[6] == header[12] - 1 else header[0]
    return max(asked, last)


def _set_batch_aside(raw: memoryview, asked: int, problem: str) -> UnreadableRecord:
    """Return what stands for the whole batch, at its last offset: a reader that begins behind it does not meet it."""
    last = _last_offset(raw, asked)
    first = min(_LENGTH.unpack_from(raw)[0], last) if len(raw) >= _LENGTH.size else asked
    text = f"a batch of {len(raw)} bytes, offsets {first} to {last}, cannot be unpacked: {problem}"
    return UnreadableRecord(last, -1, None, bytes(raw), (), "unreadable", text)


def _say(error: Exception) -> str:
    return str(error) if isinstance(error, Undecodable) else f"{type(error).__name__}: {error}"
