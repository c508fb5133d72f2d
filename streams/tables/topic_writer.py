"""Write one topic to tables: each partition from where the tables end, with the position in the same transaction."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from resegment.agents.batch import Record
from resegment.archive.archive import Archive
from resegment.archive.manifest import mark_of
from resegment.errors import FatalError
from resegment.redaction import hide_quotes
from resegment.streams.kafka.topic_reader import TopicReader
from resegment.streams.tables.pseudonyms import Conceal
from resegment.tables.rows import read_batch
from resegment.tables.store import Position, TableStore, read_positions, write_batch

log = structlog.get_logger(__name__)

ROWS: Final = 5_000
"""Records that are written in one transaction at most."""


class LogReplaced(FatalError):
    """A topic has other records at offsets that are in the tables already."""

    def __init__(self, topic: str, partition: int, offset: int) -> None:
        super().__init__(
            f"partition {partition} of {topic} is not the log that the tables were made from: offset {offset} differs or is gone",
            remedy="The topic was deleted and created again. Write the new one to another schema: --schema.",
        )
        self.topic, self.partition, self.offset = topic, partition, offset


class RecordsMissing(FatalError):
    """Records were deleted before they were written to the tables."""

    def __init__(self, topic: str, partition: int, first: int, until: int) -> None:
        super().__init__(
            f"partition {partition} of {topic} begins at offset {until}, and the tables need it from {first} on",
            remedy="Pass the archive of this prefix, which has these records: --archive PATH.",
        )
        self.topic, self.partition, self.first, self.until = topic, partition, first, until


@dataclass(frozen=True, slots=True)
class Source:
    """A topic: `name` without the prefix, `full` as the brokers call it. `archive` has what the topic has no more."""

    name: str
    full: str
    archive: Archive | None = None
    conceal: Conceal | None = None
    """Puts pseudonyms in the place of persons; None where personal fields are not sealed."""
    forgotten: frozenset[str] = frozenset()
    """The accounts that are forgotten when the writer begins."""


@dataclass(slots=True)
class Written:
    """Up to where a partition is written, and where it ended when somebody looked."""

    position: Position
    end: int = 0

    @property
    def lag(self) -> int:
        """Return how many records are not written yet."""
        return max(0, self.end - self.position.next_offset)


class TopicWriter:
    """Writes one topic. Raises what reading and writing raise, LogReplaced and RecordsMissing."""

    def __init__(
        self, store: TableStore, source: Source, window: timedelta, run: str, turn: asyncio.Lock
    ) -> None:
        """`run` names this process. `turn` lets one transaction at a time use the store's connection."""
        self._store, self._source, self._window = store, source, window
        self._run, self._turn = run, turn
        self._gone = {*source.forgotten}
        self.partitions: dict[int, Written] = {}
        self.rows = 0
        self.refused = 0

    async def begin(self, reader: TopicReader, only: Mapping[int, int] | None = None) -> None:
        """Find where the tables end, and fill in from the archive what the topic has no more. `only`: up to there."""
        ends = dict(await reader.ends())
        async with self._turn:
            held = await asyncio.to_thread(self._read_positions)
        for number, begin in reader.begins.items():
            end = ends[number] if only is None else min(ends[number], only.get(number, 0))
            one = self.partitions[number] = Written(held.get(number, Position()), end)
            await self._check_same_log(reader, number, one, begin, ends[number])
            if begin > one.position.next_offset and one.lag:
                async for records in self._archived(number, one, min(begin, end)):
                    await self.write(number, records)
        for number, one in self.partitions.items():
            reader.start_at(number, one.position.next_offset)

    async def catch_up(self, reader: TopicReader) -> None:
        """Write up to where the topic ended at the beginning."""
        while any(one.lag for one in self.partitions.values()):
            for number, records in (await reader.poll()).items():
                end = self.partitions[number].end
                await self.write(number, [one for one in records if one.offset < end])
            for number, one in self.partitions.items():
                if one.lag and await reader.position(number) >= one.end:
                    one.end = one.position.next_offset  # what is left are marks of transactions
        # what has come since was read with the rest, and is not written yet
        for number, one in self.partitions.items():
            reader.start_at(number, one.position.next_offset)

    async def follow(self, reader: TopicReader, stop: asyncio.Event) -> None:
        """Write what comes, until a stop."""
        while not stop.is_set():
            for number, records in (await reader.poll()).items():
                await self.write(number, records)
            for number, one in self.partitions.items():
                one.end = max(one.end, one.position.next_offset, reader.end(number))

    async def write(self, number: int, records: Sequence[Record]) -> None:
        """Write records of a partition, each slice of them in one transaction."""
        for start in range(0, len(records), ROWS):
            part = records[start : start + ROWS]
            mark = mark_of(part[-1])
            after = Position(mark.offset + 1, mark.timestamp, mark.digest)
            if self._source.conceal is not None:
                part = await self._source.conceal(self._source.name, part)
            async with self._turn:
                await asyncio.to_thread(self._write, number, part, after)

    def _write(self, number: int, records: Sequence[Record], after: Position) -> None:
        one = self.partitions[number]
        batch = read_batch(self._source.name, number, records, self._gone)
        with self._store.transaction() as transaction:
            write_batch(
                transaction,
                batch,
                one.position,
                after,
                run=self._run,
                now=datetime.fromtimestamp(time.time(), UTC),
                window=self._window,
            )
        one.position = after
        self.rows += batch.count
        self.refused += len(batch.refused)
        for refusal in batch.refused:
            log.warning(
                "a record became no row",
                topic=self._source.full,
                partition=number,
                offset=refusal.offset,
                reason=hide_quotes(refusal.reason),
            )

    def _read_positions(self) -> dict[int, Position]:
        with self._store.transaction() as transaction:
            return read_positions(transaction, self._source.name)

    async def _check_same_log(
        self, reader: TopicReader, number: int, one: Written, begin: int, end: int
    ) -> None:
        """Compare the last written record with the topic's."""
        position = one.position
        last = position.next_offset - 1
        if position.mark_digest is None:
            return
        if last >= end:
            raise LogReplaced(self._source.full, number, last)
        if last < begin:
            return
        async for records in reader.between(number, last, last + 1):
            if records and mark_of(records[0]).digest != position.mark_digest:
                raise LogReplaced(self._source.full, number, last)

    async def _archived(self, number: int, one: Written, until: int) -> AsyncIterator[Sequence[Record]]:
        """Yield what the archive has of a partition from where the tables end up to an offset."""
        first, archive, source = one.position.next_offset, self._source.archive, self._source
        if archive is None:
            raise RecordsMissing(source.full, number, first, until)
        manifest = (await asyncio.to_thread(archive.manifests, source.name, [number])).get(number)
        if (
            manifest is None
            or manifest.next_offset < until
            or any(gap.until > first for gap in manifest.gaps)
        ):
            raise RecordsMissing(source.full, number, first, until)
        records = archive.records(manifest, first)
        while (found := await asyncio.to_thread(next, records, None)) is not None:
            if inside := [one for one in found if one.offset < until]:
                yield inside
