"""Receive webhooks over real HTTP, as badly as receivers can: hang, fail, hang up, ask for patience."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import orjson

HANG = -1
RESET = -2


@dataclass(frozen=True, slots=True)
class Received:
    """One request, whatever it was answered; `at` is when it came, in seconds of a monotonic clock."""

    headers: Mapping[str, str]
    body: bytes
    at: float
    status: int

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def account(self) -> str:
        return str(orjson.loads(self.body)["subject"])


@dataclass(slots=True)
class Receiver:
    """`answer` is a status, HANG or RESET, and may be changed at any time; `extra` are headers of the response."""

    answer: int = 200
    extra: dict[str, str] = field(default_factory=dict)
    choose: Callable[[Mapping[str, str], bytes], int] | None = None
    """Chooses the answer to each request instead."""
    pace: float = 0.0
    """Seconds that each answer takes."""
    received: list[Received] = field(default_factory=list)
    served_names: list[str | None] = field(default_factory=list)
    """The names that TLS clients asked for."""
    port: int = 0
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def taken(self) -> list[Received]:
        """What was answered with 200."""
        return [one for one in self.received if one.status == 200]

    async def until(self, holds: Callable[[], bool], patience: float = 120.0) -> None:
        """Wait until it holds; it is asked when the start of a request is there, and after each answer."""
        async with asyncio.timeout(patience):
            while not holds():
                self._more.clear()
                await self._more.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                lines = head.split("\r\n")[1:-2]
                headers = {
                    name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status = self.answer if self.choose is None else self.choose(headers, body)
                self.received.append(Received(headers, body, time.monotonic(), status))
                self._more.set()
                if status == HANG:
                    await reader.read()  # until the client gives up
                    break
                if status == RESET:
                    # without this it would be a polite end of the connection
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                    writer.transport.abort()
                    return
                await asyncio.sleep(self.pace)
                extra = "".join(f"{name}: {value}\r\n" for name, value in self.extra.items())
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 2\r\n{extra}\r\nok".encode())
                await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(
    answer: int = 200, *, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[Receiver]:
    """Run a receiver on the loopback interface, on a free port."""
    receiver = Receiver(answer)
    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: receiver.served_names.append(name)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        with suppress(asyncio.CancelledError):
            await receiver.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
