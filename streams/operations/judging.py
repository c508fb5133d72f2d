"""Judge the accounts of a plan on all cores."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Final

from resegment.schemas.state import AccountState
from resegment.segmentation.planning.planner import Part, Planner
from resegment.streams.operations.snapshot import Snapshot
from resegment.streams.runtime import end_with

SLICE: Final = 2_500
"""Accounts that are judged at once."""
FEW: Final = 5_000
"""Fewer accounts are judged faster by one process."""

_Slice = list[tuple[str, bytes, AccountState | None]]

_planner: Planner | None = None
"""The planner of a process of the pool: it was there when the process was forked."""


class JudgingPool:
    """Judges slices of accounts in processes that are forked from this one, and joins what they come to."""

    def __init__(self, planner: Planner, pool: ProcessPoolExecutor | None) -> None:
        self._planner, self._pool = planner, pool

    async def judge(
        self,
        snapshot: Snapshot,
        at: int,
        folded: Mapping[str, AccountState],
        progress: Callable[[int], None],
    ) -> None:
        """Judge the accounts of a partition at an instant (ms). Raises msgspec.DecodeError."""
        number, clock, states = snapshot.number, snapshot.position.clock, snapshot.states
        self._planner.begin(number, at, clock)
        if self._pool is None or len(states) < FEW:
            with _no_collections():
                for some in _slices(states, folded):
                    _take(self._planner, some)
                    progress(len(some))
                    await asyncio.sleep(0)  # a server has other requests
            return
        loop, running = asyncio.get_running_loop(), set[asyncio.Future[Part]]()
        limit = 2 * (os.cpu_count() or 1)
        for some in _slices(states, folded):
            running.add(loop.run_in_executor(self._pool, _judge, number, at, clock, some))
            if len(running) >= limit:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                self._join(done, progress)
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            self._join(done, progress)

    def _join(self, done: set[asyncio.Future[Part]], progress: Callable[[int], None]) -> None:
        for one in done:
            part = one.result()
            self._planner.join(part)
            progress(part.counts.accounts)


@contextmanager
def judging_pool(planner: Planner, accounts: int, *, forks: bool = True) -> Iterator[JudgingPool]:
    """Open a pool for a plan over so many accounts. Where processes can't be forked, or not safely, this one judges alone."""
    global _planner  # noqa: PLW0603  # forked processes find it here
    cores = os.cpu_count() or 1
    if not forks or accounts < FEW or cores == 1 or not sys.platform.startswith("linux"):
        yield JudgingPool(planner, None)
        return
    _planner = planner
    try:
        fork = multiprocessing.get_context("fork")
        parent = (os.getpid(),)
        with ProcessPoolExecutor(cores, mp_context=fork, initializer=end_with, initargs=parent) as pool:
            yield JudgingPool(planner, pool)
    finally:
        _planner = None


def _judge(number: int, at: int, clock: int, some: _Slice) -> Part:
    """Judge a slice in a process of the pool."""
    assert _planner is not None
    gc.disable()  # accounts come and go by the thousand, and none is in a circle
    _planner.begin(number, at, clock)
    _take(_planner, some)
    return _planner.split()


def _take(planner: Planner, some: _Slice) -> None:
    for name, value, facts in some:
        planner.take(name, value, facts)


def _slices(states: Mapping[str, bytes], folded: Mapping[str, AccountState]) -> Iterator[_Slice]:
    found = ((name, value, folded.get(name)) for name, value in states.items())
    while some := list(islice(found, SLICE)):
        yield some


@contextmanager
def _no_collections() -> Iterator[None]:
    """Leave the garbage collector out: accounts come and go by the thousand, and none is in a circle."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
