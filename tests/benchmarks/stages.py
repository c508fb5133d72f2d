"""Measure the CPU time of a worker's stages per event, without servers: reading, intake, segmenter, relay, publishing.

Each stage does what it does in a worker: records are read from Kafka's batches, messages are built into them, and
commands to Redis are packed as its client packs them. The servers answer at once. To compare two versions, run this file
with each of them in turn: `PYTHONPATH=<checkout> python -P tests/benchmarks/stages.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import json
import time
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

import hiredis
import orjson
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.producer.message_accumulator import BatchBuilder

from resegment.agents.batch import Batch, Message
from resegment.agents.deciding.versions import one_version
from resegment.agents.intake import REPLAYED, IntakeRules, ingest
from resegment.agents.partition import OwnedPartition
from resegment.agents.relay import relay
from resegment.agents.segmenter import TICK, decide_due, segment
from resegment.benchmarks.events import make_events
from resegment.benchmarks.rules import apply
from resegment.benchmarks.run import END, SEGMENTS
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.sources.segments import load_definition
from resegment.state.account_cache import DEFAULT, CacheBudget
from resegment.state.partition_store import Claim, Commit, Committed
from resegment.state.redis import partition as redis_partition
from resegment.state.redis.keys import PartitionKeys
from resegment.streams import runtime
from resegment.streams.kafka import unpacking
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topics import Topics
from resegment.streams.message_factory import MessageFactory

PARTITIONS: Final = 4
TOGETHER: Final = 1_000


class Clock:
    """CPU time by stage, in seconds: of each call the least of all rounds, which is what it takes undisturbed."""

    def __init__(self, profiles: Sequence[str]) -> None:
        self._rounds: list[dict[str, list[float]]] = []
        self._profiles = {name: cProfile.Profile() for name in profiles}

    def start(self) -> None:
        """Begin a round. All rounds do the same."""
        self._rounds.append(defaultdict(list))

    @property
    def spent(self) -> dict[str, float]:
        """The seconds of each stage."""
        return {
            stage: sum(map(min, zip(*(one[stage] for one in self._rounds), strict=True)))
            for stage in self._rounds[0]
        }

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Count the time of the block, without what a server would do."""
        profile = self._profiles.get(stage)
        if profile is not None:
            profile.enable()
        before = time.process_time() - SERVERS.spent
        yield
        self._rounds[-1][stage].append(time.process_time() - SERVERS.spent - before)
        if profile is not None:
            profile.disable()

    def dump(self, place: str) -> None:
        """Write the profiles to files."""
        for name, profile in self._profiles.items():
            profile.dump_stats(f"{place}-{name}.pstats")


class _Servers:
    """CPU time of what a server would do."""

    def __init__(self) -> None:
        self.spent = 0.0

    def __enter__(self) -> None:
        self._before = time.process_time()

    def __exit__(self, *_: object) -> None:
        self.spent += time.process_time() - self._before


SERVERS: Final = _Servers()


class _Producer:
    """Makes batches as aiokafka's producer does."""

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(256 * 1024, 0)


class BuildingPublisher(KafkaPublisher):
    """Builds the batches, and keeps what they hold by topic and partition where asked."""

    def __init__(self, keep: Iterable[str] = ()) -> None:
        super().__init__("nowhere:9092")
        self.kept: dict[str, list[list[Any]]] = {topic: [[] for _ in range(PARTITIONS)] for topic in keep}

    async def publish(self, messages: Sequence[Message]) -> None:
        producer: Any = _Producer()
        self._partitions.update(dict.fromkeys({one.topic for one in messages}, PARTITIONS))
        for (topic, partition), batch in self._build(producer, messages):
            batch._set_producer_state(1, 0, 0)
            raw = bytes(batch._build())
            if topic in self.kept:
                self.kept[topic][partition].append((raw, batch.record_count()))


