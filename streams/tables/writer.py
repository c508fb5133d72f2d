"""Keep the tables of a database equal to the topics of a prefix: one process at a time, from where the tables end."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

import structlog

from resegment.archive.archive import Archive
from resegment.errors import TransientError
from resegment.streams.identities.log import read_identities
from resegment.streams.kafka.topic_reader import TopicUnreadable, reading
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.keys import ProcessKeys
from resegment.streams.tables.pseudonyms import Pseudonyms
from resegment.streams.tables.topic_writer import Source, TopicWriter
from resegment.tables.rows import TOPICS
from resegment.tables.store import TableStore

log = structlog.get_logger(__name__)

AGAIN_AFTER: Final = 2.0
"""Seconds until a topic or the database is tried again."""


@dataclass(frozen=True, slots=True)
class TabledPrefix:
    """What is written to tables: a prefix, its topics and where they are.

    `security` is what Kafka clients take. `archive` has what the topics have no more. `keys` are those of personal fields.
    """

    topics: Topics
    partitions: int
    bootstrap: str
    security: Mapping[str, Any]
    archive: Archive | None = None
    keys: ProcessKeys | None = None

    def source(self, name: str) -> Source:
        """Return a topic, by its name without the prefix."""
        conceal = None if self.keys is None or not self.keys.are_set else Pseudonyms(self.keys.ring).conceal
        return Source(name, f"{self.topics.prefix}.{name}", self.archive, conceal)

    async def open_source(self, name: str) -> Source:
        """Return a topic with the accounts that are forgotten now. Raises TopicUnreadable."""
        if name != "signals":
            return self.source(name)
        known = await read_identities(self.bootstrap, self.topics, self.security)
        return replace(self.source(name), forgotten=frozenset(known.forgotten))


@dataclass(frozen=True, slots=True)
class TableProgress:
    """How far a topic is written: records that are not, rows and refused records since the start."""

    lag: int = 0
    rows: int = 0
    refused: int = 0


@dataclass(slots=True)
class TablesWriter:
    """Writes a prefix to tables. `run` it once.

    `written` is called after a topic was caught up with, and then every few seconds.
    """

    store: TableStore
    prefix: TabledPrefix
    window: timedelta
    written: Callable[[], Awaitable[None]] | None = None
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    problem: str | None = None
    """What keeps the tables from being written now."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _running: dict[str, TopicWriter] = field(default_factory=dict)
    _before: dict[str, TableProgress] = field(default_factory=dict)

    @property
    def progress(self) -> dict[str, TableProgress]:
        """Return how far each topic is written."""
        found = {}
        for name, one in self._running.items():
            before = self._before.get(name, TableProgress())
            lag = sum(part.lag for part in one.partitions.values())
            found[name] = TableProgress(lag, before.rows + one.rows, before.refused + one.refused)
        return found

    async def run(self, stop: asyncio.Event | None) -> dict[str, TableProgress]:
        """Write until `stop`; without it, up to where the topics end now.

        Raises NotMigrated, TablesBusy, TablesOfAnotherPrefix, DatabaseRefused, LogReplaced and RecordsMissing; without
        `stop` also DatabaseUnreachable and TopicUnreadable, which otherwise are tried again.
        """
        said = ""
        while True:
            try:
                await asyncio.to_thread(self.store.open, self.prefix.topics.prefix, self.prefix.partitions)
                self.problem = None
                await self._work(stop)
            except TransientError as error:
                if stop is None:
                    raise
                if error.message != said:
                    log.warning("nothing is written to the tables for now", reason=error.message)
                self.problem = said = error.message
                await _wait(stop)
            if stop is None or stop.is_set():
                return self.progress

    async def _work(self, stop: asyncio.Event | None) -> None:
        if stop is None:
            for name in TOPICS:
                await self._write(name, None)
            return
        tasks = [asyncio.ensure_future(self._keep(name, stop)) for name in TOPICS]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _keep(self, name: str, stop: asyncio.Event) -> None:
        """Write a topic until a stop; one that cannot be read is tried again."""
        said = ""
        while not stop.is_set():
            try:
                await self._write(name, stop)
            except TopicUnreadable as error:
                if error.message != said:
                    log.warning("a topic is not written for now", topic=name, reason=error.message)
                said = error.message
                await _wait(stop)

    async def _write(self, name: str, stop: asyncio.Event | None) -> None:
        if name in self._running:
            self._before[name] = self.progress[name]
        prefix = self.prefix
        source = await prefix.open_source(name)
        writer = TopicWriter(self.store, source, self.window, self.name, self._turn)
        try:
            async with reading(prefix.bootstrap, source.full, security=prefix.security) as reader:
                self._running[name] = writer
                await writer.begin(reader)
                await writer.catch_up(reader)
                if self.written is not None:
                    await self.written()
                if stop is not None:
                    await writer.follow(reader, stop)
        except TopicUnreadable as error:
            if stop is not None or not error.is_missing:
                raise
            log.info("there is no such topic to write to tables", topic=error.topic)


async def _wait(stop: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), AGAIN_AFTER)


def describe_progress(progress: Mapping[str, TableProgress]) -> list[dict[str, Any]]:
    """Return the progress as plain data, in the order of the topics."""
    return [
        {"topic": name, "lag": one.lag, "rows": one.rows, "refused": one.refused}
        for name, one in progress.items()
    ]


async def rebuild_tables(
    store: TableStore, prefix: TabledPrefix, window: timedelta, until: Mapping[str, Mapping[int, int]]
) -> None:
    """Write the topics to an empty store, each partition up to an offset. Raises as `TablesWriter.run` does."""
    turn = asyncio.Lock()
    for name in TOPICS:
        if not until.get(name):
            continue
        source = await prefix.open_source(name)
        writer = TopicWriter(store, source, window, "check", turn)
        async with reading(prefix.bootstrap, source.full, security=prefix.security) as reader:
            await writer.begin(reader, until[name])
            await writer.catch_up(reader)
