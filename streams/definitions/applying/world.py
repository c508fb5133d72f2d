"""Where the partitions of a prefix stand, as an apply sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resegment.schemas.definitions.marks import Changeover, decode_changeover
from resegment.state.redis.reader import PartitionLook, PrefixReader, add_sizes
from resegment.streams.definitions.applying.requests import ApplyConnection, ApplyUnderWay
from resegment.streams.definitions.log import read_definitions


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


async def describe_open(connection: ApplyConnection) -> ApplyUnderWay:
    """Return the error that says which apply is under way, and how far it is. Raises TopicUnreadable, StoreUnavailable."""
    definitions = await read_definitions(connection.bootstrap, connection.topics, connection.security)
    one = definitions.open
    if one is None:
        return ApplyUnderWay(None)
    reader = PrefixReader(connection.client, connection.prefix, connection.partitions)
    done = sum(each.worked_off >= one.version for each in World(await reader.look()).changeovers.values())
    if one.verdict is None:
        return ApplyUnderWay(one, f"{len(one.prepared)} of {connection.partitions} partitions are prepared")
    return ApplyUnderWay(one, f"{done} of {connection.partitions} partitions have judged all their accounts")