class PackingStore:
    """Keeps states in memory, and packs each command as the client of Redis does."""

    def __init__(self, number: int) -> None:
        self.partition = number
        self._keys = list(PartitionKeys.of("stages", number).all)
        self._states: dict[str, bytes] = {}
        self._deadlines: dict[str, int] = {}
        self._order: list[tuple[int, str]] = []
        self.sent = 0

    async def claim(self) -> Claim:
        return Claim(1, None, [])

    async def read(self, accounts: Sequence[str]) -> list[bytes | None]:
        self._pack(("HMGET", self._keys[1], *accounts))
        return [self._states.get(name) for name in accounts]

    async def read_folded(self, accounts: Sequence[str]) -> list[bytes | None]:
        return [None] * len(accounts)

    async def outbox(self, after: str | None, limit: int) -> list[Any]:
        return []

    async def acknowledge(self, ids: Sequence[str]) -> None:
        self._pack(("XDEL", self._keys[3], *ids))

    async def commit(self, commit: Commit) -> Committed:
        self._pack(("EVALSHA", "0" * 40, 7, *self._keys, *redis_partition._arguments(commit)))
        with SERVERS:
            for name, value in commit.states:
                self._states[name] = value
            for name, more in commit.appended:
                self._states[name] = _joined(self._states[name], more)
            for name, at in commit.deadlines:
                if (before := self._deadlines.pop(name, None)) is not None:
                    del self._order[bisect_left(self._order, (before, name))]
                if at is not None:
                    self._deadlines[name] = at
                    insort(self._order, (at, name))
            clock = commit.position.clock
            due = [name for at, name in self._order[: commit.due_limit] if at <= clock]
            first = self._order[0][0] if self._order else None
        outbox_id = f"{commit.position.commit}-0" if commit.outbox is not None else None
        return Committed(outbox_id, due, first)

    def _pack(self, arguments: Sequence[Any]) -> None:
        self.sent += len(hiredis.pack_command(tuple(arguments)))


def _joined(log: bytes, more: bytes) -> bytes:
    count = int.from_bytes(log[1:5], "big") + int.from_bytes(more[1:5], "big")
    return log[:1] + count.to_bytes(4, "big") + log[5:] + more[5:]


def read(topic: str, partition: int, raw: bytes, offset: int) -> list[Any]:
    """Return the records of a batch, as the worker's consumer unpacks them."""
    base = offset.to_bytes(8, "big") + bytes(raw[8:])
    records = unpacking.PartitionRecords(
        TopicPartition(topic, partition),
        unpacking.RawBatches(base),
        [],
        offset,
        None,
        None,
        True,
        fetcher.READ_COMMITTED,
    )
    records.plain = True  # which a version without it does not look at
    return list(islice(records, TOGETHER * 10))


