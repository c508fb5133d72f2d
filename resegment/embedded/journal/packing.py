"""Pack a file that is closed: small batches of a partition become large compressed ones, with the same offsets.

What the retention of its topic no longer keeps is left out. Run as a program, so that the gateway is not held up.
"""

from __future__ import annotations

import os
import struct
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from resegment.embedded.journal.catalog import Catalog, Place
from resegment.embedded.journal.entries import BatchAt, State, encode_batch, encode_other
from resegment.embedded.journal.files import (
    LOG,
    PACKED,
    PACKING,
    JournalFile,
    batches_of,
    mapped,
    path_of,
    read_file,
    sync_folder,
)
from resegment.embedded.journal.frames import frame
from resegment.embedded.journal.journal import is_expired

MAX_RECORDS: Final = 1_000
MAX_BYTES: Final = 512 * 1024
"""Bytes of one packed batch before it is compressed."""
GROUP_BYTES: Final = 4 * 1024 * 1024
_ZSTD: Final = 4
_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_PLAIN: Final = 0
_NICE: Final = 19


def pack_file(file: JournalFile, catalog: Catalog, now: int) -> bool:
    """Pack a file, or pack it again without what has expired. Return False if nothing is left, and the file is gone.

    A crash at any point leaves the old file or the new one. Raises OSError and JournalDamaged.
    """
    folder = file.path.parent
    draft = path_of(folder, file.number, PACKING)
    with mapped(file.path) as view:
        kept: dict[Place, list[BatchAt]] = defaultdict(list)
        batches = batches_of(read_file(file.path, is_last=False))
        left = [one for one in batches if not is_expired(catalog, one, now)]
        if file.is_packed and len(left) == len(batches):
            return True
        for one in left:
            kept[one.topic, one.partition].append(one)
        if kept:
            packed = (entry for place in sorted(kept) for entry in _pack(view, kept[place]))
            # what the catalog says too, so that this file counts without the ones that follow
            _write(draft, chain([encode_other(catalog.state())], packed))
    if kept:
        draft.replace(path_of(folder, file.number, PACKED))
    else:
        path_of(folder, file.number, PACKED).unlink(missing_ok=True)
    sync_folder(folder)
    path_of(folder, file.number, LOG).unlink(missing_ok=True)
    return bool(kept)


def _write(path: Path, entries: Iterator[bytes]) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        number, parts, size = 1, list[bytes](), 0
        for entry in entries:
            parts.append(entry)
            size += len(entry)
            if size >= GROUP_BYTES:
                file.writelines(frame(number, parts))
                number, parts, size = number + 1, [], 0
        if parts:
            file.writelines(frame(number, parts))
        file.flush()
        os.fsync(file.fileno())


def _pack(view: memoryview, batches: Sequence[BatchAt]) -> Iterator[bytes]:
    """Yield the entries of one partition's batches, merged where they are plain and follow each other."""
    merged: list[BatchAt] = []
    records: list[Any] = []
    size = 0
    for one in batches:
        raw = bytes(view[one.start : one.end])
        plain = _read_plain(raw)
        fits = (
            plain is not None
            and size + len(raw) <= MAX_BYTES
            and len(records) + len(plain) <= MAX_RECORDS
            and (not merged or one.base == merged[-1].after)
        )
        if merged and not fits:
            yield _merge(merged, records)
            merged, records, size = [], [], 0
        if plain is None:
            yield encode_batch(one.topic, one.partition, one.base, one.written, raw)
        else:
            merged.append(one)
            records += plain
            size += len(raw)
    if merged:
        yield _merge(merged, records)


def _merge(batches: Sequence[BatchAt], records: Sequence[Any]) -> bytes:
    """Return the entry of one compressed batch with the records of several."""
    builder = DefaultRecordBatchBuilder(2, _ZSTD, False, -1, -1, -1, sys.maxsize)
    for number, one in enumerate(records):
        builder.append(number, one.timestamp, one.key, one.value, one.headers)
    first, written = batches[0], max(one.written for one in batches)
    return encode_batch(first.topic, first.partition, first.base, written, bytes(builder.build()))


def _read_plain(raw: bytes) -> list[Any] | None:
    """Return the records of a batch; None where it must stay as it is: compressed, special, or not readable."""
    header = _HEADER.unpack_from(raw)
    attributes, last, producer, count = header[5], header[6], header[9], header[12]
    if attributes != _PLAIN or producer != -1 or count != last + 1 or not 0 < count <= MAX_RECORDS:
        return None
    if len(raw) > MAX_BYTES:
        return None
    batch = DefaultRecordBatch(raw)
    if not batch.validate_crc():
        return None
    try:
        records = list(batch)
    except Exception:  # noqa: BLE001 - the border: a producer may have written anything
        return None
    return records if [one.offset - header[0] for one in records] == list(range(count)) else None


def main(arguments: list[str]) -> int:
    """Pack the files with the given numbers: FOLDER NOW NUMBER..., with what the catalog says on standard input."""
    import msgspec  # noqa: PLC0415  # a program

    os.nice(_NICE)
    folder, now, numbers = Path(arguments[0]), int(arguments[1]), [int(one) for one in arguments[2:]]
    catalog = Catalog()
    catalog.take(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=State))
    for number in numbers:
        log = path_of(folder, number)
        file = JournalFile(number, log if log.exists() else path_of(folder, number, PACKED))
        pack_file(file, catalog, now)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
