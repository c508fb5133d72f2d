"""Divide batches that were too slow, until each part is done in time or the record that takes so long is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from resegment.agents.batch import Batch

SMALLER: Final = 8
"""By what the parts of a partition are divided after one that was too slow."""
TRIES: Final = 2
"""How often one record alone may use up the whole deadline with computing before it is set aside."""


@dataclass(slots=True)
class _Slow:
    limit: int
    """Records in a part."""
    offset: int = -1
    """A record that was too slow alone."""
    tries: int = 0


class BatchDivider:
    """How many records of each partition are committed at once: all of a batch, unless that was too slow."""

    def __init__(self) -> None:
        self._slow: dict[int, _Slow] = {}

    def divide(self, batch: Batch, position: int) -> Iterator[Batch]:
        """Yield the batch in parts. Records before `position` are committed: they stay with the first part."""
        slow = self._slow.get(batch.partition)
        if slow is None:
            yield batch
        else:
            yield from divide_batch(batch, position, lambda: slow.limit)

    def slow_down(self, batch: Batch, position: int, *, computed: bool) -> None:
        """Note that the part at `position` was too slow; `computed`: for its own computing, not for a server."""
        whole = sum(one.offset >= position for one in batch.records)
        slow = self._slow.setdefault(batch.partition, _Slow(whole))
        if slow.limit > 1:
            slow.limit = max(1, min(slow.limit, whole) // SMALLER)
        elif computed:
            slow.tries = slow.tries + 1 if slow.offset == position else 1
            slow.offset = position

    def speed_up(self, batch: Batch) -> None:
        """Note that a whole batch was done in time."""
        slow = self._slow.get(batch.partition)
        if slow is not None:
            slow.limit *= 2
            if slow.limit >= len(batch.records):
                del self._slow[batch.partition]

    def is_stuck_at(self, partition: int, position: int) -> bool:
        """Return whether the record at `position` was too slow alone, so often that it has to be set aside."""
        slow = self._slow.get(partition)
        return slow is not None and slow.offset == position and slow.tries >= TRIES


def divide_batch(batch: Batch, position: int, limit: Callable[[], int]) -> Iterator[Batch]:
    """Yield the batch in parts of `limit()` records. Records before `position` are committed: they stay with the first part."""
    records = batch.records
    committed = sum(one.offset < position for one in records)
    start, end, read_from = 0, committed + limit(), batch.start
    while start < len(records):
        part = records[start:end]
        yield Batch(batch.topic, batch.partition, part, read_from)
        start, end, read_from = end, end + limit(), part[-1].offset + 1
