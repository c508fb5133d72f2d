"""How fresh the decisions of a prefix are: how long ago its slowest partition decided, and how long that may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from resegment.schemas.times import format_instant, spell_length
from resegment.state.redis.reader import PartitionLook
from resegment.streams.operations.overview import PATIENCE, Overview

DECIDED: Final = ("signals", "accounts", "outcomes")
"""Topics, besides those of triggers, whose records wait to be decided."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """What the console and `status` say of it; lengths in ms. `age` is None where nothing was ever decided, or in a replay."""

    title: str
    told: str
    note: str
    is_good: bool
    age: int | None
    allowed: int = PATIENCE


def find_freshness(look: Overview) -> Freshness:
    """Return how fresh the decisions are."""
    clocks = [one.position.clock for one in look.partitions if one.position is not None]
    if look.clock != "wall":
        at = format_instant(max(clocks, default=0)) if clocks else "nothing yet"
        return Freshness("Decided up to", at, "on the clock of the facts: a replay", bool(clocks), None)
    if not clocks:
        return Freshness("Decided", "never", "no event has come yet", True, None)
    age = max(_age_of(look, one) for one in look.partitions)
    waiting = sum(lag for topic, lag in look.lag.items() if is_decided(topic, look.prefix))
    waits = f"{waiting:,} {'event waits' if waiting == 1 else 'events wait'}; " if waiting else ""
    return Freshness(
        "Newest decision" if waiting else "Decided",
        f"{spell_length(age // 1000 * 1000)} ago",
        f"{waits}{spell_length(PATIENCE)} allowed; the slowest partition",
        age <= PATIENCE,
        age,
    )


def is_decided(topic: str, prefix: str) -> bool:
    """Return whether the records of a topic wait for a decision."""
    name = topic.removeprefix(f"{prefix}.")
    return name in DECIDED or name.startswith("triggers.")


def _age_of(look: Overview, one: PartitionLook) -> int:
    """Return for how long a partition has not decided everything that it could, ms.

    One that has nothing to do is as fresh as the last report of its worker. Time passes in a partition only when a record
    comes or a deadline is due, so that the clock of a quiet one says nothing.
    """
    owner = next((worker for worker in look.workers if one.number in worker.partitions), None)
    clock = 0 if one.position is None else max(0, look.now - one.position.clock)
    if owner is None:
        return clock
    late = 0 if one.next_deadline is None else max(0, look.now - one.next_deadline)
    return max(owner.silent, late, clock if one.number in owner.behind else 0)
