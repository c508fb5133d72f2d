"""Copy a prefix into a new one with another number of partitions: its log, and what was decided from it.

The log is merged by the clocks of the old partitions: in the new one each record has the instant at which it became
known, so that a replay of the new log decides the same. States, deadlines, sequence numbers and enrollments are
copied as they are; nothing is decided again and no command is sent.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from resegment.agents.batch import Batch, Message, is_readable
from resegment.agents.deciding.marks import MARK
from resegment.agents.deciding.merging import is_step
from resegment.agents.partition import position_after
from resegment.agents.segmenter import TICK
from resegment.errors import FatalError
from resegment.schemas.definitions.in_force import InForce, encode_in_force
from resegment.schemas.definitions.marks import Changeover, encode_changeover
from resegment.schemas.identities.steps import decode_step
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.partitioning import partition_of
from resegment.schemas.routing import DefinitionSwitched, decode_routed
from resegment.settings import Settings
from resegment.state.partition_store import Commit, Position
from resegment.state.redis.keys import Stage
from resegment.state.redis.partition import PartitionStore
from resegment.state.redis.reader import PrefixReader
from resegment.streams.ahead import leave_out
from resegment.streams.kafka.admin import create_topics, read_log_ids
from resegment.streams.kafka.group_offsets import read_committed_offsets
from resegment.streams.kafka.topic_reader import TopicUnreadable, has_records, reading
from resegment.streams.prefix import read_prefix
from resegment.streams.recovery.replay import LogSource, Progress, chunks
from resegment.streams.recovery.states import LoggedState, OldState, StageState

if TYPE_CHECKING:
    from redis.asyncio import Redis

PUBLISHED_AT_ONCE: Final = 1_000
Publish = Callable[[Sequence[Message]], Awaitable[None]]


class NotDrained(FatalError):
    """The old prefix still has work to do, which a copy would lose or do twice."""

    def __init__(self, prefix: str, problems: Sequence[str]) -> None:
        super().__init__(
            f"prefix {prefix} is not drained: {'; '.join(problems)}",
            remedy="Stop the sources, let the workers run until `resegment status` shows no lag and empty outboxes, "
            "stop the workers, and try again.",
        )
        self.prefix, self.problems = prefix, tuple(problems)


class PrefixTaken(FatalError):
    """The new prefix is not empty."""

    def __init__(self, prefix: str, what: str) -> None:
        super().__init__(
            f"prefix {prefix} is not empty: {what}",
            remedy="Choose another name. If an earlier attempt was interrupted, delete what it left: "
            f"`resegment prefix delete {prefix} --yes`, and the topics that begin with {prefix}. in Kafka.",
        )
        self.prefix = prefix


class Repartition:
    """Copies one prefix into another. The new one's topics must exist, and be empty."""

    def __init__(
        self,
        client: Redis,
        old: LogSource,
        new: LogSource,
        *,
        before: int,
        after: int,
        publish: Publish,
        version: int = 1,
        in_force: DefinitionSwitched | None = None,
    ) -> None:
        """`before` and `after` are the numbers of partitions. `version` is the one in force, which has been worked off.

        `in_force` is the switch to it, None before the first.
        """
        self._in_force = encode_in_force(InForce(in_force))
        self._version = version
        self._client, self._old, self._new = client, old, new
        self._before, self._after, self._publish = before, after, publish

    async def copy_log(self, progress: Progress | None = None) -> int:
        """Copy `signals`, merged by time; return the latest clock (ms). Raises TopicUnreadable, PublishFailed."""
        topic, clock, batch = self._new.topics.signals.name, 0, list[Message]()
        async for at, record in self._merge():
            clock = max(clock, at)
            if record.key is None and any(name in (TICK, MARK) for name, _ in record.headers):
                # its time is that of the next record, or of the last tick below; `definitions` says what stands
                continue
            number = partition_of(_key_of(record), self._after)
            batch.append(Message(topic, record.key, record.value, record.headers, number, at))
            if len(batch) >= PUBLISHED_AT_ONCE:
                await self._publish(batch)
                if progress is not None:
                    progress(len(batch))
                batch = []
        ticks = [Message(topic, None, None, [(TICK, b"")], number, clock) for number in range(self._after)]
        await self._publish(batch)
        if clock:
            await self._publish(ticks)
        return clock

    async def _merge(self) -> AsyncIterator[tuple[int, ConsumerRecord]]:
        """Yield the records of all old partitions by their partition's clock, those of each in their order."""
        async with AsyncExitStack() as readers:
            heads: list[tuple[int, int, ConsumerRecord]] = []
            streams = {}
            for number in range(self._before):
                streams[number] = self._read(readers, number)
            for number, stream in streams.items():
                async for at, record in stream:
                    heapq.heappush(heads, (at, number, record))
                    break
            while heads:
                at, number, record = heads[0]
                yield at, record
                following = await anext(streams[number], None)
                if following is None:
                    heapq.heappop(heads)
                else:
                    heapq.heapreplace(heads, (following[0], number, following[1]))

    async def _read(self, readers: AsyncExitStack, number: int) -> AsyncIterator[tuple[int, ConsumerRecord]]:
        topic, clock = self._old.topics.signals.name, 0
        reader = await readers.enter_async_context(
            reading(self._old.bootstrap, topic, [number], security=self._old.security)
        )
        async for records in reader.to_end():
            kept = await leave_out(self._old.ahead, Batch(topic, number, records))
            for record in filter(is_readable, kept):  # what could not be unpacked is in the old dead letters
                clock = max(clock, record.timestamp)
                yield clock, record

    async def copy_states(self, states: OldState | LoggedState, clock: int) -> dict[str, int]:
        """Copy all accounts with their deadlines; return how many of each stage there are.

        Raises StoreUnavailable, TopicUnreadable and HistoryIncomplete.
        """
        taken: dict[Stage, list[StageState]] = {
            stage: [StageState({}, {}) for _ in range(self._after)] for stage in ("segmenter", "router")
        }
        for number in range(self._before):
            for stage, found in (await states.take(number)).items():
                for name, value in found.states.items():
                    taken[stage][partition_of(name.encode(), self._after)].states[name] = value
                for name, at in found.timers.items():
                    taken[stage][partition_of(name.encode(), self._after)].timers[name] = at
                for name, value in found.ledgers.items():
                    taken[stage][partition_of(name.encode(), self._after)].ledgers[name] = value
                for one in taken[stage]:
                    one.clock = max(one.clock, found.clock)
        lasts = await self._last_records()
        new = self._new
        signals, changes = await asyncio.to_thread(read_log_ids, new.bootstrap, new.topics, **new.security)
        for number in range(self._after):
            position, last = Position(log=signals, clock=clock), lasts.get(number)
            if last is not None:
                position = position_after(position, last, clock)
            done = Changeover(version=self._version, worked_off=self._version, origin=signals)
            position = replace(position, definition=encode_changeover(done))
            await self._write(number, "segmenter", taken["segmenter"][number], position)
            routed = taken["router"][number]
            await self._write(
                number, "router", routed, Position(log=changes, clock=routed.clock, definition=self._in_force)
            )
        await self._copy_touches()
        return {stage: sum(len(one.states) for one in found) for stage, found in taken.items()}

    async def _write(self, number: int, stage: Stage, taken: StageState, position: Position) -> None:
        store = PartitionStore(self._client, self._new.topics.prefix, number, stage=stage)
        fence, commit = (await store.claim()).fence, 0
        for names in chunks(sorted(taken.states)):
            commit += 1
            sizes = Counter(
                size for name in names if (size := _size_of(stage, taken.states[name])) is not None
            )
            await store.commit(
                Commit(
                    fence,
                    replace(position, commit=commit),
                    [(name, taken.states[name]) for name in names],
                    [(name, taken.timers[name]) for name in names if name in taken.timers],
                    sizes=sorted(sizes.items()),
                )
            )
        for names in chunks(sorted(taken.ledgers)):
            commit += 1
            ledgers = [(name, taken.ledgers[name]) for name in names]
            await store.commit(Commit(fence, replace(position, commit=commit), compacted=ledgers))
        await store.commit(Commit(fence, replace(position, commit=commit + 1)))

    async def _last_records(self) -> dict[int, ConsumerRecord]:
        lasts: dict[int, ConsumerRecord] = {}
        topic = self._new.topics.signals.name
        async with reading(self._new.bootstrap, topic, security=self._new.security) as reader:
            async for records in reader.to_end(1):
                for record in records:
                    lasts[record.partition] = record
        return lasts

    async def _copy_touches(self) -> None:
        """Copy the topic `touches`, which a rebuild reads."""
        old, new = self._old.topics.touches.name, self._new.topics.touches.name
        try:
            for number in range(self._before):
                await self._copy_from(old, number, 0, new)
        except TopicUnreadable as error:
            if not error.is_missing:  # an earlier release has none
                raise

    async def copy_unrouted(self, group: str) -> int:
        """Copy the changes and events that the old router has not read, after a loss; return how many."""
        old, new, copied = self._old.topics, self._new.topics, 0
        for source, target in (
            (old.segment_changes.name, new.segment_changes.name),
            (old.routing_events.name, new.routing_events.name),
        ):
            read = [TopicPartition(source, number) for number in range(self._before)]
            starts = await read_committed_offsets(
                self._old.bootstrap, group, read, security=self._old.security
            )
            for tp, start in starts.items():
                copied += await self._copy_from(source, tp.partition, start, target)
        return copied

    async def _copy_from(self, source: str, number: int, start: int, target: str) -> int:
        copied = 0
        async with reading(self._old.bootstrap, source, [number], security=self._old.security) as reader:
            async for records in reader.to_end():
                wanted = [
                    Message(target, one.key, one.value, one.headers)
                    for one in filter(is_readable, records)
                    if one.offset >= start and one.key is not None  # a switch is in the position
                ]
                await self._publish(wanted)
                copied += len(wanted)
        return copied


