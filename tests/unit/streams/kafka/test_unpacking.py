"""Raw record batches, as producers and broken disks make them, through the client's own fetch."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from resegment.agents.batch import UnreadableRecord
from resegment.streams.kafka import unpacking
from tests.raw_batches import CODECS, HEADER, NOON, Given, batch_of, compress, seal, varint

TP = TopicPartition("triggers.funding", 0)


def unpack(data: bytes, *, offset: int = 0, aborted: Sequence[tuple[int, int]] = ()) -> tuple[list[Any], int]:
    """Return what the client makes of a fetch, and where it reads on."""
    records = fetcher.PartitionRecords(
        TP, fetcher.MemoryRecords(data), list(aborted), offset, None, None, True, READ_COMMITTED
    )
    return list(records), records.next_fetch_offset


def values(found: Sequence[Any]) -> list[bytes]:
    return [one.value for one in found if not isinstance(one, UnreadableRecord)]


def problems(found: Sequence[Any]) -> list[tuple[int, str, str]]:
    return [(one.offset, one.reason, one.problem) for one in found if isinstance(one, UnreadableRecord)]


@pytest.mark.parametrize("codec", CODECS)
def test_records_of_every_codec_are_read(codec: str) -> None:
    found, position = unpack(batch_of([b"one", b"two", b"three" * 1000], base=7, codec=codec), offset=7)
    assert values(found) == [b"one", b"two", b"three" * 1000]
    assert [one.offset for one in found] == [7, 8, 9]
    assert position == 10


@pytest.mark.parametrize("codec", CODECS)
def test_a_header_name_that_is_not_text_sets_one_record_aside(codec: str) -> None:
    data = batch_of([b"one", Given(b"two", b"\xff\xfe"), Given(b"three", b"name")], codec=codec)
    found, position = unpack(data)
    assert values(found) == [b"one", b"three"]
    assert found[2].headers == (("name", b"x"),)
    assert problems(found) == [(1, "unreadable", r"the header name b'\xff\xfe' is not UTF-8")]
    assert found[1].value == b"two"
    assert found[1].headers == [("\\xff\\xfe", b"x")]
    assert position == 3


def test_a_batch_with_a_wrong_checksum_is_set_aside_whole_and_the_next_one_is_read() -> None:
    broken = bytearray(batch_of([b"one", b"two"]))
    broken[-2] ^= 0xFF
    found, position = unpack(bytes(broken) + batch_of([b"three"], base=2))
    text = f"a batch of {len(broken)} bytes, offsets 0 to 1, cannot be unpacked: the checksum is wrong"
    assert problems(found) == [(1, "unreadable", text)]
    assert (found[0].topic, found[0].partition, found[0].value) == (TP.topic, TP.partition, bytes(broken))
    assert values(found) == [b"three"]
    assert position == 3


def test_an_unknown_codec_is_set_aside_with_its_bytes() -> None:
    data = seal(b"whatever", 3, base=5, attributes=6)
    found, position = unpack(data + batch_of([b"good"], base=8), offset=5)
    text = f"a batch of {len(data)} bytes, offsets 5 to 7, cannot be unpacked: unknown compression codec 6"
    assert problems(found) == [(7, "unreadable", text)]
    assert (values(found), position) == ([b"good"], 9)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_bytes_that_a_codec_cannot_read_are_set_aside(codec: str) -> None:
    found, position = unpack(seal(b"\x01garbage", 2, attributes=CODECS[codec]) + batch_of([b"good"], base=2))
    assert [one[:2] for one in problems(found)] == [(1, "unreadable")]
    assert (values(found), position) == ([b"good"], 3)


def test_a_broken_batch_has_the_same_offset_wherever_reading_begins_in_it() -> None:
    data = seal(b"whatever", 3, base=5, attributes=6)
    for offset in (5, 6, 7):
        found, position = unpack(data, offset=offset)
        assert ([one[0] for one in problems(found)], position) == ([7], 8)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_a_small_batch_that_holds_hundreds_of_megabytes_takes_little_memory(codec: str) -> None:
    body = bytearray()
    for delta, value in enumerate((b"good", bytes(200_000_000))):
        record = b"\x00" + varint(0) + varint(delta) + varint(-1) + varint(len(value)) + value + varint(0)
        body += varint(len(record)) + record
    data = seal(compress(codec, bytes(body)), 2, attributes=CODECS[codec]) + batch_of([b"next"], base=2)
    del body
    tracemalloc.start()
    try:
        found, position = unpack(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 180_000_000
    assert [one[:2] for one in problems(found)][-1][1] == "too-large"
    assert values(found)[-1] == b"next"
    assert position == 3


def test_a_batch_that_says_more_records_than_it_has_keeps_those_that_it_has() -> None:
    whole = batch_of([b"one", b"two"])
    data = seal(whole[HEADER.size :], 4) + batch_of([b"good"], base=4)
    found, position = unpack(data)
    assert values(found) == [b"one", b"two", b"good"]
    assert [one[:2] for one in problems(found)] == [(2, "unreadable")]
    assert position == 5


def test_what_an_aborted_transaction_wrote_is_left_out_and_its_marker_moves_the_position() -> None:
    data = batch_of([b"gone"], attributes=0x10, producer=9) + batch_of([b"kept"], base=1)
    marker = seal(
        varint(10)
        + b"\x00"
        + varint(0)
        + varint(0)
        + varint(4)
        + b"\x00\x00\x00\x00"
        + varint(-1)
        + varint(0),
        1,
        base=2,
        attributes=0x30,
        producer=9,
    )
    found, position = unpack(data + marker, aborted=[(9, 0)])
    assert [one.value for one in found] == [b"kept"]
    assert position == 3


def test_a_fetch_that_ends_in_the_middle_of_a_batch_is_read_up_to_there() -> None:
    data = batch_of([b"one"]) + batch_of([b"two"], base=1)
    found, position = unpack(data[:-3])
    assert (values(found), position) == ([b"one"], 1)


@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    st.sampled_from(sorted(CODECS)),
)
def test_no_change_of_bytes_raises_or_stands_still(changes: list[tuple[int, int]], codec: str) -> None:
    data = bytearray(
        batch_of([b"one", Given(b"two", b"name")], codec=codec)
        + batch_of([b"three"] * 5, base=2, codec=codec)
    )
    for place, byte in changes:
        data[place % len(data)] = byte
    found, position = unpack(bytes(data))
    assert all(isinstance(one.offset, int) for one in found)
    if found:
        assert position > 0


@given(st.binary(max_size=200), st.integers(1, 5), st.sampled_from(sorted(CODECS)), st.booleans())
def test_no_content_under_a_right_checksum_raises(
    payload: bytes, count: int, codec: str, packed: bool
) -> None:
    data = seal(compress(codec, payload) if packed else payload, count, attributes=CODECS[codec])
    found, position = unpack(data + batch_of([b"next"], base=count))
    assert values(found)[-1:] == [b"next"]
    assert position == count + 1


def test_batches_that_the_client_builds_itself_are_read_as_before() -> None:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1_000_000)
    for number in range(100):
        builder.append(number, 1_700_000_000_000 + number, b"k", b"%d" % number, [("h", b"v")])
    found, position = unpack(bytes(builder.build()))
    assert [one.value for one in found] == [b"%d" % number for number in range(100)]
    assert [one.timestamp for one in found] == [1_700_000_000_000 + number for number in range(100)]
    assert all(one.headers == (("h", b"v"),) for one in found)
    assert position == 100
    assert unpacking.MAX_AT_ONCE < unpacking.MAX_UNPACKED


@pytest.mark.parametrize("module", ["delivery.service", "kafka.topic_reader", "recovery.replay"])
def test_a_process_without_a_worker_unpacks_this_way_too(module: str) -> None:
    program = (
        f"import resegment.streams.{module}\n"
        "from aiokafka.consumer import fetcher\n"
        "print(fetcher.FetchResult.__module__)"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "resegment.streams.kafka.unpacking"


def fetch_of(data: bytes) -> Any:
    """Return a fetch of a partition that is assigned, as the client hands it over."""
    tps = SubscriptionState()
    tps.assign_from_user({TP})
    assignment = tps.subscription.assignment
    assignment.state_value(TP).seek(0)
    records = fetcher.PartitionRecords(
        TP, fetcher.MemoryRecords(data), [], 0, None, None, True, READ_COMMITTED
    )
    return fetcher.FetchResult(TP, assignment=assignment, partition_records=records, backoff=0.1)


async def test_bytes_in_headers_count_for_what_is_handed_over_together() -> None:
    data = batch_of([Given(b"", b"h" * 1_000_000)] * 30, codec="zstd")
    found = fetch_of(data).getall(1_000)
    assert len(found) == 9


async def test_a_million_empty_records_are_unpacked_as_they_are_taken() -> None:
    data = batch_of([b""] * 1_000_000, codec="zstd")
    fetch = fetch_of(data)
    tracemalloc.start()
    try:
        found = fetch.getall(250)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [one.offset for one in found] == list(range(250))
    assert peak < 40_000_000


@pytest.mark.parametrize("magic", [0, 1])
def test_an_old_batch_that_holds_hundreds_of_megabytes_is_set_aside(magic: int) -> None:
    def message(value: bytes, attributes: int) -> bytes:
        builder = LegacyRecordBatchBuilder(magic, 0, 1 << 30)
        builder.append(0, timestamp=NOON, key=None, value=value)
        made = bytearray(builder.build())
        if attributes:
            made[17] |= attributes
            made[12:16] = (zlib.crc32(made[16:]) & 0xFFFFFFFF).to_bytes(4, "big")
        return bytes(made)

    small, big = (gzip.compress(message(b"x" * size, 0)) for size in (10, 200_000_000))
    found, position = unpack(message(small, 1))
    assert ([one.value for one in found], position) == ([b"x" * 10], 1)
    tracemalloc.start()
    try:
        found, position = unpack(message(big, 1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 180_000_000
    assert problems(found)[0][1] == "unreadable"
    assert position == 1
