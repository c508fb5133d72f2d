"""What other producers write, and what stands on a broken disk: codecs, headers, checksums, transactions, partitions."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient

from resegment.agents.batch import Batch, Message, is_readable
from resegment.agents.dead_letters import read_dead_letter
from resegment.benchmarks.servers import apache
from resegment.schemas.fact import decode_fact
from resegment.state.redis.reader import PrefixReader
from resegment.streams.consumer.application import create_app, running
from resegment.streams.consumer.binding import bind
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.operations.ingest import send_live
from resegment.streams.transport.config import ConsumerConfig
from tests import companies
from tests.builders import raw_event
from tests.faults.conftest import Arena
from tests.faults.scenario import COMMAND, PARTITIONS, POISONED, Paced, Scenario, send_wall
from tests.raw_batches import CODECS, Given, batch_of, compress, produce, seal, sized, varint

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.faults, pytest.mark.timeout(600)]

Where = tuple[str, int, int]
NOTICED = 30.0
"""Seconds within which a new partition is read."""
STALLED_AFTER = 5
NOW = int(time.time() * 1000)
"""What is older than the retention of its topic is deleted before anybody reads it."""


@asynccontextmanager
async def raw_client(kafka: str) -> AsyncIterator[AIOKafkaClient]:
    client = AIOKafkaClient(bootstrap_servers=kafka)
    await client.bootstrap()
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def administration(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def letters(run: Scenario) -> Counter[Where]:
    """Return the dead letters by what they were made of."""
    found: Counter[Where] = Counter()
    for record in await run.records(run.topics.dead_letters.name):
        about = read_dead_letter(record.headers, record.key, record.value)
        found[about["topic"], about["partition"], about["offset"]] += 1
    return found


async def live(run: Scenario) -> None:
    await send_wall(run, companies.events(run.one_in))


async def signal_ids(run: Scenario) -> set[str]:
    return {
        decode_fact(record.value).id
        for record in await run.records(run.topics.signals.name)
        if record.value is not None and is_readable(record)
    }


async def test_every_codec_is_read_on_trigger_topics_and_on_our_own(arena: Arena) -> None:
    events = companies.events(20)

    async def send(run: Scenario) -> None:
        ours = {
            run.topics.signals: "zstd",
            run.topics.segment_changes: "lz4",
            run.topics.routing_events: "snappy",
            run.topics.workflow_commands: "gzip",
        }
        async with administration(run.kafka) as admin:
            for topic, codec in ours.items():
                configs = topic.configs | {"compression.type": codec}
                await admin.alter_configs(
                    [ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=configs)]
                )
        step = len(events) // len(CODECS) + 1
        for number, codec in enumerate(CODECS):
            part = events[number * step : (number + 1) * step]
            async with Paced(
                run.kafka, timeout=5.0, compression=None if codec == "none" else codec
            ) as source:
                await send_live(part, source, run.topics)

    async def harm(run: Scenario) -> int:
        await run.reached(len(events))
        assert not run.deaths, "a worker ended"
        assert not await letters(run)
        return len(CODECS)

    await arena.play("every codec, on all topics", harm, least=5, send=send, clock="wall", oracle="log")


def unreadable(codec: str) -> list[bytes]:
    """Return batches of one bad record each that a broker accepts."""
    huge = b"\x00" + varint(0) + varint(0) + sized(POISONED) + sized(bytes(300_000_000)) + varint(0)
    bad = [batch_of([Given(raw_event(), b"\xff\xfe", POISONED)], codec=codec, timestamp=NOW)]
    if codec in {"gzip", "zstd"}:
        bad.append(
            seal(compress(codec, varint(len(huge)) + huge), 1, attributes=CODECS[codec], timestamp=NOW)
        )
    return bad


async def test_what_cannot_be_unpacked_gets_one_dead_letter_each_and_stops_nothing(arena: Arena) -> None:
    sent: set[Where] = set()
    most = 0

    async def harm(run: Scenario) -> int:
        nonlocal most
        places = [
            run.topics.funding,
            run.topics.signals,
            run.topics.segment_changes,
            run.topics.routing_events,
        ]
        async with raw_client(run.kafka) as client:
            for codec in CODECS:
                for batch in unreadable(codec):
                    for number, place in enumerate(places):
                        offset = await produce(client, place.name, number % PARTITIONS, batch)
                        sent.add((place.name, number % PARTITIONS, offset))
                    most = max(most, resident(run.live[0].pid))

        async def aside() -> bool:
            nonlocal most
            most = max(most, resident(run.live[0].pid))
            return set(await letters(run)) >= sent

        await run.until(aside)
        assert await letters(run) == Counter(dict.fromkeys(sent, 1))
        assert not run.deaths, "a worker ended"
        return len(sent)

    row = await arena.play(
        "header names, 300 MB in 0.3 MB", harm, least=28, send=live, clock="wall", oracle="log"
    )
    row.remark = f"{len(sent)} dead letters, one for each; at most {most >> 20} MB"
    assert most < 700_000_000


def resident(pid: int) -> int:
    """Return the bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


