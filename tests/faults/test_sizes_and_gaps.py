"""Changes that are larger than a broker accepts, and routing events that are not there any more."""

from __future__ import annotations

import time
import uuid

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from resegment.agents.batch import Message
from resegment.schemas.outgoing import SegmentChangeData
from resegment.schemas.partitioning import partition_of
from resegment.schemas.routing import Review
from resegment.segmentation.definition import Definition
from resegment.settings import Settings
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.message_factory import tell
from resegment.streams.worker.worker import Worker
from tests.builders import data_of, definition_of, raw_event
from tests.faults.conftest import TABLE, Arena
from tests.oracle.cases import segments

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.faults, pytest.mark.timeout(300)]

PATIENCE = 60.0
TECHNOLOGIES = [f"t{number:05d}" for number in range(25_000)]
TESTS = [{"technologies": {"has_any": [TECHNOLOGIES[n], TECHNOLOGIES[n + 100]]}} for n in range(5)]


def worker_of(arena: Arena, prefix: str, definition: Definition) -> Worker:
    settings = Settings(kafka=arena.kafka, redis=arena.redis, prefix=prefix, partitions=1, route="all")
    return Worker(settings, definition, bootstrap=arena.kafka, redis_url=arena.redis)


async def changes_of(arena: Arena, worker: Worker) -> dict[str, tuple[SegmentChangeData, int]]:
    """Return the last change of each account, and its size."""
    async with reading(arena.kafka, worker.topics.segment_changes.name) as reader:
        records = [record async for chunk in reader.to_end() for record in chunk]
    found = {}
    for record in records:
        data = SegmentChangeData.model_validate(data_of(Message("", None, record.value)))
        found[data.account] = data, len(record.value or b"")
    return found


async def test_a_change_larger_than_the_broker_accepts_is_cut_and_its_partition_continues(
    arena: Arena,
) -> None:
    row = TABLE.row("changes larger than the broker accepts", least=1)
    began = time.monotonic()
    worker = worker_of(arena, f"f{uuid.uuid4().hex[:8]}", definition_of(segments(hot={"all": TESTS})))
    async with worker.running(), KafkaPublisher(arena.kafka) as publisher:
        for name, technologies in (("huge.com", TECHNOLOGIES), ("small.com", TECHNOLOGIES[:10])):
            event = raw_event(
                type="gtm.firmographic.v1", subject=name, id=name, data={"technologies": technologies}
            )
            await publisher.publish([Message(worker.topics.accounts.name, None, event)])
        assert await worker.drain(PATIENCE)
        assert worker.failure is None
    changes = await changes_of(arena, worker)
    assert {name: data.to for name, (data, _) in changes.items()} == {"huge.com": "hot", "small.com": "hot"}
    assert changes["huge.com"][1] <= 1_000_000
    row.runs, row.fired = row.runs + 1, row.fired + 1
    row.seconds += time.monotonic() - began


async def test_routing_events_that_retention_deleted_unread_are_counted(arena: Arena) -> None:
    row = TABLE.row("routing events deleted before they were read", least=1)
    began = time.monotonic()
    prefix = f"f{uuid.uuid4().hex[:8]}"
    worker = worker_of(arena, prefix, definition_of(segments(hot={"event": "funding"})))
    topic = worker.topics.routing_events.name
    assert partition_of(b"acme.com", 1) == 0
    events = [tell(topic, Review(account="acme.com", at=number)) for number in range(8)]
    async with KafkaPublisher(arena.kafka) as publisher:
        async with worker.running():
            await publisher.publish(events[:2])
            assert await worker.drain(PATIENCE)
        await publisher.publish(events[2:])
        admin = AIOKafkaAdminClient(bootstrap_servers=arena.kafka)
        await admin.start()
        try:
            await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(5)})
        finally:
            await admin.close()
        again = worker_of(arena, prefix, definition_of(segments(hot={"event": "funding"})))
        async with again.running():
            assert await again.drain(PATIENCE)
            assert again.failure is None
            (routed,) = again.routed
            assert routed.position.side == 8
    gaps = again.metrics.registry.get_sample_value("resegment_log_gaps_total")
    assert gaps
    assert gaps >= 1
    row.runs, row.fired = row.runs + 1, row.fired + 1
    row.seconds += time.monotonic() - began
