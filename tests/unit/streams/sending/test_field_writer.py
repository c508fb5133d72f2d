"""What is gathered when partitions move is read again: its offsets are not committed before it is written."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from resegment.schemas.outgoing import CHANGE_TYPE
from resegment.streams.delivery import endpoint_consumer
from resegment.streams.sending import field_writer
from resegment.streams.sending.field_writer import FieldsWriter

CHANGES = TopicPartition("p.segment-changes", 0)


def change(offset: int) -> Any:
    data = {"account": "acme.com", "to": "enterprise", "effective_at": "2026-01-01T00:00:00Z"}
    return SimpleNamespace(offset=offset, value=json.dumps({"data": data}).encode(), headers=())


class Moving:
    """A consumer whose partition is taken away and given back after the first record."""

    made: list[Moving]

    def __init__(self, **_: Any) -> None:
        self.committed: list[dict[TopicPartition, int]] = []
        self.polls = 0
        self.made.append(self)

    async def start(self) -> None:
        pass

    def subscribe(self, _: Any, listener: Any) -> None:
        self.listener = listener

    def assignment(self) -> set[TopicPartition]:
        return {CHANGES}

    async def getmany(self, **_: Any) -> dict[TopicPartition, list[Any]]:
        self.polls += 1
        if self.polls == 1:
            return {CHANGES: [change(0)]}
        if self.polls == 2:
            await self.listener.on_partitions_revoked({CHANGES})
            await self.listener.on_partitions_assigned({CHANGES})
            return {}
        if self.polls == 3:
            return {}
        raise asyncio.CancelledError

    async def commit(self, ends: dict[TopicPartition, int]) -> None:
        self.committed.append(dict(ends))


async def test_what_was_gathered_before_partitions_moved_is_not_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def yes(*_: Any, **__: Any) -> bool:
        return True

    Moving.made = []
    monkeypatch.setattr(endpoint_consumer, "AIOKafkaConsumer", Moving)
    monkeypatch.setattr(field_writer, "place", yes)
    monkeypatch.setattr(field_writer, "leave", yes)
    entry = SimpleNamespace(fields=SimpleNamespace(names={"segment": "rs_segment"}))
    loaded = SimpleNamespace(name="crm", entry=entry, vendor=SimpleNamespace(batch=100), owners={})
    pace = SimpleNamespace(session_timeout=10, heartbeat_interval=3, fetch_wait=1)
    where = endpoint_consumer.Subscription(
        bootstrap="x",
        topics={CHANGES.topic: CHANGE_TYPE},
        group="g",
        security={},
        pace=pace,  # type: ignore[arg-type]
    )
    store = SimpleNamespace(read_mapping=_same_mapping)
    writer = FieldsWriter(
        SimpleNamespace(loaded=loaded),  # type: ignore[arg-type]
        SimpleNamespace(),  # type: ignore[arg-type]
        where,
        store,  # type: ignore[arg-type]
        SimpleNamespace(),  # type: ignore[arg-type]
    )
    with pytest.raises(asyncio.CancelledError):
        await writer.run()
    (consumer,) = Moving.made
    assert consumer.polls == 4
    assert consumer.committed == []


async def _same_mapping() -> dict[str, str]:
    return {"segment": "rs_segment"}
