"""What the journal of an embedded instance costs: acknowledgments, bytes of a fact, and the time of a start.

    python -P -m tests.benchmarks.journal [--signals 1000000] [--folder DIR]

Signals are those of the events that ship with the package, again and again with other ids.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from resegment.agents.batch import Message
from resegment.embedded.servers import Broker
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.fact import Fact, encode_fact
from resegment.sources.files.reader import read_events
from resegment.streams.kafka.admin import create_topics
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics

EVENTS = Path(__file__).parents[2] / "examples" / "synthetic.jsonl.gz"
AT_ONCE = 2_000
ALONE = 1_000


def signals(topic: str) -> Iterator[Message]:
    facts: list[Fact] = [resolve_event(decode_event(one.value)) for one in read_events(str(EVENTS))]
    number = 0
    while True:
        for fact in facts:
            number += 1
            value = encode_fact(replace(fact, id=f"{fact.id}-{number}"))
            yield Message(topic, fact.account.encode(), value, [])


async def acknowledge_alone(bootstrap: str, messages: list[Message]) -> str:
    took = []
    async with KafkaPublisher(bootstrap, idempotent=False) as publisher:
        for one in messages:
            begun = time.perf_counter()
            await publisher.publish([one])
            took.append((time.perf_counter() - begun) * 1000)
    took.sort()
    return f"p50 {took[len(took) // 2]:.2f} ms, p99 {took[len(took) * 99 // 100]:.2f} ms"


def size_of(folder: Path) -> tuple[int, int]:
    """Return the bytes of packed files, and of those that are not packed."""
    files = list(folder.iterdir())
    packed = sum(one.stat().st_size for one in files if one.suffix == ".packed")
    return packed, sum(one.stat().st_size for one in files if one.suffix == ".log")


def memory_of(pid: int) -> float:
    """Return the megabytes of a process and its children."""
    pids = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        pids += map(int, (task / "children").read_text().split())
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in pids)
    return pages * resource.getpagesize() / 1e6


async def run(folder: Path, count: int) -> None:
    topics = Topics("bench")
    name = topics.signals.name
    for keeps in (False, True):
        broker = Broker(folder / ("kept" if keeps else "memory"), keeps=keeps)
        await broker.start()
        try:
            await asyncio.to_thread(create_topics, broker.bootstrap, topics)
            alone = list(islice(signals(name), ALONE))
            told = await acknowledge_alone(broker.bootstrap, alone)
            print(f"acknowledged one at a time, {'journal' if keeps else 'memory'}: {told}", flush=True)
            left, source, begun = count - ALONE, signals(name), time.perf_counter()
            async with KafkaPublisher(broker.bootstrap, idempotent=False) as publisher:
                for _ in range(0, left, AT_ONCE):
                    part = list(islice(source, AT_ONCE))
                    await publisher.publish(part)
            seconds = time.perf_counter() - begun
            print(
                f"{left:,} more in batches of {AT_ONCE:,}: {left / seconds:,.0f}/s, {memory_of(broker.pid):,.0f} MB"
            )
            if keeps:
                await packed(broker.journal)
        finally:
            await broker.stop()
    files = size_of(broker.journal)
    print(
        f"journal: {files[0] / 1e6:,.0f} MB packed, {files[1] / 1e6:,.0f} MB not yet; {sum(files) / count:,.0f} bytes a signal"
    )
    begun = time.perf_counter()
    await broker.start()
    try:
        print(f"started again in {time.perf_counter() - begun:.1f} s, {memory_of(broker.pid):,.0f} MB")
        async with reading(broker.bootstrap, name) as reader:
            found = sum((await reader.ends()).values())
        print(f"{found:,} signals are there")
    finally:
        await broker.stop()


def left_to_pack(journal: Path) -> list[Path]:
    return [one for one in journal.iterdir() if one.suffix in {".log", ".packing"}]


async def packed(journal: Path) -> None:
    """Wait until only the file that is written to is not packed."""
    begun = time.perf_counter()
    while len(left_to_pack(journal)) > 1:
        await asyncio.sleep(0.2)
    print(f"packed {time.perf_counter() - begun:.1f} s later")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--signals", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        asyncio.run(run(Path(place), given.signals))
