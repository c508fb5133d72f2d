"""Set up a process: its event loop, its garbage collector, and its end."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

_YOUNG: Final = 10_000
"""New objects that are looked through when a batch is done and most of what it needed is gone: for a few milliseconds."""
_MOST: Final = 50_000
"""New objects that are looked through at any time."""
_SWITCH: Final = 0.001
"""Seconds for which one thread may compute while another waits. That of the Kafka client has short work to do often, and
with Python's 5 ms a fetch would wait for that several times."""
_IDLE: Final = 300.0
_BUSY: Final = 3600.0
"""Seconds between two looks through all objects, where nothing else is done and where something is."""
_LOOKED_EVERY: Final = 0.5
"""Seconds between two looks of a process at whether the one that started it is still there."""
_GROWTH: Final = 1.5
"""A process that takes so many times the memory of its last look is looked through at once."""


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop: uvloop if it is installed, else None, for asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415  # optional
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def settle(*, keeps_accounts: bool = True) -> None:
    """Keep what the process holds now out of later collections: it stays until the end.

    In a process that keeps accounts, what outlives its first collection is kept out of later ones too. Nearly all of that
    is accounts, which go without a collection, and to look through all of them would halt everything for up to a second. A
    `Tidier` looks now and then.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MOST, 20, 100)
    if keeps_accounts and _keep not in gc.callbacks:
        gc.callbacks.append(_keep)
    sys.setswitchinterval(_SWITCH)


def end_with(parent: int) -> None:
    """End this process soon after the one that started it, by its id: a signal may end that one without a word.

    Ctrl-C is for that one alone, which ends this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOKED_EVERY)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def collect_young() -> None:
    """Look through the new objects if there are many. Call it when a batch is done."""
    if gc.get_count()[0] >= _YOUNG:
        gc.collect(0)


def _keep(phase: str, _: dict[str, int]) -> None:
    if phase == "stop":
        gc.freeze()


class Tidier:
    """Looks through all objects for those that only refer to each other, which `settle` has kept out of collections.

    That happens while nothing else does, once an hour, or as the process grows: what refers to itself, like an error and
    the frames that it came through, must not pile up for an hour.
    """

    def __init__(
        self, now: Callable[[], float] = time.monotonic, peak: Callable[[], int] | None = None
    ) -> None:
        """`now` is a clock, in seconds, and `peak` says how much memory the process has taken at most, in any unit."""
        self._now, self._peak = now, peak or _peak_memory
        self._last, self._seen = now(), self._peak()

    def look(self, *, idle: bool) -> int:
        """Tidy if it is time, and return how many objects were found. `idle` says whether nothing else is done now."""
        early = self._now() - self._last < (_IDLE if idle else _BUSY)
        if early and self._peak() < _GROWTH * self._seen:
            return 0
        gc.unfreeze()
        found = gc.collect()
        self._last, self._seen = self._now(), self._peak()
        return found


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
