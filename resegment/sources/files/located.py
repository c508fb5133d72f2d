"""An event with its place in a file, and the errors of files."""

from __future__ import annotations

import msgspec

from resegment.errors import RefusedEvent, UserError


class WrongFile(UserError):
    """A file of events that cannot be used. `line` is the place in `file`, if it is known."""

    def __init__(
        self, file: str, problem: str, *, line: int | None = None, remedy: str | None = None
    ) -> None:
        place = file if line is None else f"{file}:{line}"
        super().__init__(f"{place}: {problem}", remedy=remedy)
        self.file = file
        self.line = line


class MissingFile(WrongFile):
    """A path where nothing exists."""

    def __init__(self, file: str) -> None:
        super().__init__(file, "no such file or folder", remedy="Check the path.")


class Located(msgspec.Struct, frozen=True, gc=False):
    """One event as JSON, not yet validated, and its place.

    `line` counts lines of text or rows of a table, from 1. `refused` says why a row is not an event.
    """

    file: str
    line: int
    value: bytes
    refused: RefusedEvent | None = None
