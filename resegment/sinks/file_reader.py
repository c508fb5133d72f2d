"""Read a YAML file of endpoints or sinks: every problem in it at once, each with its place. It names secrets and never holds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from pydantic import ValidationError

from resegment.documents.diagnostics import Diagnostic, InvalidSegments, Place
from resegment.documents.yaml import Document, parse_document
from resegment.errors import explain_os_error
from resegment.sinks.webhook.endpoint import SecretSource
from resegment.sinks.webhook.wording import word_error

T = TypeVar("T")

Places = dict[tuple[str | int, ...], Place]

_NAMED: Final = len(("endpoints", "crm"))
"""Parts of the path of an entry; what is wrong deeper has nothing to do with its name."""
_ABOUT_KEYS: Final = frozenset({"wrong-name", "extra-forbidden"})


@dataclass(slots=True)
class FileReader:
    """Reads one file and collects every problem in it. A subclass has the `remedies` of its keys."""

    remedies: ClassVar[Mapping[str, str]] = {}

    path: Path
    problems: list[Diagnostic] = field(default_factory=list)
    _places: Places = field(default_factory=dict)
    _keys: Places = field(default_factory=dict)

    def read_hidden(
        self,
        source: SecretSource,
        environment: Mapping[str, str],
        path: tuple[str | int, ...],
        parse: Callable[[str], T],
        remedy: str,
    ) -> T | None:
        """Return the value that a source names. If there is a problem with it, note that and return None."""
        if source.env is not None:
            place, text = f"the variable {source.env}", environment.get(source.env)
            if text is None:
                self.note(
                    "no-secret", f"{place} is not set", path, "Set it in the environment of the process."
                )
                return None
        else:
            file = self.path.parent / (source.file or "")
            place = f"the file {file}"
            try:
                text = file.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                why = explain_os_error(error) if isinstance(error, OSError) else "not text"
                self.note(
                    "no-secret", f"{place} cannot be read: {why}", path, "Check the path and its permissions."
                )
                return None
        try:
            return parse(text.strip())
        except ValueError as error:
            self.note("wrong-secret", f"{place}: {error}", path, remedy)
            return None

    def parse(self) -> Document | None:
        """Return the document; None if the file cannot be read or is no YAML."""
        try:
            document = parse_document(self.path.read_bytes(), str(self.path))
        except OSError as error:
            self.note("no-file", explain_os_error(error), (), "Check the path.")
            return None
        except InvalidSegments as error:
            self.problems += error.diagnostics
            return None
        self.problems += document.errors
        self._places, self._keys = document.places, document.keys
        return document

    def take(self, error: ValidationError, path: tuple[str | int, ...]) -> None:
        """Note everything that is wrong with the part at a path."""
        for one in error.errors(include_url=False, include_input=False):
            inner = tuple(part for part in one["loc"] if part != "[key]")
            remedy = "Check the spelling." if one["type"] == "extra_forbidden" else None
            self.note(one["type"].replace("_", "-"), word_error(one), (*path, *inner), remedy)

    def note(self, code: str, message: str, path: tuple[str | int, ...], remedy: str | None = None) -> None:
        """Note a problem with what is at a path, or at the closest part around it that is there."""
        known = self._places
        if code in _ABOUT_KEYS:
            known = {**self._places, **self._keys}
        place = next(
            (known[path[:end]] for end in range(len(path), -1, -1) if path[:end] in known),
            Place(str(self.path), 1, 1),
        )
        if remedy is None:
            closest = path if len(path) <= _NAMED else path[_NAMED:]
            remedy = next(
                (self.remedies[str(one)] for one in reversed(closest) if one in self.remedies), None
            )
        self.problems.append(Diagnostic("error", code, message, path, place, remedy))
