"""The thread of the Kafka client: take fetched records out of it, seek, and commit."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from resegment.agents.batch import Record
from resegment.streams.consumer.config import config_of
from resegment.streams.kafka.group_offsets import enable_leaving
from resegment.streams.kafka.unpacking import FetchResult

_T = TypeVar("_T")

LEFT_WITHIN = 1.5
"""Seconds that leaving the group may take; without it, the client waits for a broker that is away."""
TAKEN_BYTES: Final = 32 * 1024 * 1024
"""Bytes of records that are taken at a time, over all partitions."""


class Fetched(NamedTuple):
    """What a fetch of one partition gave. There may be no records where only markers of transactions were."""

    records: list[Record]
    begin: int
    """The offset from which the broker was asked: later than expected where records are gone."""
    position: int
    """The next offset to read."""


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The Kafka client in its own thread, so that heartbeats continue while an agent computes.

    Run everything except `run` and `wake` in the thread.
    """

    _waiter: asyncio.Future[None] | None = None
    _woken = False

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # faust fixes it at 1,500 ms, and a partition that has room again would wait that long
        consumer._fetch_max_wait_ms = int(config_of(self.app).fetch_wait * 1000)
        consumer._isolation_level = "read_committed"
        # The router reads two topics, and needs the same partitions of both. Dealing them out in turn, as faust does,
        # gives them to different workers unless the workers divide the partitions. Workers of the release before know
        # only that, so it stays in the list where they may run.
        before = consumer._partition_assignment_strategy if config_of(self.app).rolling else ()
        consumer._partition_assignment_strategy = (RangePartitionAssignor, *before)
        return consumer

    async def on_thread_stop(self) -> None:
        """Leave the group and close the client."""
        if self._consumer is not None:
            enable_leaving(self._consumer._coordinator)
        try:
            # the client's own canceled fetches surface here when the broker is gone
            with suppress(asyncio.CancelledError):
                async with asyncio.timeout(LEFT_WITHIN):
                    await super().on_thread_stop()
        except TimeoutError:
            self.log.warning(
                "The broker did not answer when leaving the group: it will notice when the session ends"
            )
            if self._consumer is not None:
                await self._consumer._client.close()

    async def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine in this thread, called from the main one; canceling the call cancels it there."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self.thread_loop))

    def wake(self) -> None:
        """Make the current or the next `fetch` return at once."""
        if not self.thread_loop.is_closed():
            self.thread_loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def fetch(self, wanted: Collection[TP], limit: int) -> Mapping[TP, Fetched]:
        """Take up to `limit` records of each wanted partition; wait until one has some, or for `wake`.

        Raises the client's error. Records taken with it are not acknowledged, so they are read again later.
        """
        consumer = self._ensure_consumer()
        fetcher, subscription = consumer._fetcher, consumer._subscription
        while True:
            if consumer._closed or fetcher._closed:
                raise ConsumerStoppedError
            with subscription.fetch_context():
                taken = {} if subscription.reassignment_in_progress else _take(fetcher, wanted, limit)
                if not taken and not self._woken:
                    self._waiter = fetcher._create_fetch_waiter()
                    await self._waiter
                if taken or self._woken:
                    self._woken = False
                    return taken

    async def seek_all(self, offsets: Mapping[TP, int]) -> None:
        """Continue at these offsets; partitions that are no longer assigned are left out."""
        consumer = self._ensure_consumer()
        for tp in offsets.keys() & consumer.assignment():
            consumer.seek(TopicPartition(*tp), offsets[tp])

    async def starts(self, tps: Iterable[TP]) -> tuple[dict[TP, int], dict[TP, int]]:
        """Return the committed offset of each partition, or the earliest where nothing was committed.

        Also return how many unread records retention deleted, for each partition where it did.
        """
        consumer = self._ensure_consumer()
        partitions = [TopicPartition(*tp) for tp in tps]
        committed = await consumer._coordinator.fetch_committed_offsets(partitions)
        earliest = await consumer.beginning_offsets(partitions)
        starts: dict[TP, int] = {}
        lost: dict[TP, int] = {}
        for tp in partitions:
            begin = earliest[tp]
            offset = committed[tp].offset if tp in committed else begin
            starts[TP(*tp)] = max(offset, begin)
            if offset < begin:
                lost[TP(*tp)] = begin - offset
        return starts, lost

    async def ends(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Ask the broker for the end of each partition that is still assigned."""
        consumer = self._ensure_consumer()
        asked = [TopicPartition(*tp) for tp in tps if consumer._subscription.is_assigned(TopicPartition(*tp))]
        ends = await consumer.end_offsets(asked) if asked else {}
        assigned = consumer.assignment()
        # Tansu returns the base of the last batch as the end; its fetch responses are right. The last stable offset,
        # as records of a transaction that is open are not to be read yet
        stable = consumer.last_stable_offset
        return {TP(*tp): max(end, stable(tp) or 0) for tp, end in ends.items() if tp in assigned}

    async def check(self) -> None:
        """Raise the error that ended the membership in the group, such as a missing permission: faust never asks."""
        self._ensure_consumer()._coordinator.check_errors()

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        consumer = self._ensure_consumer()
        try:
            await consumer.commit(
                {TopicPartition(*tp): OffsetAndMetadata(o, "") for tp, o in offsets.items()}
            )
        except CommitFailedError:
            return False  # the group has moved on
        except KafkaError as error:
            # a commit is a hint: the next one has the same offsets or later ones
            self.log.warning("Offsets not committed: %r", error)
            return False
        return True


def _take(fetcher: Any, wanted: Collection[TP], limit: int) -> dict[TP, Fetched]:
    buffered = fetcher._records
    taken: dict[TP, Fetched] = {}
    left = TAKEN_BYTES
    budget = 4 * limit  # a single event of another topic must not wait while a whole backlog is decoded
    for tp in list(buffered):
        if tp not in wanted:
            continue
        result = buffered[tp]
        if not isinstance(result, FetchResult):
            result.check_raise()
        begin = result.next_offset
        records, size = result.take(limit)
        if result.has_more():
            buffered.move_to_end(tp)  # the others come first next time
        else:
            del buffered[tp]
            fetcher._notify(fetcher._wait_consume_future)
        position = result.position
        if position is not None:
            taken[TP(*tp)] = Fetched(records, position if begin is None else begin, position)
            budget -= len(records)
            left -= size
            if budget <= 0 or left <= 0:
                break
    return taken
