"""Read a topic from some offset to its end, and then follow it, without joining a group or committing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from resegment.errors import TransientError
from resegment.streams.kafka.connectivity import find_refusal

POLL_MS = 200
"""How long one request for records may wait, in milliseconds."""
_NO_TOPIC = "there is no such topic"


class TopicUnreadable(TransientError):
    """The topic does not exist, or its brokers do not answer; `problem` says which."""

    def __init__(self, topic: str, bootstrap: str, problem: str) -> None:
        super().__init__(
            f"topic {topic} cannot be read from {bootstrap}: {problem}",
            remedy="Is a worker of this prefix running, or has one ever run? Check the prefix and the address.",
        )
        self.topic, self.bootstrap, self.problem = topic, bootstrap, problem

    @property
    def is_missing(self) -> bool:
        """Return whether the brokers answer and have no such topic."""
        return self.problem == _NO_TOPIC


class LogReader(Protocol):
    """Some partitions of one topic, read once."""

    @property
    def newest_beginning(self) -> int:
        """Return the largest offset at which a partition begins: 0 if nothing was ever removed."""
        ...

    @property
    def begins(self) -> Mapping[int, int]:
        """Return where each partition begins."""
        ...

    def to_end(self) -> AsyncIterator[Sequence[Any]]:
        """Yield the records of each partition in order."""
        ...


class TopicReader:
    """Some partitions of one topic, read once to the end and then followed. Raises TopicUnreadable."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, bootstrap: str, patience: float) -> None:
        self._consumer, self._topic = consumer, topic
        self._bootstrap, self._patience = bootstrap, patience
        self._tps: list[TopicPartition] = []
        self._begins: dict[TopicPartition, int] = {}
        self.skipped = 0
        """The number of older records that `to_end` left out."""

    async def begin(self, partitions: Collection[int] | None) -> None:
        """Find the topic's partitions and their beginnings."""
        # list all topics: asking for one that does not exist may create it
        if self._topic not in await self._consumer.topics():
            raise TopicUnreadable(self._topic, self._bootstrap, _NO_TOPIC)
        first = TopicPartition(self._topic, 0)
        self._consumer.assign([first])
        await self._consumer.beginning_offsets(
            [first]
        )  # only then does the client know the topic's partitions
        existing = self._consumer.partitions_for_topic(self._topic)
        wanted = existing if partitions is None else existing & set(partitions)
        self._tps = [TopicPartition(self._topic, number) for number in sorted(wanted)]
        self._consumer.assign(self._tps)
        self._begins = await self._consumer.beginning_offsets(self._tps)

    @property
    def oldest(self) -> int:
        """The smallest offset that still exists, over all partitions."""
        return min(self._begins.values(), default=0)

    @property
    def newest_beginning(self) -> int:
        """The largest offset at which a partition begins: 0 if nothing was ever removed."""
        return max(self._begins.values(), default=0)

    async def to_end(self, last: int | None = None) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """Yield the records of each partition in order, up to its end at the time of the call.

        `last` leaves out all but that many of each partition.
        """
        ends = await self._find_ends()
        left = {}
        for tp in self._tps:
            begin = self._begins[tp]
            start = begin if last is None else max(begin, ends[tp] - last)
            self.skipped += start - begin
            self._consumer.seek(tp, start)
            if start < ends[tp]:
                left[tp] = ends[tp]
        since = time.monotonic()
        while left:
            fetched = await self._consumer.getmany(*left, timeout_ms=POLL_MS)
            for tp, records in fetched.items():
                since = time.monotonic()
                inside = [record for record in records if record.offset < left[tp]]
                if inside:
                    yield inside
                if len(inside) < len(records):  # `follow` reads what came later
                    self._consumer.seek(tp, left[tp])
            for tp, end in list(left.items()):
                if await self._consumer.position(tp) >= end:
                    del left[tp]
            self._check_patience(since)

    async def between(
        self, partition: int, start: int, end: int, *, at_once: int | None = None
    ) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """Yield the records of one partition from offset `start` to before `end`, all of which must exist.

        `at_once` limits how many are decoded together.
        """
        tp = TopicPartition(self._topic, partition)
        self._consumer.seek(tp, start)
        since = time.monotonic()
        while await self._consumer.position(tp) < end:
            fetched = await self._consumer.getmany(tp, timeout_ms=POLL_MS, max_records=at_once)
            for records in fetched.values():
                since = time.monotonic()
                yield [record for record in records if record.offset < end]
            self._check_patience(since)

    async def follow_from(self, partition: int, start: int) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """Yield the records of one partition from an offset on, and then what comes; never end."""
        self._consumer.seek(TopicPartition(self._topic, partition), start)
        async for records in self.follow():
            yield records

    async def follow(self) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """Yield what comes after that, as it comes; never end."""
        while True:
            fetched = await self._consumer.getmany(timeout_ms=POLL_MS)
            for records in fetched.values():
                yield records

    # From a place of one's own

    @property
    def begins(self) -> dict[int, int]:
        """Where each partition began when the reader was opened."""
        return {tp.partition: begin for tp, begin in self._begins.items()}

    def start_at(self, partition: int, offset: int) -> None:
        """Let `poll` give the records of a partition from an offset on."""
        self._consumer.seek(TopicPartition(self._topic, partition), offset)

    async def poll(self, most: int | None = None) -> dict[int, Sequence[ConsumerRecord]]:
        """Return what has come, by partition; wait a moment where nothing has. `most`: records at most."""
        fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=most)
        return {tp.partition: records for tp, records in fetched.items()}

    async def rest(self, seconds: float) -> None:
        """Ask the brokers for nothing for a while: what comes meanwhile is read together afterwards."""
        self._consumer.pause(*self._tps)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._consumer.resume(*self._tps)

    async def position(self, partition: int) -> int:
        """Return the offset from which the next `poll` reads a partition."""
        position: int = await self._consumer.position(TopicPartition(self._topic, partition))
        return position

    async def find_begin(self, partition: int) -> int:
        """Return where a partition begins now: what came before was deleted."""
        tp = TopicPartition(self._topic, partition)
        begin: int = (await self._consumer.beginning_offsets([tp]))[tp]
        return begin

    async def check(self, patience: float = 5.0) -> None:
        """Ask the brokers for something small. Raises TopicUnreadable where they do not answer."""
        try:
            async with asyncio.timeout(patience):
                await self._consumer.end_offsets(self._tps)
        except TimeoutError:
            raise TopicUnreadable(self._topic, self._bootstrap, f"no answer for {patience:.0f} s") from None

    def end(self, partition: int) -> int:
        """Return where a partition ended at the last `poll`, as far as that is known."""
        found: int | None = self._consumer.last_stable_offset(TopicPartition(self._topic, partition))
        return found or 0

    async def next(self) -> Sequence[ConsumerRecord]:
        """Return what has come since, or nothing after a moment."""
        fetched = await self._consumer.getmany(timeout_ms=POLL_MS)
        return [record for records in fetched.values() for record in records]

    async def ends(self) -> dict[int, int]:
        """Return where each partition ends: the offset of the next record."""
        return {tp.partition: end for tp, end in (await self._find_ends()).items()}

    async def _find_ends(self) -> dict[TopicPartition, int]:
        """Return where each partition ends, as fetch responses say.

        The embedded broker's answer to ListOffsets is only the base of the last batch plus one.
        """
        told = await self._consumer.end_offsets(self._tps)
        for tp in self._tps:
            self._consumer.seek(tp, max(self._begins[tp], told[tp] - 1))
        since = time.monotonic()
        while any(self._consumer.last_stable_offset(tp) is None for tp in self._tps):
            await self._consumer.getmany(timeout_ms=POLL_MS, max_records=1)
            self._check_patience(since)
        return {tp: max(told[tp], self._consumer.last_stable_offset(tp)) for tp in self._tps}

    def _check_patience(self, since: float) -> None:
        if time.monotonic() - since > self._patience:
            problem = f"no answer for {self._patience:.0f} s"
            raise TopicUnreadable(self._topic, self._bootstrap, problem)


