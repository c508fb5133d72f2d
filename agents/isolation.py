"""Find the facts that cannot be decided, so that the others can."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

Checkpoint = TypeVar("Checkpoint")
Unit = TypeVar("Unit")


async def find_failing(
    units: Sequence[Unit],
    checkpoint: Checkpoint,
    attempt: Callable[[Checkpoint, Sequence[Unit]], Checkpoint],
) -> list[tuple[int, Exception]]:
    """Return the index and the error of each unit that fails when all are applied in order, failing ones left out.

    `attempt` applies a run of units to a checkpoint and returns the next checkpoint. If it raises, the run is tried
    again in halves, down to the one unit that fails; after a success the run doubles. So a failing unit costs about
    log2(n) attempts, and units before it are not applied again.
    """
    failing: list[tuple[int, Exception]] = []
    start, size = 0, len(units)
    while start < len(units):
        run = units[start : start + size]
        try:
            checkpoint = attempt(checkpoint, run)
        except Exception as error:  # noqa: BLE001  # an agent's border: a rule's bug concerns its fact alone
            if len(run) == 1:
                failing.append((start, error))
                start += 1
            size = max(1, len(run) // 2)
        else:
            start += len(run)
            size = 2 * len(run)
        await asyncio.sleep(0)  # heartbeats and deadlines of other partitions come between two attempts
    return failing