async def find_unfinished(reader: PrefixReader | None, source: LogSource, group: str) -> list[str]:
    """Return what the old prefix still has to do, one phrase each. Without a reader Redis is not asked."""
    problems: list[str] = []
    topics = source.topics
    written = {
        TopicPartition(one.name, number): end
        for one in topics.triggers
        for number, end in (await _ends(source, one.name)).items()
        if end
    }
    taken = await read_committed_offsets(source.bootstrap, group, written, security=source.security)
    intake = sum(max(0, end - taken[tp]) for tp, end in written.items())
    if intake:
        problems.append(f"{intake:,} events are not taken in")
    if reader is None:
        return problems
    found: defaultdict[str, int] = defaultdict(int)
    ends = {
        one.name: await _ends(source, one.name)
        for one in (topics.signals, topics.segment_changes, topics.routing_events)
    }
    for look, routed in zip(await reader.look(), await reader.look_at_routing(), strict=True):
        number = look.number
        at, router = look.position or Position(), routed.position or Position()
        found["signals are not decided"] += ends[topics.signals.name].get(number, 0) - at.offset
        found["changes are not routed"] += ends[topics.segment_changes.name].get(number, 0) - router.offset
        found["events of the router are not handled"] += (
            ends[topics.routing_events.name].get(number, 0) - router.side
        )
        found["commits are not published"] += look.outbox + routed.outbox
    return problems + [f"{count:,} {what}" for what, count in found.items() if count > 0]


