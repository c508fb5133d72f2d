"""Archive the topics of a prefix: one process at a time, from where the archive ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog

from resegment.archive.archive import TOPICS, Archive
from resegment.archive.lease import RENEWED_EVERY, Lease, LeaseLost
from resegment.archive.storage import ArchiveUnreachable, Storage
from resegment.errors import TransientError
from resegment.streams.archiving.topic_archiver import Refused, TopicArchiver, TopicSource
from resegment.streams.kafka.admin import identify_topics
from resegment.streams.kafka.topic_reader import TopicUnreadable
from resegment.streams.kafka.topics import Topics

log = structlog.get_logger(__name__)

PROMPT_TOPICS: Final = ("definitions", "identities")
AGAIN_AFTER: Final = 5.0
"""Seconds until a topic is tried again that could not be read or written."""
REPORTED_EVERY: Final = 2.0
"""Seconds."""

AS_SENT: Final = "outcomes"
"""The topic whose events are as sources sent them, in plain text: `signals` has what they say."""


@dataclass(frozen=True, slots=True)
class ArchivedPrefix:
    """What is archived: a prefix, its topics and where they are.

    `security` is what Kafka clients take. Where personal fields are `sealed`, events as they were sent are not archived.
    """

    topics: Topics
    partitions: int
    clock: str
    bootstrap: str
    security: Mapping[str, Any]
    refused: Refused | None = None
    sealed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Return the topics to archive, without the prefix."""
        return tuple(one for one in TOPICS if not (self.sealed and one == AS_SENT))


@dataclass(frozen=True, slots=True)
class TopicProgress:
    """How far a topic is archived: offsets that are not, records and gaps since the start."""

    lag: int = 0
    written: int = 0
    gaps: int = 0


Report = Callable[[Mapping[str, TopicProgress]], Awaitable[None]]


class Archiver:
    """Archives a prefix to a path. `run` it once."""

    def __init__(self, storage: Storage, prefix: ArchivedPrefix, every: timedelta) -> None:
        self._storage, self._prefix, self._every = storage, prefix, every
        self._lease = Lease(storage)
        self._running: dict[str, TopicArchiver] = {}
        self._before: dict[str, TopicProgress] = {}
        """What was counted before a topic was tried again."""

    @property
    def progress(self) -> dict[str, TopicProgress]:
        """Return how far each topic is archived."""
        found = {}
        for name, one in self._running.items():
            before = self._before.get(name, TopicProgress())
            lag = sum(waiting.lag for waiting in one.partitions.values())
            found[name] = TopicProgress(lag, before.written + one.written, before.gaps + one.gaps)
        return found

    async def run(self, stop: asyncio.Event | None, report: Report | None = None) -> dict[str, TopicProgress]:
        """Archive until `stop`; without it, up to where the topics end now.

        Raises ArchiveUnusable, ArchiveBusy, LeaseLost, LogReplaced and ArchiveDamaged; without `stop` also
        ArchiveUnreachable, TopicUnreadable and TopicsUnavailable, which otherwise are tried again.
        """
        prefix = self._prefix
        archive = await asyncio.to_thread(
            Archive.prepare, self._storage, prefix.topics.prefix, prefix.clock, prefix.partitions
        )
        await asyncio.to_thread(self._lease.take)
        try:
            await _until_first(self._work(archive, stop), self._renew(), self._report(report))
        finally:
            with suppress(TransientError):
                await asyncio.to_thread(self._lease.give_back)
        if report is not None:
            with suppress(TransientError):
                await report(self.progress)
        return self.progress

    async def _work(self, archive: Archive, stop: asyncio.Event | None) -> None:
        if stop is not None:
            await _all(*(self._keep(archive, name, stop) for name in self._prefix.names))
            return
        for name in self._prefix.names:
            await self._once(archive, name)

    async def _once(self, archive: Archive, name: str) -> None:
        try:
            await (await self._open(archive, name)).run(None)
        except TopicUnreadable as error:
            if not error.is_missing:
                raise
            log.info("there is no such topic to archive", topic=error.topic)
            self._running.pop(name)

    async def _keep(self, archive: Archive, name: str, stop: asyncio.Event) -> None:
        """Archive a topic until a stop, and try again whatever passes."""
        while not stop.is_set():
            try:
                await (await self._open(archive, name)).run(stop)
            except LeaseLost:
                raise
            except TransientError as error:
                if not (isinstance(error, TopicUnreadable) and error.is_missing):
                    log.warning("a topic is not archived for now", topic=name, reason=error.message)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), AGAIN_AFTER)

    async def _open(self, archive: Archive, name: str) -> TopicArchiver:
        if name in self._running:
            self._before[name] = self.progress[name]
        prefix = self._prefix
        full = f"{prefix.topics.prefix}.{name}"
        ids = await asyncio.to_thread(identify_topics, prefix.bootstrap, [full], **prefix.security)
        source = TopicSource(
            name,
            full,
            prefix.bootstrap,
            prefix.security,
            ids[full].id,
            prefix.refused if name == "signals" else None,
            name in PROMPT_TOPICS,
        )
        one = self._running[name] = TopicArchiver(archive, source, self._lease.number, self._every)
        return one

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWED_EVERY)
            try:
                await asyncio.to_thread(self._lease.renew)
            except ArchiveUnreachable as error:
                log.warning("the right to archive was not renewed", reason=error.message)

    async def _report(self, report: Report | None) -> None:
        while True:
            await asyncio.sleep(REPORTED_EVERY)
            if report is not None:
                with suppress(TransientError):
                    await report(self.progress)


async def _until_first(*works: Coroutine[Any, Any, None]) -> None:
    """Do the works until one ends, end the others, and raise what it raised."""
    await _run(works, asyncio.FIRST_COMPLETED)


async def _all(*works: Coroutine[Any, Any, None]) -> None:
    """Do the works until all have ended, or one has failed: then raise that."""
    await _run(works, asyncio.FIRST_EXCEPTION)


async def _run(works: Iterable[Coroutine[Any, Any, None]], until: str) -> None:
    tasks = [asyncio.ensure_future(one) for one in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=until)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def describe_progress(progress: Mapping[str, TopicProgress]) -> list[dict[str, Any]]:
    """Return the progress as plain data, in the order of the topics."""
    return [
        {"topic": name, "lag": one.lag, "written": one.written, "gaps": one.gaps}
        for name, one in progress.items()
    ]
