"""The connections of the gateway: a client's, its twin to the broker, and the one on which all records are sent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from resegment.embedded.gateway.wire import SIZE

MAX_REQUEST: Final = 104_857_600
"""Bytes of the largest request: Kafka's own limit."""
HIGH_WATER: Final = 4 * 1024 * 1024


class Slot:
    """The place of an answer among those that a client waits for. `answer` is set once it may be sent."""

    __slots__ = ("answer", "inspect")

    def __init__(self, inspect: Callable[[bytes], bytes | None] | None = None) -> None:
        """`inspect` is given the broker's answer, and returns it if it may be sent at once."""
        self.inspect = inspect
        self.answer: bytes | None = None


class BrokerSide(asyncio.Protocol):
    """The connection to the broker that belongs to one client."""

    transport: asyncio.Transport

    def __init__(self, client: ClientSide) -> None:
        self._client = client

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._client.feed(data)

    def pause_writing(self) -> None:
        self._client.pause(True)

    def resume_writing(self) -> None:
        self._client.pause(False)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the port of asyncio
        self._client.close()


class ClientSide(asyncio.Protocol):
    """A client's connection: splits what it sends into requests, and sends answers in the order of the requests."""

    def __init__(
        self,
        connect: Callable[[ClientSide], Any],
        handle: Callable[[ClientSide, bytes], None],
    ) -> None:
        """`connect` makes the BrokerSide; `handle` is given each request with its length."""
        self._connect, self._handle = connect, handle
        self._transport: asyncio.Transport | None = None
        self._broker: BrokerSide | None = None
        self._waiting: list[bytes] = []
        self._requests = bytearray()
        self._answers = bytearray()
        self._slots: deque[Slot | None] = deque()
        self._left = 0
        self._opening: asyncio.Task[None] | None = None

    # asyncio's side

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER)
        self._opening = asyncio.get_running_loop().create_task(self._open())

    def data_received(self, data: bytes) -> None:
        self._requests += data
        while len(self._requests) >= SIZE.size:
            size = SIZE.unpack_from(self._requests)[0]
            if not 0 < size <= MAX_REQUEST:
                self.close()
                return
            if len(self._requests) < SIZE.size + size:
                return
            frame = bytes(self._requests[: SIZE.size + size])
            del self._requests[: SIZE.size + size]
            self._handle(self, frame)
            if self._transport is not None and self._transport.is_closing():
                return  # what follows a request that is none is none

    def pause_writing(self) -> None:
        if self._broker is not None:
            self._broker.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._broker is not None and not self._broker.transport.is_closing():
            self._broker.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the port of asyncio
        self.close()

    # the gateway's side

    def forward(self, frame: bytes, slot: Slot | None = None) -> None:
        """Send a request to the broker. Its answer takes the next place; without a slot, it is passed as it comes."""
        self._slots.append(slot)
        if self._broker is None:
            self._waiting.append(frame)
        else:
            self._broker.transport.write(frame)

    def expect(self) -> Slot:
        """Return the next place, for an answer that does not come from this client's connection to the broker."""
        slot = Slot()
        self._slots.append(slot)
        return slot

    def answer(self, slot: Slot, frame: bytes) -> None:
        """Send an answer once those before it are sent."""
        slot.answer = frame
        self._drain()

    def feed(self, data: bytes) -> None:
        """Take what the broker sends."""
        if self._left >= len(data) and not self._answers:
            self._write(data)
            self._left -= len(data)
            if not self._left:
                self._slots.popleft()
                self._drain()
            return
        self._answers += data
        self._drain()

    def pause(self, paused: bool) -> None:
        """Stop reading requests while the broker takes none, or resume."""
        if self._transport is None or self._transport.is_closing():
            return
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def close(self) -> None:
        """Close both sides."""
        if self._opening is not None:
            self._opening.cancel()
        for transport in (self._transport, None if self._broker is None else self._broker.transport):
            if transport is not None and not transport.is_closing():
                transport.close()

    async def _open(self) -> None:
        try:
            broker = await self._connect(self)
        except OSError:
            self.close()
            return
        self._broker = broker
        for frame in self._waiting:
            broker.transport.write(frame)
        self._waiting.clear()

    def _drain(self) -> None:
        while self._slots:
            if self._left:
                if not self._pass():
                    return
                continue
            slot = self._slots[0]
            if slot is not None and slot.answer is not None:
                self._write(slot.answer)
                self._slots.popleft()
                continue
            if slot is not None and slot.inspect is None:
                return  # another place answers it
            if len(self._answers) < SIZE.size:
                return
            size = SIZE.size + SIZE.unpack_from(self._answers)[0]
            if slot is None:
                self._left = size
                continue
            if len(self._answers) < size:
                return
            frame = bytes(self._answers[:size])
            del self._answers[:size]
            assert slot.inspect is not None
            inspect, slot.inspect = slot.inspect, None
            slot.answer = inspect(frame)

    def _pass(self) -> bool:
        """Pass on what there is of the answer that is under way; return whether that was all of it."""
        part = bytes(self._answers[: self._left])
        if not part:
            return False
        del self._answers[: len(part)]
        self._left -= len(part)
        self._write(part)
        if self._left:
            return False
        self._slots.popleft()
        return True

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


class RecordSide(asyncio.Protocol):
    """The one connection on which all records are sent: the broker then appends them in the order of the journal."""

    transport: asyncio.Transport

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost
        self._callbacks: deque[Callable[[bytes], None]] = deque()
        self._answers = bytearray()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, frame: bytes, answered: Callable[[bytes], None]) -> None:
        """Send a request, and call back with its answer."""
        self._callbacks.append(answered)
        self.transport.write(frame)

    @property
    def is_idle(self) -> bool:
        """Return whether every request is answered."""
        return not self._callbacks

    def data_received(self, data: bytes) -> None:
        self._answers += data
        while len(self._answers) >= SIZE.size:
            size = SIZE.size + SIZE.unpack_from(self._answers)[0]
            if len(self._answers) < size:
                return
            frame = bytes(self._answers[:size])
            del self._answers[:size]
            self._callbacks.popleft()(frame)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the port of asyncio
        self._on_lost()
