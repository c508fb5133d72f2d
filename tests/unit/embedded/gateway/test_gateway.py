"""Records that the broker would refuse, or that a restart could not give back, never get into the journal."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka.record.util import calc_crc32c
from kafka.protocol.producer import ProduceRequest, ProduceResponse

from resegment.embedded.gateway.committer import Committer
from resegment.embedded.gateway.gateway import Gateway
from resegment.embedded.gateway.wire import read_produce
from resegment.embedded.journal.draft import Draft
from resegment.embedded.journal.journal import open_journal
from tests.unit.embedded.journal.records import make_batch, read_back

HOST = "127.0.0.1"
VERSION = 7
UNKNOWN = "unknown"
"""A topic that the broker does not make by itself."""
GOOD = make_batch([b"a", b"b"])


def changed(form: str, at: int, value: int) -> bytes:
    """Return a batch with one field changed, and a checksum that fits."""
    batch = bytearray(GOOD)
    struct.pack_into(form, batch, at, value)
    struct.pack_into(">I", batch, 17, calc_crc32c(bytes(batch[21:])))
    return bytes(batch)


def request(topic: str, partition: int, records: bytes, *, acks: int = -1) -> bytes:
    data = ProduceRequest.TopicProduceData
    parts = [data.PartitionProduceData(index=partition, records=records)]
    asked = ProduceRequest[VERSION](
        transactional_id=None,
        acks=acks,
        timeout_ms=1_000,
        topic_data=[data(name=topic, partition_data=parts)],
    )
    asked.with_header(correlation_id=1, client_id="c")
    return bytes(asked.encode(header=True, framed=True))


async def serve_as_broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Append whatever comes, as a broker would that checks nothing."""
    ends: dict[tuple[str, int], int] = {}
    topic = ProduceResponse.TopicProduceResponse
    with suppress(asyncio.IncompleteReadError):
        while True:
            size = await reader.readexactly(4)
            produced = read_produce(size + await reader.readexactly(struct.unpack(">i", size)[0]))
            told = []
            for one in produced.appended:
                known = one.topic != UNKNOWN
                base = ends.get((one.topic, one.partition), 0) if known else -1
                ends[one.topic, one.partition] = base + sum(
                    struct.unpack_from(">i", batch, 23)[0] + 1 for batch in one.batches
                )
                part = topic.PartitionProduceResponse(
                    index=one.partition,
                    error_code=0 if known else 3,
                    base_offset=base,
                    log_append_time_ms=-1,
                    log_start_offset=0,
                )
                told.append(topic(name=one.topic, partition_responses=[part]))
            answer = ProduceResponse[VERSION](responses=told, throttle_time_ms=0)
            answer.with_header(correlation_id=produced.correlation)
            writer.write(bytes(answer.encode(header=True, framed=True)))
    writer.close()


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Gateway, int]]:
    """Serve a journal with the topic `signals` of two partitions."""
    journal = open_journal(folder)
    draft = Draft(journal.catalog)
    draft.make_topic("signals", 2, {})
    journal.writer.append(draft.parts)
    draft.apply()
    committer = Committer(journal.writer, journal.catalog, on_closed=lambda _: None, on_full=lambda _: None)
    writing = asyncio.create_task(committer.run())
    broker = await asyncio.start_server(serve_as_broker, HOST, 0)
    gateway = Gateway(committer, HOST, broker.sockets[0].getsockname()[1])
    await gateway.start()
    server = await asyncio.get_running_loop().create_server(gateway.accept, HOST, 0)
    try:
        yield gateway, server.sockets[0].getsockname()[1]
        assert not writing.done()
        await gateway.stop()
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        committer.close()
        server.close()
        broker.close()


async def ask(port: int, frames: Sequence[bytes], answers: int) -> list[tuple[int, int]]:
    """Return the error and the offset of each answer."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"".join(frames))
    found = []
    for _ in range(answers):
        size = await reader.readexactly(4)
        told: Any = ProduceResponse.decode(
            await reader.readexactly(struct.unpack(">i", size)[0]), version=VERSION, header=True
        )
        part = told.responses[0].partition_responses[0]
        found.append((part.error_code, part.base_offset))
    writer.close()
    return found


@pytest.mark.parametrize(
    ("topic", "partition", "records", "error"),
    [
        pytest.param("signals", 2, GOOD, 3, id="partition"),
        pytest.param("signals", -1, GOOD, 3, id="negative-partition"),
        pytest.param("unknown", 99, GOOD, 3, id="partition-of-an-unknown-topic"),
        pytest.param("../signals", 0, GOOD, 17, id="path-as-topic"),
        pytest.param("", 0, GOOD, 17, id="no-topic"),
        pytest.param("signals", 0, b"", 87, id="no-records"),
        pytest.param("signals", 0, GOOD[:-1] + b"\xff", 2, id="checksum"),
        pytest.param("signals", 0, changed(">i", 23, -2), 87, id="offsets-back"),
        pytest.param("signals", 0, changed(">i", 23, 1 << 30), 87, id="offsets-ahead"),
        pytest.param("signals", 0, changed(">h", 21, 0x20), 87, id="control"),
        pytest.param("signals", 0, changed(">h", 21, 0x10), 87, id="transaction"),
        pytest.param("signals", 0, changed(">q", 43, 7), 87, id="producer-id"),
        pytest.param("signals", 0, changed(">h", 21, 0x07), 76, id="codec"),
    ],
)
async def test_records_that_no_restart_could_give_back_are_refused(
    tmp_path: Path, topic: str, partition: int, records: bytes, error: int
) -> None:
    async with serving(tmp_path) as (gateway, port):
        bad, good = request(topic, partition, records), request("signals", 0, GOOD)
        assert await ask(port, [good, bad, good], 3) == [(0, 0), (error, -1), (0, 2)]
        assert await ask(port, [request(topic, partition, records, acks=0), good], 1) == [(0, 4)]
        assert not gateway.failed.done()
    log, catalog = read_back(tmp_path)
    assert log == {("signals", 0): [(at, b"ab"[at % 2 : at % 2 + 1]) for at in range(6)]}
    assert [one.name for one in catalog.topics.values()] == ["signals"]


async def test_what_follows_a_request_that_is_none_is_not_taken(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, port):
        with pytest.raises(asyncio.IncompleteReadError):
            await ask(port, [request("signals", 0, GOOD + b"\0"), request("signals", 0, GOOD)], 1)
    assert read_back(tmp_path)[0] == {}


async def test_a_topic_that_the_broker_makes_by_itself_has_its_partitions(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, port):
        some = [request("new", partition, GOOD) for partition in (3, 3, 0)]
        assert await ask(port, some, 3) == [(0, 0), (0, 2), (0, 0)]
        assert await ask(port, [request("new", 4, GOOD)], 1) == [(3, -1)]


async def test_a_topic_that_is_not_there_ends_nothing_and_is_not_made_at_the_next_start(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as (gateway, port):
        gone, good = request(UNKNOWN, 0, GOOD), request("signals", 1, GOOD)
        assert await ask(port, [gone, good, gone, gone], 4) == [(3, -1), (0, 0), (3, -1), (3, -1)]
        assert not gateway.failed.done()
    log, catalog = read_back(tmp_path)
    assert list(log) == [("signals", 1)]
    assert list(catalog.numbers) == ["signals"]
