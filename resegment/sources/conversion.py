"""Convert files with an adapter: read payloads, make events, and say what was refused and where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from resegment.errors import RefusedEvent
from resegment.sources.adapters.port import NOTHING, Adapter, Context, Event, Remark
from resegment.sources.files.located import Located, MissingFile, WrongFile
from resegment.sources.files.payloads import read_payloads

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Source:
    """An adapter with what its files do not say."""

    adapter: Adapter
    context: Context = NOTHING
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """A remark about an event, and its place."""

    file: str
    line: int
    remark: Remark

    def __str__(self) -> str:
        where = f"{self.remark.field}: " if self.remark.field else ""
        return f"{self.file}:{self.line}: {self.remark.reason}: {where}{self.remark.message}"


Found = tuple[str, int, "Event | RefusedEvent | Remark"]
"""A file, a line, and what is there."""


def convert_files(paths: Sequence[str], source: Source) -> Iterator[Found]:
    """Yield what an adapter makes of the files, in their order. A folder stands for its files.

    The same remark about a file's encoding or zone is made once. Raises WrongFile for a file that cannot be read.
    """
    for path in paths:
        for file in _files(path):
            yield from _convert_file(file, source)


def _files(path: str) -> list[str]:
    place = Path(path)
    if path == "-" or not place.is_dir():
        return [path]
    found = [str(one) for one in sorted(place.iterdir()) if one.is_file() and not one.name.startswith(".")]
    if not found:
        raise WrongFile(path, "the folder has no file", remedy="Give a file, or a folder with files.")
    return found


def _convert_file(path: str, source: Source) -> Iterator[Found]:
    if path != "-" and not Path(path).exists():
        raise MissingFile(path)
    payloads = read_payloads(path, encoding=source.encoding)
    if payloads.encoding in ("mac-roman", "cp1252") and source.encoding is None:
        message = (
            f"the text is not UTF-8 and is read as {payloads.encoding}: pass --encoding if it is another"
        )
        yield path, 1, Remark("no-encoding", message)
    said: set[tuple[str, str | None]] = set()
    for payload in payloads.rows:
        if payload.refused is not None:
            yield path, payload.line, payload.refused
            continue
        for item in source.adapter.convert(payload.value, source.context):
            if isinstance(item, Remark) and item.reason == "no-zone":
                if (item.reason, item.field) in said:
                    continue
                said.add((item.reason, item.field))
            yield path, payload.line, item


def locate_events(
    path: str, source: Source, note: Callable[[Noted], None] = lambda _: None
) -> Iterator[Located]:
    """Yield the events of a file as `read_events` does, with the refused ones. Remarks are given to `note`."""
    for file, line, item in convert_files([path], source):
        if isinstance(item, Remark):
            note(Noted(file, line, item))
        elif isinstance(item, RefusedEvent):
            yield Located(file, line, b"", item)
        else:
            yield Located(file, line, orjson.dumps(item))
