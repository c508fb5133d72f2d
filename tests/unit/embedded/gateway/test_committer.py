"""What comes in while a group is synced is the next group; each part is reported in order once it is on disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from resegment.embedded.gateway.committer import Committer
from resegment.embedded.journal.draft import Draft
from resegment.embedded.journal.journal import Journal, open_journal
from resegment.embedded.journal.writer import DiskFull
from tests.unit.embedded.journal.records import make_batch, read_back


@asynccontextmanager
async def committing(journal: Journal, full: list[bool]) -> AsyncIterator[Committer]:
    committer = Committer(journal.writer, journal.catalog, on_closed=lambda _: None, on_full=full.append)
    task = asyncio.create_task(committer.run())
    try:
        yield committer
        await committer.settle()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        committer.close()


def record(value: bytes) -> Callable[[Draft], object]:
    return lambda draft: draft.append("signals", 0, 1_000, [make_batch([value])])


async def test_what_comes_in_during_a_sync_is_one_group_and_told_in_order(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    synced, told = threading.Event(), list[int]()
    real = journal.writer.append

    def append_slowly(parts: list[bytes]) -> None:
        synced.wait(10)
        real(parts)

    journal.writer.append = append_slowly  # type: ignore[method-assign]
    async with committing(journal, []) as committer:
        for number in range(50):
            committer.add(record(b"%d" % number), lambda _, number=number: told.append(number))  # type: ignore[misc]
            if number == 0:
                await asyncio.sleep(0)  # the first group begins
        assert told == []
        synced.set()
        await committer.settle()
        assert told == list(range(50))
        assert committer.groups <= 2
    assert read_back(tmp_path)[0] == {("signals", 0): [(number, b"%d" % number) for number in range(50)]}


async def test_a_full_disk_is_told_and_leaves_the_offsets_as_they_were(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    real, full, told = journal.writer.append, list[bool](), list[DiskFull | None]()

    def refuse(_: list[bytes]) -> None:
        raise DiskFull(tmp_path)

    async with committing(journal, full) as committer:
        journal.writer.append = refuse  # type: ignore[method-assign]
        committer.add(record(b"refused"), told.append)
        await committer.settle()
        journal.writer.append = partial(real)  # type: ignore[method-assign]
        committer.add(record(b"kept"), told.append)
        await committer.settle()
    assert [isinstance(one, DiskFull) for one in told] == [True, False]
    assert full == [True, False]
    assert read_back(tmp_path)[0] == {("signals", 0): [(0, b"kept")]}


async def test_a_topic_that_was_deleted_and_made_again_begins_at_0(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    async with committing(journal, []) as committer:
        committer.add(record(b"old"), lambda _: None)
        await committer.settle()
        journal.catalog.starts[journal.catalog.numbers["signals"], 0] = 7
        assert committer.starts == {("signals", 0): 7}
        committer.add(lambda draft: draft.delete_topic("signals"), lambda _: None)
        committer.add(record(b"new"), lambda _: None)
        await committer.settle()
        assert committer.starts == {}
