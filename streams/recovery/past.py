"""Decide what was at an instant, from the log or from an archive: by the segmenter itself, up to that instant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import msgspec

from resegment.agents.batch import Batch, Record, RecordedMessage, is_readable
from resegment.agents.deciding.applying import Known, receive_known
from resegment.agents.deciding.refolding import refold
from resegment.agents.partition import OwnedPartition
from resegment.agents.segmenter import TICK
from resegment.errors import FatalError
from resegment.schemas.change import SegmentChange
from resegment.schemas.fact import Fact, decode_fact
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.privacy.opening import open_known
from resegment.schemas.state import AccountState
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.versions.timeline import Timeline
from resegment.state.memory.partition import Memory
from resegment.state.memory.partition import PartitionStore as MemoryStore
from resegment.streams.ahead import leave_out
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.identities.log import PARTITION, identities_in
from resegment.streams.recovery.point_in_time import relearn
from resegment.streams.recovery.replay import LogSource, chunks

FactsByAccount = dict[str, list[tuple[int, list[Fact]]]]
"""The facts of accounts, by when (ms) they became known."""


@dataclass(frozen=True, slots=True)
class PastAccount:
    """An account at an instant."""

    account: str
    state: AccountState


class HistoryGone(FatalError):
    """The log does not reach back to where it would have to be read from."""

    def __init__(self, topic: str, oldest: int, remedy: str) -> None:
        super().__init__(
            f"{topic} does not reach back: its records before offset {oldest} are gone", remedy=remedy
        )
        self.topic, self.oldest = topic, oldest


class Past:
    """The accounts of a prefix at instants that are over.

    `partitions` is how many `signals` has. Raises HistoryGone, SwitchOpen, TopicUnreadable and what an archive raises.
    """

    def __init__(self, registry: DefinitionRegistry, source: LogSource, partitions: int) -> None:
        self._registry, self._source, self._partitions = registry, source, partitions
        self.begins: int | None = None
        """The timestamp (ms) of the oldest record that was read."""
        self._absent: Mapping[bytes, int] | None = None

    async def accounts(self, until: int) -> list[PastAccount]:
        """Return every account that was known at `until` (ms), as it was then."""
        found: list[PastAccount] = []
        for number in range(self._partitions):
            memory = await self._decide(number, until)
            found += (
                PastAccount(name, state)
                for name, value in memory.accounts.items()
                if (state := decode_state(value)).membership.segment is not None
            )
        return found

    async def account(self, name: str, partition: int, until: int) -> Account | None:
        """Return one account as it was at `until` (ms); None if nothing was known about it."""
        value = (await self._decide(partition, until)).accounts.get(name)
        return None if value is None else self._registry.load(name, value)

    async def changes(self, until: int, partitions: Collection[int] | None = None) -> list[SegmentChange]:
        """Return the changes that were decided up to `until` (ms), by partition and in their order."""
        found: list[SegmentChange] = []
        for number in range(self._partitions) if partitions is None else sorted(partitions):
            await self._decide(number, until, found.extend)
        return found

    async def accounts_under(self, now: Callable[[str], str], until: int) -> list[PastAccount]:
        """Return every account at `until` (ms), as if what is one account now had always been one.

        `now` returns the account that an account is today.
        """
        return [
            PastAccount(one.name, one.state)
            for one in await self._identified(now, until, None)
            if one.state.membership.segment is not None
        ]

    async def account_under(self, now: Callable[[str], str], name: str, until: int) -> Account | None:
        """Return one account at `until` (ms), as `accounts_under` does."""
        found = await self._identified(now, until, name)
        return found[0] if found else None

    async def facts_under(self, now: Callable[[str], str], until: int) -> FactsByAccount:
        """Return the facts of every account that were known at `until` (ms), by when they became known, in that order.

        Accounts are those that `now` returns. Fields that the version of the instant does not keep are left out.
        """
        timeline: Timeline = self._registry.timeline
        return {
            name: [(at, [timeline.receive(fact) for fact in facts]) for at, facts in _gather(known)]
            for name, known in (await self._known_under(now, until, None)).items()
        }

    async def _identified(self, now: Callable[[str], str], until: int, wanted: str | None) -> list[Account]:
        timeline: Timeline = self._registry.timeline
        return [
            relearn(timeline, name, [receive_known(timeline, one) for one in _group(facts)], until)
            for name, facts in (await self._known_under(now, until, wanted)).items()
        ]

    async def _known_under(
        self, now: Callable[[str], str], until: int, wanted: str | None
    ) -> dict[str, list[tuple[int, Fact]]]:
        known: dict[str, list[tuple[int, Fact]]] = {}
        for number in range(self._partitions):
            async for at, fact in self._facts(number, until):
                name = now(fact.account)
                if wanted in (None, name):
                    one = fact if name == fact.account else msgspec.structs.replace(fact, account=name)
                    known.setdefault(name, []).append((at, one))
        return known

    async def _facts(self, number: int, until: int) -> AsyncIterator[tuple[int, Fact]]:
        """Yield the facts of a partition that were known at `until`, each once, with when that was."""
        clock = 0
        async for batch in self._batches(number):
            known: list[tuple[int, Fact]] = []
            for record in await leave_out(self._source.ahead, batch):
                clock = max(clock, record.timestamp)
                if clock > until:
                    break
                if (fact := _read_fact(record)) is not None:
                    known.append((clock, fact))
            for one in await open_known(self._registry.keys, known):
                yield one
            if clock > until:
                return

    async def _decide(
        self,
        number: int,
        until: int,
        look: Callable[[Sequence[SegmentChange]], None] = lambda _: None,
    ) -> Memory:
        """Return what the segmenter comes to in a partition if it stops at `until`."""
        memory = Memory()
        owned = OwnedPartition(number, MemoryStore(memory, number), self._registry)
        await owned.take("")
        last: Record | None = None
        async for batch in self._batches(number):
            before = await self._known_at(batch, until)
            for chunk in chunks(before):
                together = Batch(batch.topic, number, chunk)
                ahead = self._source.ahead
                refused = frozenset[int]() if ahead is None else await ahead.find(together)
                await refold(together, owned, self._registry, ahead=refused, look=look)
                last = chunk[-1]
            if len(before) < len(batch.records):
                break
        if last is not None:
            tick = RecordedMessage(last.offset + 1, until, None, None, [(TICK, b"")])
            passing = Batch(self._source.topics.signals.name, number, [tick])
            await refold(passing, owned, self._registry, look=look)
        return memory

    async def _known_at(self, batch: Batch, until: int) -> Sequence[Record]:
        """Return the records of a batch up to the first one that moves the clock beyond `until`."""
        counted = await leave_out(self._source.ahead, batch)
        first = next((one.offset for one in counted if one.timestamp > until), None)
        if first is None:
            return batch.records
        return [one for one in batch.records if one.offset < first]

    async def _batches(self, number: int) -> AsyncIterator[Batch]:
        source, clock = self._source, 0
        topic = source.topics.signals.name
        absent = await self._find_absent()
        async with source.reading(topic, [number]) as reader:
            if reader.newest_beginning > 0:
                raise HistoryGone(topic, reader.newest_beginning, source.advice)
            async for records in reader.to_end():
                if records:
                    oldest = records[0].timestamp
                    self.begins = oldest if self.begins is None else min(self.begins, oldest)
                    batch = Batch(topic, number, records)
                    if absent:
                        moving = {one.offset for one in await leave_out(source.ahead, batch)}
                        counted: list[Record] = []
                        for one in records:
                            if one.offset in moving:
                                clock = max(clock, one.timestamp)
                            counted.append(_without(one, absent, clock))
                        batch = Batch(topic, number, counted)
                    yield batch

    async def _find_absent(self) -> Mapping[bytes, int]:
        """Return the accounts that are forgotten, each with the instant (ms) up to which nothing of it counts."""
        if self._absent is None:
            topic = self._source.topics.identities.name
            identities = await identities_in(self._source.reading(topic, [PARTITION]))
            self._absent = {name.encode(): until for name, until in identities.absent().items()}
        return self._absent


def _without(record: Record, absent: Mapping[bytes, int], clock: int) -> Record:
    """Return a record that became known at `clock` (ms); in the place of a forgotten account's, one that lets time pass."""
    if record.key is None or clock > absent.get(record.key, -1):
        return record
    return RecordedMessage(record.offset, record.timestamp, None, None, [(TICK, b"")])


def _group(facts: Sequence[tuple[int, Fact]]) -> list[Known]:
    return [(at, found, []) for at, found in _gather(facts)]


def _gather(facts: Sequence[tuple[int, Fact]]) -> list[tuple[int, list[Fact]]]:
    """Return the facts by when they became known: what became known at one instant together."""
    together = groupby(sorted(facts, key=itemgetter(0)), key=itemgetter(0))
    return [(at, [fact for _, fact in found]) for at, found in together]


def _read_fact(record: Record) -> Fact | None:
    """Return the fact of a record. One that another partition passed on after a merge is there already."""
    if record.key is None or record.value is None or not is_readable(record):
        return None
    try:
        fact = decode_fact(record.value)
    except msgspec.DecodeError:  # a dead letter: the segmenter set it aside too
        return None
    return None if fact.via else fact
