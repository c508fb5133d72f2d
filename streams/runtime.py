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
from pathlib import Path
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
_STATM: Final = Path("/proc/self/statm")
_GROWTH: Final = 2.0
"""A process that takes so many times the memory of its last look is looked through at once."""
_CLEAN: Final = 0.01
"""The share of new objects that may be garbage for others like them to be kept without a look."""
_UNSEEN: Final = 15
"""At most so many times in a row new objects are kept without a look."""


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


class YoungObjects:
    """Looks through the new objects when a batch is done, and keeps what is left out of later collections.

    A look takes milliseconds after each batch, and hardly ever finds anything: accounts refer to nothing that refers
    back. So where a look finds little, what the next batches leave is kept unseen, up to 15 times. What is lost by that
    is little, and the `Tidier` finds it.
    """

    def __init__(self) -> None:
        self._skips = self._left = 0

    def collect(self) -> None:
        """Look through the new objects if there are many, or keep them unseen."""
        new = gc.get_count()[0]
        if new < _YOUNG:
            return
        if self._left and _keep in gc.callbacks:
            self._left -= 1
            gc.freeze()
            return
        found = gc.collect(0)
        self._skips = min(2 * self._skips + 1, _UNSEEN) if found <= _CLEAN * new else 0
        self._left = self._skips


def _keep(phase: str, _: dict[str, int]) -> None:
    if phase == "stop":
        gc.freeze()


class Tidier:
    """Looks through all objects for those that only refer to each other, which `settle` has kept out of collections.

    That happens while nothing else does, once an hour, or as the process grows for another reason than the accounts that it
    keeps: what refers to itself, like an error and the frames that it came through, must not pile up for an hour. A look
    halts everything, for up to a second where there are many accounts.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        memory: Callable[[], int] | None = None,
        kept: Callable[[], int] = lambda: 0,
    ) -> None:
        """`now` is a clock, in seconds; `memory` says how many bytes the process takes, `kept` about how many for accounts."""
        self._now, self._memory, self._kept = now, memory or _memory_of_process, kept
        self._last = now()
        self._seen = self._memory(), kept()

    def look(self, *, idle: bool) -> int:
        """Tidy if it is time, and return how many objects were found. `idle` says whether nothing else is done now."""
        early = self._now() - self._last < (_IDLE if idle else _BUSY)
        if early and not self._has_grown():
            return 0
        gc.unfreeze()
        found = gc.collect()
        self._last = self._now()
        self._seen = self._memory(), self._kept()
        return found

    def _has_grown(self) -> bool:
        before, kept = self._seen
        return self._memory() >= _GROWTH * (before + max(0, self._kept() - kept))


def _memory_of_process() -> int:
    """Return the bytes that the process takes now; where the system does not tell, the most so far."""
    try:
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
