"""Copying the log of a prefix, from records in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from resegment.agents.batch import Message, RecordedMessage, UnreadableRecord
from resegment.schemas.partitioning import partition_of
from resegment.streams.kafka.topics import Topics
from resegment.streams.recovery import repartition
from resegment.streams.recovery.repartition import Repartition
from resegment.streams.recovery.replay import LogSource

NOON = 1_700_000_000_000


class Reader:
    def __init__(self, records: Sequence[Any]) -> None:
        self._records = records

    async def to_end(self) -> AsyncIterator[Sequence[Any]]:
        yield self._records


async def test_what_could_not_be_unpacked_is_not_copied_as_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        RecordedMessage(0, NOON, b"acme.com", b"{}"),
        UnreadableRecord(1, -1, None, b"x" * 1_048_588, (), "unreadable", "the checksum is wrong"),
        RecordedMessage(2, NOON + 1, b"beta.io", b"{}"),
    ]

    @asynccontextmanager
    async def reading(*_: object, **__: object) -> AsyncIterator[Reader]:
        yield Reader(records)

    monkeypatch.setattr(repartition, "reading", reading)
    sent: list[Message] = []

    async def publish(messages: Sequence[Message]) -> None:
        sent.extend(messages)

    client: Any = None
    old, new = LogSource("nowhere", Topics("old"), {}), LogSource("nowhere", Topics("new"), {})
    copying = Repartition(client, old, new, before=1, after=2, publish=publish)
    assert await copying.copy_log() == NOON + 1
    facts = [one for one in sent if one.value is not None]
    assert [(one.key, one.partition) for one in facts] == [
        (key, partition_of(key, 2)) for key in (b"acme.com", b"beta.io")
    ]
