"""Consecutive records of one partition, on their way through an agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from resegment.streams.transport.offset_tracker import OffsetTracker


class Chunk:
    """Records in offset order, never none, and the tracker that waits for them.

    `start` is the offset from which they were read: up to the first record there were only markers of transactions.
    `end` is the offset after the last record. The chunk is stale once its partition has another tracker.
    """

    __slots__ = ("__weakref__", "end", "partition", "records", "start", "topic", "tracker")

    def __init__(self, topic: str, partition: int, records: Sequence[Any], tracker: OffsetTracker) -> None:
        self.topic, self.partition, self.records = topic, partition, records
        self.tracker = tracker
        self.start: int | None = tracker.start
        self.end: int = records[-1].offset + 1
        tracker.hand_out(self.end)

    def complete(self) -> None:
        """Acknowledge it: all its effects are durable."""
        self.tracker.complete(self.end)
