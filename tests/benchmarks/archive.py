"""How fast records are archived and read back, what one takes, and how long it takes to look back.

python -P -m tests.benchmarks.archive
"""

from __future__ import annotations

import asyncio
import gzip
import json
import tempfile
import time
from pathlib import Path

import msgspec

from resegment.agents.batch import RecordedMessage
from resegment.archive.archive import Archive
from resegment.archive.storage import Storage
from resegment.schemas.definitions.records import encode_definition_record
from resegment.schemas.fact import encode_fact
from resegment.segmentation.evaluation.program import Limits
from resegment.sources.segments import load_definition
from resegment.streams.definitions.content import to_records
from resegment.streams.definitions.history import Definitions
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.topics import Topics
from resegment.streams.recovery.past import Past
from resegment.streams.recovery.replay import LogSource
from tests.events import read_fact

SIGNALS = 200_000
FLUSHED = 50_000
EXAMPLES = Path(__file__).parents[2] / "resegment/examples"


def records() -> list[RecordedMessage]:
    """The synthetic events of the examples, of sixty times as many accounts, one each 400 ms."""
    with gzip.open(EXAMPLES / "synthetic.jsonl.gz") as file:
        facts = [read_fact(json.loads(line)) for line in file]
    found = []
    for number in range(SIGNALS):
        fact, turn = facts[number % len(facts)], number // len(facts)
        named = msgspec.structs.replace(
            fact, account=f"{turn}-{fact.account}", id=f"{fact.id}-{turn}", record=f"{fact.record}-{turn}"
        )
        at = 1_772_323_200_000 + number * 400
        found.append(RecordedMessage(number, at, named.account.encode(), encode_fact(named), ()))
    return found


def main() -> None:
    signals = records()
    raw = sum(len(one.value or b"") + len(one.key or b"") for one in signals)
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive.prepare(Storage(folder), "bench", "facts", 1)
        manifest = archive.take_over("signals", [0], 1)[0]
        wall, cpu = time.perf_counter(), time.process_time()
        for start in range(0, SIGNALS, FLUSHED):
            manifest = archive.append(manifest, signals[start : start + FLUSHED])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = sum(one.size for one in manifest.files)
        print(f"archived: {SIGNALS / wall:,.0f} records/s, {SIGNALS / cpu:,.0f} per second of CPU")
        print(f"a record: {raw / SIGNALS:.0f} bytes in the topic, {size / SIGNALS:.0f} in the archive")
        wall = time.perf_counter()
        count = sum(len(found) for found in archive.records(manifest))
        print(f"read back: {count / (time.perf_counter() - wall):,.0f} records/s")
        chunks, version = to_records(load_definition(str(EXAMPLES / "segments.yaml")), 1, at=0)
        definitions = Definitions([encode_definition_record(one) for one in (*chunks, version)])
        topics = Topics("bench")
        registry = DefinitionRegistry(definitions, topics, facts_per_test=Limits().facts)
        past = Past(registry, LogSource("", topics, {}, archive=archive), 1)
        wall = time.perf_counter()
        accounts = asyncio.run(past.accounts(signals[-1].timestamp))
        took = time.perf_counter() - wall
        print(f"looked back at {len(accounts):,} accounts in {took:.1f} s: {SIGNALS / took:,.0f} records/s")


if __name__ == "__main__":
    main()
