"""Measure what keys cost: CPU time of intake and of the segmenter for each event, with and without them, alternating.

Run `python -m tests.benchmarks.privacy [--events 40000] [--rounds 5]`. Everything is in this process: stores in memory, no
brokers. The events are those of `resegment bench`, of which one in five names a person, and the same events all with one.
The least CPU time of each batch over all rounds counts, so that the machine's other work does not.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

import resegment.benchmarks
from resegment.agents.batch import Batch, Message, RecordedMessage
from resegment.agents.deciding.versions import one_version
from resegment.agents.intake import IntakeRules, ingest
from resegment.agents.partition import OwnedPartition
from resegment.agents.privacy.sealing import FactSealer
from resegment.agents.segmenter import segment
from resegment.benchmarks.events import make_events
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.sources.segments import load_definition
from resegment.state.keys.keyring import Keyring
from resegment.state.memory.partition import Memory, PartitionStore
from resegment.streams.runtime import settle
from tests.builders import Published
from tests.sealing import new_keyring

BATCH: Final = 1_000
NOW: Final = 1_750_000_000_000
SEGMENTS: Final = Path(resegment.benchmarks.__file__).with_name("segments.yaml")

Batches = Sequence[Sequence[RecordedMessage]]


def triggers(count: int, *, persons: bool) -> Batches:
    """Batches of trigger events; with `persons` each names one."""
    records = []
    for number, one in enumerate(make_events(count // 20, count)):
        value = one.value
        if persons:
            event = orjson.loads(value)
            event["data"] |= {"person": f"Jane Doe {number % 3}", "url": f"https://acme.com/{number}"}
            value = orjson.dumps(event)
        records.append(RecordedMessage(number, NOW, None, value))
    return [records[at : at + BATCH] for at in range(0, len(records), BATCH)]


async def take_in(batches: Batches, keys: Keyring | None) -> tuple[list[float], list[list[RecordedMessage]]]:
    """Let intake read the batches; return the seconds of each, and the signals."""
    rules = IntakeRules("wall", lambda: NOW, sealer=None if keys is None else FactSealer(keys))
    spent, signals, offset = [], [], 0
    for records in batches:
        published = Published()
        batch = Batch("triggers", 0, records)
        begun = time.process_time()
        await ingest(batch, rules, publisher=published, signals="signals", dead_letters="dead-letters")
        spent.append(time.process_time() - begun)
        signals.append([record(offset + place, one) for place, one in enumerate(published.messages)])
        offset += len(published.messages)
    return spent, signals


def record(offset: int, message: Message) -> RecordedMessage:
    return RecordedMessage(offset, message.timestamp or 0, message.key, message.value)


async def decide(batches: Batches, engine: Engine, keys: Keyring | None) -> list[float]:
    """Let the segmenter decide the signals; return the seconds of each batch."""
    versions = one_version(engine, keys=keys)
    owned = OwnedPartition(0, PartitionStore(Memory(), 0), versions)
    await owned.take("log")
    spent = []
    for records in batches:
        batch = Batch("signals", 0, records)
        begun = time.process_time()
        await segment(batch, owned, versions, publisher=Published(), factory=None, dead_letters="")
        spent.append(time.process_time() - begun)
    return spent


async def compare(events: int, rounds: int, *, persons: bool) -> None:
    batches = triggers(events, persons=persons)
    engine = Engine(Program(load_definition(SEGMENTS)))
    keys = await new_keyring()
    least: dict[tuple[str, bool], list[float]] = {}
    sealed = 0
    for number in range(rounds + 1):  # the first makes the keys, and warms up
        for on in (False, True) if number % 2 else (True, False):
            gc.collect()
            gc.freeze()
            taken, signals = await take_in(batches, keys if on else None)
            decided = await decide(signals, engine, keys if on else None)
            if on:
                sealed = sum(b'"sealed":"s1.' in (one.value or b"") for some in signals for one in some)
            if number:
                for stage, spent in (("intake", taken), ("segmenter", decided)):
                    before = least.get((stage, on), spent)
                    least[stage, on] = list(map(min, before, spent))
    total = sum(map(len, batches))
    print(f"{total:,} events, {sealed / total:.0%} with personal fields, us of CPU time for each event")
    for stage in ("intake", "segmenter"):
        off, on = (sum(least[stage, one]) / total * 1e6 for one in (False, True))
        print(f"  {stage:<10} without keys {off:6.2f}   with keys {on:6.2f}   more {on - off:5.2f}")


def main() -> None:
    settle()  # as a worker does
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    for persons in (False, True):
        asyncio.run(compare(given.events, given.rounds, persons=persons))


if __name__ == "__main__":
    main()
