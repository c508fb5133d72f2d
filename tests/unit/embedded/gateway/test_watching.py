"""What the gateway notes of topics and offsets, and what it says of beginnings, in every version of the requests."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.protocol.admin import CreateTopicsRequest, CreateTopicsResponse
from kafka.protocol.consumer import (
    ListOffsetsRequest,
    ListOffsetsResponse,
    OffsetCommitRequest,
    OffsetCommitResponse,
)

from resegment.embedded.gateway.watching import WATCHED, correct_beginnings, decode_request, find_notes
from resegment.embedded.gateway.wire import CREATE_TOPICS, OFFSET_COMMIT, Malformed, read_head
from resegment.embedded.journal.catalog import Catalog
from resegment.embedded.journal.draft import Draft


def framed(message: Any) -> bytes:
    message.with_header(correlation_id=5)
    return bytes(message.encode(header=True, framed=True))


def note(key: int, request: bytes, answer: bytes, catalog: Catalog) -> None:
    head = read_head(request)
    draft = Draft(catalog)
    for one in find_notes(WATCHED[key], decode_request(request, head, WATCHED[key].request), answer, head):
        one(draft)
    draft.apply()


@pytest.mark.parametrize("version", range(2, 8))
def test_a_topic_is_noted_with_its_settings_once_the_broker_has_made_it(version: int) -> None:
    topic = CreateTopicsRequest.CreatableTopic
    made = [
        topic(
            name=name,
            num_partitions=3,
            replication_factor=1,
            assignments=[],
            configs=[topic.CreatableTopicConfig(name="retention.ms", value="60000")],
        )
        for name in ("good", "refused")
    ]
    request = framed(CreateTopicsRequest[version](topics=made, timeout_ms=1_000, validate_only=False))
    result = CreateTopicsResponse.CreatableTopicResult
    told = [result(name="good", error_code=0), result(name="refused", error_code=36)]
    catalog = Catalog()
    note(
        CREATE_TOPICS,
        request,
        framed(CreateTopicsResponse[version](throttle_time_ms=0, topics=told)),
        catalog,
    )
    (one,) = catalog.topics.values()
    assert (one.name, one.partitions, one.configs) == ("good", 3, {"retention.ms": "60000"})


@pytest.mark.parametrize("version", range(2, 10))
def test_offsets_are_noted_that_the_broker_has_taken(version: int) -> None:
    topic = OffsetCommitRequest.OffsetCommitRequestTopic
    parts = [
        topic.OffsetCommitRequestPartition(
            partition_index=number, committed_offset=10 + number, committed_metadata=""
        )
        for number in (0, 1)
    ]
    request = framed(
        OffsetCommitRequest[version](
            group_id="readers",
            generation_id_or_member_epoch=1,
            member_id="one",
            topics=[topic(name="signals", partitions=parts)],
        )
    )
    answered = OffsetCommitResponse.OffsetCommitResponseTopic
    told = [
        answered.OffsetCommitResponsePartition(partition_index=number, error_code=code)
        for number, code in ((0, 0), (1, 22))
    ]
    catalog = Catalog()
    answer = framed(
        OffsetCommitResponse[version](throttle_time_ms=0, topics=[answered(name="signals", partitions=told)])
    )
    note(OFFSET_COMMIT, request, answer, catalog)
    assert catalog.offsets == {"readers": {("signals", 0): 10}}


@pytest.mark.parametrize("version", range(1, 10))
def test_the_beginning_of_a_partition_is_that_of_its_records(version: int) -> None:
    topic = ListOffsetsRequest.ListOffsetsTopic
    parts = [
        topic.ListOffsetsPartition(partition_index=number, current_leader_epoch=-1, timestamp=at)
        for number, at in ((0, -2), (1, -1), (2, -2))
    ]
    request = framed(
        ListOffsetsRequest[version](
            replica_id=-1, isolation_level=0, topics=[topic(name="changes", partitions=parts)], timeout_ms=1
        )
    )
    answered = ListOffsetsResponse.ListOffsetsTopicResponse
    told = [
        answered.ListOffsetsPartitionResponse(
            partition_index=number, error_code=0, timestamp=-1, offset=offset, leader_epoch=0
        )
        for number, offset in ((0, 0), (1, 90), (2, 0))
    ]
    answer = framed(
        ListOffsetsResponse[version](throttle_time_ms=0, topics=[answered(name="changes", partitions=told)])
    )
    head = read_head(request)
    asked = decode_request(request, head, ListOffsetsRequest)
    starts = {("changes", 0): 40, ("changes", 1): 40}
    corrected = ListOffsetsResponse.decode(
        correct_beginnings(asked, answer, head, starts)[4:], version=version, header=True
    )
    assert [part.offset for one in corrected.topics for part in one.partitions] == [40, 90, 0]
    assert correct_beginnings(asked, answer, head, {}) == answer


def test_what_is_no_request_is_refused() -> None:
    with pytest.raises(Malformed):
        decode_request(
            b"\0\0\0\x0a\0\x08\0\x02\0\0\0\1",
            read_head(b"\0\0\0\x0a\0\x08\0\x02\0\0\0\1"),
            OffsetCommitRequest,
        )
