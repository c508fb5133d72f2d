"""Look ahead on a running prefix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from resegment.schemas.logs.state_log import decode_state
from resegment.segmentation.outlook.forecast import Forecaster
from resegment.segmentation.versions.timeline import Timeline
from resegment.state.redis.reader import BrokenState, PrefixReader

COUNTED: Final = 1_000
"""Accounts between two steps of the progress."""


async def forecast_prefix(
    reader: PrefixReader, timeline: Timeline, at: int, until: int, progress: Callable[[int], None]
) -> Forecaster:
    """Return what has looked ahead on every account of a prefix, each as it is stored now.

    A switch to come counts, with the facts that workers folded in for it. Raises StoreUnavailable and BrokenState.
    """
    forecaster = Forecaster(timeline, at, until)
    newest = timeline.newest
    for number in range(reader.partitions):
        folded = await reader.folded(number) if newest.folds_in and newest.at > at else {}
        taken = 0
        async for name, value in reader.raw_states(number):
            more = folded.get(name)
            try:
                forecaster.take_stored(name, value, None if more is None else decode_state(more))
            except msgspec.DecodeError as error:
                raise BrokenState(name, str(error)) from error
            taken += 1
            if taken % COUNTED == 0:
                progress(COUNTED)
        progress(taken % COUNTED)
    return forecaster
