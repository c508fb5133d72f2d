"""Lists of accounts that are never enrolled: text files, a domain a line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from resegment.errors import RefusedEvent, ResegmentError, explain_os_error
from resegment.identity.domains import registrable_domain


class WrongList(ResegmentError):
    """A file that is no list of domains; `problems` has every line that is wrong."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        super().__init__(
            f"{path}: "
            + "; ".join(problems[:5])
            + (f"; and {len(problems) - 5} more" if problems[5:] else ""),
            remedy="It is a text file with a domain a line, like acme.com; `#` begins a comment.",
        )
        self.path, self.problems = path, problems


class ListFiles:
    """The lists of a segments file: paths by name, which count from where that file is."""

    def __init__(self, files: Mapping[str, str], segments: Path) -> None:
        folder = segments if segments.is_dir() else segments.parent
        self._paths = {name: folder / path for name, path in files.items()}
        self._read: dict[str, tuple[tuple[int, int], frozenset[str]]] = {}

    def load(self) -> dict[str, frozenset[str]]:
        """The accounts of each; a file that is as it was is not read again. Raises WrongList."""
        for name, path in self._paths.items():
            stamp = _stamp(path)
            if name not in self._read or self._read[name][0] != stamp:
                self._read[name] = stamp, _load(path)
        return {name: accounts for name, (_, accounts) in self._read.items()}


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise WrongList(path, [explain_os_error(error)]) from error
    return found.st_mtime_ns, found.st_size


def _load(path: Path) -> frozenset[str]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise WrongList(path, [explain_os_error(error)]) from error
    except UnicodeDecodeError as error:
        raise WrongList(path, ["not UTF-8"]) from error
    accounts: set[str] = set()
    problems: list[str] = []
    for number, line in enumerate(lines, 1):
        if text := line.partition("#")[0].strip():
            try:
                accounts.add(registrable_domain(text))
            except RefusedEvent as error:
                problems.append(f"line {number}: {error.message}")
    if problems:
        raise WrongList(path, problems)
    return frozenset(accounts)
