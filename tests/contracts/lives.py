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

from resegment.agents.batch import RecordedMessage
from resegment.segmentation.evaluation import fold
from resegment.segmentation.inspection.backtest import order_of_delivery
from resegment.state.memory.partition import Memory
from tests.builders import Rig, facts_of, run, signals, ticking
from tests.oracle.generate import generate

SEEDS = range(60)
MONTHS = 100 * 86_400_000
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


def store(rig: Rig) -> Stored:
    return {name: value for name, value in vars(rig.memory).items() if name != "clock"}


async def live_all(halves: list[Stored | None]) -> list[tuple[Stored, Stored, list[bytes]]]:
    return [await live(seed, half) for seed, half in zip(SEEDS, halves, strict=True)]


def main(out: Path, before: Path | None) -> None:
    """Write the halves and messages of all seeds."""
    halves: list[Stored | None] = [None] * len(SEEDS)
    if before is not None:
        lives = pickle.loads(before.read_bytes())["lives"]  # noqa: S301  # the test's own file
        halves = [halftime for halftime, _, _ in lives]
    out.write_bytes(pickle.dumps({"core": fold.__file__, "lives": asyncio.run(live_all(halves))}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
