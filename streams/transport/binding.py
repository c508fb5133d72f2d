"""Bind a plain handler of batches to topics: acknowledge after it returned, retry, never skip."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import faust

from resegment.streams.transport.app import BatchedApp
from resegment.streams.transport.chunk import Chunk
from resegment.streams.transport.config import GIVE_UP_AFTER, Hooks, Positions, Released
from resegment.streams.transport.transport import Consumer

log = logging.getLogger(__name__)

Handle = Callable[[Any], Awaitable[None]]
MakeBatch = Callable[[Chunk], Any]
OnFatal = Callable[[BaseException], Awaitable[None] | None]


@dataclass(frozen=True, slots=True)
class Retry:
    """How a failed batch is retried, in seconds: the delay doubles from `first` to `longest`.

    An attempt that takes longer than `deadline` has failed: a rebalance waits for it, and has one minute.
    """

    first: float = 0.1
    longest: float = 5.0
    give_up_after: float = GIVE_UP_AFTER
    deadline: float = 45.0


def bind(
    app: BatchedApp,
    topics: Sequence[str],
    handle: Handle,
    *,
    name: str,
    on_fatal: OnFatal,
    retry: Retry = Retry(),
    positions: Positions | None = None,
    released: Released | None = None,
    make_batch: MakeBatch | None = None,
    explain: Callable[[BaseException], str] = repr,
) -> None:
    """Have `handle` called with each batch of the topics; call it before the application starts.

    Batches of one partition come one at a time and in order; partitions do not wait for each other. A batch is
    acknowledged when `handle` returned. If it raises, it is called again with the same batch until
    `retry.give_up_after` seconds have passed. Then `on_fatal` is called with the error, and the partition stops
    with the batch unacknowledged. A batch whose partition was revoked or restarted is dropped. A batch is a
    `Chunk`, or what `make_batch` makes of it once. `explain` says for the log what an error is.
    """
    for topic in topics:
        app.consumer_config.hooks[topic] = Hooks(positions, released)

    trying = _Trying(handle, make_batch, retry, explain)

    async def run(stream: AsyncIterator[Chunk]) -> None:
        latest: dict[tuple[str, int], asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            async for chunk in stream:
                partition = chunk.topic, chunk.partition
                work = _work(app.consumer, chunk, trying, on_fatal)
                latest[partition] = group.create_task(_after(latest.get(partition), work))

    # acks=False: the offset trackers keep account, not faust
    app.agent(app.topic(*topics, schema=_AsIs(), acks=False), name=name, concurrency=1)(run)


async def _after(before: asyncio.Task[None] | None, work: Coroutine[Any, Any, None]) -> None:
    try:
        if before is not None and not before.done():
            await asyncio.wait([before])
    except BaseException:
        work.close()
        raise
    await work


@dataclass(frozen=True, slots=True)
class _Trying:
    handle: Handle
    make_batch: MakeBatch | None
    retry: Retry
    explain: Callable[[BaseException], str]


async def _work(consumer: Consumer, chunk: Chunk, trying: _Trying, on_fatal: OnFatal) -> None:
    async with consumer.handling():
        failure = await _try(consumer, chunk, trying)
    if failure is not None:
        called = on_fatal(failure)
        if called is not None:
            await called
        await asyncio.Event().wait()  # continuing would skip the batch


async def _try(consumer: Consumer, chunk: Chunk, trying: _Trying) -> BaseException | None:
    retry = trying.retry
    batch = chunk if trying.make_batch is None else trying.make_batch(chunk)
    clock = asyncio.get_running_loop().time
    give_up, delay = clock() + retry.give_up_after, retry.first
    while consumer.is_live(chunk) and consumer.flow_active:
        try:
            async with asyncio.timeout(retry.deadline):
                await trying.handle(batch)
        except Exception as error:  # an agent's border: whatever went wrong, the batch is not done
            if clock() >= give_up:
                return error
            log.warning(
                "Batch of %s/%d at offset %d failed, retrying in %.1f s: %s",
                *(chunk.topic, chunk.partition, chunk.records[0].offset, delay, trying.explain(error)),
                exc_info=log.isEnabledFor(logging.DEBUG),
            )
            with suppress(TimeoutError):  # a rebalance or a stop ends the wait: the next owner retries
                await asyncio.wait_for(consumer.suspend_flow.wait(), delay)
            delay = min(2 * delay, retry.longest)
        else:
            if consumer.is_live(chunk):
                consumer.acknowledge(chunk)
            return None
    return None


class _AsIs(faust.Schema):  # type: ignore[misc]
    """Hand a message's value to the agent untouched."""

    def loads_key(self, *_: Any, **__: Any) -> None:
        return None

    def loads_value(self, _: Any, message: Any, **__: Any) -> Chunk:
        chunk: Chunk = message.value
        return chunk
