"""Find the records of `signals` that a host with its clock ahead wrote, the same ones in every replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from resegment.agents.batch import Batch
from resegment.state.redis.client import read_time
from resegment.state.redis.refused_records import RecordId, RefusedRecords

if TYPE_CHECKING:
    from redis.asyncio import Redis


class AheadFinder(Protocol):
    """Knows the records that are ahead of the time."""

    async def find(self, batch: Batch) -> frozenset[int]:
        """Return the offsets of the records of a batch that are ahead."""
        ...


def find_ahead_records(
    client: Redis, prefix: str, clock: str, latest: Callable[[], int], *, remember: bool = True
) -> AheadRecords | None:
    """Return what finds them in a prefix; None on the clock of the facts, where time is what the records say."""
    if clock != "wall":
        return None
    return AheadRecords(RefusedRecords(client, prefix), latest, remember=remember)


async def look_for_ahead_records(
    client: Redis, prefix: str, clock: str, tolerance: int, *, remember: bool = False
) -> AheadRecords | None:
    """Return what finds them for a command, as of now. Raises StoreUnavailable."""
    latest = await read_time(client) + tolerance
    return find_ahead_records(client, prefix, clock, lambda: latest, remember=remember)


async def leave_out(ahead: AheadFinder | None, batch: Batch) -> Sequence[Any]:
    """Return the records of a batch that are not ahead. Raises StoreUnavailable."""
    offsets = frozenset[int]() if ahead is None else await ahead.find(batch)
    return [one for one in batch.records if one.offset not in offsets] if offsets else batch.records


class AheadRecords:
    """Decides which records are ahead of the time.

    A record is ahead when its timestamp is later than `latest()` (ms) at the time when it is first read. That
    decision is remembered in Redis before anything is decided from the batch. So another worker, `verify` and a
    `rebuild` next to that memory refuse the same records, even if their time has come meanwhile.
    """

    def __init__(self, refused: RefusedRecords, latest: Callable[[], int], *, remember: bool = True) -> None:
        """`remember` False only reads what was decided, for commands that may not write."""
        self._refused, self._latest, self._remember = refused, latest, remember
        self._known: dict[int, frozenset[RecordId]] = {}

    async def load(self, partition: int) -> None:
        """Read what was decided about a partition. Raises StoreUnavailable."""
        self._known[partition] = await self._refused.read(partition)

    async def find(self, batch: Batch) -> frozenset[int]:
        """Return the offsets of the records of a batch that are ahead. Raises StoreUnavailable."""
        known = self._known.get(batch.partition)
        if known is None:
            await self.load(batch.partition)
            known = self._known[batch.partition]
        latest = self._latest()
        fresh = {
            (one.offset, one.timestamp)
            for one in batch.records
            if one.timestamp > latest and (one.offset, one.timestamp) not in known
        }
        if fresh:
            if self._remember:
                await self._refused.add(batch.partition, fresh)
            known = self._known[batch.partition] = known | fresh
        if not known:
            return frozenset()
        return frozenset(one.offset for one in batch.records if (one.offset, one.timestamp) in known)
