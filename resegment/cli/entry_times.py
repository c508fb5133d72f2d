"""Since when accounts of a running prefix are in their segments by their facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.inspection.entry_time import EntryTime, find_entry_time
from resegment.state.redis.reader import PrefixReader

SLICE: Final = 1_000
"""Accounts whose states are read at once."""


async def read_entry_times(
    engine: Engine, reader: PrefixReader, names: Sequence[str], now: int
) -> Mapping[str, EntryTime]:
    """Return the entry time of each account as of now (ms), by the engine in force.

    Raises StoreUnavailable and BrokenState.
    """
    found: dict[str, EntryTime] = {}
    for start in range(0, len(names), SLICE):
        some = names[start : start + SLICE]
        for name, state in zip(some, await reader.states(some), strict=True):
            if state is not None:
                found[name] = find_entry_time(engine, name, state, now)
    return found


def describe_entry_time(entry: EntryTime | None) -> dict[str, Any]:
    """Return an entry time as plain JSON data; None where it is not known."""
    if entry is None:
        return {"entered_at": None, "entered_at_limited": None}
    return {"entered_at": format_instant(entry.at), "entered_at_limited": entry.limited}
