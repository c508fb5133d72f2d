"""Read segments files from disk: one YAML file, or a folder of files to merge."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from resegment.errors import UserError, explain_os_error
from resegment.segmentation.definition import Definition, read_definition

SUFFIXES = frozenset({".yaml", ".yml"})
MAX_LIST_BYTES: Final = 64 * 1024 * 1024
"""The maximum size of a file that a segments file names."""


class NoSegmentsFile(UserError):
    """A path without a readable segments file."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}",
            remedy="Check the path: it must be a segments file, or a folder with *.yaml files.",
        )
        self.path = path


def read_segments_files(path: str) -> list[tuple[str, bytes]]:
    """Return the name and content of each file, a folder's in the order of their names. Raises NoSegmentsFile."""
    place = Path(path)
    try:
        if place.is_dir():
            files = sorted(file for file in place.iterdir() if file.suffix in SUFFIXES and file.is_file())
            if not files:
                raise NoSegmentsFile(path, "the folder has no *.yaml or *.yml file")
        else:
            files = [place]
        return [(str(file), file.read_bytes()) for file in files]
    except OSError as error:
        raise NoSegmentsFile(path, explain_os_error(error)) from error


def folder_of(segments: Path) -> Path:
    """Return the folder that the paths in a segments file, or in a folder of them, are relative to."""
    return segments if segments.is_dir() else segments.parent


def check_list_file(place: Path) -> os.stat_result:
    """Return the status of a file that a segments file names. Raises OSError, also for a device, a pipe, or a huge file."""
    found = place.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if found.st_size > MAX_LIST_BYTES:
        raise OSError(errno.EFBIG, f"larger than {MAX_LIST_BYTES // (1024 * 1024)} MB")
    return found


def read_list_file(place: Path) -> bytes:
    """Return the content of a file that a segments file names. Raises OSError as `check_list_file` does."""
    check_list_file(place)
    return place.read_bytes()


def load_definition(path: str) -> Definition:
    """Read the definition from a file or folder. Raises NoSegmentsFile, or InvalidSegments with every error."""
    folder = folder_of(Path(path))
    return read_definition(read_segments_files(path), lambda name: read_list_file(folder / name))
