"""Count the dead letters that nobody sent again, by their age."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from resegment.agents.batch import Record
from resegment.agents.dead_letters import is_proof, read_dead_letter
from resegment.metrics import Metrics
from resegment.streams.kafka.topic_reader import TopicReader, TopicUnreadable, reading

log = structlog.get_logger(__name__)

LOOKED_AT: Final = 10.0
"""Seconds between two counts, and between two looks whether the partition is owned."""
RETRY: Final = 60.0
"""Seconds until the topic is tried again that could not be read."""
READ_BACK: Final = 2_000
"""How many of the newest dead letters of a partition are read at the start."""
MOST: Final = 50_000
"""How many dead letters are remembered; of more, the newest."""
AGES: Final[Mapping[str, int]] = {"1h": 3_600_000, "1d": 86_400_000, "7d": 604_800_000}
"""The ages (ms) below which dead letters are counted together; the rest is `older`."""


class WaitingLetters:
    """The dead letters that were not sent again, each once."""

    def __init__(self) -> None:
        self._letters: dict[str, tuple[int, int, int]] = {}
        """When (ms) each was refused last, and the partition and offset of its record."""

    def note(self, partition: int, record: Record) -> None:
        """Take in a record of the topic."""
        about = read_dead_letter(record.headers, None, None)
        if is_proof(about):
            return
        name = about["id"]
        self._letters.pop(name, None)
        if "retried" not in about:
            self._letters[name] = record.timestamp, partition, record.offset
            if len(self._letters) > MOST:
                del self._letters[next(iter(self._letters))]

    def forget_before(self, partition: int, begin: int) -> None:
        """Forget the letters that the topic has deleted."""
        gone = [name for name, (_, at, offset) in self._letters.items() if at == partition and offset < begin]
        for name in gone:
            del self._letters[name]

    def count(self, now: int) -> dict[str, int]:
        """Return how many there are of each age."""
        counts = dict.fromkeys((*AGES, "older"), 0)
        for at, _, _ in self._letters.values():
            counts[next((name for name, below in AGES.items() if now - at < below), "older")] += 1
        return counts


class DeadLetterWatcher:
    """Of all workers, the one that owns partition 0 counts. `now` is the wall clock, ms."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        security: Mapping[str, Any],
        is_mine: Callable[[], bool],
        metrics: Metrics,
        now: Callable[[], int],
    ) -> None:
        self._bootstrap, self._topic, self._security = bootstrap, topic, security
        self._is_mine, self._metrics, self._now = is_mine, metrics, now
        self._warned = False

    async def run(self) -> None:
        """Count until cancelled."""
        while True:
            if self._is_mine():
                try:
                    async with reading(self._bootstrap, self._topic, security=self._security) as reader:
                        await self._follow(reader)
                except TopicUnreadable as error:
                    if not self._warned:
                        log.warning("dead letters are not counted", reason=error.message)
                    self._warned = True
                    await asyncio.sleep(RETRY - LOOKED_AT)
                finally:
                    self._metrics.dead_letters.clear()
            await asyncio.sleep(LOOKED_AT)

    async def _follow(self, reader: TopicReader) -> None:
        letters = WaitingLetters()
        async for records in reader.to_end(READ_BACK):
            for record in records:
                letters.note(record.partition, record)
        looked = time.monotonic()
        self._show(letters)
        while self._is_mine():
            for partition, records in (await reader.poll()).items():
                for record in records:
                    letters.note(partition, record)
            if time.monotonic() - looked >= LOOKED_AT:
                for partition in reader.begins:
                    letters.forget_before(partition, await reader.find_begin(partition))
                looked = time.monotonic()
                self._show(letters)

    def _show(self, letters: WaitingLetters) -> None:
        for age, count in letters.count(self._now()).items():
            self._metrics.dead_letters.labels(age).set(count)
