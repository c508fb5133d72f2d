"""Events from files: which reader a file takes, and where each of its events stands."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec
import orjson

from resegment.errors import RefusedEvent
from resegment.identity.resolution import resolve_event
from resegment.schemas.decoding import decode_event
from resegment.schemas.fact import Fact
from resegment.sources.files.located import Located, MissingFile, WrongFile
from resegment.sources.files.tables import read_csv, read_parquet
from resegment.sources.providers.yc import read_files

STDIN: Final = "-"
SUFFIXES: Final = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}
"""The format that a file's suffix means; JSON lines and CSV may end in `.gz` too."""

MAX_EXAMPLES: Final = 10
"""How many refused events are kept to be shown."""

_BUFFER: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"

Watch = Callable[[BinaryIO, int], BinaryIO]
"""Given a file that was opened and its size in bytes, returns one to read from instead: a progress bar's way in."""


class UnknownFormat(WrongFile):
    """A file whose format neither its suffix nor the user tells."""

    def __init__(self, file: str) -> None:
        known = ", ".join(SUFFIXES)
        super().__init__(
            file,
            "its suffix names no format of events",
            remedy=f"Rename it to one of {known} (the first four may end in .gz), or say --format.",
        )


class Refused(msgspec.Struct, frozen=True):
    """One event that breaks the contract."""

    file: str
    line: int
    reason: str
    message: str
    field: str | None = None

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}: {self.reason}: {where}{self.message}"


@dataclass(slots=True)
class Refusals:
    """What was refused: counts by reason, and the first few as examples."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: list[Refused] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many events were refused."""
        return self.counts.total()

    def add(self, one: Refused) -> None:
        """Count one event that was refused."""
        self.counts[one.reason] += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(one)


def read_events(path: str, form: str | None = None, watch: Watch | None = None) -> Iterator[Located]:
    """The events of a file, of a folder's files, or of standard input (`-`, JSON lines).

    `form` is `jsonl`, `csv`, `parquet` or `yc` (a folder of the Y Combinator directory); without it a file's
    suffix tells, and a folder's contents.

    Raises WrongFile: at once for a path that cannot be read or has no known format, while reading for a file that
    is broken.
    """
    if path == STDIN:
        return _read_text(path, form or "jsonl", watch)
    place = Path(path)
    if not place.exists():
        raise MissingFile(path)
    if not os.access(place, os.R_OK):
        raise WrongFile(path, "may not be read", remedy="Check its permissions.")
    if place.is_dir():
        return _read_folder(place, form, watch)
    return _read_file(path, form or _format_of(path), watch)


def decode_events(events: Iterable[Located], refusals: Refusals) -> Iterator[Fact]:
    """The facts that the events state; those that break the contract are added to `refusals`."""
    for event in events:
        try:
            if event.refused is not None:
                raise event.refused
            fact = resolve_event(decode_event(event.value))
        except RefusedEvent as error:
            refusals.add(Refused(event.file, event.line, error.reason, error.message, error.field))
        else:
            yield fact


def _format_of(path: str) -> str:
    name = path.lower()
    form = SUFFIXES.get(Path(name.removesuffix(".gz")).suffix)
    if form is None or (form == "parquet" and name.endswith(".gz")):
        raise UnknownFormat(path)
    return form


def _read_folder(folder: Path, form: str | None, watch: Watch | None) -> Iterator[Located]:
    snapshots, changes = sorted(folder.glob("snapshot-*.jsonl.gz")), sorted(folder.glob("changes-*.jsonl.gz"))
    if form == "yc" or (form is None and snapshots and changes):
        if len(snapshots) != 1 or len(changes) != 1:
            raise WrongFile(
                str(folder),
                "is no folder of the Y Combinator directory",
                remedy="It holds one snapshot-*.jsonl.gz and one changes-*.jsonl.gz; see examples/yc.",
            )
        return _read_yc(snapshots[0], changes[0])
    files: list[tuple[str, str]] = []
    for file in sorted(folder.iterdir()):
        try:
            files.append((str(file), form or _format_of(str(file))))
        except UnknownFormat:
            continue
    if not files:
        raise WrongFile(
            str(folder), "no file in the folder holds events", remedy=f"Put {', '.join(SUFFIXES)} there."
        )
    return (event for name, known in files for event in _read_file(name, known, watch))


def _read_file(path: str, form: str, watch: Watch | None) -> Iterator[Located]:
    if form == "yc":
        raise WrongFile(path, "the format yc is one of a folder", remedy="Give the folder, like examples/yc.")
    if form == "parquet":
        return read_parquet(path)
    return _read_text(path, form, watch)


def _read_text(path: str, form: str, watch: Watch | None) -> Iterator[Located]:
    if form not in ("jsonl", "csv"):
        raise WrongFile(path, f"the format {form} cannot be read from here", remedy="Use jsonl or csv.")
    with _open(path, watch) as lines:
        if form == "csv":
            yield from read_csv(path, lines)
        else:
            yield from _read_lines(path, lines)


@contextmanager
def _open(path: str, watch: Watch | None) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked; what goes wrong while they are read comes out as WrongFile."""
    try:
        if path == STDIN:
            yield sys.stdin.buffer
            return
        with Path(path).open("rb") as file:
            raw: BinaryIO = file if watch is None else watch(file, Path(path).stat().st_size)
            packed = path.lower().endswith(".gz")
            if packed or watch is not None:
                # What gzip and progress bars return goes from line to line in Python; a buffer around it does not.
                stream = gzip.GzipFile(fileobj=raw) if packed else raw
                raw = io.BufferedReader(cast("io.RawIOBase", stream), _BUFFER)
            yield raw
    except (EOFError, zlib.error) as error:
        raise WrongFile(path, f"broken gzip: {error}", remedy="Pack the file again.") from error
    except OSError as error:
        problem = error.strerror or str(error)
        raise WrongFile(path, f"cannot be read: {problem}", remedy="Check the file.") from error


def _read_lines(path: str, lines: Iterable[bytes]) -> Iterator[Located]:
    for number, line in enumerate(lines, 1):
        if number == 1:
            line = line.removeprefix(_BOM)  # noqa: PLW2901  # the same line
            if line.lstrip()[:1] == b"[":
                raise WrongFile(
                    path,
                    "a list of events, where one event a line is expected",
                    line=1,
                    remedy="Try jq -c '.[]'.",
                )
        value = line.strip()
        if value:
            yield Located(path, number, value)


def _read_yc(snapshot: Path, changes: Path) -> Iterator[Located]:
    try:
        events, _ = read_files(snapshot, changes)
    except (OSError, EOFError, zlib.error) as error:
        raise WrongFile(
            str(snapshot.parent), f"cannot be read: {error}", remedy="Check the folder's files."
        ) from error
    for number, event in enumerate(events, 1):
        yield Located(str(snapshot.parent), number, orjson.dumps(event))
