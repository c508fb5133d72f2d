"""Read segments files from disk: one YAML file, or a folder of files to merge, and the files that they include."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from resegment.documents.includes import CannotInclude, IncludedFiles
from resegment.errors import UserError, explain_os_error
from resegment.segmentation.definition import Definition, read_definition

SUFFIXES = frozenset({".yaml", ".yml"})
MAX_LIST_BYTES: Final = 64 * 1024 * 1024
"""The maximum size of a file that a segments file names."""
_WILD: Final = frozenset("*?[")


class NoSegmentsFile(UserError):
    """A path without a readable segments file."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}",
            remedy="Check the path: it must be a segments file, or a folder with *.yaml files.",
        )
        self.path = path


def read_segments_files(path: str) -> list[tuple[str, bytes]]:
    """Return the name and content of every file of a definition: those of the path, and those that they include.

    Raises NoSegmentsFile, or InvalidSegments for what cannot be included.
    """
    folder = folder_of(Path(path))
    return IncludedFiles(InFolder(folder).find, read_included_file).collect(read_given_files(path))


def read_given_files(path: str) -> list[tuple[str, bytes]]:
    """Return the name and content of a file, or of the files in a folder by name. Raises NoSegmentsFile."""
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


class InFolder:
    """Finds included files, all of them inside the folder of the definition."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def find(self, pattern: str, including: str) -> list[str]:
        """Return the names of the files that a path or pattern in a file stands for. Raises CannotInclude."""
        base = Path(including).parent
        if _WILD.isdisjoint(pattern):
            found = [base / pattern]
        else:
            found = sorted(file for file in _glob(base, pattern) if _is_segments_file(file))
        names = [os.path.normpath(file) for file in found]
        for name in names:
            if not Path(name).resolve().is_relative_to(self._folder):
                raise CannotInclude(
                    f"{pattern} is outside the folder of the segments file",
                    "include files of that folder and of the folders in it",
                )
        if not names:
            raise CannotInclude(f"{pattern} matches no *.yaml or *.yml file", "check the path")
        return names


def _glob(base: Path, pattern: str) -> list[Path]:
    # Python 3.13 reads ** beside other characters as *, older ones refuse it
    if any("**" in part and part != "**" for part in pattern.split("/")):
        raise CannotInclude(
            f"{pattern} is not a pattern: ** stands between slashes", "write a pattern like plays/*.yaml"
        )
    try:
        return list(base.glob(pattern))
    except ValueError as error:
        raise CannotInclude(
            f"{pattern} is not a pattern: {error}", "write a pattern like plays/*.yaml"
        ) from None
    except OSError as error:
        raise CannotInclude(f"{pattern}: {explain_os_error(error)}") from error


def _is_segments_file(file: Path) -> bool:
    return file.suffix in SUFFIXES and not file.name.startswith(".") and file.is_file()


def read_included_file(name: str) -> bytes:
    """Return the content of an included file. Raises CannotInclude."""
    try:
        return read_list_file(Path(name))
    except OSError as error:
        raise CannotInclude(f"{name}: {explain_os_error(error)}", "check the path") from error


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
