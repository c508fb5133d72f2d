"""A batch on its way through an agent."""

from __future__ import annotations

from resegment.agents.batch import Batch
from resegment.streams.consumer.offset_tracker import OffsetTracker


class Chunk:
    """One batch, and the tracker that waits for it.

    `end` is the offset after its last record. The chunk is stale once its partition has another tracker.
    """

    __slots__ = ("__weakref__", "batch", "end", "tracker")

    def __init__(self, batch: Batch, tracker: OffsetTracker) -> None:
        self.batch = batch
        self.tracker = tracker
        self.end = batch.records[-1].offset + 1
        tracker.hand_out(self.end)

    def complete(self) -> None:
        """Acknowledge it: all its effects are durable."""
        self.tracker.complete(self.end)
