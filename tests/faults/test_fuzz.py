"""Raw record batches, drawn by a seed, for as long as FUZZ says (minutes): good events arrive, bad ones are set aside."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from contextlib import suppress
from functools import cache

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from resegment.agents.batch import is_readable
from resegment.benchmarks.servers import apache
from resegment.schemas.fact import decode_fact
from tests.builders import raw_event
from tests.faults.conftest import SEED, TABLE, Arena
from tests.faults.scenario import COMMAND, PARTITIONS, Scenario
from tests.faults.test_records import (
    Where,
    administration,
    append,
    broken_batches,
    end,
    idle,
    letters,
    raw_client,
    resident,
)
from tests.raw_batches import CODECS, Given, batch_of, compress, produce, seal, sized, varint

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.faults, pytest.mark.timeout(7200)]
MINUTES = float(os.environ.get("FUZZ", "0.5"))
PAUSE = 0.02
"""Seconds between two batches."""
DISK_EVERY = 120.0
"""Seconds between two rounds in which the broker's disk is broken; there is one at least."""
BOMB = 200_000_000
"""Bytes of a value that is too large by far."""


class Fuzz:
    """What was sent, and what is to become of it."""

    def __init__(self, run: Scenario, broker: apache.Kafka, seed: int) -> None:
        self.run, self.broker, self.draw = run, broker, random.Random(seed)
        self.good: set[str] = set()
        self.bad: set[Where] = set()
        self.aborted: set[str] = set()
        self.kinds: Counter[str] = Counter()
        self.topic = run.topics.funding.name
        self._number = 0

    def event(self) -> tuple[str, bytes]:
        self._number += 1
        name = f"fuzz-{self._number}"
        padding = "x" * self.draw.choice([0, 0, 0, 10, 1000, 50_000])
        return name, raw_event(id=name, subject=f"account{self._number % 97}.com", padding=padding)

    async def batch(self, client: AIOKafkaClient) -> None:
        """Send a batch of good and bad records."""
        partition = self.draw.randrange(PARTITIONS)
        records, good, bad = list[Given](), list[str](), list[int]()
        for delta in range(self.draw.choice([1, 1, 2, 5, 20])):
            name, value = self.event()
            key = self.draw.choice([None, b"", b"account.com", b"\xff\x00", self.draw.randbytes(300)])
            header = self.draw.choice([None, None, b"content", "ключ".encode(), b"", b"x" * 5000])
            if self.draw.random() < 0.8:
                good.append(name)
                records.append(Given(value, header, key))
                continue
            bad.append(delta)
            kind = self.draw.choice(["header", "bytes", "no value", "large"])
            self.kinds[kind] += 1
            if kind == "header":
                records.append(Given(value, self.draw.choice([b"\xff\xfe", b"a\x80", b"\xc3"]), key))
            elif kind == "bytes":
                records.append(Given(self.draw.randbytes(self.draw.choice([1, 100, 5000])), header, key))
            elif kind == "no value":
                records.append(Given(None, header, key))
            else:
                records.append(Given(value + b" " * 300_000, header, key))
        codec = self.draw.choice(list(CODECS))
        now = int(time.time() * 1000)
        timestamp = self.draw.choice([0, 1, now - 10**10, now, now])
        with suppress(KafkaError):  # larger than the broker takes: it was not sent
            offset = await produce(
                client, self.topic, partition, batch_of(records, codec=codec, timestamp=timestamp)
            )
            self.good.update(good)
            self.bad.update((self.topic, partition, offset + delta) for delta in bad)
            self.kinds[codec] += 1

    async def bomb(self, client: AIOKafkaClient) -> None:
        partition = self.draw.randrange(PARTITIONS)
        offset = await produce(
            client, self.topic, partition, _bomb(self.draw.choice(["gzip", "zstd", "lz4", "snappy"]))
        )
        self.bad.add((self.topic, partition, offset))
        self.kinds["bomb"] += 1

    async def transaction(self, producer: AIOKafkaProducer) -> None:
        """Write a transaction, and end it with a marker of one kind or the other."""
        abort = self.draw.random() < 0.5
        await producer.begin_transaction()
        for _ in range(self.draw.choice([1, 3])):
            name, value = self.event()
            await producer.send(self.topic, value, partition=self.draw.randrange(PARTITIONS))
            (self.aborted if abort else self.good).add(name)
        await producer.flush()
        await (producer.abort_transaction() if abort else producer.commit_transaction())
        self.kinds["aborted" if abort else "committed"] += 1

    async def break_disk(self) -> None:
        """Write what no broker accepts behind the logs, while it is down and all else is done."""
        await self.run.until(lambda: idle(self.run))
        await self.broker.stop(deadline=60)
        for partition in self.draw.sample(range(PARTITIONS), 2):
            offsets = append(self.broker, self.topic, partition, broken_batches())
            self.bad.update((self.topic, partition, offset) for offset in offsets)
            self.kinds["disk"] += len(offsets)
        await self.broker.start()


