"""Rebuild the state of partitions that Redis lost, from the log. A rebuild that was broken off can be run again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resegment.agents.batch import Message, is_readable
from resegment.agents.deciding.decided import Owned
from resegment.agents.deciding.refolding import SwitchOpen
from resegment.agents.deciding.versions import Versions
from resegment.agents.partition import OwnedPartition
from resegment.errors import FatalError
from resegment.routing.change import decode_change
from resegment.routing.enrollment import EnrollmentMachine
from resegment.schemas.change import SegmentChange
from resegment.schemas.definitions.records import (
    DefinitionRecord,
    Foreign,
    Void,
    encode_definition_record,
)
from resegment.schemas.fact import Fact
from resegment.schemas.partitioning import partition_of
from resegment.schemas.times import NEVER
from resegment.state.redis.keys import Stage
from resegment.state.redis.partition import PartitionStore
from resegment.state.redis.reader import PrefixReader
from resegment.streams.definitions.announcing import Announcer
from resegment.streams.definitions.log import read_definitions
from resegment.streams.definitions.policies import VersionPolicies, latest_switch
from resegment.streams.definitions.registry import DefinitionRegistry
from resegment.streams.kafka.admin import read_log_ids
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.partition_marks import (
    begin_rebuild,
    end_partition,
    has_committed,
    is_rebuilding,
)
from resegment.streams.prefix import is_known
from resegment.streams.recovery.replay import LogSource, Progress, chunks, replay
from resegment.streams.recovery.restore_routing import restore_ledgers, restore_partition

if TYPE_CHECKING:
    from redis.asyncio import Redis


class NothingLost(FatalError):
    """Redis holds the whole state, so there is nothing to rebuild."""

    def __init__(self, prefix: str, partition: int | None = None) -> None:
        which = f"prefix {prefix}" if partition is None else f"partition {partition} of prefix {prefix}"
        super().__init__(
            f"Redis holds accounts of {which}, and nothing of it is missing",
            remedy="To compare what is there with the log, run `resegment verify`. To decide everything again, "
            "delete the state first: `resegment prefix delete`.",
        )
        self.prefix, self.partition = prefix, partition


class PrefixUnknown(FatalError):
    """One partition cannot be rebuilt where Redis has lost the record of the prefix too."""

    def __init__(self, prefix: str) -> None:
        super().__init__(
            f"Redis holds no record of prefix {prefix}, so more than one partition is lost",
            remedy="Stop the workers and run `resegment rebuild` without --partition.",
        )
        self.prefix = prefix


@dataclass(frozen=True, slots=True)
class LostPartition:
    """What is to be rebuilt of one partition."""

    number: int
    segmenter: bool
    router: bool


@dataclass(frozen=True, slots=True)
class Announced:
    """What was announced before Redis lost the state.

    `floors` are the greatest sequence numbers by account. `until` is, by partition, when (ms) the last change
    there was decided: an earlier change that is not there was deleted by retention, not lost.
    """

    floors: Mapping[str, int]
    until: Mapping[int, int]

    def lacks(self, change: SegmentChange, partition: int) -> bool:
        """Return whether the change was decided and never announced: it lay in the outbox that was lost."""
        number = self.floors.get(change.account, 0)
        return change.sequence_number > number and change.decided_at >= self.until.get(partition, 0)


Publish = Callable[[Sequence[Message]], Awaitable[None]]


class Rebuild:
    """Rebuilds lost partitions of one prefix, one after another."""

    def __init__(
        self, client: Redis, source: LogSource, registry: DefinitionRegistry, partitions: int
    ) -> None:
        self.source = source
        self._client, self._registry, self._partitions = client, registry, partitions
        self._prefix = source.topics.prefix
        self._announcer = Announcer(registry)

    async def run(
        self,
        lost: Sequence[LostPartition],
        publish: Publish,
        *,
        whole: bool,
        follow: Callable[[int], Progress | None],
    ) -> int:
        """Rebuild these, keeping workers away from each until it is done; return the number of records.

        `whole`: keep workers away from the prefix until `end_rebuild`. `follow` gives where to report the progress
        of a partition. Raises HistoryIncomplete, TopicUnreadable, TopicsUnavailable, PublishFailed, StoreUnavailable.
        """
        numbers = [one.number for one in lost]
        if not lost:  # what the whole prefix shares is lost, and no partition
            await begin_rebuild(self._client, self._prefix, (), whole=whole)
            return 0
        await self._end_open_switch(publish)
        announced = await read_announced(self.source, numbers)
        source = self.source
        signals, changes = await asyncio.to_thread(
            read_log_ids, source.bootstrap, source.topics, **source.security
        )
        await begin_rebuild(self._client, self._prefix, numbers, whole=whole)
        records = 0
        for one in lost:
            if one.segmenter:
                records += await self._rebuild_segmenter(
                    one.number, signals, announced, follow(one.number), publish
                )
            if one.router:
                await self._restore_router(one.number, changes)
            else:
                await self._complete_ledgers(one.number)
            await end_partition(self._client, self._prefix, one.number)
        return records

    async def _end_open_switch(self, publish: Publish) -> None:
        """End a switch that is not settled: until then the log does not say what it leads to."""
        one = self._registry.definitions.open
        if one is None or one.verdict is not None:
            return
        await self._write(Void(apply=one.id, reason="a partition is being rebuilt"), publish)

    async def _write(self, record: DefinitionRecord, publish: Publish) -> None:
        """Append a record to `definitions`, and read all that came before it."""
        source = self.source
        value = encode_definition_record(record)
        await publish([Message(source.topics.definitions.name, None, value, (), 0)])
        found = await read_definitions(source.bootstrap, source.topics, source.security)
        if found.versions:
            self._registry.definitions = found
        else:  # no worker of this release has run: the given file stands for version 1
            self._registry.take([value])

    async def _rebuild_segmenter(
        self, number: int, log: str, announced: Announced, progress: Progress | None, publish: Publish
    ) -> int:
        while True:
            try:
                return await self._replay_segmenter(number, log, announced, progress, publish)
            except SwitchOpen as error:
                if self._registry.knows(error.apply):
                    raise
                await self._write(Foreign(apply=error.apply), publish)
                await self._end_open_switch(publish)  # one that was claimed since the rebuild began

    async def _replay_segmenter(
        self, number: int, log: str, announced: Announced, progress: Progress | None, publish: Publish
    ) -> int:
        store = PartitionStore(self._client, self._prefix, number)
        await store.clear()
        owned = OwnedPartition(number, store, self._registry)
        forwarded: list[Fact] = []
        records, lacking = await rebuild_partition(
            owned,
            self._registry,
            self.source,
            log=log,
            announced=announced,
            partitions=self._partitions,
            progress=progress,
            forwarded=forwarded,
        )
        if lacking:
            await publish([self._announcer.change(one) for one in lacking])
        clock = owned.position.clock
        for facts in chunks(forwarded):  # some may have waited in the outbox; what arrives twice counts once
            await publish([self._announcer.forward(one, clock) for one in facts])
        return records

    async def _complete_ledgers(self, number: int) -> None:
        """Add outcomes that the router was never told of, because they were in the outbox that was lost."""
        store = PartitionStore(self._client, self._prefix, number, stage="router")
        reader = PrefixReader(self._client, self._prefix, self._partitions)
        position = await reader.position(number, "router")
        if position is None:  # no router has ever worked on it
            return
        machine = EnrollmentMachine(VersionPolicies(self._registry, unread_for=0))
        owned = OwnedPartition(number, store, machine)
        await owned.take(position.log)
        await restore_ledgers(owned, self.source)

    async def _restore_router(self, number: int, log: str) -> None:
        store = PartitionStore(self._client, self._prefix, number, stage="router")
        await store.clear()
        reader = PrefixReader(self._client, self._prefix, self._partitions)
        policies = VersionPolicies(self._registry, unread_for=0)
        owned = OwnedPartition(number, store, EnrollmentMachine(policies))
        await restore_partition(
            owned,
            policies,
            latest_switch(self._registry),
            self.source,
            self._prefix,
            reader.states,
            log=log,
        )


async def find_lost(
    reader: PrefixReader, held: Mapping[str, str], partitions: Collection[int]
) -> list[LostPartition]:
    """Return what Redis has lost of these partitions, and what an earlier rebuild left unfinished.

    `held` is the record of the prefix. Raises StoreUnavailable.
    """
    found = []
    for number in sorted(partitions):
        unfinished = is_rebuilding(held, number)
        segmenter = unfinished or await _is_lost(reader, number, "segmenter")
        router = unfinished or await _is_lost(reader, number, "router")
        if router and not (
            unfinished or segmenter or has_committed(held, "router", number) or not is_known(held)
        ):
            # no router has ever worked on it, so it has no state to lose
            router = bool(await reader.missing(number, "router"))
        if segmenter or router:
            found.append(LostPartition(number, segmenter, router))
    return found


async def _is_lost(reader: PrefixReader, number: int, stage: Stage) -> bool:
    return await reader.position(number, stage) is None or bool(await reader.missing(number, stage))


async def rebuild_partition(
    owned: Owned,
    versions: Versions,
    source: LogSource,
    *,
    log: str,
    announced: Announced,
    partitions: int,
    progress: Progress | None = None,
    forwarded: list[Fact] | None = None,
) -> tuple[int, list[SegmentChange]]:
    """Fill an empty partition from its log, and publish nothing. `forwarded` is as for `replay`.

    Returns the number of records, and the changes that were decided and never announced, in their order.
    No sequence number goes below those that were announced.
    Raises HistoryIncomplete, TopicUnreadable, StoreUnavailable.
    """
    await owned.take(log)
    lacking: list[SegmentChange] = []

    def look(changes: Sequence[SegmentChange]) -> None:
        lacking.extend(one for one in changes if announced.lacks(one, owned.number))

    records = await replay(owned, versions, source, None, progress, look, forwarded)
    floors = announced.floors
    mine = [name for name in floors if partition_of(name.encode(), partitions) == owned.number]
    for names in chunks(mine):
        accounts = await owned.accounts(names)
        for name, account in accounts.items():
            account.state.sequence = max(account.state.sequence, floors[name])
        await owned.commit(owned.position, owned.collect(accounts.values()))
    return records, lacking


async def read_announced(source: LogSource, partitions: Collection[int] | None = None) -> Announced:
    """Read what was announced in these partitions, as far as it is kept. Raises TopicUnreadable."""
    floors: dict[str, int] = {}
    until: dict[int, int] = {}
    topic = source.topics.segment_changes.name
    async with reading(source.bootstrap, topic, partitions, security=source.security) as reader:
        async for records in reader.to_end():
            for record in filter(is_readable, records):
                try:
                    change = decode_change(record.value or b"")
                except ValueError:  # not a change: the router set it aside
                    continue
                floors[change.account] = max(floors.get(change.account, 0), change.target.sequence)
                until[record.partition] = max(until.get(record.partition, 0), change.decided_at)
        if reader.newest_beginning > 0:
            # retention has deleted records: a partition that has none left does not tell what is missing
            until |= dict.fromkeys((await reader.ends()).keys() - until.keys(), NEVER)
    return Announced(floors, until)
