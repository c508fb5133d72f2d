"""Serve a vendor in memory over real HTTP, with every fault that a network and a busy vendor have."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from typing import Literal

import orjson

from resegment.sinks.port import Answer, Request
from tests.vendors.server import VendorServer, read_request

HttpFault = Literal["none", "slow", "429", "500", "503", "reset", "500-after", "reset-after", "hang-after"]
"""What happens to a request: answered, late, refused with a status, cut before the work; or done, and the answer lost."""
LOSES: tuple[HttpFault, ...] = ("500-after", "reset-after", "hang-after")
EVERY: tuple[HttpFault, ...] = ("slow", "429", "500", "503", "reset", *LOSES)
HANG = 30.0


@dataclass
class ServedVendor:
    """`choose` says what happens to each request. `at` has when (loop time) each arrived."""

    vendor: VendorServer
    choose: Callable[[Request], HttpFault] = lambda _: "none"
    url: str = ""
    seen: dict[str, int] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while (request := await _read(reader)) is not None:
                self.paths.append(request.path)
                fault = self.choose(request)
                self.seen[fault] = self.seen.get(fault, 0) + 1
                if not await self._answer(writer, request, fault):
                    break
        writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, request: Request, fault: HttpFault) -> bool:
        if fault == "reset":
            _reset(writer)
            return False
        if fault in {"429", "500", "503"}:
            await _write(writer, Answer(int(fault), {"message": "not now"}, {"Retry-After": "0"}))
            return True
        if fault == "slow":
            await asyncio.sleep(random.random() / 20)
        answer = self.vendor.answer(request)
        if fault == "reset-after":
            _reset(writer)
            return False
        if fault == "hang-after":
            await asyncio.sleep(HANG)
            return False
        await _write(writer, Answer(500, {"message": "oops"}) if fault == "500-after" else answer)
        return True


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return read_request(method, target, headers, body)


async def _write(writer: asyncio.StreamWriter, answer: Answer) -> None:
    body = b"" if answer.body is None else orjson.dumps(answer.body)
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer.headers}
    head = f"HTTP/1.1 {answer.status} X\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in headers.items()
    )
    writer.write(head.encode() + b"\r\n" + body)
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def serving(
    vendor: VendorServer, choose: Callable[[Request], HttpFault] = lambda _: "none"
) -> AsyncIterator[ServedVendor]:
    """Serve a vendor on a free port of this machine."""
    served = ServedVendor(vendor, choose)
    server = await asyncio.start_server(served.handle, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()


def chance_faults(seed: int, share: float = 0.3) -> Callable[[Request], HttpFault]:
    """Return what chooses faults at random, for that share of the requests."""
    chance = random.Random(seed)

    def choose(_: Request) -> HttpFault:
        return chance.choice(EVERY) if chance.random() < share else "none"

    return choose
