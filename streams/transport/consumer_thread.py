"""The thread of the Kafka client: take fetched records out of it, seek, and commit."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchError
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from resegment.streams.transport.config import config_of
from resegment.streams.transport.taking import TAKEN_BYTES, Take, Taken

_T = TypeVar("_T")

LEFT_WITHIN: Final = 1.5
"""Seconds that leaving the group may take; without it, the client waits for a broker that is away."""


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The Kafka client in its own thread, so that heartbeats continue while an agent computes.

    Run everything except `run` and `wake` in the thread.
    """

    _waiter: asyncio.Future[None] | None = None
    _woken = False

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # faust fixes it at 1,500 ms, and a partition that has room again would wait that long
        config = config_of(self.app)
        consumer._fetch_max_wait_ms = int(config.fetch_wait * 1000)
        consumer._isolation_level = config.isolation_level
        if config.assignors:
            before = consumer._partition_assignment_strategy if config.rolling else ()
            consumer._partition_assignment_strategy = (*config.assignors, *before)
        return consumer

    async def on_thread_stop(self) -> None:
        """Leave the group and close the client."""
        if self._consumer is not None:
            leaving = config_of(self.app).leaving
            if leaving is not None:
                leaving(self._consumer._coordinator)
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

    async def fetch(self, wanted: Collection[TP], limit: int) -> Mapping[TP, Taken]:
        """Take up to `limit` records of each wanted partition; wait until one has some, or for `wake`.

        Raises the client's error. Records taken with it are not acknowledged, so they are read again later.
        """
        consumer, take = self._ensure_consumer(), config_of(self.app).take
        fetcher, subscription = consumer._fetcher, consumer._subscription
        while True:
            if consumer._closed or fetcher._closed:
                raise ConsumerStoppedError
            with subscription.fetch_context():
                taken = (
                    {} if subscription.reassignment_in_progress else _take_all(fetcher, wanted, limit, take)
                )
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
        # Some brokers return the base of the last batch as the end; their fetch responses are right. The last stable offset,
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


def _take_all(fetcher: Any, wanted: Collection[TP], limit: int, take: Take) -> dict[TP, Taken]:
    buffered = fetcher._records
    found: dict[TP, Taken] = {}
    left = TAKEN_BYTES
    budget = 4 * limit  # a single event of another topic must not wait while a whole backlog is decoded
    for tp in list(buffered):
        if tp not in wanted:
            continue
        result = buffered[tp]
        if isinstance(result, FetchError):
            result.check_raise()
        taken = take(result, limit)
        if result.has_more():
            buffered.move_to_end(tp)  # the others come first next time
        else:
            del buffered[tp]
            fetcher._notify(fetcher._wait_consume_future)
        if taken is not None:
            found[TP(*tp)] = taken
            budget -= len(taken.records)
            left -= taken.size
            if budget <= 0 or left <= 0:
                break
    return found
