"""Ctrl-C and SIGTERM: the first starts a clean stop, the second ends the process at once."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from resegment.cli.runtime import process
from resegment.errors import ResegmentError
from resegment.streams.shutdown import Stopping

log = logging.getLogger(__name__)

STOPPED_AT_ONCE = 130
FAILED = 1
GONE_WITHIN = 12.0
"""Seconds from the error that ends a worker to the end of its process, at most."""
OVERTIME = 1.25
"""Seconds that threads and the interpreter may need to end after a stop."""


class Stop:
    """A requested stop. Before `ready`, a request cancels the start; after it, the request only sets `asked`."""

    def __init__(
        self, task: asyncio.Task[None], at_once: Callable[[], None], stopping: Stopping | None
    ) -> None:
        self.asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = task
        self._at_once = at_once
        self._stopping = stopping

    def ready(self) -> None:
        """Stop cancelling the task: from now on it waits for `asked`."""
        self._task = None

    def take(self) -> None:
        """Handle one signal."""
        if self.asked.is_set():
            self._at_once()
            os._exit(STOPPED_AT_ONCE)  # the servers end with this process
        self.asked.set()
        if self._stopping is not None:
            self._stopping.begin()
            threading.Thread(target=end_process, args=[self._stopping.left + OVERTIME], daemon=True).start()
        if self._task is not None:
            self._task.cancel()


def end_process(after: float) -> None:
    """End the process after `after` seconds: a thread that waits for a response could keep it for minutes."""
    time.sleep(after)
    log.warning("Stopped before all work was done; what is left of it is done again")
    os._exit(0)


@contextmanager
def ending(within: float = GONE_WITHIN) -> Iterator[None]:
    """When an error leaves the block, make sure that the process is gone `within` seconds later.

    Usually the process has ended by then. But a task that swallows its cancellation, or a thread that waits for a
    server, would keep it alive: without partitions, and so useless, yet for its supervisor it would seem to run.
    """
    try:
        yield
    except BaseException as error:
        requested = isinstance(error, asyncio.CancelledError)  # then the stop has a deadline of its own
        if process.is_owned() and not requested:
            threading.Thread(target=_end_failed, args=[within, error], daemon=True).start()
        raise


def _end_failed(after: float, error: BaseException) -> None:
    time.sleep(after)
    from resegment.console.terminal import print_error  # noqa: PLC0415  # needed only here

    if isinstance(error, ResegmentError):
        print_error(error)
    log.error("The process did not end by itself: it is ended now. The reason: %r", error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(FAILED)


@contextmanager
def listening(at_once: Callable[[], None], stopping: Stopping | None = None) -> Iterator[Stop]:
    """Handle the signals while the block runs; call `at_once` right before the second signal ends the process.

    With `stopping`, the first signal starts its deadline; shortly after the deadline the process ends in any case.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    stop = Stop(task, at_once, stopping)
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stop.take)
    try:
        yield stop
    finally:
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(one)


async def first_of(*waits: Awaitable[object]) -> None:
    """Wait for the first to finish and cancel the others. Raises what the first raised."""
    tasks = [asyncio.ensure_future(one) for one in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
