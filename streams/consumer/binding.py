"""Bind an agent to topics: what the transport hands over becomes its batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from resegment.agents.batch import Batch
from resegment.redaction import tell_error
from resegment.streams.consumer.application import Application
from resegment.streams.transport.binding import OnFatal, Retry
from resegment.streams.transport.binding import bind as bind_chunks
from resegment.streams.transport.chunk import Chunk
from resegment.streams.transport.config import Positions, Released

Handle = Callable[[Batch], Awaitable[None]]


def bind(
    app: Application,
    topics: Sequence[str],
    handle: Handle,
    *,
    name: str,
    on_fatal: OnFatal,
    retry: Retry | None = None,
    positions: Positions | None = None,
    released: Released | None = None,
) -> None:
    """Have `handle` called with each batch of the topics, as the transport's own `bind` does."""
    bind_chunks(
        app,
        topics,
        handle,
        name=name,
        on_fatal=on_fatal,
        retry=retry or Retry(),
        positions=positions,
        released=released,
        make_batch=_make_batch,
        explain=tell_error,
    )


def _make_batch(chunk: Chunk) -> Batch:
    return Batch(chunk.topic, chunk.partition, chunk.records, chunk.start)
