"""The gateway reads produce requests and answers of every version that clients and the broker may agree on."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.protocol.producer import ProduceRequest, ProduceResponse

from resegment.embedded.gateway.wire import (
    Answered,
    Malformed,
    await_all,
    read_answer,
    read_produce,
    refuse,
)
from tests.unit.embedded.journal.records import make_batch

VERSIONS = range(3, 12)
ONE, TWO = make_batch([b"a", b"b"]), make_batch([b"c"])


def request(version: int, *, acks: int = -1, records: bytes = ONE + TWO) -> bytes:
    topic = ProduceRequest.TopicProduceData
    asked = ProduceRequest[version](
        transactional_id=None,
        acks=acks,
        timeout_ms=1_000,
        topic_data=[
            topic(
                name="signals",
                partition_data=[
                    topic.PartitionProduceData(index=3, records=records),
                    topic.PartitionProduceData(index=4, records=TWO),
                ],
            ),
            topic(name="größe", partition_data=[topic.PartitionProduceData(index=0, records=TWO)]),
        ],
    )
    asked.with_header(correlation_id=77, client_id="a client")
    return bytes(asked.encode(header=True, framed=True))


def answer(version: int) -> bytes:
    topic = ProduceResponse.TopicProduceResponse
    part = topic.PartitionProduceResponse
    told = ProduceResponse[version](
        responses=[
            topic(
                name="signals",
                partition_responses=[
                    part(
                        index=3,
                        error_code=0,
                        base_offset=17,
                        log_append_time_ms=-1,
                        log_start_offset=0,
                        record_errors=[
                            part.BatchIndexAndErrorMessage(batch_index=1, batch_index_error_message="no")
                        ],
                        error_message="some",
                    ),
                    part(
                        index=4,
                        error_code=6,
                        base_offset=-1,
                        log_append_time_ms=-1,
                        log_start_offset=-1,
                        record_errors=[],
                        error_message=None,
                    ),
                ],
            )
        ],
        throttle_time_ms=0,
    )
    told.with_header(correlation_id=77)
    return bytes(told.encode(header=True, framed=True))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_request_is_read_with_every_batch_in_it(version: int) -> None:
    produced = read_produce(request(version))
    assert (produced.version, produced.correlation, produced.acks) == (version, 77, -1)
    assert produced.appended == [("signals", 3, [ONE, TWO]), ("signals", 4, [TWO]), ("größe", 0, [TWO])]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_request_without_acks_is_sent_on_with_all_of_them(version: int) -> None:
    frame = request(version, acks=0)
    assert await_all(frame, read_produce(frame)) == request(version)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_answer_is_read(version: int) -> None:
    assert read_answer(answer(version), version) == [
        Answered("signals", 3, 0, 17),
        Answered("signals", 4, 6, -1),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_can_read_a_refusal(version: int) -> None:
    frame = refuse(read_produce(request(version)), 56)
    told: Any = ProduceResponse.decode(frame[4:], version=version, header=True)
    assert told.header.correlation_id == 77
    assert [
        (one.name, part.index, part.error_code) for one in told.responses for part in one.partition_responses
    ] == [("signals", 3, 56), ("signals", 4, 56), ("größe", 0, 56)]


@pytest.mark.parametrize(
    "records", [ONE[:-1], ONE + b"\0" * 20, ONE[:16] + b"\1" + ONE[17:], ONE[:8] + b"\xff" * 4 + ONE[12:]]
)
def test_records_that_are_no_batches_are_refused(records: bytes) -> None:
    with pytest.raises(Malformed):
        read_produce(request(7, records=records))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_request_that_ends_anywhere_is_refused(version: int) -> None:
    frame = request(version)
    for end in range(4, len(frame) - 3, 7):
        with pytest.raises(Malformed):
            read_produce(frame[:end])
