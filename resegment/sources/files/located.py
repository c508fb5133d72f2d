"""One event of a file, and what can be wrong with a file."""

from __future__ import annotations

import msgspec

from resegment.errors import RefusedEvent, UserError


class WrongFile(UserError):
    """A file of events that cannot be used: `file` says which, `line` where, if it is known."""

    def __init__(
        self, file: str, problem: str, *, line: int | None = None, remedy: str | None = None
    ) -> None:
        place = file if line is None else f"{file}:{line}"
        super().__init__(f"{place}: {problem}", remedy=remedy)
        self.file = file
        self.line = line


class MissingFile(WrongFile):
    """A path at which there is nothing."""

    def __init__(self, file: str) -> None:
        super().__init__(file, "there is no such file or folder", remedy="Check the path.")


class Located(msgspec.Struct, frozen=True, gc=False):
    """One event as JSON, not yet judged, and where it stands.

    `line` counts from 1: lines of text, rows of a table. `refused` says why a row is no event at all.
    """

    file: str
    line: int
    value: bytes
    refused: RefusedEvent | None = None
