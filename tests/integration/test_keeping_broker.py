"""A broker with a journal: killed and started again, it has the same topics, records and offsets."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from resegment.agents.batch import Message
from resegment.embedded.journal.catalog import Catalog
from resegment.embedded.journal.files import JournalFile, path_of, read_file
from resegment.embedded.journal.journal import now_ms
from resegment.embedded.journal.packing import pack_file
from resegment.embedded.server import ServerDied
from resegment.embedded.servers import Broker
from resegment.streams.kafka.admin import count_partitions, create_topics, identify_topics
from resegment.streams.kafka.group_offsets import place, read_committed_offsets
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics

TOPICS = Topics("kept")
SIGNALS, CHANGES = TOPICS.signals.name, TOPICS.segment_changes.name
Log = list[tuple[int, int, int, bytes | None, bytes | None]]


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Broker]:
    broker = Broker(folder, keeps=True)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


async def send(broker: Broker, topic: str, *values: bytes) -> None:
    async with KafkaPublisher(broker.bootstrap, idempotent=False) as publisher:
        await publisher.publish(
            [Message(topic, b"acme%d.com" % (n % 9), one, []) for n, one in enumerate(values)]
        )


async def read(broker: Broker, topic: str) -> tuple[Log, dict[int, int]]:
    found: Log = []
    async with reading(broker.bootstrap, topic) as reader:
        async for records in reader.to_end():
            found += [(one.partition, one.offset, one.timestamp, one.key, one.value) for one in records]
        return sorted(found), await reader.ends()


async def test_killed_and_started_again_it_has_the_same_topics_records_and_offsets(tmp_path: Path) -> None:
    async with running(tmp_path) as broker:
        await asyncio.to_thread(create_topics, broker.bootstrap, TOPICS, partitions=3)
        ids = await asyncio.to_thread(identify_topics, broker.bootstrap, [SIGNALS])
        await send(broker, SIGNALS, *(b"value %d" % number for number in range(100)))
        assert await place(broker.bootstrap, SIGNALS, "readers", earliest=False, security={})
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks=0)
        await producer.start()
        await producer.send(SIGNALS, b"without an acknowledgment", partition=0)
        await producer.stop()
        async with asyncio.timeout(120):
            while len((before := await read(broker, SIGNALS))[0]) < 101:
                pass
        os.kill(broker.pid, signal.SIGKILL)
        await broker.wait()
    async with running(tmp_path) as broker:
        assert await read(broker, SIGNALS) == before
        assert await asyncio.to_thread(count_partitions, broker.bootstrap, TOPICS) == {
            one.name: 1 if one.single else 3 for one in TOPICS
        }
        assert await asyncio.to_thread(identify_topics, broker.bootstrap, [SIGNALS]) != ids
        asked = [TopicPartition(SIGNALS, number) for number in range(3)]
        offsets = await read_committed_offsets(broker.bootstrap, "readers", asked, security={})
        assert sum(offsets.values()) == 100
        await send(broker, SIGNALS, b"next")
        assert len((await read(broker, SIGNALS))[0]) == 102


async def test_what_retention_removed_is_where_a_partition_no_longer_begins(tmp_path: Path) -> None:
    kept = {CHANGES: timedelta(minutes=1)}
    async with running(tmp_path) as broker:
        await asyncio.to_thread(create_topics, broker.bootstrap, TOPICS, partitions=1, retention=kept)
        for value in (b"old", b"older than a minute", b"newest"):
            await send(broker, CHANGES, value)
    journal = broker.journal
    # a file is closed after a day: here at once, and packed two minutes later
    last = path_of(journal, 1)
    catalog = Catalog()
    for entry in read_file(last, is_last=True).entries:
        catalog.take(entry)
    assert pack_file(JournalFile(1, last), catalog, now_ms() + 120_000)

    async with running(tmp_path) as broker:
        (record,), ends = await read(broker, CHANGES)
        assert record[1] == 2
        assert record[4] == b"newest"
        assert ends == {0: 3}
        async with reading(broker.bootstrap, CHANGES) as reader:
            assert reader.oldest == 2


async def test_a_torn_last_record_is_cut_off_and_logged(tmp_path: Path) -> None:
    async with running(tmp_path) as broker:
        await asyncio.to_thread(create_topics, broker.bootstrap, TOPICS, partitions=1)
        await send(broker, SIGNALS, b"kept")
        whole = path_of(broker.journal, 1).stat().st_size
        await send(broker, SIGNALS, b"torn")
    os.truncate(path_of(broker.journal, 1), whole + 50)
    async with running(tmp_path) as broker:
        assert "the last 50 bytes of 00000001.log are torn" in broker.log.read_text()
        await send(broker, SIGNALS, b"next")
        assert [(one[1], one[4]) for one in (await read(broker, SIGNALS))[0]] == [(0, b"kept"), (1, b"next")]


async def test_a_damaged_journal_refuses_the_start_and_says_where(tmp_path: Path) -> None:
    async with running(tmp_path) as broker:
        await asyncio.to_thread(create_topics, broker.bootstrap, TOPICS, partitions=1)
        await send(broker, SIGNALS, b"first")
        await send(broker, SIGNALS, b"second")
    with path_of(broker.journal, 1).open("r+b") as file:
        file.seek(100)
        file.write(b"\xff\xff\xff")
    with pytest.raises(ServerDied, match=r"is damaged: .*00000001\.log, byte ") as raised:
        await Broker(tmp_path, keeps=True).start()
    assert raised.value.remedy is not None
    assert "backup" in raised.value.remedy
