"""A line between workers and a server that can be slow, or lead to another server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from resegment.embedded.server import HOST


@dataclass
class Proxy:
    """`target` is a port; what is changed holds for what is sent from then on."""

    target: int
    delay: float = 0.0
    port: int = 0
    passed: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self, target: int) -> None:
        """Break all connections; new ones go to `target`."""
        self.target = target
        for writer in list(self._writers):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection(HOST, self.target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, forth}
        try:
            await asyncio.gather(self._pass(reader, forth, slow=True), self._pass(back, writer, slow=False))
        finally:
            self._writers -= {writer, forth}
            for one in (writer, forth):
                one.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if slow and self.delay:
                    self.passed += 1
                    await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def proxied(target: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.serve, HOST, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut(target)
