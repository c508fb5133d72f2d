"""Archive one topic: read each partition from where its archive ends, and write what has come to files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import structlog
from aiokafka import ConsumerRecord
from msgspec.structs import replace

from resegment.agents.batch import size_of
from resegment.archive.archive import Archive
from resegment.archive.manifest import Gap, Manifest, mark_of
from resegment.errors import FatalError
from resegment.streams.kafka.topic_reader import TopicReader, reading

log = structlog.get_logger(__name__)

ROWS: Final = 100_000
"""Records of a partition after which they are written, however new they are."""
BYTES: Final = 64 * 1024 * 1024
"""Bytes of all partitions of a topic after which the largest is written."""

PROMPT: Final = 2.0
"""Seconds after which records of topics of one partition are written: what looks back needs them before the others."""

Refused = Callable[[int], Awaitable[Sequence[tuple[int, int]]]]
"""Returns the offset and timestamp of the records of a partition of `signals` that workers refused."""


class LogReplaced(FatalError):
    """A topic has other records at offsets that are archived already."""

    def __init__(self, topic: str, partition: int, offset: int) -> None:
        super().__init__(
            f"partition {partition} of {topic} is not the log that was archived: offset {offset} differs or is gone",
            remedy="The topic was deleted and created again. Archive the new one to another path; the old archive "
            "stays as it is.",
        )
        self.topic, self.partition, self.offset = topic, partition, offset


@dataclass(frozen=True, slots=True)
class TopicSource:
    """A topic: `name` without the prefix, as the archive calls it, and `full` as the brokers do.

    `topic_id` is empty where the brokers give none.
    """

    name: str
    full: str
    bootstrap: str
    security: Mapping[str, Any]
    topic_id: str = ""
    refused: Refused | None = None
    is_prompt: bool = False
    """Whether its records are written as soon as they come."""


@dataclass(slots=True)
class Waiting:
    """The records of one partition that are read and not written yet."""

    manifest: Manifest
    position: int
    end: int = 0
    records: list[ConsumerRecord] = field(default_factory=list)
    bytes: int = 0
    since: float = field(default_factory=time.monotonic)
    """When the partition was written last."""

    @property
    def lag(self) -> int:
        """Return how many offsets are not archived yet."""
        return max(0, self.end - self.manifest.next_offset)

    def take(self, records: Sequence[ConsumerRecord]) -> None:
        """Add records that have come."""
        self.records += records
        self.bytes += sum(map(size_of, records))


class TopicArchiver:
    """Archives one topic. Raises TopicUnreadable, ArchiveUnreachable, LeaseLost, LogReplaced and ArchiveDamaged."""

    def __init__(self, archive: Archive, source: TopicSource, epoch: int, every: timedelta) -> None:
        self.source = source
        self._archive, self._epoch, self._every = archive, epoch, every.total_seconds()
        self._prompt = min(self._every, PROMPT) if source.is_prompt else self._every
        self.partitions: dict[int, Waiting] = {}
        self.gaps = 0
        """Gaps found since the start."""
        self.written = 0
        """Records written since the start."""

    async def run(self, stop: asyncio.Event | None) -> None:
        """Archive until `stop`, and then write what was read; without it, up to where the topic ends now."""
        source = self.source
        async with reading(source.bootstrap, source.full, security=source.security) as reader:
            await self._begin(reader)
            if stop is None:
                await self._catch_up(reader)
            else:
                await self._follow(reader, stop)

    async def _begin(self, reader: TopicReader) -> None:
        begins, ends = reader.begins, await reader.ends()
        held = await asyncio.to_thread(self._archive.take_over, self.source.name, sorted(begins), self._epoch)
        self.partitions = {}
        for number, manifest in held.items():
            one = Waiting(manifest, manifest.next_offset, ends[number])
            await self._check_same_log(reader, number, one, begins[number])
            self.partitions[number] = one
        for number, one in self.partitions.items():
            reader.start_at(number, one.position)

    async def _check_same_log(self, reader: TopicReader, number: int, one: Waiting, begin: int) -> None:
        """Compare the last archived record with the topic's, and note what was deleted before it was archived."""
        mark, source = one.manifest.mark, self.source
        if mark is not None and mark.offset >= one.end:
            raise LogReplaced(source.full, number, mark.offset)
        if mark is not None and mark.offset >= begin:
            async for records in reader.between(number, mark.offset, mark.offset + 1):
                if records and mark_of(records[0]) != mark:
                    raise LogReplaced(source.full, number, mark.offset)
        elif mark is not None and one.manifest.topic_id != source.topic_id:
            raise LogReplaced(source.full, number, mark.offset)
        if begin > one.position:
            self._note_gap(number, one, begin)
        if one.manifest.topic_id != source.topic_id:
            one.manifest = await asyncio.to_thread(
                self._archive.append, one.manifest, (), topic_id=source.topic_id
            )

    def _note_gap(self, number: int, one: Waiting, until: int) -> None:
        gap = Gap(first=one.position, until=until)
        self.gaps += 1
        log.error(
            "records were deleted before they were archived",
            topic=self.source.full,
            partition=number,
            first=gap.first,
            until=gap.until,
        )
        one.position = until
        one.manifest = replace(one.manifest, gaps=(*one.manifest.gaps, gap), next_offset=until)

    async def _catch_up(self, reader: TopicReader) -> None:
        ends = {number: one.end for number, one in self.partitions.items()}
        left = {number for number, one in self.partitions.items() if one.position < ends[number]}
        while left:
            for number, records in (await reader.poll()).items():
                await self._take(reader, number, [one for one in records if one.offset < ends[number]])
            for number in list(left):
                if await reader.position(number) >= ends[number]:
                    self.partitions[number].position = ends[number]
                    left.remove(number)
            await self._write_due(all_of_it=False)
        await self._write_due(all_of_it=True)

    async def _follow(self, reader: TopicReader, stop: asyncio.Event) -> None:
        while not stop.is_set():
            for number, records in (await reader.poll()).items():
                await self._take(reader, number, records)
            for number, one in self.partitions.items():
                one.position = await reader.position(number)
                one.end = max(one.end, one.position, reader.end(number))
            await self._write_due(all_of_it=False)
        await self._write_due(all_of_it=True)

    async def _take(self, reader: TopicReader, number: int, records: Sequence[ConsumerRecord]) -> None:
        if not records:
            return
        one, first = self.partitions[number], records[0].offset
        if first < one.position:
            raise LogReplaced(self.source.full, number, first)
        if first > one.position:
            # an embedded broker that has forgotten its oldest records begins at 0 all the same
            begin = first if one.position == 0 else await reader.find_begin(number)
            if begin > one.position:
                await self._write(number, one)
                self._note_gap(number, one, min(begin, first))
        one.take(records)
        one.position = records[-1].offset + 1

    async def _write_due(self, *, all_of_it: bool) -> None:
        now = time.monotonic()
        for number, one in self.partitions.items():
            wait = self._prompt if one.records else self._every
            if all_of_it or now - one.since >= wait or len(one.records) >= ROWS:
                await self._write(number, one)
        while sum(one.bytes for one in self.partitions.values()) > BYTES:
            number, one = max(self.partitions.items(), key=lambda item: item[1].bytes)
            await self._write(number, one)

    async def _write(self, number: int, one: Waiting) -> None:
        """Write what is read of a partition, and note how far it is."""
        source = self.source
        records = one.records
        refused = () if source.refused is None else tuple(sorted(await source.refused(number)))
        noted: dict[str, Any] = {}
        if refused != one.manifest.refused:
            noted["refused"] = refused
        noted["next_offset"] = max(one.position, one.manifest.next_offset)
        if one.position >= one.end:
            noted["caught_up"] = int(time.time() * 1000)
        one.manifest = await asyncio.to_thread(self._archive.append, one.manifest, records, **noted)
        self.written += len(records)
        one.records, one.bytes, one.since = [], 0, time.monotonic()