async def run(arguments: argparse.Namespace, clock: Clock) -> dict[str, Any]:
    """Take all events through the stages."""
    topics = Topics("stages")
    definition = load_definition(SEGMENTS)
    versions = one_version(Engine(Program(definition)))
    factory = MessageFactory(definition, topics)
    rules = IntakeRules(
        "facts", lambda: END + 1, dropped=lambda at: versions.timeline.at(at).definition.dropped
    )
    events = list(make_events(arguments.accounts, arguments.events))
    source = BuildingPublisher([topics.replay.name])
    given = iter(events)
    mark = [(REPLAYED, b"")]
    while some := list(islice(given, TOGETHER * PARTITIONS)):
        messages = [Message(topics.replay.name, one.account.encode(), one.value, mark) for one in some]
        await source.publish(messages)
    tick = [(TICK, str(END).encode()), *mark]
    await source.publish(
        [Message(topics.replay.name, None, None, tick, number) for number in range(PARTITIONS)]
    )
    total = len(events)
    del events
    if arguments.by_hand:
        work_by_hand(source.kept[topics.replay.name], clock)
    publisher = BuildingPublisher([topics.signals.name])
    budget = CacheBudget(DEFAULT)
    owned: list[OwnedPartition[Account]] = [
        OwnedPartition(number, PackingStore(number), versions, budget=budget)  # type: ignore[arg-type]
        for number in range(PARTITIONS)
    ]
    for one in owned:
        await one.take("stages")
    runtime.settle()
    young = getattr(runtime, "YoungObjects", None)  # which versions before this one have not
    collect = getattr(runtime, "collect_young", lambda: None) if young is None else young().collect
    offsets = [[0] * PARTITIONS, [0] * PARTITIONS]
    raws = source.kept[topics.replay.name]
    changes = 0
    rest: list[list[Any]] = [[] for _ in range(PARTITIONS)]
    for turn in range(max(map(len, raws))):
        for number in range(PARTITIONS):
            if turn >= len(raws[number]):
                continue
            raw, count = raws[number][turn]
            raws[number][turn] = None
            with clock.of("read"):
                records = read(topics.replay.name, number, raw, offsets[0][number])
            offsets[0][number] += count
            with clock.of("intake"):
                done = await ingest(
                    Batch(topics.replay.name, number, records),
                    rules,
                    publisher=publisher,
                    signals=topics.signals.name,
                    dead_letters=topics.dead_letters.name,
                )
            assert not done.refused
        for number in range(PARTITIONS):
            fetched = publisher.kept[topics.signals.name][number]
            for raw, count in fetched:
                with clock.of("read"):
                    rest[number] += read(topics.signals.name, number, raw, offsets[1][number])
                offsets[1][number] += count
            fetched.clear()
            is_last = turn == max(map(len, raws)) - 1
            while len(rest[number]) >= TOGETHER or (is_last and rest[number]):
                records, rest[number] = rest[number][:TOGETHER], rest[number][TOGETHER:]
                with clock.of("segment"):
                    segmented = await segment(
                        Batch(topics.signals.name, number, records),
                        owned[number],
                        versions,
                        publisher=publisher,
                        factory=factory,
                        dead_letters=topics.dead_letters.name,
                    )
                changes += len(segmented.changes)
                with clock.of("due"):
                    while owned[number].due:
                        changes += len(await decide_due(owned[number], versions, factory=factory))
                with clock.of("relay"):
                    while owned[number].outbox.entries:
                        await relay(owned[number], publisher=publisher)
                with clock.of("collect"):
                    collect()
    return {"events": total, "changes": changes, "sent": sum(one.store.sent for one in owned)}  # type: ignore[attr-defined]


def work_by_hand(raws: Sequence[Sequence[tuple[bytes, int]]], clock: Clock) -> None:
    """Do the same by hand: parse, apply, serialize, a thousand at a time. Its client's work is not counted."""
    states: dict[bytes, bytes] = {}
    for turn in range(max(map(len, raws))):
        for partition, batches in enumerate(raws):
            if turn >= len(batches):
                continue
            records = read("byhand", partition, batches[turn][0], 0)
            with clock.of("by hand"):
                events = [(one.key, orjson.loads(one.value)) for one in records if one.value is not None]
                keys = {key for key, _ in events}
                hiredis.pack_command(("MGET", *keys))
                now = {key: None if key not in states else orjson.loads(states[key]) for key in keys}
                for key, event in events:
                    now[key], change = apply(now[key], event)
                    if change:
                        orjson.dumps(change)
                written = {key: orjson.dumps(state) for key, state in now.items()}
                hiredis.pack_command(("MSET", *(part for pair in written.items() for part in pair)))
                states.update(written)


def main() -> None:
    """Print the microseconds of CPU time per event, by stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--by-hand", action="store_true")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--profile", default="", help="write the profiles of the stages to files of this name"
    )
    arguments = parser.parse_args()
    stages = ("read", "intake", "segment", "due", "relay")
    clock = Clock(stages if arguments.profile else ())
    gc.collect()
    for _ in range(arguments.rounds):
        clock.start()
        done = asyncio.run(run(arguments, clock))
        gc.unfreeze()
    if arguments.profile:
        clock.dump(arguments.profile)
    spent = {stage: round(seconds / done["events"] * 1e6, 2) for stage, seconds in clock.spent.items()}
    worker = sum(value for stage, value in spent.items() if stage != "by hand")
    print(json.dumps({**spent, "worker": round(worker, 2), **done}))


if __name__ == "__main__":
    main()
