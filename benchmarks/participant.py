"""What a process of the benchmark is told, and what it tells when it is done: events, CPU time, peak memory."""

from __future__ import annotations

import os
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Task(msgspec.Struct, frozen=True):
    """One job for one process. `events` is how many there are; None: work until SIGTERM."""

    bootstrap: str
    redis_url: str
    prefix: str
    source: str
    """The topic to read."""
    events: int | None
    partitions: int = 4
    share: int | None = None
    """Of how many partitions it has to be the owner before it is ready; None: of all."""
    core: int | None = None
    segments: str = ""
    agents: tuple[str, ...] = ()
    clock: str = "facts"
    guarantee: str = ""
    """What a peer that can choose is to guarantee."""
    commit_every: int = 0
    """After how many events such a peer commits; 0: as it does by default."""


class Report(msgspec.Struct, frozen=True):
    """What a process used, from when it had its partitions on: `events` were done since."""

    events: int
    seconds: float
    cpu: float
    peak_mb: float

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds per million events."""
        return self.cpu / self.events * 1e6 if self.events else 0.0


class Stopwatch:
    """Measures this process from `start` on, or from when it was made."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start over."""
        self._cpu, self._time = time.process_time(), time.perf_counter()

    def report(self, events: int) -> Report:
        """Return what was used since the start."""
        return Report(events, time.perf_counter() - self._time, time.process_time() - self._cpu, peak_mb())


def read_task() -> Task:
    """Read the task from the command line, and pin the process as it says."""
    task = msgspec.json.decode(sys.argv[1], type=Task)
    if task.core is not None:
        pin(task.core)
    return task


def tell(report: Report) -> None:
    """Print the report for the process that started this one."""
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.stdout.flush()


def say_ready() -> None:
    """Tell that the partitions are there."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def cpu_of(pid: int) -> float | None:
    """CPU seconds of another process so far; None where the system has no /proc, or the process is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_mb() -> float:
    """Return the peak memory of this process so far, in millions of bytes."""
    # not what getrusage says where /proc does: that begins with the peak of the process that started this one
    with suppress(OSError):
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def pin(core: int) -> None:
    """Keep this process on one core, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def resident_bytes() -> int:
    """Return the bytes of memory that this process uses now; 0 where the system does not say."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
