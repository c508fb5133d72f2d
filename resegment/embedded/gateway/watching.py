"""What the gateway looks at in requests and answers beside records: topics, committed offsets, and beginnings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from kafka.protocol.admin import (
    CreateTopicsRequest,
    CreateTopicsResponse,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
)
from kafka.protocol.consumer import ListOffsetsResponse, OffsetCommitRequest, OffsetCommitResponse

from resegment.embedded.gateway.wire import (
    CREATE_TOPICS,
    DELETE_TOPICS,
    OFFSET_COMMIT,
    SIZE,
    Malformed,
    RequestHead,
)
from resegment.embedded.journal.draft import Draft
from resegment.embedded.journal.entries import OffsetsCommitted

log = logging.getLogger(__name__)

Note = Callable[[Draft], object]
"""Adds something to a group."""
_EARLIEST: Final = -2


class Watched(NamedTuple):
    """A kind of request: how it and its answer are decoded, what to note of them, and whether the client waits for that."""

    request: Any
    answer: Any
    find: Callable[[Any, Any], list[Note]]
    waits: bool


def decode_request(frame: bytes, head: RequestHead, kind: Any) -> Any:
    """Return a decoded request, given with its length. Raises Malformed."""
    try:
        return kind.decode(frame[SIZE.size :], version=head.version, header=True)
    except Exception as error:  # the border: a client may send anything
        raise Malformed(f"it cannot be decoded: {error!r}") from error


def find_notes(kind: Watched, asked: Any, answer: bytes, head: RequestHead) -> list[Note]:
    """Return what to note of a request that the broker has answered."""
    try:
        told = kind.answer.decode(answer[SIZE.size :], version=head.version, header=True)
    except Exception as error:  # noqa: BLE001 - the border: the client gets the answer as it is
        log.error("an answer of the broker cannot be decoded: %r", error)  # noqa: TRY400  # where is no matter
        return []
    return kind.find(asked, told)


def correct_beginnings(
    asked: Any, answer: bytes, head: RequestHead, starts: Mapping[tuple[str, int], int]
) -> bytes:
    """Return an answer to ListOffsets with the true beginnings: the broker holds offsets that stand for nothing."""
    wanted = {
        (one.name, part.partition_index)
        for one in asked.topics
        for part in one.partitions
        if part.timestamp == _EARLIEST and (one.name, part.partition_index) in starts
    }
    if not wanted:
        return answer
    told = ListOffsetsResponse.decode(answer[SIZE.size :], version=head.version, header=True)
    for one in told.topics:
        for part in one.partitions:
            if (one.name, part.partition_index) in wanted and not part.error_code:
                part.offset = starts[one.name, part.partition_index]
    corrected: bytes = told.encode(header=True, framed=True)
    return bytes(corrected)


def _find_created(asked: Any, told: Any) -> list[Note]:
    refused = {one.name for one in told.topics if one.error_code}
    if getattr(asked, "validate_only", False):
        return []
    return [
        partial(
            Draft.make_topic,
            name=one.name,
            partitions=max(one.num_partitions, len(one.assignments or ())),
            configs={config.name: config.value for config in one.configs if config.value is not None},
        )
        for one in asked.topics
        if one.name not in refused
    ]


def _find_deleted(asked: Any, told: Any) -> list[Note]:  # noqa: ARG001  # one signature
    return [
        partial(Draft.delete_topic, name=one.name)
        for one in told.responses
        if not one.error_code and one.name
    ]


def _find_committed(asked: Any, told: Any) -> list[Note]:
    refused = {
        (one.name, part.partition_index) for one in told.topics for part in one.partitions if part.error_code
    }
    offsets = [
        (one.name, part.partition_index, part.committed_offset)
        for one in asked.topics
        for part in one.partitions
        if (one.name, part.partition_index) not in refused
    ]
    return [partial(Draft.add, entry=OffsetsCommitted(asked.group_id, offsets))] if offsets else []


WATCHED: Final = {
    CREATE_TOPICS: Watched(CreateTopicsRequest, CreateTopicsResponse, _find_created, True),
    DELETE_TOPICS: Watched(DeleteTopicsRequest, DeleteTopicsResponse, _find_deleted, True),
    OFFSET_COMMIT: Watched(OffsetCommitRequest, OffsetCommitResponse, _find_committed, False),
}
