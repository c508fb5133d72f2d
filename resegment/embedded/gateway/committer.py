"""Collect what is to be written, write it in groups, and call back in order once a group is on disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from resegment.embedded.journal.catalog import Catalog
from resegment.embedded.journal.draft import Draft
from resegment.embedded.journal.writer import DiskFull, JournalWriter

log = logging.getLogger(__name__)


Build = Callable[[Draft], None]
Done = Callable[[DiskFull | None], None]


class Pending(NamedTuple):
    """What is written together. `build` adds it to a group; `done` is called with None once that is on disk, else why not."""

    build: Build
    done: Done


class Committer:
    """Writes in a thread, one group at a time: what comes in meanwhile is the next group."""

    def __init__(
        self,
        writer: JournalWriter,
        catalog: Catalog,
        *,
        on_closed: Callable[[int], None],
        on_full: Callable[[bool], None],
    ) -> None:
        """`on_closed` is called with the number of a file that is full, `on_full` when the disk is, or no longer is."""
        self.writer = writer
        self.groups = 0
        self._catalog, self._on_closed, self._on_full = catalog, on_closed, on_full
        self._pending: list[Pending] = []
        self._added = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_full = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")

    @property
    def starts(self) -> dict[tuple[str, int], int]:
        """Where partitions begin that do not begin at 0, by topic and partition."""
        topics = self._catalog.topics
        return {
            (topics[number].name, partition): start
            for (number, partition), start in self._catalog.starts.items()
        }

    def partitions_of(self, topic: str) -> int | None:
        """Return how many partitions a topic has; None where the journal knows of no such topic."""
        return self._catalog.count_partitions(topic)

    def was_asked_for(self, topic: str) -> bool:
        """Return whether the topic is there because a client asked for it to be created."""
        number = self._catalog.numbers.get(topic)
        return number is not None and self._catalog.topics[number].partitions > 0

    def add(self, build: Build, done: Done) -> None:
        """Have something written with the next group."""
        self._pending.append(Pending(build, done))
        self._added.set()
        self._idle.clear()

    async def run(self) -> None:
        """Write until canceled. Raises JournalFailed."""
        loop = asyncio.get_running_loop()
        while True:
            await self._added.wait()
            self._added.clear()
            pending, self._pending = self._pending, []
            draft = Draft(self._catalog)
            for one in pending:
                one.build(draft)
            reason: DiskFull | None = None
            try:
                await loop.run_in_executor(self._thread, self.writer.append, draft.parts)
            except DiskFull as error:
                reason = error
            else:
                draft.apply()
            self._note_full(reason)
            self.groups += 1
            for one in pending:
                one.done(reason)
            if reason is None and self.writer.is_due:
                await self._begin_next()
            if not self._pending:
                self._idle.set()

    async def settle(self) -> None:
        """Return when nothing waits to be written."""
        await self._idle.wait()

    def close(self) -> None:
        """Close the file, after `run` has ended."""
        self._thread.shutdown()
        self.writer.close()

    async def _begin_next(self) -> None:
        number = self.writer.number
        loop = asyncio.get_running_loop()
        try:
            self.writer = await loop.run_in_executor(self._thread, self.writer.next, self._catalog)
        except DiskFull as error:
            self._note_full(error)  # this file is written to for longer
        else:
            self._on_closed(number)

    def _note_full(self, reason: DiskFull | None) -> None:
        if (reason is not None) == self._is_full:
            return
        self._is_full = reason is not None
        if reason is None:
            log.warning("there is room on the disk again: events are accepted")
        else:
            log.error("%s", reason.message)
        self._on_full(self._is_full)
