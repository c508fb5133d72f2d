"""Ctrl-C and SIGTERM: the first asks for a clean stop, the second ends the process at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

STOPPED_AT_ONCE = 130


class Stop:
    """Whether a stop was asked for. Until `ready`, asking cancels the start; from then on it only sets `asked`."""

    def __init__(self, task: asyncio.Task[None], at_once: Callable[[], None]) -> None:
        self.asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = task
        self._at_once = at_once

    def ready(self) -> None:
        """From here on whoever runs waits for `asked`."""
        self._task = None

    def take(self) -> None:
        """Note one signal."""
        if self.asked.is_set():
            self._at_once()
            os._exit(STOPPED_AT_ONCE)  # the servers end with this process
        self.asked.set()
        if self._task is not None:
            self._task.cancel()


@contextmanager
def listening(at_once: Callable[[], None]) -> Iterator[Stop]:
    """Take the signals while the block runs; `at_once` is the last that is called before the second ends it all."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    stop = Stop(task, at_once)
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stop.take)
    try:
        yield stop
    finally:
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(one)


async def first_of(*waits: Awaitable[object]) -> None:
    """Wait until one of them is done; the others are given up. Raises what it raised."""
    tasks = [asyncio.ensure_future(one) for one in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
