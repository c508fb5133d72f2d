"""docs/operations/restore_topics.py writes back what was archived, at the offsets that it had, or says that it can't."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from resegment.agents.batch import Message, RecordedMessage
from resegment.archive.archive import Archive
from resegment.archive.lease import Lease
from resegment.archive.storage import Storage
from tests.builders import Published

SCRIPT = Path(__file__).parents[3] / "docs" / "operations" / "restore_topics.py"
COPY: Any = runpy.run_path(str(SCRIPT))["copy"]
DAY = 86_400_000


def archived(folder: Path, records: list[RecordedMessage]) -> tuple[Archive, Any]:
    archive = Archive.prepare(Storage(str(folder)), "shop", "wall", 8)
    lease = Lease(archive.storage)
    lease.take()
    try:
        manifest = archive.take_over("routing-events", (3,), lease.number)[3]
        for record in records:  # each in a file of its own
            manifest = archive.append(manifest, [record])
    finally:
        lease.give_back()
    return archive, manifest


def record(offset: int, at: int, **given: Any) -> RecordedMessage:
    return RecordedMessage(
        offset,
        at,
        given.get("key", b"acme.com"),
        given.get("value", b"{}"),
        [("traceparent", b"\xff"), ("tick", b"")],
    )


@pytest.mark.parametrize(("offsets", "moved"), [((0, 1, 2), 0), ((0, 1, 3), 1), ((5, 6, 7), 3)])
async def test_records_are_written_as_they_were(tmp_path: Path, offsets: tuple[int, ...], moved: int) -> None:
    # the timestamps of a replay are not in order, and a tick has neither key nor value
    given = [
        record(offsets[0], 3 * DAY),
        record(offsets[1], DAY, key=None, value=None),
        record(offsets[2], 2 * DAY, value=b"\x00\xff"),
    ]
    archive, manifest = archived(tmp_path, given)
    published = Published()
    assert await COPY(archive, manifest, "shop.routing-events", published) == moved
    assert [
        (one.key, one.value, list(one.headers), one.partition, one.timestamp) for one in published.messages
    ] == [(one.key, one.value, list(one.headers), 3, one.timestamp) for one in given]
    assert {one.topic for one in published.messages} == {"shop.routing-events"}
    assert all(isinstance(one, Message) for one in published.messages)
