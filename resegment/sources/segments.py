"""Read segments files from disk: one YAML file, or a folder of files to merge."""

from __future__ import annotations

from pathlib import Path

from resegment.errors import UserError, explain_os_error
from resegment.segmentation.definition import Definition, read_definition

SUFFIXES = frozenset({".yaml", ".yml"})


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


def load_definition(path: str) -> Definition:
    """Read the definition from a file or folder. Raises NoSegmentsFile, or InvalidSegments with every error."""
    place = Path(path)
    folder = place if place.is_dir() else place.parent
    return read_definition(read_segments_files(path), lambda name: (folder / name).read_bytes())
