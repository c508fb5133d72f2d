"""Write what a partition stores and publishes over generated lives of accounts, so that two builds can be compared.

`python -m tests.contracts.lives OUT [FROM]`: with FROM, what was stored by halftime comes from there.
"""

from __future__ import annotations

import asyncio
import pickle
import random
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson

from resegment.agents.batch import Batch, RecordedMessage
from resegment.agents.intake import IntakeRules, ingest
from resegment.segmentation.evaluation import fold
from resegment.segmentation.inspection.backtest import order_of_delivery
from resegment.state.memory.partition import Memory
from tests.builders import Published, Rig, facts_of, run, signals, ticking
from tests.malformed import BAD
from tests.oracle.generate import generate

SEEDS = range(60)
MONTHS = 100 * 86_400_000
NOW = 1_750_000_000_000
STRANGE: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -0.0,
        1,
        1.0,
        3,
        3.0,
        2**53 + 1,
        2**63,
        2**64 - 1,
        1e308,
        1e-320,
        "",
        " ",
        "x" * 5_000,
        "1",
    ),
    *(
        "2024-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999Z",
        "joined",
        "seed",
        "٣",
        [],
        {},
        [1, True, 1.0],
        [[]],
        {"a": 1},
    ),
]
"""Values that two builds could take for others: an int for a float, a bool for an int."""
HEADERS: list[Any] = [
    [("ce_id", None)],
    [("content-type", b"\xff")],
    [("ce_type", b"gtm.funding.v1"), ("tick", b"")],
]
Stored = dict[str, Any]


async def live(seed: int, halftime: Stored | None) -> tuple[Stored, Stored, list[bytes]]:
    """Return what is stored after half of the batches and in the end, and what was published in the second half."""
    file, events, files = generate(seed, extended=True)
    facts, draw = facts_of(events), random.Random(seed)
    records, batches = signals(order_of_delivery(facts)), list[list[RecordedMessage]]()
    while records:
        taken = draw.randint(1, 8)
        batches.append(records[:taken])
        records = records[taken:]
    batches.append([ticking(batches[-1][-1].offset + 1, max(fact.recorded for fact in facts) + MONTHS)])
    half = len(batches) // 2
    cache_bytes = draw.choice([0, 5_000, 10**9])
    if halftime is None:
        halftime = store(await run(Rig(file, files=files, cache_bytes=cache_bytes), batches[:half]))
    rig = Rig(file, files=files, cache_bytes=cache_bytes, memory=Memory(**deepcopy(halftime)))
    await run(rig, batches[half:])
    await rig.deliver()
    return halftime, store(rig), [one.value or b"" for one in rig.published.messages]


async def live_spoiled(seed: int) -> list[Any]:
    """Return what intake publishes of events with strange values, and what a partition makes of it and of broken signals."""
    file, events, files = generate(seed, extended=True)
    draw, taken, rig = random.Random(seed), Published(), Rig(file, files=files)
    values = [spoil(draw, event) for event in events] + draw.sample(
        [value for value, _, _ in BAD.values()], k=8
    )
    records = [
        RecordedMessage(n, NOW + n, None, value, draw.choice(HEADERS) if draw.random() < 0.1 else [])
        for n, value in enumerate(values)
    ]
    rules = IntakeRules(draw.choice(["wall", "facts"]), lambda: NOW)
    await ingest(
        Batch("triggers", 0, records), rules, publisher=taken, signals="signals", dead_letters="dead"
    )
    made = [(one.key, one.value or b"") for one in taken.to("signals")]
    made += [
        (key, bytes(draw.randrange(256) if draw.random() < 0.01 else byte for byte in value))
        for key, value in made[::5]
    ]
    await run(rig, [[RecordedMessage(n, NOW + n, *one)] for n, one in enumerate(made)])
    await rig.deliver()
    return [
        [(one.topic, one.key, one.value, one.headers) for one in [*taken.messages, *rig.published.messages]],
        store(rig),
    ]


def spoil(draw: random.Random, event: dict[str, Any]) -> bytes:
    data = dict(event["data"])
    for name in draw.sample(sorted(data), k=min(len(data), draw.randint(0, 2))):
        data[name] = draw.choice(STRANGE)
    return orjson.dumps({**event, "data": data})


def store(rig: Rig) -> Stored:
    return {name: value for name, value in vars(rig.memory).items() if name != "clock"}


async def live_all(halves: list[Stored | None]) -> dict[str, list[Any]]:
    return {
        "lives": [await live(seed, half) for seed, half in zip(SEEDS, halves, strict=True)],
        "spoiled": [await live_spoiled(seed) for seed in SEEDS if not any(halves)],
    }


def main(out: Path, before: Path | None) -> None:
    """Write the halves and messages of all seeds."""
    halves: list[Stored | None] = [None] * len(SEEDS)
    if before is not None:
        lives = pickle.loads(before.read_bytes())["lives"]  # noqa: S301  # the test's own file
        halves = [halftime for halftime, _, _ in lives]
    out.write_bytes(pickle.dumps({"core": fold.__file__, **asyncio.run(live_all(halves))}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
