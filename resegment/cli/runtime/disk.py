"""Say when the disk of an embedded broker is full: nothing is accepted then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from prometheus_client import Gauge

from resegment.console.terminal import print_note
from resegment.embedded.gateway.status import STATUS_FILE, JournalStatus

_LOOK_SECONDS: Final = 0.5


@asynccontextmanager
async def watching_disk(journal: Path | None, gauge: Gauge) -> AsyncIterator[None]:
    """Watch the journal in the block, if there is one, and print when its disk is full and when there is room again.

    `gauge` is 1 while it is full.
    """
    if journal is None:
        yield
        return
    task = asyncio.create_task(
        _watch(JournalStatus(journal / STATUS_FILE), journal, gauge), name="watch of the disk"
    )
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _watch(status: JournalStatus, journal: Path, gauge: Gauge) -> None:
    was_full = False
    while True:
        if status.is_full != was_full:
            was_full = not was_full
            gauge.set(was_full)
            print_note(
                f"error: the disk with {journal} is full: no event is accepted until there is room. What was accepted is "
                "kept."
                if was_full
                else "There is room on the disk again: events are accepted."
            )
        await asyncio.sleep(_LOOK_SECONDS)
