"""Which other files a segments file includes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from resegment.documents.diagnostics import Diagnostic, InvalidSegments, Path
from resegment.documents.yaml import Document, parse_document

KEY: Final = "include"
MAX_FILES: Final = 1000
"""How many files one definition may be made of."""
MAX_LEVELS: Final = 20
"""How deep files may include others."""

File = tuple[str, bytes]
"""The name and the content of a file."""


class CannotInclude(Exception):
    """What is included cannot be read; `remedy` says what to do."""

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


FindFiles = Callable[[str, str], Sequence[str]]
"""Returns the names of the files that a pattern in the named file stands for, in order. Raises CannotInclude."""
ReadFile = Callable[[str], bytes]
"""Returns the content of a file by its name. Raises CannotInclude."""


class IncludedFiles:
    """Collects files with the files that they include: those first, in the order that `include` lists them, each once."""

    def __init__(self, find_files: FindFiles, read_file: ReadFile) -> None:
        self._find, self._read = find_files, read_file
        self._files: dict[str, bytes] = {}
        self._open: list[str] = []
        self._errors: list[Diagnostic] = []

    def collect(self, files: Sequence[File]) -> list[File]:
        """Return the files and all that they include. Raises InvalidSegments with every error of an `include`."""
        for name, content in files:
            self._add(name, content)
        if self._errors:
            raise InvalidSegments(self._errors)
        return list(self._files.items())

    def _add(self, name: str, content: bytes) -> None:
        if name in self._files:
            return
        self._open.append(name)
        document = _parse(name, content)
        if document is not None:
            for pattern, path in _patterns(document):
                self._include(pattern, name, path, document)
        self._open.pop()
        self._files[name] = content

    def _include(self, pattern: str, name: str, path: Path, document: Document) -> None:
        try:
            _check_pattern(pattern)
            for found in self._find(pattern, name):
                if found in self._open:
                    circle = [*self._open[self._open.index(found) :], found]
                    told = " includes ".join(circle)
                    raise CannotInclude(f"files include each other: {told}", "remove one of them")  # noqa: TRY301
                if len(self._open) > MAX_LEVELS:
                    raise CannotInclude(f"files include others more than {MAX_LEVELS} levels deep")  # noqa: TRY301
                if len(self._files) + len(self._open) >= MAX_FILES:
                    raise CannotInclude(f"more than {MAX_FILES} files are included")  # noqa: TRY301
                if found not in self._files:
                    self._add(found, self._read(found))
        except CannotInclude as error:
            place = document.places[path]
            self._errors.append(
                Diagnostic("error", "wrong-include", error.message, path, place, error.remedy)
            )


def _parse(name: str, content: bytes) -> Document | None:
    """Return the document of a file that may include others; None for one with errors, which its reader reports."""
    if KEY.encode() not in content and b"\\" not in content:
        return None
    try:
        return parse_document(content, name)
    except InvalidSegments:
        return None


def _patterns(document: Document) -> Iterator[tuple[str, Path]]:
    """Yield what a file includes; what is no text is reported when the definition is read."""
    data: Any = document.data
    listed = data.get(KEY) if isinstance(data, dict) else None
    for index, one in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(one, str):
            yield one, (KEY, index)


def _check_pattern(pattern: str) -> None:
    if not pattern or "\\" in pattern or not pattern.isprintable():
        raise CannotInclude(f"{pattern!r} is not a path", "write a path like plays/first.yaml")
    if PurePosixPath(pattern).is_absolute() or pattern.startswith("~"):
        raise CannotInclude(
            f"{pattern} is not a relative path", "write the path from the folder of this file"
        )
