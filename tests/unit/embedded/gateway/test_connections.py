"""A client gets its answers whole and in the order of its requests, wherever they come from and however they are cut."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.embedded.gateway.connections import ClientSide, Slot


class Wire:
    """What a transport was given."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def set_write_buffer_limits(self, **_: Any) -> None:
        """Ignore the limits."""

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


class Twin:
    """The client's connection to the broker."""

    def __init__(self, wire: Wire) -> None:
        self.transport = wire


def framed(number: int, size: int = 0) -> bytes:
    body = struct.pack(">i", number) + b"x" * size
    return struct.pack(">i", len(body)) + body


def connect(wire: Wire, broker: Wire, requests: list[bytes]) -> ClientSide:
    async def open_twin(_: ClientSide) -> Any:
        return Twin(broker)

    client = ClientSide(open_twin, lambda _, frame: requests.append(frame))
    client.connection_made(wire)
    return client


PLAN = st.lists(
    st.tuples(st.sampled_from(["pass", "look", "own"]), st.integers(0, 30)), min_size=1, max_size=12
)


@settings(max_examples=60)
@given(PLAN, st.data())
def test_answers_come_in_the_order_of_the_requests(plan: list[tuple[str, int]], data: st.DataObject) -> None:
    async def run() -> None:
        wire, broker = Wire(), Wire()
        client = connect(wire, broker, [])
        await asyncio.sleep(0)
        stream, owned, seen = b"", [], []
        for number, (kind, size) in enumerate(plan):
            if kind == "own":
                owned.append((client.expect(), framed(number, size)))
                continue

            def look(frame: bytes) -> bytes:
                seen.append(frame)
                return frame

            client.forward(framed(number), Slot(look) if kind == "look" else None)
            stream += framed(number, size)
        while stream or owned:
            if owned and (not stream or data.draw(st.booleans())):
                client.answer(*owned.pop(data.draw(st.integers(0, len(owned) - 1))))
            else:
                cut = data.draw(st.integers(1, len(stream)))
                client.feed(stream[:cut])
                stream = stream[cut:]
        assert wire.written == b"".join(framed(number, size) for number, (_, size) in enumerate(plan))
        assert seen == [framed(number, size) for number, (kind, size) in enumerate(plan) if kind == "look"]
        assert broker.written == b"".join(framed(n) for n, (kind, _) in enumerate(plan) if kind != "own")

    asyncio.run(run())


@settings(max_examples=30)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.data())
def test_requests_are_handled_whole_however_they_arrive(sizes: list[int], data: st.DataObject) -> None:
    async def run() -> None:
        requests: list[bytes] = []
        client = connect(Wire(), Wire(), requests)
        stream = b"".join(framed(number, size) for number, size in enumerate(sizes))
        while stream:
            cut = data.draw(st.integers(1, len(stream)))
            client.data_received(stream[:cut])
            stream = stream[cut:]
        assert requests == [framed(number, size) for number, size in enumerate(sizes)]

    asyncio.run(run())


async def test_what_is_no_request_closes_the_connection() -> None:
    wire, requests = Wire(), list[bytes]()
    connect(wire, Wire(), requests).data_received(b"GET / HTTP/1.1\r\n\r\n")
    assert wire.closed
    assert requests == []
