"""Read a topic from an archive, in place of the brokers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from resegment.agents.batch import Batch, Record
from resegment.archive.archive import Archive
from resegment.archive.manifest import Manifest


class ArchivedTopic:
    """Some partitions of an archived topic. Raises ArchiveUnreachable and ArchiveDamaged."""

    def __init__(self, archive: Archive, manifests: Sequence[Manifest]) -> None:
        self._archive, self._manifests = archive, manifests

    @classmethod
    async def open(
        cls, archive: Archive, topic: str, partitions: Collection[int] | None = None
    ) -> ArchivedTopic:
        """Return all or some partitions of a topic; `topic` is its full name."""
        name = topic.removeprefix(f"{archive.prefix}.")
        held = await asyncio.to_thread(archive.manifests, name, partitions)
        return cls(archive, list(held.values()))

    @property
    def newest_beginning(self) -> int:
        """Return the largest offset before which records are missing: 0 if none are, 1 if nothing was archived."""
        if not self._manifests:
            return 1
        return max(self.begins.values())

    @property
    def begins(self) -> Mapping[int, int]:
        """Return the offset of each partition before which records are missing."""
        return {one.partition: max((gap.until for gap in one.gaps), default=0) for one in self._manifests}

    async def to_end(self) -> AsyncIterator[Sequence[Record]]:
        """Yield the records of each partition, in order."""
        for manifest in self._manifests:
            records = self._archive.records(manifest)
            while (found := await asyncio.to_thread(next, records, None)) is not None:
                yield found


class ArchivedRefusals:
    """Finds the records that workers refused because their time was ahead, as the archive says."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._known: dict[int, frozenset[tuple[int, int]]] | None = None

    async def find(self, batch: Batch) -> frozenset[int]:
        """Return the offsets of the records of a batch that were refused."""
        if self._known is None:
            held = await asyncio.to_thread(self._archive.manifests, "signals")
            self._known = {number: frozenset(one.refused) for number, one in held.items()}
        known = self._known.get(batch.partition, frozenset())
        return frozenset(one.offset for one in batch.records if (one.offset, one.timestamp) in known)
