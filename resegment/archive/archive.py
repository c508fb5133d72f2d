"""An archive: open it, read what it has, and add to it so that each record is in exactly one file."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import msgspec
import polars as pl

from resegment.agents.batch import Record, RecordedMessage
from resegment.archive.columns import COLUMNS, to_table
from resegment.archive.lease import LeaseLost
from resegment.archive.manifest import (
    FORMAT,
    SEAL_AFTER,
    ArchivedFile,
    Manifest,
    SealedFiles,
    data_path,
    decode_files,
    decode_manifest,
    folder_of,
    mark_of,
)
from resegment.archive.storage import PART, ArchiveUnusable, Storage
from resegment.errors import FatalError
from resegment.schemas.times import HORIZON

TOPICS: Final = tuple(COLUMNS)
"""The topics that are archived, without the prefix."""
ROOT: Final = "archive.json"
DAY: Final = 86_400_000
READ_AHEAD: Final = 8
"""Files that are read at the same time."""
_ATTEMPTS: Final = 10


class NoArchive(ArchiveUnusable):
    """There is no archive at the path."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "there is none", "Check the path. `resegment archive PATH` writes one.")


class ArchiveDamaged(FatalError):
    """A file that a manifest names is missing, or is not what was written."""

    def __init__(self, path: str, file: str, problem: str) -> None:
        super().__init__(
            f"the archive at {path} is damaged: {file} {problem}",
            remedy="Restore that file from a copy of the archive. Where the topic still has its records, archive them "
            "to another path instead.",
        )
        self.path, self.file, self.problem = path, file, problem


