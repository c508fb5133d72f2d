"""Where a topic has lost its beginning, or is another one, the tables say so; an archive fills in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from resegment.agents.batch import RecordedMessage
from resegment.archive.archive import Archive
from resegment.archive.storage import Storage
from resegment.streams.tables.topic_writer import LogReplaced, RecordsMissing, Source, TopicWriter
from resegment.tables.duck import Duck

WINDOW = timedelta(days=90)


def record(offset: int, text: str = "") -> RecordedMessage:
    at = f"2026-01-{offset % 28 + 1:02d}T00:00:00Z"
    data = {
        "account": f"a{offset}.com",
        "sequence_number": 1,
        "to": f"hot{text}",
        "effective_at": at,
    }
    return RecordedMessage(
        offset,
        1_770_000_000_000 + offset,
        b"key",
        json.dumps({"id": f"c{offset}", "data": data}).encode(),
        [],
    )


class Topic:
    """One partition of a topic, as a reader gives it."""

    def __init__(self, records: Sequence[RecordedMessage]) -> None:
        self.records = records
        self.known: int | None = None
        """The last offset when somebody asks where it ends; more has come when it is read."""
        self.at = 0

    @property
    def begins(self) -> dict[int, int]:
        return {0: self.records[0].offset}

    async def ends(self) -> dict[int, int]:
        return {0: (self.records[-1].offset if self.known is None else self.known) + 1}

    def end(self, partition: int) -> int:
        return self.records[-1].offset + 1

    def start_at(self, partition: int, offset: int) -> None:
        self.at = offset

    async def poll(self) -> dict[int, Sequence[Any]]:
        await asyncio.sleep(0)
        found = [one for one in self.records if one.offset >= self.at]
        self.at = self.records[-1].offset + 1
        return {0: found} if found else {}

    async def position(self, partition: int) -> int:
        return self.at

    async def between(self, partition: int, start: int, end: int) -> AsyncIterator[Sequence[Any]]:
        yield [one for one in self.records if start <= one.offset < end]


@pytest.fixture
def store() -> Duck:
    made = Duck()
    made.migrate()
    made.open("acme", 1)
    return made


def archive(folder: Path, records: Sequence[RecordedMessage]) -> Archive:
    made = Archive.prepare(Storage(str(folder / "archive")), "acme", "wall", 1)
    manifest = made.take_over("segment-changes", [0], 1)[0]
    made.append(manifest, records)
    return made


async def write(store: Duck, topic: Topic, held: Archive | None = None) -> None:
    source = Source("segment-changes", "acme.segment-changes", held)
    writer = TopicWriter(store, source, WINDOW, "test", asyncio.Lock())
    await writer.begin(topic)  # type: ignore[arg-type]
    await writer.catch_up(topic)  # type: ignore[arg-type]


def offsets(store: Duck) -> list[int]:
    with store.transaction() as transaction:
        return [
            one for (one,) in transaction.read("SELECT log_offset FROM segment_event ORDER BY log_offset")
        ]


async def test_what_a_topic_has_no_more_comes_from_the_archive(store: Duck, tmp_path: Path) -> None:
    held = archive(tmp_path, [record(offset) for offset in range(7)])
    await write(store, Topic([record(offset) for offset in range(5, 10)]), held)
    assert offsets(store) == list(range(10))


async def test_without_an_archive_the_missing_offsets_are_named(store: Duck) -> None:
    with pytest.raises(RecordsMissing) as caught:
        await write(store, Topic([record(offset) for offset in range(5, 10)]))
    assert (caught.value.first, caught.value.until) == (0, 5)
    assert "--archive" in str(caught.value.remedy)
    assert offsets(store) == []


async def test_an_archive_that_ends_too_early_is_not_enough(store: Duck, tmp_path: Path) -> None:
    held = archive(tmp_path, [record(offset) for offset in range(3)])
    with pytest.raises(RecordsMissing):
        await write(store, Topic([record(offset) for offset in range(5, 10)]), held)


async def test_a_run_continues_where_the_last_one_ended(store: Duck) -> None:
    await write(store, Topic([record(offset) for offset in range(4)]))
    await write(store, Topic([record(offset) for offset in range(2, 8)]))
    assert offsets(store) == list(range(8))


async def test_what_comes_while_a_writer_catches_up_is_written_when_it_follows(store: Duck) -> None:
    topic = Topic([record(offset) for offset in range(8)])
    topic.known = 3
    writer = TopicWriter(
        store, Source("segment-changes", "acme.segment-changes"), WINDOW, "test", asyncio.Lock()
    )
    await writer.begin(topic)  # type: ignore[arg-type]
    await writer.catch_up(topic)  # type: ignore[arg-type]
    assert offsets(store) == [0, 1, 2, 3]
    stop = asyncio.Event()
    following = asyncio.create_task(writer.follow(topic, stop))  # type: ignore[arg-type]
    async with asyncio.timeout(60):
        while writer.partitions[0].position.next_offset < 8:
            await asyncio.sleep(0.01)
    stop.set()
    await following
    assert offsets(store) == list(range(8))


async def test_a_topic_that_was_created_again_is_refused(store: Duck) -> None:
    await write(store, Topic([record(offset) for offset in range(4)]))
    with pytest.raises(LogReplaced):
        await write(store, Topic([record(offset, "ter") for offset in range(9)]))
    with pytest.raises(LogReplaced):
        await write(store, Topic([record(offset) for offset in range(2)]))
    assert offsets(store) == list(range(4))
