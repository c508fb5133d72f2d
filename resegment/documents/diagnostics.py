"""What is wrong in a segments file, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from resegment.errors import UserError

if TYPE_CHECKING:
    from resegment.documents.yaml import Document

Path = tuple[str | int, ...]
"""Keys and list indexes from the top of the file to a value."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One error or warning: `code` is a stable slug, `path` the value's path, `remedy` what to do."""

    severity: Literal["error", "warning"]
    code: str
    message: str
    path: Path
    place: Place
    remedy: str | None = None

    def __str__(self) -> str:
        remedy = f" ({self.remedy})" if self.remedy else ""
        return (
            f"{self.place}: {self.severity}: {format_path(self.path)}: {self.message}{remedy} [{self.code}]"
        )


def format_path(path: Path) -> str:
    """`("segments", 0, "when")` -> `segments[0].when`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "file"


class InvalidSegments(UserError):
    """A segments file that has errors; `diagnostics` has all of them, in the order of the file.

    `warnings` are those that came up beside them, `document` is what could be read, if anything.
    """

    def __init__(
        self,
        diagnostics: Iterable[Diagnostic],
        warnings: Iterable[Diagnostic] = (),
        document: Document | None = None,
    ) -> None:
        self.diagnostics = tuple(diagnostics)
        self.warnings = tuple(warnings)
        self.document = document
        super().__init__("\n".join(str(one) for one in self.diagnostics), remedy="Fix the segments file.")


@dataclass(slots=True)
class Problems:
    """Collects diagnostics while a file is read; `places` finds where a path stands, `keys` where its last key does."""

    places: dict[Path, Place]
    found: list[Diagnostic] = field(default_factory=list)
    keys: dict[Path, Place] = field(default_factory=dict)

    def error(
        self, code: str, message: str, path: Path, remedy: str | None = None, *, at_key: bool = False
    ) -> None:
        """Note an error in the value of the path, or in its key."""
        place = self.keys.get(path) if at_key else None
        self.found.append(Diagnostic("error", code, message, path, place or self.place(path), remedy))

    def warn(self, code: str, message: str, path: Path, remedy: str | None = None) -> None:
        self.found.append(Diagnostic("warning", code, message, path, self.place(path), remedy))

    def place(self, path: Path) -> Place:
        """Return the place of the path, or of the nearest value around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place("segments.yaml", 1, 1))

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(one for one in self.found if one.severity == "error")

    def in_order(self) -> tuple[Diagnostic, ...]:
        """All that was found, in the order of the file, each once."""
        unique = dict.fromkeys(self.found)
        return tuple(sorted(unique, key=lambda one: (one.place.file, one.place.line, one.place.column)))
