"""Share work among processes: the results come in the order of the tasks, and few tasks wait at a time."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Final, Generic, Protocol, TypeVar

from resegment.cli.connection import WrongUse
from resegment.errors import ResegmentError, explain_os_error
from resegment.streams.runtime import end_with

Work_co = TypeVar("Work_co", covariant=True)
Work = TypeVar("Work")
Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD: Final = 2
"""How many tasks of each process wait or are done before their turn."""


class NoProcesses(WrongUse):
    """The system cannot start processes that share what this one knows."""

    def __init__(self) -> None:
        super().__init__("--jobs needs a system that can fork processes", remedy="Leave --jobs out.")


class TooManyProcesses(ResegmentError):
    """The system does not start so many processes."""

    def __init__(self, jobs: int, cause: OSError) -> None:
        super().__init__(
            f"cannot start {jobs} processes: {explain_os_error(cause)}", remedy="Use fewer --jobs, or none."
        )
        self.jobs = jobs


class ProcessLost(ResegmentError):
    """A process ended in the middle of its work."""

    def __init__(self) -> None:
        super().__init__(
            "a process of --jobs ended in the middle of its work: the system may have run out of memory",
            remedy="Use fewer --jobs, or none.",
        )


class Workers(Protocol[Work_co]):
    """Do tasks by the work that they were made with."""

    def do(self, function: Callable[[Work_co, Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Yield the result of each task, in their order. Raises ProcessLost."""
        ...


class _Inline(Generic[Work]):
    """Does the tasks in this process."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def do(self, function: Callable[[Work, Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        return (function(self._work, task) for task in tasks)


class _Processes(Generic[Work]):
    """Lets other processes do the tasks."""

    def __init__(self, pool: ProcessPoolExecutor, jobs: int) -> None:
        self._pool, self._most = pool, jobs * (1 + AHEAD)

    def do(self, function: Callable[[Work, Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        waiting: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                waiting.append(self._pool.submit(_do, function, task))
                if len(waiting) >= self._most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise ProcessLost from error


@contextmanager
def open_workers(work: Work, jobs: int) -> Iterator[Workers[Work]]:
    """Let `jobs` processes do the work; this process alone, if it is one.

    Raises NoProcesses, TooManyProcesses and ProcessLost.
    """
    if jobs == 1:
        yield _Inline(work)
        return
    if "fork" not in multiprocessing.get_all_start_methods():
        raise NoProcesses
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(work, os.getpid()))
    try:
        _start(pool, jobs)
        yield _Processes(pool, jobs)
    finally:
        pool.shutdown(cancel_futures=True)


def _start(pool: ProcessPoolExecutor, jobs: int) -> None:
    """Start all processes. They are forked with the first task, before any thread is started."""
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise ProcessLost from error
    except OSError as error:
        for one in multiprocessing.active_children():  # nobody gives them work or ends them
            one.terminate()
        raise TooManyProcesses(jobs, error) from error


_work: Any = None
"""What this process does, if it is one of several."""


def _begin(work: object, parent: int) -> None:
    global _work  # noqa: PLW0603  # a process of the pool has one work
    end_with(parent)
    gc.freeze()
    _work = work


def _do(function: Callable[[Any, Task], Result], task: Task) -> Result:
    return function(_work, task)
