"""Look ahead on the accounts of a running prefix, and at what is not known of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from resegment.schemas.logs.state_log import decode_state
from resegment.segmentation.outlook.forecast import Forecaster
from resegment.segmentation.outlook.staleness import StaleFinder
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


async def find_stale(
    reader: PrefixReader, timeline: Timeline, at: int, older: int, progress: Callable[[int], None]
) -> StaleFinder:
    """Return what has looked for attributes that are unknown, or older than so many ms, at `at` (ms).

    Raises StoreUnavailable and BrokenState.
    """
    finder = StaleFinder(timeline.at(at).engine, at, older)
    for number in range(reader.partitions):
        taken = 0
        async for name, value in reader.raw_states(number):
            try:
                account = timeline.open(name, decode_state(value))
            except msgspec.DecodeError as error:
                raise BrokenState(name, str(error)) from error
            timeline.advance(account, at)
            finder.take(account)
            taken += 1
            if taken % COUNTED == 0:
                progress(COUNTED)
        progress(taken % COUNTED)
    return finder
