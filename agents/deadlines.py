"""Advance time in partitions without events: append a tick when a deadline is due."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from resegment.agents.batch import Message, Publisher
from resegment.agents.partition import OwnedPartition
from resegment.agents.segmenter import TICK


async def tick(
    partitions: Iterable[OwnedPartition[Any]], *, publisher: Publisher, signals: str, now: int
) -> list[int]:
    """Append a tick to each partition whose next deadline is due by the wall clock, but not by its own clock.

    Time moves only through `signals`, so that a replay decides the same. Return the partitions.
    """
    late = [
        one.number
        for one in partitions
        if one.fence is not None
        and one.next_deadline is not None
        and one.position.clock < one.next_deadline <= now
    ]
    await publisher.publish([Message(signals, None, None, [(TICK, b"")], number, now) for number in late])
    return late
