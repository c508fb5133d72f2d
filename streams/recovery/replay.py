"""Replays `signals` from its beginning: to rebuild a Redis that was lost, and to verify one that was not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka import ConsumerRecord

from resegment.agents.batch import Batch, Message
from resegment.agents.partition import OwnedPartition
from resegment.agents.segmenter import Owned, decide_due, segment
from resegment.errors import FatalError
from resegment.schemas.change import SegmentChange
from resegment.schemas.partitioning import partition_of
from resegment.schemas.routing import decode_change
from resegment.schemas.state import AccountState, decode_state
from resegment.schemas.times import NEVER
from resegment.segmentation.evaluation.engine import Engine
from resegment.state.memory.partition import Memory
from resegment.state.memory.partition import PartitionStore as MemoryStore
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics

CHUNK = 1000
"""Records in one commit of a replay."""

Progress = Callable[[int], None]
_T = TypeVar("_T")


class HistoryIncomplete(FatalError):
    """The log does not begin at its beginning: what it gives would not be what was."""

    def __init__(self, topic: str, oldest: int) -> None:
        super().__init__(
            f"{topic} begins at offset {oldest}: its older records are gone",
            remedy="Restore Redis from a backup, or ingest the history into a new prefix.",
        )
        self.topic, self.oldest = topic, oldest


class NotEmpty(FatalError):
    """Redis holds state of the partition, so there is nothing to rebuild."""

    def __init__(self, partition: int) -> None:
        super().__init__(
            f"Redis holds accounts of partition {partition}",
            remedy="A rebuild begins with an empty Redis. To check what is there, run `resegment verify`.",
        )
        self.partition = partition


@dataclass(frozen=True, slots=True)
class Source:
    """Where the log is; `security` is what aiokafka takes."""

    bootstrap: str
    topics: Topics
    security: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One account of which Redis says another thing than the log: what, and both values (None: not there)."""

    account: str
    what: str
    in_redis: object
    in_log: object


@dataclass(frozen=True, slots=True)
class Announced:
    """What was announced before Redis was lost.

    `floors` are the greatest sequence numbers by account. `until` is, by partition, when (ms) the last change
    there was decided: what was decided before and is not there has been taken by retention, not lost.
    """

    floors: Mapping[str, int]
    until: Mapping[int, int]

    def lacks(self, change: SegmentChange, partition: int) -> bool:
        """Whether the change was decided and never announced: it lay in the outbox that was lost."""
        number = self.floors.get(change.account, 0)
        return change.sequence_number > number and change.decided_at >= self.until.get(partition, 0)


class _Nowhere:
    """A replay publishes nothing: it was published the first time."""

    async def publish(self, messages: Sequence[Message]) -> None:
        del messages


async def rebuild_partition(
    owned: Owned,
    engine: Engine,
    source: Source,
    *,
    log: str,
    announced: Announced,
    partitions: int,
    progress: Progress | None = None,
) -> tuple[int, list[SegmentChange]]:
    """Fill an empty partition of Redis from its log; nothing is published.

    Returns the number of records, and the changes that were decided and never announced, in their order.
    No sequence number goes below those that were announced.
    Raises HistoryIncomplete, TopicUnreadable, StoreUnavailable.
    """
    await owned.take(log)
    lacking: list[SegmentChange] = []

    def look(changes: Sequence[SegmentChange]) -> None:
        lacking.extend(one for one in changes if announced.lacks(one, owned.number))

    records = await _replay(owned, engine, source, None, progress, look)
    floors = announced.floors
    mine = [name for name in floors if partition_of(name.encode(), partitions) == owned.number]
    for names in chunks(mine):
        accounts = await owned.accounts(names)
        for name, account in accounts.items():
            account.state.sequence = max(account.state.sequence, floors[name])
        await owned.commit(owned.position, accounts.values())
    return records, lacking


async def verify_partition(
    number: int,
    engine: Engine,
    stored: Mapping[str, bytes],
    timers: Mapping[str, int],
    upto: int,
    source: Source,
    *,
    progress: Progress | None = None,
) -> list[Difference]:
    """Compare one partition of Redis, its states and its timers (ms), with a replay of its log up to the offset `upto`.

    Raises HistoryIncomplete, TopicUnreadable, StoreUnavailable.
    """
    memory = Memory()
    owned = OwnedPartition(number, MemoryStore(memory, number), engine)
    await owned.take("")
    await _replay(owned, engine, source, upto, progress)
    differences: list[Difference] = []
    expected = dict(memory.accounts)
    for name, value in stored.items():
        in_log, state = expected.pop(name, None), decode_state(value)
        if timers.get(name) != state.deadline:
            differences.append(Difference(name, "timer", timers.get(name), state.deadline))
        if in_log is None:
            differences.append(Difference(name, "account", state.membership.segment, None))
        else:
            latest = look_again(engine, name, in_log, owned.position.clock)
            differences += compare_states(name, state, latest)
    for name, value in expected.items():
        differences.append(Difference(name, "account", None, decode_state(value).membership.segment))
    return differences


