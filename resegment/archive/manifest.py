"""What an archive says of one partition of a topic: where it continues, and which files hold what came before."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from resegment.agents.batch import Record

FORMAT: Final = 1
"""The version of the layout, the manifests and the columns."""
SEAL_AFTER: Final = 1000
"""Files after which the oldest are listed in a file of their own, so that a manifest stays small."""


class ArchivedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file, and the offsets of its first and last record."""

    path: str
    first: int
    last: int
    rows: int
    size: int


class SealedFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A file that lists older Parquet files."""

    path: str
    files: int
    rows: int


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Offsets that the topic had deleted before they were archived; `until` is excluded."""

    first: int
    until: int


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What the last archived record was: where the topic has another one, it is another log."""

    offset: int
    timestamp: int
    digest: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One partition of one topic. `number` counts its manifests: the one with the greatest is in force.

    `next_offset` is where it continues. `clock` is the greatest timestamp of a record (ms), and `caught_up` when
    (ms, by the wall) it last had everything. `refused` are the offset and timestamp of records of `signals` that no
    worker counted, because their time was ahead.
    """

    topic: str
    partition: int
    number: int = 0
    format: int = FORMAT
    epoch: int = 0
    """The number of the lease under which it was written."""
    topic_id: str = ""
    next_offset: int = 0
    rows: int = 0
    clock: int = 0
    caught_up: int = 0
    mark: Mark | None = None
    gaps: tuple[Gap, ...] = ()
    refused: tuple[tuple[int, int], ...] = ()
    sealed: tuple[SealedFiles, ...] = ()
    files: tuple[ArchivedFile, ...] = ()

    @property
    def path(self) -> str:
        """Return where it lies."""
        return f"{folder_of(self.topic, self.partition)}/{self.number:012d}.json"


def folder_of(topic: str, partition: int) -> str:
    """Return where the manifests of a partition lie."""
    return f"_manifests/{topic}/{partition:05d}"


def data_path(topic: str, day: str, partition: int, first: int) -> str:
    """Return where the file lies whose first record has that offset."""
    return f"{topic}/date={day}/partition={partition}/{first:020d}.parquet"


def mark_of(record: Record) -> Mark:
    """Return what names a record."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (record.key, record.value):
        digest.update(b"-" if part is None else b"%d:" % len(part) + part)
    return Mark(offset=record.offset, timestamp=record.timestamp, digest=digest.hexdigest())


_manifests: Final[msgspec.json.Decoder[Manifest]] = msgspec.json.Decoder(Manifest)
_lists: Final[msgspec.json.Decoder[tuple[ArchivedFile, ...]]] = msgspec.json.Decoder(tuple[ArchivedFile, ...])


def decode_manifest(data: bytes) -> Manifest:
    """Decode a manifest. Raises msgspec.DecodeError."""
    return _manifests.decode(data)


def decode_files(data: bytes) -> tuple[ArchivedFile, ...]:
    """Decode a list of files. Raises msgspec.DecodeError."""
    return _lists.decode(data)