@cache
def _bomb(codec: str) -> bytes:
    record = b"\x00" + varint(0) + varint(0) + sized(None) + sized(bytes(_size(codec))) + varint(0)
    return seal(compress(codec, varint(len(record)) + record), 1, attributes=CODECS[codec])


def _size(codec: str) -> int:
    """Return how much fits into the megabyte that a broker takes."""
    return {"snappy": 20_000_000, "lz4": 200_000_000}.get(codec, BOMB)


async def test_raw_batches_of_all_kinds_lose_no_good_event_and_leave_one_dead_letter_for_each_bad_one(
    arena: Arena, broker: apache.Kafka
) -> None:
    row = TABLE.row("fuzz of raw record batches", least=1)
    run = Scenario(arena.kafka, arena.redis, arena.folder, {"clock": "wall", "chunk": 200}, worker=COMMAND)
    began = time.monotonic()
    most = 0
    try:
        async with administration(run.kafka) as admin:  # timestamps of any age are kept
            configs = {"retention.ms": "-1", "message.timestamp.before.max.ms": str(2**63 - 1)}
            funding = NewTopic(run.topics.funding.name, PARTITIONS, 1, topic_configs=configs)
            await admin.create_topics([funding])
        worker = await run.start()
        fuzz = Fuzz(run, broker, SEED)
        deadline, disk = began + 60 * MINUTES, began + min(DISK_EVERY, 30 * MINUTES)
        while (now := time.monotonic()) < deadline:
            async with raw_client(run.kafka) as client:
                producer = AIOKafkaProducer(bootstrap_servers=run.kafka, transactional_id=f"{run.prefix}-tx")
                await producer.start()
                try:
                    while now < min(deadline, disk):
                        kind = fuzz.draw.random()
                        if kind < 0.01:
                            await fuzz.bomb(client)
                        elif kind < 0.08:
                            await fuzz.transaction(producer)
                        else:
                            await fuzz.batch(client)
                        assert worker.returncode is None, "the worker ended"
                        most = max(most, resident(worker.pid))
                        await asyncio.sleep(PAUSE)
                        now = time.monotonic()
                finally:
                    await producer.stop()
            if disk <= now < deadline:
                await fuzz.break_disk()
                disk += DISK_EVERY
        await run.until(lambda: idle(run))
        signals = Counter(
            decode_fact(record.value).id
            for record in await run.records(run.topics.signals.name)
            if record.value is not None and is_readable(record)
        )
        found = await letters(run)
        assert worker.returncode is None, "the worker ended"
        assert not run.deaths
    finally:
        await end(run)
    row.runs += 1
    row.fired += sum(fuzz.kinds.values())
    row.seconds += time.monotonic() - began
    row.figures.note("lost", fuzz.good - signals.keys())
    row.figures.note("missing", fuzz.bad - found.keys())
    row.figures.note("unexpected", (found.keys() - fuzz.bad) | (signals.keys() & fuzz.aborted))
    row.figures.note("doubled", [one for one, times in found.items() if times > 1])
    row.remark = f"seed {SEED}: {len(fuzz.good)} good, {len(fuzz.bad)} bad; at most {most >> 20} MB; {dict(fuzz.kinds)}"
    assert not any(row.figures.counts), row.figures.examples
