"""One topic against a broker of the test's own: where it continues, what is a gap, and what is another log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from resegment.agents.batch import RecordedMessage
from resegment.archive.archive import Archive
from resegment.archive.storage import Storage
from resegment.streams.archiving import topic_archiver
from resegment.streams.archiving.topic_archiver import LogReplaced, TopicArchiver, TopicSource

START = 1_772_323_200_000


class Broker:
    """A topic of one partition, and the reader that an archiver gets of it."""

    def __init__(self) -> None:
        self.log: list[RecordedMessage] = []
        self.begin, self.place = 0, 0
        self.said_begin: int | None = None
        """What it says of its beginning, if that is not so."""
        self.polled: Callable[[], None] = lambda: None

    def write(self, count: int, word: str = "e") -> None:
        first = self.end(0)
        self.log += [
            RecordedMessage(number, START + number, b"acme.com", f'{{"id": "{word}{number}"}}'.encode(), ())
            for number in range(first, first + count)
        ]

    def forget(self, until: int) -> None:
        """Delete records, as retention does."""
        self.begin = until
        self.log = [one for one in self.log if one.offset >= until]

    @asynccontextmanager
    async def reading(self, *_: Any, **__: Any) -> AsyncIterator[Broker]:
        yield self

    @property
    def begins(self) -> dict[int, int]:
        return {0: self.begin if self.said_begin is None else self.said_begin}

    async def ends(self) -> dict[int, int]:
        return {0: self.end(0)}

    def end(self, _: int) -> int:
        return self.log[-1].offset + 1 if self.log else self.begin

    def start_at(self, _: int, offset: int) -> None:
        self.place = offset

    async def position(self, _: int) -> int:
        return self.place

    async def find_begin(self, _: int) -> int:
        return self.begins[0]

    async def poll(self) -> dict[int, Sequence[RecordedMessage]]:
        await asyncio.sleep(0)
        self.polled()
        found = [one for one in self.log if one.offset >= self.place][:10]
        if found:
            self.place = found[-1].offset + 1
        return {0: found} if found else {}

    async def between(self, _: int, start: int, end: int) -> AsyncIterator[Sequence[RecordedMessage]]:
        yield [one for one in self.log if start <= one.offset < end]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()
    monkeypatch.setattr(topic_archiver, "reading", made.reading)
    return made


async def archive(
    folder: Path, topic_id: str = "first", stop: asyncio.Event | None = None, every: float = 900
) -> TopicArchiver:
    held = Archive.prepare(Storage(str(folder)), "shop", "wall", 1)
    source = TopicSource("signals", "shop.signals", "nowhere", {}, topic_id)
    one = TopicArchiver(held, source, 1, timedelta(seconds=every))
    await one.run(stop)
    return one


def offsets(folder: Path) -> list[int]:
    held = Archive.open(Storage(str(folder)))
    return [one.offset for found in held.records(held.manifests("signals")[0]) for one in found]


def count_files(folder: Path) -> int:
    return len(list(folder.glob("signals/**/*.parquet")))


async def test_it_continues_where_it_stopped_and_says_how_far_it_is(broker: Broker, tmp_path: Path) -> None:
    broker.write(25)
    first = await archive(tmp_path)
    assert (first.written, first.partitions[0].lag) == (25, 0)
    broker.write(5)
    second = await archive(tmp_path)
    assert (second.written, second.gaps) == (5, 0)
    assert offsets(tmp_path) == list(range(30))


async def test_it_follows_until_it_is_stopped_and_writes_what_was_read(
    broker: Broker, tmp_path: Path
) -> None:
    stop, turns = asyncio.Event(), iter(range(20))

    def go_on() -> None:
        if next(turns) < 19:
            broker.write(3)
        else:
            stop.set()

    broker.polled = go_on
    done = await archive(tmp_path, stop=stop)
    assert offsets(tmp_path) == list(range(57))
    assert count_files(tmp_path) == 1
    assert done.partitions[0].manifest.caught_up > 0


async def test_retention_takes_nothing_that_is_archived_and_a_gap_is_counted_and_kept(
    broker: Broker, tmp_path: Path
) -> None:
    broker.write(20)
    await archive(tmp_path)
    broker.forget(10)
    broker.write(5)
    assert (await archive(tmp_path)).gaps == 0
    broker.write(20)
    broker.forget(40)
    done = await archive(tmp_path)
    assert done.gaps == 1
    assert [(one.first, one.until) for one in done.partitions[0].manifest.gaps] == [(25, 40)]
    assert offsets(tmp_path) == [*range(25), *range(40, 45)]


async def test_records_that_were_forgotten_before_the_first_run_are_a_gap_though_the_broker_begins_at_0(
    broker: Broker, tmp_path: Path
) -> None:
    broker.write(20)
    broker.forget(8)
    broker.said_begin = 0
    done = await archive(tmp_path)
    assert [(one.first, one.until) for one in done.partitions[0].manifest.gaps] == [(0, 8)]


async def test_a_topic_with_other_records_is_another_log(broker: Broker, tmp_path: Path) -> None:
    broker.write(20)
    await archive(tmp_path)
    kept = broker.log
    for log in ([], kept[:10], [one._replace(value=b"another") for one in kept]):
        broker.log = log
        with pytest.raises(LogReplaced, match="is not the log that was archived"):
            await archive(tmp_path, topic_id="second")
    assert offsets(tmp_path) == list(range(20))


async def test_a_topic_with_a_new_id_and_the_same_records_is_the_same_log(
    broker: Broker, tmp_path: Path
) -> None:
    broker.write(20)
    await archive(tmp_path)
    broker.write(5)
    done = await archive(tmp_path, topic_id="second")
    assert (done.written, done.partitions[0].manifest.topic_id) == (5, "second")
    broker.forget(25)
    broker.write(5)
    with pytest.raises(LogReplaced):  # nothing is left by which to tell
        await archive(tmp_path, topic_id="third")