async def _ends(source: LogSource, topic: str) -> dict[int, int]:
    async with reading(source.bootstrap, topic, security=source.security) as reader:
        return await reader.ends()


def _size_of(stage: Stage, value: bytes) -> str | None:
    """Return what the account counts as: its segment, or the router's decision."""
    if stage == "router":
        return decode_routed(value).decision
    return decode_state(value).membership.segment


async def check_new(client: Redis, new: LogSource, settings: Settings, partitions: int) -> None:
    """Create the topics of the new prefix. Raises PrefixTaken where Redis or its `signals` hold anything of it."""
    prefix = new.topics.prefix
    if await read_prefix(client, prefix):
        raise PrefixTaken(prefix, "Redis holds a record of it")
    await asyncio.to_thread(
        create_topics,
        new.bootstrap,
        new.topics,
        partitions=partitions,
        replication=settings.replication,
        retention={one.name: settings.retention for one in new.topics if one.retention is not None},
        **new.security,
    )
    for topic in (new.topics.signals.name, new.topics.segment_changes.name):
        if await has_records(new.bootstrap, topic, security=new.security):
            raise PrefixTaken(prefix, f"topic {topic} has records")


def _key_of(record: ConsumerRecord) -> bytes:
    """Return the account of a signal, or of a step of a merge, which has no key."""
    if record.key is None and is_step(record):
        with suppress(msgspec.DecodeError):
            return decode_step(record.value or b"").account.encode()
    return record.key or b""
