"""Write groups to the last file of the journal: each is synced before the call returns, or leaves nothing."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from resegment.embedded.journal.catalog import Catalog
from resegment.embedded.journal.entries import encode_other
from resegment.embedded.journal.files import path_of, sync_folder
from resegment.embedded.journal.frames import frame
from resegment.errors import ResegmentError, TransientError

FILE_BYTES: Final = 64 * 1024 * 1024
"""Size at which the next file begins, and this one is packed."""
FILE_SECONDS: Final = 86_400.0
"""Age at which the next file begins, so that retention reaches records where few come."""
ROOM_BYTES: Final = 2 * 1024 * 1024
"""Free bytes with which writing resumes after the disk was full: what is accepted has to be worked on, too."""
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT}


class DiskFull(TransientError):
    """There is no room for a group. Nothing of it is in the journal; the same may succeed later."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"the disk with {folder} is full: no event is accepted until there is room",
            remedy="Make room. What was accepted is kept, and accepting resumes by itself.",
        )
        self.folder = folder


class JournalFailed(ResegmentError):
    """The disk failed while the journal was written or synced; `cause` says how."""

    def __init__(self, path: Path, cause: OSError) -> None:
        super().__init__(
            f"the journal of the embedded broker cannot be written: {path}: {cause.strerror}",
            remedy="Check the disk, then start again: everything that was accepted is kept.",
        )
        self.path, self.cause = path, cause


class JournalWriter:
    """Appends to the last file. Blocks: run it in a thread, one call at a time."""

    def __init__(self, folder: Path, number: int, *, size: int = 0, last: int = 0) -> None:
        """`size` and `last`: where the file's last whole group ends, and its number."""
        self.folder, self.number = folder, number
        self.size, self._last = size, last
        self._begun = time.monotonic()
        self._was_full = False
        self._path = path_of(folder, number)
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(self._file).st_size > size:  # what a torn write left
                os.ftruncate(self._file, size)
                os.fsync(self._file)
        except OSError as error:
            os.close(self._file)
            raise JournalFailed(self._path, error) from error

    @property
    def is_due(self) -> bool:
        """Return whether it is time for the next file."""
        return self.size >= FILE_BYTES or (self.size > 0 and time.monotonic() - self._begun > FILE_SECONDS)

    @property
    def _free(self) -> int:
        told = os.statvfs(self.folder)
        return told.f_bavail * told.f_frsize

    def append(self, parts: Sequence[bytes]) -> None:
        """Write the entries as one group, and sync it. Raises DiskFull and JournalFailed."""
        if self._was_full and self._free < ROOM_BYTES:
            raise DiskFull(self.folder)
        group = frame(self._last + 1, parts)
        try:
            written = _write(self._file, group, self.size)
            _sync(self._file)
        except OSError as error:
            self._take_back(error)
            self._was_full = True
            raise DiskFull(self.folder) from error
        self._was_full = False
        self.size += written
        self._last += 1

    def next(self, catalog: Catalog) -> JournalWriter:
        """Begin the next file with what the catalog says, and return its writer. Raises DiskFull and JournalFailed.

        Until the new file's first group is synced, this one stays the last.
        """
        try:
            following = JournalWriter(self.folder, self.number + 1)
        except OSError as error:
            raise (
                DiskFull(self.folder) if error.errno in _NO_ROOM else JournalFailed(self._path, error)
            ) from error
        try:
            following.append([encode_other(catalog.state())])
            sync_folder(self.folder)
        except BaseException:
            following.close()
            following._path.unlink(missing_ok=True)
            raise
        self.close()
        return following

    def close(self) -> None:
        """Close the file. Everything in it is synced."""
        os.close(self._file)

    def _take_back(self, error: OSError) -> None:
        """Remove what a failed group left in the file. Raises JournalFailed where the disk is not just full."""
        try:
            os.ftruncate(self._file, self.size)
            os.fsync(self._file)
        except OSError as failure:
            raise JournalFailed(self._path, failure) from error
        if error.errno not in _NO_ROOM:
            raise JournalFailed(self._path, error) from error


def _write(file: int, parts: Sequence[bytes], at: int) -> int:
    """Write all parts at an offset, and return how many bytes they have."""
    data = memoryview(b"".join(parts))
    done = 0
    while done < len(data):
        done += os.pwrite(file, data[done:], at + done)
    return len(data)


def _sync(file: int) -> None:
    """Make what was written durable. Not every platform has fdatasync."""
    getattr(os, "fdatasync", os.fsync)(file)
