"""Batches of records for tests, and what is in the batches of a journal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from resegment.embedded.journal.catalog import Catalog
from resegment.embedded.journal.draft import Draft
from resegment.embedded.journal.files import mapped
from resegment.embedded.journal.journal import Journal, open_journal

Log = dict[tuple[str, int], list[tuple[int, bytes]]]


def make_batch(values: Sequence[bytes], *, compression: int = 0) -> bytes:
    """Return a batch as a producer sends it."""
    builder = DefaultRecordBatchBuilder(2, compression, False, -1, -1, -1, 1 << 24)
    for number, value in enumerate(values):
        builder.append(number, 1_700_000_000_000 + number, b"acme.com", value, [("a", b"b")])
    return bytes(builder.build())


def write(journal: Journal, *batches: tuple[str, int, bytes], now: int = 1_000) -> None:
    """Append batches (topic, partition, bytes) as one group."""
    draft = Draft(journal.catalog)
    for topic, partition, batch in batches:
        draft.append(topic, partition, now, [batch])
    journal.writer.append(draft.parts)
    draft.apply()


def roll(journal: Journal) -> int:
    """Begin the next file, and return the number of the one that is closed now."""
    number = journal.writer.number
    journal.writer = journal.writer.next(journal.catalog)
    return number


def read_back(folder: Path) -> tuple[Log, Catalog]:
    """Return the records that a new start finds, with their offsets, by topic and partition."""
    journal = open_journal(folder)
    journal.writer.close()
    log: Log = {}
    for held in journal.held:
        with mapped(held.file.path) as view:
            for one in held.batches:
                topic = journal.catalog.topics.get(one.topic)
                if topic is not None:
                    found = log.setdefault((topic.name, one.partition), [])
                    records = list(DefaultRecordBatch(bytes(view[one.start : one.end])))
                    base = records[0].offset
                    found += [(one.base + record.offset - base, record.value) for record in records]
    return log, journal.catalog