async def has_records(bootstrap: str, topic: str, *, security: Mapping[str, Any] | None = None) -> bool:
    """Return whether anything was ever written to the topic. Raises TopicUnreadable."""
    async with reading(bootstrap, topic, security=security) as reader:
        return any((await reader.ends()).values())


async def read_record(
    bootstrap: str, topic: str, partition: int, offset: int, *, security: Mapping[str, Any] | None = None
) -> ConsumerRecord | None:
    """Return the record at an offset; None where there is none (any more). Raises TopicUnreadable."""
    async with reading(bootstrap, topic, [partition], security=security) as reader:
        if not reader.oldest <= offset < (await reader.ends()).get(partition, 0):
            return None
        async for records in reader.between(partition, offset, offset + 1):
            return next((one for one in records if one.offset == offset), None)
    return None


@asynccontextmanager
async def reading(
    bootstrap: str,
    topic: str,
    partitions: Collection[int] | None = None,
    *,
    patience: float = 20.0,
    security: Mapping[str, Any] | None = None,
) -> AsyncIterator[TopicReader]:
    """Open a reader of all or some partitions of a topic; `patience`: how many seconds a broker may be silent."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        client_id="resegment-look",
        fetch_max_wait_ms=POLL_MS,
        request_timeout_ms=int(patience * 1000),
        **(security or {}),
    )
    reader = TopicReader(consumer, topic, bootstrap, patience)
    try:
        await consumer.start()
        await reader.begin(partitions)
        yield reader
    except KafkaError as error:
        refusal = await find_refusal(bootstrap, security or {})
        raise TopicUnreadable(topic, bootstrap, refusal or str(error) or repr(error)) from error
    finally:
        with suppress(KafkaError, TimeoutError):
            await consumer.stop()
