"""The thread of the Kafka client: takes fetched records out of it, and moves and commits its offsets."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from resegment.streams.consumer.config import feed_of

_T = TypeVar("_T")

LEFT_WITHIN = 1.5
"""Seconds that leaving the group may take: a broker that is away would be waited for as long as for any request."""


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The Kafka client in a thread of its own: heartbeats go on while an agent computes.

    All but `run` and `wake` is to be run in the thread.
    """

    _waiter: asyncio.Future[None] | None = None
    _woken = False

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # faust fixes it at 1,500 ms: for so long a partition that has room again may go unfetched
        consumer._fetch_max_wait_ms = int(feed_of(self.app).fetch_wait * 1000)
        return consumer

    async def on_thread_stop(self) -> None:
        """Leave the group and close the client."""
        coordinator = self._consumer and self._consumer._coordinator
        if coordinator and coordinator.generation == 0:
            # Tansu counts generations from 0, where aiokafka takes it that there is nothing to leave: the next
            # worker would then wait until this one's session is over
            coordinator.generation = 1
        try:
            # its own cancelled fetches come out where the broker is gone
            with suppress(asyncio.CancelledError):
                async with asyncio.timeout(LEFT_WITHIN):
                    await super().on_thread_stop()
        except TimeoutError:
            self.log.warning("The broker did not answer to the farewell: it will note the silence")
            if self._consumer is not None:
                await self._consumer._client.close()

    async def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run in this thread, called from the main one; cancelling the call cancels it there."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self.thread_loop))

    def wake(self) -> None:
        """Let the running or the next `fetch` return at once."""
        if not self.thread_loop.is_closed():
            self.thread_loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def fetch(self, wanted: Collection[TP], limit: int) -> Mapping[TP, list[ConsumerRecord]]:
        """Take up to `limit` records of each wanted partition that has some; wait until one has, or `wake`.

        Raises the client's error. What was taken with it is not acknowledged, so it is read again later.
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
        """Read on at these offsets; partitions that are no longer assigned are left out."""
        consumer = self._ensure_consumer()
        for tp in offsets.keys() & consumer.assignment():
            consumer.seek(TopicPartition(*tp), offsets[tp])

    async def starts(self, tps: Iterable[TP]) -> tuple[dict[TP, int], dict[TP, int]]:
        """Return the committed offset of each partition, the earliest where nothing was committed.

        And of each where retention took records that were not read: how many.
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
        """Return the end of each partition that is still assigned, asked from the broker."""
        consumer = self._ensure_consumer()
        asked = [TopicPartition(*tp) for tp in tps if consumer._subscription.is_assigned(TopicPartition(*tp))]
        ends = await consumer.end_offsets(asked) if asked else {}
        assigned = consumer.assignment()
        # Tansu tells the base of the last batch for the end; its fetch responses are right
        return {TP(*tp): max(end, consumer.highwater(tp) or 0) for tp, end in ends.items() if tp in assigned}

    async def check(self) -> None:
        """Raise what ended the membership in the group (a missing permission, for one): faust never asks."""
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
            # a commit is a hint: the next one carries the same offsets or later ones
            self.log.warning("Offsets not committed: %r", error)
            return False
        return True


def _take(fetcher: Any, wanted: Collection[TP], limit: int) -> dict[TP, list[ConsumerRecord]]:
    buffered = fetcher._records
    taken: dict[TP, list[ConsumerRecord]] = {}
    budget = 4 * limit  # a lone event of another topic must not wait for the decoding of a whole backlog
    for tp in list(buffered):
        if tp not in wanted:
            continue
        result = buffered[tp]
        if not isinstance(result, FetchResult):
            result.check_raise()
        records = result.getall(limit)
        if result.has_more():
            buffered.move_to_end(tp)  # the others come first next time
        else:
            del buffered[tp]
            fetcher._notify(fetcher._wait_consume_future)
        if records:
            taken[TP(*tp)] = records
            budget -= len(records)
            if budget <= 0:
                break
    return taken
