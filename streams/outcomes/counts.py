"""How many outcomes are credited to touches, as workers count them, kept in Redis by partition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from resegment.schemas.times import format_instant
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import credits_key

if TYPE_CHECKING:
    from redis.asyncio import Redis


class PartitionCredits(msgspec.Struct, frozen=True, kw_only=True):
    """What a partition had at `at` (ms): touches by arm, credited outcomes by rule, the others by reason, and what was dropped."""

    at: int
    touches: dict[str, int] = {}
    credited: dict[str, int] = {}
    uncredited: dict[str, int] = {}
    dropped: int = 0


def add_credits(one: PartitionCredits, other: PartitionCredits) -> PartitionCredits:
    """Return what two parts of a partition have together, as of the earlier instant."""
    return PartitionCredits(
        at=min(one.at, other.at),
        touches=dict(Counter(one.touches) + Counter(other.touches)),
        credited=dict(Counter(one.credited) + Counter(other.credited)),
        uncredited=dict(Counter(one.uncredited) + Counter(other.uncredited)),
        dropped=one.dropped + other.dropped,
    )


@dataclass(frozen=True, slots=True)
class Credits:
    """What all partitions have together. Accounts that were merged across partitions are counted apart."""

    partitions: Mapping[int, PartitionCredits] = field(default_factory=dict)

    def total(self, name: str) -> dict[str, int]:
        """Return `touches`, `credited` or `uncredited` of all partitions, the greatest first."""
        total: Counter[str] = Counter()
        for one in self.partitions.values():
            total.update(getattr(one, name))
        return dict(total.most_common())

    @property
    def dropped(self) -> int:
        """Return how many touches and outcomes are not kept, because an account had too many."""
        return sum(one.dropped for one in self.partitions.values())

    @property
    def notes(self) -> list[str]:
        """Return what is worth knowing, one sentence each."""
        lines, missed, credited = [], self.total("uncredited"), sum(self.total("credited").values())
        if missed:
            reasons = ", ".join(f"{reason} {number:,}" for reason, number in missed.items())
            number = sum(missed.values())
            lines.append(
                f"{number:,} of {number + credited:,} outcomes {'is' if number == 1 else 'are'} credited to no touch: {reasons}; "
                "`resegment outcomes ACCOUNT` shows those of an account"
            )
        if self.dropped:
            lines.append(
                f"{self.dropped:,} older touches and outcomes are not kept: their accounts have too many"
            )
        return lines

    def describe(self) -> dict[str, Any]:
        """Return the counts as plain JSON data; `at` is when the oldest of them were made."""
        oldest = min((one.at for one in self.partitions.values()), default=None)
        return {
            "at": None if oldest is None else format_instant(oldest),
            "touches": self.total("touches"),
            "credited": self.total("credited"),
            "uncredited": self.total("uncredited"),
            "dropped": self.dropped,
        }


async def write_credits(client: Redis, prefix: str, partition: int, counted: PartitionCredits) -> None:
    """Keep the counts of a partition. Raises StoreUnavailable."""
    with answering("keep how many outcomes are credited"):
        answer: Any = client.hset(credits_key(prefix), str(partition), msgspec.json.encode(counted))
        await answer


async def read_credits(client: Redis, prefix: str) -> Credits:
    """Return the counts of all partitions that were counted. Raises StoreUnavailable."""
    with answering("read how many outcomes are credited"):
        answer: Any = client.hgetall(credits_key(prefix))
        found = sorted((int(number), value) for number, value in (await answer).items())
    return Credits({number: msgspec.json.decode(value, type=PartitionCredits) for number, value in found})
