"""Choose the reader for a file or folder of events, and read the events with their places."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec
import orjson

from resegment.errors import RefusedEvent, explain_os_error
from resegment.identity.names import Unresolved
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import MAX_BYTES, decode_event
from resegment.schemas.events import find_unlisted_action
from resegment.schemas.fact import Fact, UnresolvedEvent
from resegment.sources.files.encoding import read_byte_lines
from resegment.sources.files.located import Located, MissingFile, WrongFile
from resegment.sources.files.tables import NO_TYPES, read_csv, read_parquet
from resegment.sources.providers.yc import read_files

STDIN: Final = "-"
SUFFIXES: Final = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
"""The format of each file suffix. JSON lines and CSV may also end in `.gz`."""

MAX_EXAMPLES: Final = 10
"""How many refused events are kept as examples."""

MAX_OBJECT: Final = 4 * MAX_BYTES
"""The maximum size of a pretty-printed event. With its spaces it may be larger than an event."""

MAX_IDS: Final = 1_000_000
"""How many ids are remembered, to find events with the same id and other data."""

_BUFFER: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"

Watch = Callable[[BinaryIO, int], BinaryIO]
"""Wraps an open file of a given size in bytes, so that a progress bar can follow the reading."""


class UnknownFormat(WrongFile):
    """A file whose format is unknown: not by its suffix, and not given."""

    def __init__(self, file: str) -> None:
        known = ", ".join(SUFFIXES)
        super().__init__(
            file,
            "the suffix is not a known format of events",
            remedy=f"Rename it to end in one of {known} (the text formats also with .gz), or use --format.",
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
    """The refused events: counts by reason, and the first few as examples.

    `unlisted` counts the accepted events whose action the contract does not list, by kind and action.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: list[Refused] = field(default_factory=list)
    unlisted: Counter[tuple[str, str]] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    """What was left out of events that were accepted, with places: the first few."""
    remarked: int = 0
    """How many remarks there were."""
    lets_wait: bool = False
    """Whether events whose subject means no account yet are accepted."""
    waiting: Counter[str] = field(default_factory=Counter)
    """Accepted events whose subject means no account yet, by the name or id."""
    same_ids: Counter[str] = field(default_factory=Counter)
    """Events that have the id of an earlier one and say something else, by source: they change nothing."""
    _said: dict[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """The number of refused events."""
        return self.counts.total()

    def add(self, one: Refused) -> None:
        """Count one refused event."""
        self.counts[one.reason] += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(one)

    def remark(self, one: object) -> None:
        """Keep a remark about an accepted event."""
        self.remarked += 1
        if len(self.remarks) < MAX_EXAMPLES:
            self.remarks.append(str(one))

    def note(self, fact: Fact) -> None:
        """Count the action of an accepted event if the contract does not list it, and its id if it was used before."""
        self.note_action(fact)
        name = hash((fact.account, fact.source, fact.id))
        said = hash((fact.time, fact.op, orjson.dumps(fact.data, option=orjson.OPT_SORT_KEYS)))
        if self._said.get(name, said) != said:
            self.same_ids[fact.source] += 1
        elif len(self._said) < MAX_IDS:
            self._said[name] = said

    def note_action(self, fact: Fact | UnresolvedEvent) -> None:
        """Count the action of an accepted event if the contract does not list it."""
        if (action := find_unlisted_action(fact.kind, fact.data)) is not None:
            self.unlisted[fact.kind, action] += 1

    def join(self, later: Refusals) -> None:
        """Add what was refused and noted of later events. Their ids are not compared with those of earlier ones."""
        self.counts.update(later.counts)
        self.examples.extend(later.examples[: MAX_EXAMPLES - len(self.examples)])
        self.unlisted.update(later.unlisted)
        self.remarks.extend(later.remarks[: MAX_EXAMPLES - len(self.remarks)])
        self.remarked += later.remarked
        self.waiting.update(later.waiting)
        self.same_ids.update(later.same_ids)


def read_events(
    path: str,
    form: str | None = None,
    watch: Watch | None = None,
    types: Mapping[str, str] = NO_TYPES,
) -> Iterator[Located]:
    """Read the events of a file, of all files in a folder, or of standard input (`-`, JSON lines).

    `form` is `jsonl`, `csv`, `parquet` or `yc` (a folder of the Y Combinator directory). By default it is found
    from the file's suffix or the folder's contents. `types` are those of your own attributes, for cells of CSV files.

    Raises WrongFile: at once for an unreadable path or an unknown format, and while reading for a broken file.
    """
    if path == STDIN:
        return _read_text(path, form or "jsonl", watch, types)
    place = Path(path)
    if not place.exists():
        raise MissingFile(path)
    if not os.access(place, os.R_OK):
        raise WrongFile(path, "permission denied", remedy="Check the permissions.")
    if place.is_dir():
        return _read_folder(place, form, watch, types)
    return _read_file(path, form or _format_of(path), watch, types)


def decode_events(events: Iterable[Located], refusals: Refusals) -> Iterator[Fact]:
    """Yield the facts of the events, and add events that break the contract to `refusals`."""
    return (fact for fact, _ in decode_with_bytes(events, refusals))


def decode_with_bytes(
    events: Iterable[Located], refusals: Refusals, check: Callable[[Fact], None] | None = None
) -> Iterator[tuple[Fact, bytes]]:
    """Yield each fact with the bytes of its event. Refusals are those of `decode_events`, and those that `check` raises."""
    for event in events:
        try:
            if event.refused is not None:
                raise event.refused
            fact = _resolve(event, refusals)
            if check is not None:
                check(fact)
        except RefusedEvent as error:
            refusals.add(Refused(event.file, event.line, error.reason, error.message, error.field))
        else:
            refusals.note(fact)
            yield fact, event.value


def _resolve(event: Located, refusals: Refusals) -> Fact:
    """Return the fact of an event. One that may wait for its subject to be resolved is filed under its name."""
    found = decode_event(event.value)
    try:
        return resolve_event(found)
    except Unresolved as unresolved:
        if not refusals.lets_wait:
            raise
        refusals.waiting[unresolved.name] += 1
        return resolve_event(found, account=unresolved.name)


def _format_of(path: str) -> str:
    name = path.lower()
    form = SUFFIXES.get(Path(name.removesuffix(".gz")).suffix)
    if form is None or (form == "parquet" and name.endswith(".gz")):
        raise UnknownFormat(path)
    return form


def _read_folder(
    folder: Path, form: str | None, watch: Watch | None, types: Mapping[str, str]
) -> Iterator[Located]:
    snapshots, changes = sorted(folder.glob("snapshot-*.jsonl.gz")), sorted(folder.glob("changes-*.jsonl.gz"))
    if form == "yc" or (form is None and snapshots and changes):
        if len(snapshots) != 1 or len(changes) != 1:
            raise WrongFile(
                str(folder),
                "not a folder of the Y Combinator directory",
                remedy="Give a folder with one snapshot-*.jsonl.gz and one changes-*.jsonl.gz, like examples/yc.",
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
            str(folder),
            "no file in the folder has events",
            remedy=f"Put files with {', '.join(SUFFIXES)} there.",
        )
    return (event for name, known in files for event in _read_file(name, known, watch, types))


def _read_file(path: str, form: str, watch: Watch | None, types: Mapping[str, str]) -> Iterator[Located]:
    if form == "yc":
        raise WrongFile(path, "the format yc needs a folder", remedy="Give the folder, like examples/yc.")
    if form == "parquet":
        return read_parquet(path)
    return _read_text(path, form, watch, types)


def _read_text(path: str, form: str, watch: Watch | None, types: Mapping[str, str]) -> Iterator[Located]:
    if form not in ("jsonl", "csv"):
        raise WrongFile(
            path, f"the format {form} cannot be read from standard input", remedy="Use jsonl or csv."
        )
    with _open(path, watch) as lines:
        if form == "csv":
            yield from read_csv(path, lines, types)
        else:
            yield from _read_lines(path, read_byte_lines(path, lines))


@contextmanager
def _open(path: str, watch: Watch | None) -> Iterator[io.BufferedReader]:
    """Open a file for its unpacked bytes. Errors while reading are raised as WrongFile."""
    try:
        if path == STDIN:
            with suppress(ValueError):  # closed by its reader
                stdin = cast(
                    "io.BufferedReader", io.BufferedReader(cast("io.RawIOBase", sys.stdin.buffer), _BUFFER)
                )
                yield stdin
                stdin.detach()
            return
        with Path(path).open("rb") as file:
            raw: BinaryIO = file if watch is None else watch(file, Path(path).stat().st_size)
            packed = path.lower().endswith(".gz")
            if packed or watch is not None:
                # Gzip files and progress bars iterate lines in Python; a buffered reader around them does it in C.
                stream = gzip.GzipFile(fileobj=raw) if packed else raw
                raw = io.BufferedReader(cast("io.RawIOBase", stream), _BUFFER)
            yield cast("io.BufferedReader", raw)
    except (EOFError, zlib.error) as error:
        raise WrongFile(path, f"broken gzip: {error}", remedy="Compress the file again.") from error
    except OSError as error:
        problem = explain_os_error(error)
        raise WrongFile(path, f"cannot be read: {problem}", remedy="Check the file.") from error


def _read_lines(path: str, lines: Iterable[bytes]) -> Iterator[Located]:
    numbered = _strip(lines)
    start = next(numbered, None)
    if start is None:
        return
    if start[1].lstrip()[:1] == b"[":
        yield from _read_list(path, start[0], b"\n".join((start[1], *(line for _, line in numbered))))
        return
    for number, value in _join_objects(chain((start,), numbered)):
        yield Located(path, number, value)


def _read_list(path: str, line: int, text: bytes) -> Iterator[Located]:
    """Yield the events of a JSON list, all at the line where it starts. Raises WrongFile if it is not JSON."""
    try:
        events = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise WrongFile(
            path, f"the JSON list is broken: {error}", line=line, remedy="Write it as JSON."
        ) from error
    for event in events:
        yield Located(path, line, orjson.dumps(event))


def _strip(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield each line that is not blank with its number."""
    first = True
    for number, line in enumerate(lines, 1):
        value = line.removeprefix(_BOM).rstrip() if first else line.rstrip()
        if not value:
            continue
        first = False
        yield number, value


def _join_objects(lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Join the lines of each pretty-printed object: a line `{`, indented lines, and a line `}`."""
    held: list[tuple[int, bytes]] = []
    size = 0
    for number, line in lines:
        if (held and line[:1] == b"{") or size > MAX_OBJECT:
            yield from held
            held, size = [], 0
        if not held and line != b"{":
            yield number, line.lstrip()
            continue
        held.append((number, line))
        size += len(line)
        if line[:1] == b"}":
            yield held[0][0], b"\n".join(one for _, one in held)
            held, size = [], 0
    yield from held


def _read_yc(snapshot: Path, changes: Path) -> Iterator[Located]:
    try:
        events, _ = read_files(snapshot, changes)
    except (OSError, EOFError, zlib.error) as error:
        raise WrongFile(
            str(snapshot.parent), f"cannot be read: {error}", remedy="Check the folder's files."
        ) from error
    for number, event in enumerate(events, 1):
        yield Located(str(snapshot.parent), number, orjson.dumps(event))