async def test_what_a_disk_has_broken_gets_one_dead_letter_and_stops_nothing(
    arena: Arena, broker: apache.Kafka
) -> None:
    sent: set[Where] = set()

    async def harm(run: Scenario) -> int:
        await run.reached(300)
        await broker.stop(deadline=60)
        for topic in (run.topics.funding, run.topics.signals, run.topics.segment_changes):
            base = append(broker, topic.name, 0, broken_batches())
            sent.update((topic.name, 0, offset) for offset in base)
        await broker.start()

        async def aside() -> bool:
            return set(await letters(run)) >= sent

        await run.until(aside)
        assert await letters(run) == Counter(dict.fromkeys(sent, 1))
        assert not run.deaths, "a worker ended"
        return len(sent)

    row = await arena.play(
        "wrong checksums, unknown codecs", harm, least=9, send=live, clock="wall", oracle="log"
    )
    row.remark = f"{len(sent)} dead letters, one for each"


def broken_batches() -> list[tuple[bytes, int]]:
    """Return batches that no broker accepts, each with its number of records."""
    wrong = bytearray(batch_of([Given(raw_event(), None, POISONED)] * 3, timestamp=NOW))
    wrong[-5] ^= 0xFF
    return [
        (bytes(wrong), 3),
        (seal(b"whatever", 2, attributes=6, timestamp=NOW), 2),
        (seal(b"no gzip at all", 1, attributes=CODECS["gzip"], timestamp=NOW), 1),
    ]


def append(
    broker: apache.Kafka, topic: str, partition: int, batches: Sequence[tuple[bytes, int]]
) -> list[int]:
    """Write batches behind the last one of a log whose broker is stopped; return their last offsets."""
    segment = max((broker.folder / "data" / f"{topic}-{partition}").glob("*.log"))
    data, end = segment.read_bytes(), int(segment.stem)
    at = 0
    while at < len(data):
        base, length = int.from_bytes(data[at : at + 8], "big"), int.from_bytes(data[at + 8 : at + 12], "big")
        end = base + int.from_bytes(data[at + 23 : at + 27], "big") + 1
        at += 12 + length
    offsets = []
    with segment.open("ab") as log:
        for batch, count in batches:
            log.write(end.to_bytes(8, "big") + batch[8:])
            end += count
            offsets.append(end - 1)
    return offsets


