"""The outbox of one partition: messages that are committed and wait to be published, oldest first."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec

from resegment.agents.batch import Message

_encoder = msgspec.msgpack.Encoder()


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    """A message as the store keeps it. `partition` and `timestamp` were appended."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int | None = None
    timestamp: int | None = None


_decoder = msgspec.msgpack.Decoder(list[_Packed])


class Unpublished(NamedTuple):
    """The messages of one commit. `id` names their entry in the store."""

    id: str
    messages: Sequence[Message]

    def age(self, now: int) -> int:
        """Return how long (ms) ago it was committed: the store's ids begin with when that was."""
        at = self.id.partition("-")[0]
        return max(0, now - int(at)) if at.isdigit() else 0


class Outbox:
    """The queue between commits and the relay. It mirrors the outbox in the store, with its messages decoded."""

    def __init__(self) -> None:
        self.entries: deque[Unpublished] = deque()
        self.closed = False
        self._published = 0
        self._added = asyncio.Event()
        self._removed = asyncio.Event()

    def add(self, entries: Iterable[Unpublished]) -> None:
        """Append entries, in the order in which they were committed."""
        self.entries.extend(entries)
        if self.entries:
            self._added.set()

    def close(self) -> None:
        """End every wait: the partition is lost, and its next owner publishes what is left."""
        self.closed = True
        self._added.set()
        self._removed.set()

    async def first(self, most: int) -> list[Unpublished]:
        """Wait for an entry, and return the oldest entries; an empty list after `close`."""
        if not self.entries:
            self._added.clear()
        await self._added.wait()
        return [] if self.closed else list(islice(self.entries, most))

    def remove(self, count: int) -> None:
        """Drop the oldest entries: they are published."""
        for _ in range(count):
            self.entries.popleft()
        self._published += count
        self._removed.set()

    async def flushed(self) -> None:
        """Wait until everything that is queued now is published, or until `close`."""
        until = self._published + len(self.entries)
        while self._published < until and not self.closed:
            self._removed.clear()
            await self._removed.wait()

    async def fewer_than(self, count: int) -> None:
        """Wait until fewer than `count` entries are queued, or until `close`."""
        while len(self.entries) >= count and not self.closed:
            self._removed.clear()
            await self._removed.wait()


def pack(messages: Sequence[Message]) -> bytes:
    """Return the bytes that the store keeps of one commit's messages."""
    return _encoder.encode(
        [
            (m.topic, m.key, m.value, list(m.headers))
            if m.partition is None and m.timestamp is None
            else (m.topic, m.key, m.value, list(m.headers), m.partition, m.timestamp)
            for m in messages
        ]
    )


def unpack(payload: bytes) -> list[Message]:
    """Return the messages of one stored entry. Raises msgspec.DecodeError."""
    return [
        Message(one.topic, one.key, one.value, one.headers, one.partition, one.timestamp)
        for one in _decoder.decode(payload)
    ]
