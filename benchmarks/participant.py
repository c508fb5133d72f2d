"""What a process of the benchmark is told, and what it tells when it is done."""

from __future__ import annotations

import sys
import time

import msgspec

from resegment.benchmarks.usage import peak_mb, pin


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
