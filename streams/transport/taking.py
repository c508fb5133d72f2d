"""Take records out of what aiokafka has fetched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

TAKEN_BYTES: Final = 32 * 1024 * 1024
"""Bytes of records that are taken at a time, over all partitions."""


class Taken(NamedTuple):
    """The next records of a fetch of one partition. There may be none where only markers of transactions were."""

    records: list[Any]
    begin: int
    """The offset from which the broker was asked: later than expected where records are gone."""
    position: int
    """The next offset to read."""
    size: int
    """About the bytes of the records."""


Take = Callable[[Any, int], Taken | None]
"""Takes up to so many records out of a fetch; None where the partition is no longer assigned."""


def take_records(result: Any, limit: int) -> Taken | None:
    """Take records out of aiokafka's own `FetchResult`."""
    inner = result._partition_records
    begin = None if inner is None else int(inner.next_fetch_offset)
    records = result.getall(limit)
    assignment, tp = result._assignment, result._topic_partition
    if not assignment.active or not (state := assignment.state_value(tp)).has_valid_position:
        return None
    position = int(state.position)
    size = sum(len(one.key or b"") + len(one.value or b"") for one in records)
    return Taken(records, position if begin is None else begin, position, size)
