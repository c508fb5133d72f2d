"""Replay `signals` from its beginning, to rebuild state that Redis lost or to compare with what it has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from resegment.agents.batch import Batch
from resegment.agents.deciding.decided import Owned
from resegment.agents.deciding.refolding import refold
from resegment.agents.deciding.versions import Versions
from resegment.archive.archive import Archive
from resegment.errors import FatalError
from resegment.schemas.change import SegmentChange
from resegment.schemas.fact import Fact
from resegment.schemas.privacy.opening import FactKeys
from resegment.streams.ahead import AheadFinder
from resegment.streams.kafka.topic_reader import LogReader, reading
from resegment.streams.kafka.topics import Topics
from resegment.streams.recovery.archived_log import ArchivedTopic
from resegment.streams.sealing.keys import ProcessKeys
from resegment.streams.sealing.opener import PLAIN, RecordOpener

CHUNK = 1000
"""Records in one commit of a replay."""

Progress = Callable[[int], None]
_T = TypeVar("_T")


class HistoryIncomplete(FatalError):
    """The oldest records of the log are gone: a replay would not give the states that were."""

    def __init__(self, topic: str, oldest: int) -> None:
        super().__init__(
            f"{topic} begins at offset {oldest}: its older records are gone",
            remedy="Restore Redis from a backup, or ingest the history into a new prefix.",
        )
        self.topic, self.oldest = topic, oldest


@dataclass(frozen=True, slots=True)
class LogSource:
    """Where the log is; `security` is what aiokafka takes. With an archive it is read from there.

    `ahead` finds the records that a live worker refuses; None on the clock of the facts.
    """

    bootstrap: str
    topics: Topics
    security: Mapping[str, Any]
    ahead: AheadFinder | None = None
    archive: Archive | None = None
    keys: ProcessKeys | None = None
    """What opens personal fields."""

    @property
    def fact_keys(self) -> FactKeys | None:
        """What opens sealed facts; None where nothing is sealed."""
        return None if self.keys is None else self.keys.facts

    @property
    def opener(self) -> RecordOpener:
        """What opens sealed records."""
        return PLAIN if self.keys is None else self.keys.record_opener()

    @property
    def advice(self) -> str:
        """Return what to do where it does not reach back."""
        if self.archive is not None:
            return "They were deleted before they were archived. Ask for a later time."
        return "If they were archived, pass the archive with --archive; else ask for a later time."

    def reading(
        self, topic: str, partitions: Collection[int] | None = None
    ) -> AbstractAsyncContextManager[LogReader]:
        """Open a reader of all or some partitions of a topic. Raises TopicUnreadable, and as ArchivedTopic does."""
        if self.archive is None:
            return reading(self.bootstrap, topic, partitions, security=self.security)
        return _reading_archive(self.archive, topic, partitions)


@asynccontextmanager
async def _reading_archive(
    archive: Archive, topic: str, partitions: Collection[int] | None
) -> AsyncIterator[LogReader]:
    yield await ArchivedTopic.open(archive, topic, partitions)


async def check_complete(source: LogSource, partitions: Collection[int] | None = None) -> dict[int, int]:
    """Return where each partition of the log ends. Raises HistoryIncomplete where the oldest records are gone."""
    if partitions is not None and not partitions:
        return {}
    topic = source.topics.signals.name
    async with reading(source.bootstrap, topic, partitions, security=source.security) as reader:
        if reader.newest_beginning > 0:
            raise HistoryIncomplete(topic, reader.newest_beginning)
        return await reader.ends()


async def replay(
    owned: Owned,
    versions: Versions,
    source: LogSource,
    upto: int | None,
    progress: Progress | None,
    look: Callable[[Sequence[SegmentChange]], None] = lambda _: None,
    forwarded: list[Fact] | None = None,
) -> int:
    """Decide the records of one partition up to an offset (None: its end) into an empty store; publish nothing.

    `look` is called with the changes of each commit. `forwarded` collects the facts of merged accounts that went to other
    accounts. Returns the number of records.
    Raises HistoryIncomplete, SwitchOpen, TopicUnreadable, StoreUnavailable.
    """
    topic = source.topics.signals.name
    total = 0
    async with reading(source.bootstrap, topic, [owned.number], security=source.security) as reader:
        if reader.newest_beginning > 0:
            raise HistoryIncomplete(topic, reader.newest_beginning)
        async for records in reader.to_end():
            wanted = [record for record in records if upto is None or record.offset < upto]
            for chunk in chunks(wanted):
                batch = Batch(topic, owned.number, chunk)
                ahead = frozenset() if source.ahead is None else await source.ahead.find(batch)
                forwards = await refold(batch, owned, versions, ahead=ahead, look=look)
                if forwarded is not None:
                    forwarded += forwards
                total += len(chunk)
                if progress is not None:
                    progress(len(chunk))
    return total


def chunks(items: Sequence[_T]) -> list[Sequence[_T]]:
    """Split the items, in their order, into as many as one commit of a replay takes."""
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
