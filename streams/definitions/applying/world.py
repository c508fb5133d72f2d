"""Where the partitions of a prefix stand, as an apply sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resegment.schemas.definitions.marks import Changeover, decode_changeover
from resegment.state.redis.reader import PartitionLook, add_sizes


@dataclass(frozen=True, slots=True)
class World:
    """Where the partitions stand."""

    looks: Sequence[PartitionLook]

    @property
    def changeovers(self) -> dict[int, Changeover]:
        """What each partition keeps of switches."""
        return {
            one.number: decode_changeover("" if one.position is None else one.position.definition)
            for one in self.looks
        }

    @property
    def clock(self) -> int:
        """The greatest clock of all (ms)."""
        return max((one.position.clock for one in self.looks if one.position is not None), default=0)

    @property
    def sizes(self) -> Mapping[str, int]:
        """The number of accounts by segment."""
        return add_sizes(self.looks)