async def test_transactions_take_effect_when_they_are_committed_and_leave_no_lag(arena: Arena) -> None:
    aborted: list[str] = []

    async def send(run: Scenario) -> None:
        messages = Collected()
        await send_live(companies.events(run.one_in), messages, run.topics)
        producer = AIOKafkaProducer(bootstrap_servers=run.kafka, transactional_id=f"{run.prefix}-flink")
        await producer.start()
        try:
            for start in range(0, len(messages.sent), 100):
                async with producer.transaction():
                    for one in messages.sent[start : start + 100]:
                        await producer.send(one.topic, one.value, one.key, headers=list(one.headers))
                await producer.begin_transaction()
                name = f"aborted-{start}"
                aborted.append(name)
                await producer.send_and_wait(run.topics.funding.name, raw_event(id=name))
                await producer.abort_transaction()
        finally:
            await producer.stop()

    async def harm(run: Scenario) -> int:
        await run.reached(len(companies.events(run.one_in)))
        await run.until(lambda: idle(run))
        await asyncio.sleep(2 * STALLED_AFTER)  # all is quiet: nobody may take the markers for work
        assert run.live[0].returncode is None, "the worker took a marker for a standstill"
        assert await run.stop(run.live[0]) == 0
        await run.start()
        await asyncio.sleep(2 * STALLED_AFTER)
        assert run.live[0].returncode is None, "the worker took a marker for a standstill"
        assert not (set(aborted) & await signal_ids(run)), "an aborted transaction took effect"
        return len(aborted)

    row = await arena.play(
        "transactions, committed and aborted",
        harm,
        least=5,
        send=send,
        clock="wall",
        oracle="log",
        stalled_after=STALLED_AFTER,
    )
    row.remark = f"{len(aborted)} aborted, quiet for {2 * STALLED_AFTER} s, restarted"


async def idle(run: Scenario) -> bool:
    return await run.lag() == 0