def compare_states(name: str, in_redis: AccountState, in_log: AccountState) -> list[Difference]:
    """Where two states of one account say different things.

    A deadline may be earlier than need be, as a test looks ahead over so many boundaries from when it was judged:
    nothing is decided there. A number of changes may be higher, as a rebuild never lowers one.
    """
    found: list[Difference] = []
    if in_redis.membership != in_log.membership:
        found.append(Difference(name, "membership", in_redis.membership, in_log.membership))
    if _or_never(in_redis.deadline) > _or_never(in_log.deadline):
        found.append(Difference(name, "deadline", in_redis.deadline, in_log.deadline))
    if in_redis.sequence < in_log.sequence:
        found.append(Difference(name, "sequence", in_redis.sequence, in_log.sequence))
    mine_facts = {(entry.source, entry.id): entry for entry in in_redis.entries}
    their_facts = {(entry.source, entry.id): entry for entry in in_log.entries}
    found += [
        Difference(name, f"fact {key[1]} of {key[0]}", mine_facts.get(key), their_facts.get(key))
        for key in sorted(mine_facts.keys() | their_facts.keys())
        if mine_facts.get(key) != their_facts.get(key)
    ]
    return found


def look_again(engine: Engine, name: str, value: bytes, clock: int) -> AccountState:
    """The state with the latest deadline that is right at the clock: judged as late as can be."""
    account = engine.load(name, value)
    engine.apply_facts(account, (), clock)
    return engine.close(account)


def _or_never(deadline: int | None) -> int:
    return NEVER if deadline is None else deadline


async def check_complete(source: Source) -> dict[int, int]:
    """Where each partition of the log ends. Raises HistoryIncomplete where the oldest records are gone."""
    topic = source.topics.signals.name
    async with reading(source.bootstrap, topic, security=source.security) as reader:
        if reader.newest_beginning > 0:
            raise HistoryIncomplete(topic, reader.newest_beginning)
        return await reader.ends()


async def read_announced(source: Source) -> Announced:
    """What was announced, as far as it is kept. Raises TopicUnreadable."""
    floors: dict[str, int] = {}
    until: dict[int, int] = {}
    async with reading(
        source.bootstrap, source.topics.segment_changes.name, security=source.security
    ) as reader:
        async for records in reader.to_end():
            for record in records:
                try:
                    change = decode_change(record.value or b"")
                except ValueError:  # no change: the router set it aside
                    continue
                floors[change.account] = max(floors.get(change.account, 0), change.target.sequence)
                until[record.partition] = max(until.get(record.partition, 0), change.decided_at)
        if reader.newest_beginning > 0:
            # retention has taken records: a partition that has none left says nothing of what is missing
            until |= dict.fromkeys((await reader.ends()).keys() - until.keys(), NEVER)
    return Announced(floors, until)


async def _replay(
    owned: Owned,
    engine: Engine,
    source: Source,
    upto: int | None,
    progress: Progress | None,
    look: Callable[[Sequence[SegmentChange]], None] = lambda _: None,
) -> int:
    topic = source.topics.signals.name
    total = 0
    async with reading(source.bootstrap, topic, [owned.number], security=source.security) as reader:
        if reader.newest_beginning > 0:
            raise HistoryIncomplete(topic, reader.newest_beginning)
        async for records in reader.to_end():
            wanted = [record for record in records if upto is None or record.offset < upto]
            for chunk in chunks(wanted):
                await _learn(owned, engine, topic, chunk, source.topics.dead_letters.name, look)
                total += len(chunk)
                if progress is not None:
                    progress(len(chunk))
    return total


async def _learn(
    owned: Owned,
    engine: Engine,
    topic: str,
    records: Sequence[ConsumerRecord],
    dead_letters: str,
    look: Callable[[Sequence[SegmentChange]], None],
) -> None:
    batch = Batch(topic, owned.number, records)
    done = await segment(batch, owned, engine, publisher=_Nowhere(), factory=None, dead_letters=dead_letters)
    look(done.changes)
    while owned.due:
        look(await decide_due(owned, engine, factory=None))


def chunks(items: Sequence[_T]) -> list[Sequence[_T]]:
    """The items in their order, so many at a time as one commit of a replay takes."""
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