class _Root(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    prefix: str
    clock: str = "wall"
    partitions: int = 0
    """Of `signals`."""


class Archive:
    """The files of one prefix. Blocks. Every method raises ArchiveUnreachable and ArchiveDamaged."""

    def __init__(self, storage: Storage, root: _Root) -> None:
        self.storage = storage
        self.prefix, self.clock, self.partitions = root.prefix, root.clock, root.partitions

    @classmethod
    def open(cls, storage: Storage) -> Archive:
        """Open an archive to read it. Raises NoArchive and ArchiveUnusable."""
        root = _read_root(storage)
        if root is None:
            raise NoArchive(storage.path)
        return cls(storage, root)

    @classmethod
    def prepare(cls, storage: Storage, prefix: str, clock: str, partitions: int) -> Archive:
        """Open the archive of a prefix to write to it; begin it where there is none. Raises ArchiveUnusable."""
        wanted = _Root(format=FORMAT, prefix=prefix, clock=clock, partitions=partitions)
        storage.create(ROOT, msgspec.json.encode(wanted))
        storage.check_exclusive(ROOT)
        root = _read_root(storage)
        if root != wanted:
            held = "another prefix" if root is None else _describe(root)
            raise ArchiveUnusable(
                storage.path,
                f"it belongs to {held}, and this is {_describe(wanted)}",
                "Give each prefix a path of its own.",
            )
        return cls(storage, wanted)

    def manifests(self, topic: str, partitions: Collection[int] | None = None) -> dict[int, Manifest]:
        """Return the manifest in force of all or some partitions of a topic that have one."""
        for _ in range(_ATTEMPTS):
            newest = self._find_newest(topic)
            read = {
                number: self._read_manifest(path)
                for number, path in newest.items()
                if partitions is None or number in partitions
            }
            found = {number: one for number, one in read.items() if one is not None}
            if len(found) == len(read):
                return found
        raise ArchiveDamaged(self.storage.path, f"_manifests/{topic}", "changes faster than it can be read")

    def _find_newest(self, topic: str) -> dict[int, str]:
        newest: dict[int, str] = {}
        for path in self.storage.sizes(f"_manifests/{topic}"):
            partition = path.split("/")[2]
            if _is_manifest(path) and partition.isdigit():
                newest[int(partition)] = max(newest.get(int(partition), ""), path)
        return dict(sorted(newest.items()))

    def files(self, manifest: Manifest) -> list[ArchivedFile]:
        """Return every Parquet file of a partition, in the order of its records."""
        older = [one for sealed in manifest.sealed for one in self._read_sealed(sealed)]
        return sorted([*older, *manifest.files], key=lambda one: one.first)

    def records(self, manifest: Manifest, start: int = 0) -> Iterator[Sequence[RecordedMessage]]:
        """Yield the records of a partition from an offset on, in order."""
        files = [one for one in self.files(manifest) if one.last >= start]
        last = -1
        together: list[RecordedMessage] = []
        for file, records in self._read_ahead(files):
            if together and file.first > last:
                yield _in_order(together, start)
                together = []
            together += records
            last = max(last, file.last)
        if together:
            yield _in_order(together, start)

    def _read_ahead(
        self, files: Sequence[ArchivedFile]
    ) -> Iterator[tuple[ArchivedFile, list[RecordedMessage]]]:
        """Yield the records of each file, while the next ones are being read."""
        with ThreadPoolExecutor(READ_AHEAD) as pool:
            reads: deque[tuple[ArchivedFile, Future[list[RecordedMessage]]]] = deque()
            try:
                for file in files:
                    reads.append((file, pool.submit(self._read_file, file)))
                    if len(reads) > READ_AHEAD:
                        first, read = reads.popleft()
                        yield first, read.result()
                for file, read in reads:
                    yield file, read.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    # Writing

    def take_over(self, topic: str, partitions: Sequence[int], epoch: int) -> dict[int, Manifest]:
        """Return the manifest of each partition, renewed so that no earlier archiver can add to it any more.

        Files that no manifest names are removed: an archiver was stopped between the two. Raises LeaseLost.
        """
        held = self.manifests(topic)
        taken = {
            number: self._put(
                msgspec.structs.replace(
                    held.get(number, Manifest(topic=topic, partition=number)), epoch=epoch
                )
            )
            for number in partitions
        }
        known = {one.path: one.size for manifest in (held | taken).values() for one in self.files(manifest)}
        sizes = self.storage.sizes(topic)
        for path, size in known.items():
            if sizes.get(path) != size:
                problem = "is missing" if path not in sizes else f"has {sizes[path]} bytes instead of {size}"
                raise ArchiveDamaged(self.storage.path, path, problem)
        self.storage.delete(one for one in sizes.keys() - known.keys() if one.endswith((".parquet", PART)))
        return taken

    def append(self, manifest: Manifest, records: Sequence[Record], **noted: Any) -> Manifest:
        """Add records to a partition, and return its new manifest; `noted` is what else it says. Raises LeaseLost."""
        if not records:
            return self._put(msgspec.structs.replace(manifest, **noted))
        made = [self._write(manifest, day, found) for day, found in _by_day(records)]
        sealed, files = self._seal(manifest, [*manifest.files, *made])
        changes = {
            "next_offset": records[-1].offset + 1,
            "clock": max(manifest.clock, *(one.timestamp for one in records)),
            "mark": mark_of(records[-1]),
            "rows": manifest.rows + len(records),
            "sealed": sealed,
            "files": files,
        }
        return self._put(msgspec.structs.replace(manifest, **(changes | noted)))

    def _write(self, manifest: Manifest, day: str, records: Sequence[Record]) -> ArchivedFile:
        topic, partition = manifest.topic, manifest.partition
        path = data_path(topic, day, partition, records[0].offset)
        buffer = io.BytesIO()
        to_table(topic, partition, records).write_parquet(buffer, compression="zstd", statistics=True)
        data = buffer.getvalue()
        self._replace(manifest, path, data)
        return ArchivedFile(
            path=path, first=records[0].offset, last=records[-1].offset, rows=len(records), size=len(data)
        )

    def _replace(self, manifest: Manifest, path: str, data: bytes) -> None:
        """Write a file that the manifest does not name yet, in place of one of an archiver that was stopped.

        Only one of two archivers that wrote it can add it to a manifest: the one whose manifest is in force.
        """
        if self.storage.create(path, data):
            return
        self._check_in_force(manifest)
        self.storage.delete([path])
        if not self.storage.create(path, data):
            raise LeaseLost(self.storage.path)

    def _seal(
        self, manifest: Manifest, files: Sequence[ArchivedFile]
    ) -> tuple[tuple[SealedFiles, ...], tuple[ArchivedFile, ...]]:
        """Return which files are listed apart, and which in the manifest."""
        if len(files) <= SEAL_AFTER:
            return manifest.sealed, tuple(files)
        older, rest = files[:SEAL_AFTER], files[SEAL_AFTER:]
        path = f"{folder_of(manifest.topic, manifest.partition)}/files-{older[0].first:020d}.json"
        self._replace(manifest, path, msgspec.json.encode(older))
        sealed = SealedFiles(path=path, files=len(older), rows=sum(one.rows for one in older))
        return (*manifest.sealed, sealed), tuple(rest)

    def _put(self, manifest: Manifest) -> Manifest:
        """Make a manifest the next one in force. Raises LeaseLost."""
        following = msgspec.structs.replace(manifest, number=manifest.number + 1)
        if not self.storage.create(following.path, msgspec.json.encode(following)):
            raise LeaseLost(self.storage.path)
        older = self._check_in_force(following)
        self.storage.delete(path for path in older if path < following.path)
        return following

    def _check_in_force(self, manifest: Manifest) -> list[str]:
        """Return all manifests of the partition. Raises LeaseLost where there is a later one."""
        found = [
            path
            for path in self.storage.sizes(folder_of(manifest.topic, manifest.partition))
            if _is_manifest(path)
        ]
        if max(found, default="") > manifest.path:
            raise LeaseLost(self.storage.path)
        return found

    # Reading

    def _read_manifest(self, path: str) -> Manifest | None:
        """Return a manifest, None if the next one has just replaced it."""
        data = self.storage.read(path)
        try:
            return None if data is None else decode_manifest(data)
        except msgspec.DecodeError as error:
            raise ArchiveDamaged(self.storage.path, path, "cannot be read") from error

    def _read_sealed(self, sealed: SealedFiles) -> tuple[ArchivedFile, ...]:
        try:
            return decode_files(self.storage.read(sealed.path) or b"")
        except msgspec.DecodeError as error:
            raise ArchiveDamaged(self.storage.path, sealed.path, "cannot be read") from error

    def _read_file(self, file: ArchivedFile) -> list[RecordedMessage]:
        data = self.storage.read(file.path)
        if data is None:
            raise ArchiveDamaged(self.storage.path, file.path, "is missing")
        try:
            table = pl.read_parquet(
                io.BytesIO(data), columns=["log_offset", "log_time", "key", "value", "headers"]
            ).with_columns(pl.col("log_time").cast(pl.Int64))
        except pl.exceptions.PolarsError as error:
            raise ArchiveDamaged(self.storage.path, file.path, "is no Parquet file of an archive") from error
        if len(table) != file.rows:
            raise ArchiveDamaged(
                self.storage.path, file.path, f"has {len(table)} rows instead of {file.rows}"
            )
        return [
            RecordedMessage(
                offset, timestamp, key, value, [(one["name"], one["value"]) for one in headers or ()]
            )
            for offset, timestamp, key, value, headers in table.iter_rows()
        ]


def _describe(root: _Root) -> str:
    clock = "clock of the facts" if root.clock == "facts" else "wall clock"
    return f"prefix {root.prefix} with {root.partitions} partitions on the {clock}"


def _is_manifest(path: str) -> bool:
    return path.rpartition("/")[2].removesuffix(".json").isdigit()


def _in_order(records: Sequence[RecordedMessage], start: int) -> list[RecordedMessage]:
    """Return the records of files whose offsets lie among each other, from an offset on."""
    return sorted((one for one in records if one.offset >= start), key=attrgetter("offset"))


def _by_day(records: Sequence[Record]) -> Iterator[tuple[str, list[Record]]]:
    """Yield the records of each day, in their order."""
    for day, found in groupby(sorted(records, key=_day_number), key=_day_number):
        yield datetime.fromtimestamp(day * DAY // 1000, UTC).date().isoformat(), list(found)


def _day_number(record: Record) -> int:
    """Return the day of a record since the epoch; the first one where its time is none."""
    return record.timestamp // DAY if 0 <= record.timestamp <= HORIZON else 0


def _read_root(storage: Storage) -> _Root | None:
    data = storage.read(ROOT)
    if data is None:
        return None
    try:
        root = msgspec.json.decode(data, type=_Root)
    except msgspec.DecodeError:
        return None
    if root.format > FORMAT:
        raise ArchiveUnusable(
            storage.path, f"it has format {root.format}", "Use the release that wrote it, or a later one."
        )
    return root