class Collected:
    """Keeps what a source would publish."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def publish(self, messages: Sequence[Any]) -> None:
        self.sent += messages


async def test_partitions_that_a_trigger_topic_gains_are_read_soon_and_from_their_beginning(
    arena: Arena,
) -> None:
    waited = 0.0

    async def harm(run: Scenario) -> int:
        nonlocal waited
        await run.reached(100)
        topic = run.topics.funding.name
        async with administration(run.kafka) as admin:
            await admin.create_partitions({topic: NewPartitions(2 * PARTITIONS)})
        began = time.monotonic()
        async with raw_client(run.kafka) as client:
            await client.force_metadata_update()
            for partition in range(PARTITIONS, 2 * PARTITIONS):
                event = raw_event(id=f"new-{partition}")
                await eventually_produce(client, topic, partition, batch_of([event], timestamp=NOW))

        async def read() -> bool:
            return {f"new-{number}" for number in range(PARTITIONS, 2 * PARTITIONS)} <= await signal_ids(run)

        await run.until(read)
        waited = time.monotonic() - began
        assert not run.deaths, "a worker ended"
        await run.stop(run.live[0])
        await run.start()  # a restart takes the topic as it is
        return PARTITIONS

    row = await arena.play(
        "a trigger topic altered from 4 to 8", harm, least=4, send=live, clock="wall", oracle="log"
    )
    row.remark = f"new partitions read after {waited:.1f} s"
    assert waited < NOTICED


async def eventually_produce(client: AIOKafkaClient, topic: str, partition: int, batch: bytes) -> int:
    async with asyncio.timeout(30):
        while True:
            try:
                return await produce(client, topic, partition, batch)
            except Exception:  # noqa: BLE001 - the partition is being created
                await client.force_metadata_update()
                await asyncio.sleep(0.1)


async def test_a_trigger_topic_that_a_producer_created_with_one_partition_is_taken_as_it_is(
    arena: Arena,
) -> None:
    run = Scenario(arena.kafka, arena.redis, arena.folder, {"clock": "wall"})
    try:
        async with administration(run.kafka) as admin:
            await admin.create_topics([NewTopic(run.topics.hiring.name, 1, 1)])
        async with KafkaPublisher(run.kafka) as source:
            events = [pair for pair in companies.events(20) if pair[0].kind == "hiring"]
            await send_live(events, source, run.topics)
        await run.start()
        ids = {fact.id for fact, _ in events}
        assert ids

        async def read() -> bool:
            return ids <= await signal_ids(run)

        await run.until(read)
    finally:
        await end(run)


async def test_signals_that_were_altered_end_the_worker_with_a_remedy_and_refuse_the_next(
    arena: Arena,
) -> None:
    run = Scenario(arena.kafka, arena.redis, arena.folder, {"clock": "wall"}, worker=COMMAND)
    try:
        worker = await run.start()
        async with administration(run.kafka) as admin:
            await admin.create_partitions({run.topics.signals.name: NewPartitions(2 * PARTITIONS)})
        assert await asyncio.wait_for(worker.wait(), NOTICED) == 1
        assert (
            run.said(f"topic {run.topics.signals.name} has {2 * PARTITIONS} partitions, not {PARTITIONS}") > 0
        )
        run.live.clear()
        refused = await run.start()
        assert await asyncio.wait_for(refused.wait(), NOTICED) != 0
        assert run.said("resegment repartition NEW_PREFIX") > 1
    finally:
        await end(run)


async def test_a_prefix_whose_signals_were_altered_is_moved_by_the_command_that_the_worker_names(
    arena: Arena,
) -> None:
    run = Scenario(arena.kafka, arena.redis, arena.folder, {"clock": "wall"})
    moved = Scenario(arena.kafka, arena.redis, arena.folder, {"clock": "wall", "partitions": 2 * PARTITIONS})
    try:
        worker = await run.start()
        await live(run)
        await run.drained()
        async with administration(run.kafka) as admin:
            await admin.create_partitions({run.topics.signals.name: NewPartitions(2 * PARTITIONS)})
        assert await asyncio.wait_for(worker.wait(), NOTICED) == 1
        run.live.clear()
        command = ("repartition", moved.prefix, "--partitions", str(2 * PARTITIONS), "--prefix", run.prefix)
        environment = {"RESEGMENT_KAFKA": run.kafka, "RESEGMENT_REDIS": run.redis, "RESEGMENT_CLOCK": "wall"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "resegment", *command, "--segments", str(companies.SEGMENTS)),
            env=os.environ | environment | {"RESEGMENT_PARTITIONS": str(PARTITIONS)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        await moved.start()
        before = await segments(run, PARTITIONS)
        assert before
        assert await segments(moved, 2 * PARTITIONS) == before
    finally:
        await end(run)
        await end(moved)


async def segments(run: Scenario, partitions: int) -> dict[str, tuple[str | None, int]]:
    """Return the segment and the counter of each account."""
    found = {}
    reader = PrefixReader(run.client, run.prefix, partitions)
    async for batch in reader.places():
        names = [one.account for one in batch]
        for name, state in zip(names, await reader.states(names), strict=True):
            if state is not None:
                found[name] = (state.membership.segment, state.sequence)
    return found


async def test_records_that_retention_deletes_while_a_worker_runs_are_counted(broker: apache.Kafka) -> None:
    topic = "gap.triggers.funding"
    lost: list[Where] = []
    seen: list[int] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handle(batch: Batch) -> None:
        begun.set()
        await go_on.wait()
        seen.extend(record.offset for record in batch.records)

    async with administration(broker.bootstrap) as admin, KafkaPublisher(broker.bootstrap) as source:
        await admin.create_topics([NewTopic(topic, 1, 1)])
        try:
            await source.publish([Message(topic, None, bytes(100_000), (), 0) for _ in range(60)])
            config = ConsumerConfig(chunk_size=5, lost=lambda *gone: lost.append((gone[0], gone[1], gone[2])))
            app = create_app("gap", broker.bootstrap, config=config)
            bind(app, [topic], handle, name="reader", on_fatal=lambda _: None)
            async with running(app):
                await asyncio.wait_for(begun.wait(), NOTICED)
                await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(50)})
                go_on.set()
                async with asyncio.timeout(NOTICED):
                    while 59 not in seen:
                        await asyncio.sleep(0.05)
        finally:
            await admin.delete_topics([topic])
    gone = set(range(60)) - set(seen)
    assert gone, "nothing was deleted before it was read"
    assert lost == [(topic, 0, len(gone))]


async def end(run: Scenario) -> None:
    for one in run.live:
        if one.returncode is None:
            one.kill()
        await one.wait()
    await run.client.aclose()
    await run.clear()
