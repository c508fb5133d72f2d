"""Processes share work: results in order, few tasks ahead, and a process that ends is said."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from resegment.cli.replaying.processes import AHEAD, ProcessLost, TooManyProcesses, open_workers

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def add(work: int, task: int) -> int:
    return work + task


def name_process(work: int, task: int) -> int:
    return os.getpid()


def end(work: int, task: int) -> int:
    os._exit(9)


def fail(work: int, task: int) -> int:
    raise ValueError(task)


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_results_come_in_the_order_of_the_tasks(jobs: int) -> None:
    with open_workers(100, jobs) as workers:
        assert list(workers.do(add, range(50))) == list(range(100, 150))


def test_few_tasks_are_taken_ahead() -> None:
    taken = 0

    def tasks() -> Iterator[int]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield number

    with open_workers(0, 2) as workers:
        assert next(iter(workers.do(add, tasks()))) == 0
        assert taken <= 2 * (1 + AHEAD)


def test_one_job_is_done_by_this_process_and_two_by_others() -> None:
    with open_workers(0, 1) as workers:
        assert set(workers.do(name_process, range(3))) == {os.getpid()}
    with open_workers(0, 2) as workers:
        assert os.getpid() not in set(workers.do(name_process, range(30)))


def test_a_process_that_ends_in_the_middle_is_said() -> None:
    with open_workers(0, 2) as workers, pytest.raises(ProcessLost) as raised:
        list(workers.do(end, range(3)))
    assert "--jobs" in str(raised.value.remedy)


def test_an_error_in_a_process_is_raised_here() -> None:
    with open_workers(0, 2) as workers, pytest.raises(ValueError, match="7"):
        list(workers.do(fail, [7]))


def test_more_processes_than_the_system_starts_are_said_and_none_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fork, left = os.fork, [None]

    def start() -> int:
        if not left:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        left.pop()
        return fork()

    monkeypatch.setattr(os, "fork", start)
    with pytest.raises(TooManyProcesses, match="cannot start 3 processes"), open_workers(0, 3):
        pass
    for one in multiprocessing.active_children():
        one.join(10)
    assert not multiprocessing.active_children()


KILLED = """
import os, signal
from resegment.cli.replaying.processes import open_workers

with open_workers(0, 3) as workers:
    os.kill(os.getpid(), signal.{name})
    signal.pause()
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_no_process_outlives_the_one_that_started_it(name: str) -> None:
    # its output ends only with the last process that has it
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED.format(name=name)],
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == -signal.Signals[name]
