"""How fresh the decisions of a prefix are: how long ago its slowest partition decided, and how long that may take."""

from __future__ import annotations

from dataclasses import dataclass

from resegment.schemas.times import format_instant, spell_length
from resegment.streams.operations.overview import PATIENCE, Overview


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
    age = max(0, look.now - min(clocks))
    return Freshness(
        "Decided",
        f"{spell_length(age // 1000 * 1000)} ago",
        f"{spell_length(PATIENCE)} allowed; the slowest partition",
        age <= PATIENCE,
        age,
    )
