"""Let one process at a time apply a version to a prefix."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from resegment.state.partition_store import StoreUnavailable
from resegment.state.redis.errors import answering
from resegment.state.redis.keys import applying_key
from resegment.streams.definitions.applying.requests import ApplyUnderWay

if TYPE_CHECKING:
    from redis.asyncio import Redis

EXPIRES: Final = 15_000
"""Milliseconds after which the lock of a process that was killed is free."""
RENEWED: Final = 3.0
"""Seconds between two renewals."""


@asynccontextmanager
async def applying(client: Redis, prefix: str) -> AsyncIterator[None]:
    """Hold the lock of the prefix. Raises ApplyUnderWay while another process holds it, and StoreUnavailable.

    The lock only keeps people from disturbing each other: what happens is decided by the topic `definitions`.
    """
    key, token = applying_key(prefix), f"{os.getpid()}:{secrets.token_hex(4)}@{socket.gethostname()}"
    with answering("lock the definitions"):
        answer: Any = client.set(key, token, nx=True, px=EXPIRES)
        if not await answer:
            holder: Any = await client.get(key)
            if holder is not None and not _is_gone(holder.decode()):
                raise ApplyUnderWay(None)
            answer = client.set(key, token, px=EXPIRES)
            await answer
    task = asyncio.create_task(_renew(client, key))
    try:
        yield
    finally:
        task.cancel()
        with suppress(StoreUnavailable), answering("free the lock of the definitions"):
            if await client.get(key) == token.encode():
                await client.delete(key)


def _is_gone(holder: str) -> bool:
    """Return whether the holder was a process of this machine that was killed."""
    process, _, host = holder.partition("@")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(process.partition(":")[0]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, ValueError):
        return False
    return False


async def _renew(client: Redis, key: str) -> None:
    while True:
        await asyncio.sleep(RENEWED)
        with suppress(StoreUnavailable), answering("renew the lock of the definitions"):
            await client.pexpire(key, EXPIRES)
