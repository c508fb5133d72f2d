"""What the gateway tells `resegment up` in a small file that is written in place: that works on a full disk, too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Self

STATUS_FILE: Final = "status"
"""Its name, in the folder of the journal."""
_FULL: Final = b"full"
_GOOD: Final = b"good"


class JournalStatus:
    """Whether the disk has room for the journal."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def create(cls, path: Path) -> Self:
        """Begin the file: all is well."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = cls(path)
        status.note_full(False)
        return status

    def note_full(self, full: bool) -> None:
        """Note that the disk is full, or no longer is."""
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(file, _FULL if full else _GOOD, 0)
        finally:
            os.close(file)

    @property
    def is_full(self) -> bool:
        """Return whether the disk was full at the last try. Without a file, it was not."""
        try:
            return self._path.read_bytes() == _FULL
        except OSError:
            return False
