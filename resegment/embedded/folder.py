"""The data folder of one instance, locked by one process at a time."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from resegment.errors import FolderNotWritable, ResegmentError

_LOOK_AGAIN_SECONDS = 0.05


class FolderInUse(ResegmentError):
    """Another instance holds the folder. `pid` is its process, or None if that is gone and only a server of it is left."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        who = f"process {pid}" if pid is not None else "a server whose parent process is gone"
        remedy = f"Stop it (kill {pid})" if pid is not None else f"Stop the server that works in {folder}"
        super().__init__(
            f"the folder {folder} is in use by {who}", remedy=f"{remedy}, or choose another folder."
        )
        self.folder = folder
        self.pid = pid


@asynccontextmanager
async def held(folder: Path, *, patience: float = 10.0) -> AsyncIterator[int]:
    """Hold `folder` (made if missing) and yield the descriptor of its lock, for the servers to inherit.

    A server that inherits it keeps the folder held for as long as it runs, so after a crash nobody else
    writes to its data; up to `patience` seconds are given to such a server to end.

    Raises `FolderInUse`: at once if the holder is alive, else when `patience` is over; and `FolderNotWritable`.
    """
    lock = _open_lock(folder)
    try:
        deadline = asyncio.get_running_loop().time() + patience
        while not _taken(lock):
            holder = _holder(lock)
            if holder is not None or asyncio.get_running_loop().time() > deadline:
                raise FolderInUse(folder, holder)
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield lock
    finally:
        os.close(lock)


def _open_lock(folder: Path) -> int:
    try:
        make_private(folder)
        # the lock is emptied and written: a link that came with a folder must not lead to another file
        return os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise FolderNotWritable(folder, error) from error


def find_holder(folder: Path) -> int | None:
    """Return the process that holds the folder now; None if nobody does, or the process is not known."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(lock)
    finally:
        os.close(lock)
    return None


def make_private(folder: Path) -> None:
    """Create the folder for this user alone. One that exists keeps its mode: it may be used for other things too."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(lock: int) -> int | None:
    """Return the process that wrote its id into the lock, if it is alive."""
    text = os.pread(lock, 20, 0)
    if not text.isdigit():
        return None
    try:
        os.kill(int(text), 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return int(text)
