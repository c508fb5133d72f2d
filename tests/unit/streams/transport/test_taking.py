"""Records are taken out of the client's own fetches, and none of those that are no longer its partition's."""

from __future__ import annotations

from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.consumer.subscription_state import Assignment

from resegment.streams.transport.taking import Taken, take_records

TP = TopicPartition("topic", 0)


class Record:
    def __init__(self, offset: int) -> None:
        self.offset, self.key, self.value = offset, b"k", b"value"


class Records:
    """Some records as aiokafka iterates over them: with the offset to go on at."""

    def __init__(self, first: int, records: list[Record], end: int) -> None:
        self.next_fetch_offset = first
        self._left = records
        self._end = end

    def __iter__(self) -> Records:
        return self

    def __next__(self) -> Record:
        if not self._left:
            self.next_fetch_offset = self._end
            raise StopIteration
        record = self._left.pop(0)
        self.next_fetch_offset = record.offset + 1
        return record


def fetch(first: int, offsets: list[int], end: int) -> tuple[Any, Assignment]:
    assignment = Assignment([TP])
    assignment.state_value(TP).reset_to(first)
    records = Records(first, [Record(one) for one in offsets], end)
    # the client's own class, whatever was put in its place in this process
    original = next(one for one in FetchResult.__mro__[::-1] if one.__name__ == "FetchResult")
    result = original(TP, assignment=assignment, partition_records=records, backoff=0)
    return result, assignment


def offsets(taken: Taken | None) -> list[int]:
    assert taken is not None
    return [record.offset for record in taken.records]


async def test_no_more_records_are_taken_than_asked_for_and_the_rest_stays() -> None:
    result, _ = fetch(10, [10, 11, 14], 16)
    first = take_records(result, 2)
    assert (offsets(first), first and first[1:]) == ([10, 11], (10, 12, 12))
    assert result.has_more()
    second = take_records(result, 2)
    assert (offsets(second), second and second[1:]) == ([14], (12, 16, 6))
    assert not result.has_more()


async def test_a_fetch_with_markers_alone_moves_on_without_records() -> None:
    assert take_records(fetch(10, [], 13)[0], 5) == Taken([], 10, 13, 0)


async def test_nothing_is_taken_of_a_partition_that_is_no_longer_assigned() -> None:
    result, assignment = fetch(10, [10], 11)
    assignment._unassign()
    assert take_records(result, 5) is None
