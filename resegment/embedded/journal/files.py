"""The files of the journal: numbered, the last one written to, older ones packed."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from resegment.embedded.journal.entries import BatchAt, Entry, read_entries
from resegment.embedded.journal.frames import BrokenFrame, read_group, read_groups
from resegment.errors import ResegmentError

LOG: Final = ".log"
PACKED: Final = ".packed"
PACKING: Final = ".packing"
"""A file that is being packed: it does not count yet."""


class JournalDamaged(ResegmentError):
    """A file of the journal is damaged where it was whole before: `path` and `offset` say where."""

    def __init__(self, path: Path, offset: int, problem: str) -> None:
        super().__init__(
            f"the journal of the embedded broker is damaged: {path}, byte {offset:,}: {problem}",
            remedy=f"Restore {path.parent} from a backup. Without one, move this file away and start again: the records "
            "in it are then missing, and the log says which. Accounts keep their state, which is in Redis.",
        )
        self.path, self.offset, self.problem = path, offset, problem


class JournalFile(NamedTuple):
    """One file, by its number."""

    number: int
    path: Path

    @property
    def is_packed(self) -> bool:
        """Return whether its batches are compressed and sorted."""
        return self.path.suffix == PACKED


class Contents(NamedTuple):
    """What a file holds. `whole` is where its last whole group ends, which has the number `last`."""

    entries: list[Entry]
    whole: int
    last: int


def path_of(folder: Path, number: int, suffix: str = LOG) -> Path:
    """Return where the file with a number is."""
    return folder / f"{number:08d}{suffix}"


def find_files(folder: Path) -> list[JournalFile]:
    """Return the files in their order. Where one was packed and not deleted yet, only the packed one."""
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir() if folder.is_dir() else ()):
        if path.suffix in {LOG, PACKED} and path.stem.isdigit():
            found[int(path.stem)] = path  # .log comes before .packed
    return [JournalFile(number, found[number]) for number in sorted(found)]


@contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """Map a file into memory."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            yield memoryview(b"")
            return
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    view = memoryview(data)
    try:
        yield view
    finally:
        with suppress(BufferError):  # an error on its way holds a part of it, and frees it
            view.release()
            data.close()


def read_file(path: Path, *, is_last: bool) -> Contents:
    """Read a file. Only the last one may end in a torn group. Raises JournalDamaged."""
    entries: list[Entry] = []
    whole = last = 0
    with mapped(path) as view:
        try:
            for group in read_groups(view, 1):
                entries += read_entries(view, group.start, group.end)
                whole, last = group.end, group.number
        except BrokenFrame as error:
            raise JournalDamaged(path, error.offset, error.problem) from error
        if whole < len(view) and not is_last:
            raise JournalDamaged(path, whole, "it ends in the middle of a group")
    return Contents(entries, whole, last)


def batches_of(contents: Contents) -> list[BatchAt]:
    """Return the batches of a file, in their order."""
    return [one for one in contents.entries if isinstance(one, BatchAt)]


def is_begun(path: Path) -> bool:
    """Return whether the first group of a file is whole: only then does the file count."""
    with mapped(path) as view:
        return read_group(view, 0) is not None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
