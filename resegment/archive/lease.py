"""The right to write to an archive, which one process has at a time."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from resegment.archive.storage import Storage
from resegment.errors import TransientError

FOLDER: Final = "_lease"
LASTS: Final = 30_000
"""Milliseconds for which a lease holds that is not renewed."""
RENEWED_EVERY: Final = 10.0
"""Seconds."""
_PROCESSES: Final = Path("/proc")


class ArchiveBusy(TransientError):
    """Another process writes to the archive."""

    def __init__(self, path: str, holder: str) -> None:
        super().__init__(
            f"{holder} is writing to the archive at {path}",
            remedy="One process archives a prefix. Stop that one first; after a crash its right ends within 30 seconds.",
        )
        self.path, self.holder = path, holder


class LeaseLost(TransientError):
    """Another process has taken the archive over, while this one did not answer for long."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"another process has taken over the archive at {path}",
            remedy="Nothing is written twice. Start this one again only if the other has stopped.",
        )
        self.path = path


class _Holder(msgspec.Struct, frozen=True, kw_only=True):
    host: str
    pid: int
    started: str
    """What tells the process from another one that gets its number."""
    until: int
    """When it ends (ms, by the wall); 0 if it was given back."""

    @property
    def name(self) -> str:
        return f"process {self.pid} on {self.host}"


class Lease:
    """The right to write. Each renewal is a new file that only one process can create. Blocks.

    It keeps two careful archivers apart. What protects the archive from one that was stopped for a minute and does
    not know it is that manifests are created in the same way.
    """

    def __init__(self, storage: Storage, *, wall: Callable[[], float] = time.time) -> None:
        self._storage, self._wall = storage, wall
        self.number = 0
        """The number of the first file under which this process holds it."""
        self._newest = 0

    def take(self) -> None:
        """Take it. Raises ArchiveBusy."""
        found = sorted(self._numbers())
        newest = found[-1] if found else 0
        if found and (holder := self._read(newest)) is not None and self._is_held(holder):
            raise ArchiveBusy(self._storage.path, holder.name)
        if not self._create(newest + 1, self._now() + LASTS):
            raise ArchiveBusy(self._storage.path, "another process")
        self.number = self._newest = newest + 1
        self._storage.delete(_path(one) for one in found)

    def renew(self) -> None:
        """Hold it for longer. Raises LeaseLost."""
        self._continue(self._now() + LASTS)

    def give_back(self) -> None:
        """End it, so that the next process need not wait. Raises LeaseLost."""
        self._continue(0)

    def _continue(self, until: int) -> None:
        before = self._newest
        if before + 1 != max(self._numbers(), default=0) + 1 or not self._create(before + 1, until):
            raise LeaseLost(self._storage.path)
        self._newest = before + 1
        self._storage.delete([_path(before)])

    def _create(self, number: int, until: int) -> bool:
        mine = _Holder(host=socket.gethostname(), pid=os.getpid(), started=_started(os.getpid()), until=until)
        return self._storage.create(_path(number), msgspec.json.encode(mine))

    def _numbers(self) -> list[int]:
        names = [path.rpartition("/")[2].removesuffix(".json") for path in self._storage.sizes(FOLDER)]
        return [int(name) for name in names if name.isdigit()]

    def _read(self, number: int) -> _Holder | None:
        data = self._storage.read(_path(number))
        try:
            return None if data is None else msgspec.json.decode(data, type=_Holder)
        except msgspec.DecodeError:
            return None

    def _is_held(self, holder: _Holder) -> bool:
        if holder.until <= self._now():
            return False
        if holder.host != socket.gethostname():
            return True
        # on this machine a process that is gone holds nothing
        return _started(holder.pid) == holder.started != ""

    def _now(self) -> int:
        return int(self._wall() * 1000)


def _path(number: int) -> str:
    return f"{FOLDER}/{number:012d}.json"


def _started(pid: int) -> str:
    """Return what tells a running process from others that had its number; nothing where there is no such process."""
    if _PROCESSES.exists():
        try:
            return (_PROCESSES / f"{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[19]
        except OSError:
            return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass  # it runs as another user
    return "runs"
