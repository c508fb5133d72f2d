"""Open the journal of a folder: what it holds, and the writer that continues it."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from resegment.embedded.folder import make_private
from resegment.embedded.journal.catalog import Catalog
from resegment.embedded.journal.entries import BatchAt, TopicMade, encode_other
from resegment.embedded.journal.files import (
    LOG,
    PACKING,
    Contents,
    JournalFile,
    batches_of,
    find_files,
    is_begun,
    path_of,
    read_file,
    sync_folder,
)
from resegment.embedded.journal.writer import JournalWriter

log = logging.getLogger(__name__)

_FOREVER: Final = -1
_RETENTION: Final = "retention.ms"


class Held(NamedTuple):
    """A file and its batches."""

    file: JournalFile
    batches: list[BatchAt]


@dataclass(slots=True)
class Journal:
    """An open journal. `held` is what the files have, oldest first."""

    folder: Path
    catalog: Catalog
    held: list[Held]
    writer: JournalWriter

    @property
    def closed(self) -> list[JournalFile]:
        """Return the files that nothing is written to any more."""
        return [one.file for one in self.held if one.file.number < self.writer.number]


def open_journal(folder: Path) -> Journal:
    """Read the journal in `folder`, begun if there is none, and cut off a torn end.

    Raises JournalDamaged, JournalFailed and DiskFull.
    """
    make_private(folder)
    files = find_files(folder)
    if files and not files[-1].is_packed and not is_begun(files[-1].path):
        # a file counts once its first group is synced
        log.info("the file %s was not begun yet: it is left out", files[-1].path.name)
        files.pop().path.unlink()
    _clear_away(files)
    catalog = Catalog()
    held: list[Held] = []
    contents = Contents([], 0, 0)
    for file in files:
        contents = read_file(file.path, is_last=file is files[-1] and not file.is_packed)
        for entry in contents.entries:
            catalog.take(entry)
        held.append(Held(file, batches_of(contents)))
    writer = _continue(folder, files, contents, catalog)
    return Journal(folder, catalog, held, writer)


def _clear_away(files: list[JournalFile]) -> None:
    """Delete what a crash while packing left."""
    for file in files:
        for suffix in (PACKING, *([LOG] if file.is_packed else [])):
            path_of(file.path.parent, file.number, suffix).unlink(missing_ok=True)


def _continue(folder: Path, files: list[JournalFile], contents: Contents, catalog: Catalog) -> JournalWriter:
    if files and not files[-1].is_packed:
        file = files[-1]
        torn = file.path.stat().st_size - contents.whole
        if torn:
            log.warning(
                "the last %d bytes of %s are torn: they were never acknowledged, and are cut off",
                torn,
                file.path.name,
            )
        return JournalWriter(folder, file.number, size=contents.whole, last=contents.last)
    writer = JournalWriter(folder, files[-1].number + 1 if files else 1)
    writer.append([encode_other(catalog.state())])
    sync_folder(folder)
    for parent in folder.resolve().parents[:2]:  # they may be new, too
        with suppress(OSError):  # one that may not be read was not made here
            sync_folder(parent)
    return writer


def is_expired(catalog: Catalog, batch: BatchAt, now: int) -> bool:
    """Return whether a batch may go at `now` (ms): its topic is gone, or it is older than the topic keeps records.

    Its age is that of its arrival, not of its records: a replay writes records of years ago. The newest batch of a
    partition always stays: readers that know the last record recognize the log by it.
    """
    topic = catalog.topics.get(batch.topic)
    if topic is None:
        return True
    if batch.after >= catalog.ends.get((batch.topic, batch.partition), 0):
        return False
    kept = retention_of(topic)
    return kept is not None and batch.written < now - kept


def retention_of(topic: TopicMade) -> int | None:
    """Return how long (ms) a topic keeps its records; None: forever."""
    try:
        kept = int(topic.configs.get(_RETENTION, _FOREVER))
    except ValueError:
        return None
    return None if kept < 0 else kept


def now_ms() -> int:
    """Return the wall clock, ms."""
    return time.time_ns() // 1_000_000
