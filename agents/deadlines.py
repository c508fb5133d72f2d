"""Advance time in partitions without events: append a tick when a deadline is due."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from resegment.agents.batch import Message, Publisher
from resegment.agents.partition import OwnedPartition
from resegment.agents.segmenter import TICK
from resegment.schemas.definitions.marks import decode_changeover


async def tick(
    partitions: Iterable[OwnedPartition[Any]], *, publisher: Publisher, signals: str, now: int
) -> list[int]:
    """Append a tick to each partition whose next deadline, or a switch, is due by the wall clock, but not by its own.

    Time moves only through `signals`, so that a replay decides the same. Return the partitions.
    """
    late = [
        one.number
        for one in partitions
        if one.fence is not None
        and (instant := _next_instant(one)) is not None
        and one.position.clock < instant <= now
    ]
    await publisher.publish([Message(signals, None, None, [(TICK, b"")], number, now) for number in late])
    return late


def _next_instant(owned: OwnedPartition[Any]) -> int | None:
    """Return the earliest instant (ms) at which something is to be done: a deadline, or a switch that is marked."""
    instants = [] if owned.next_deadline is None else [owned.next_deadline]
    pending = decode_changeover(owned.position.definition).pending
    if pending is not None:
        instants.append(pending.at)
    return min(instants, default=None)
