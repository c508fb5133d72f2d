"""Let one process at a time apply a version to a prefix."""

from __future__ import annotations

import asyncio
import secrets
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
    key, token = applying_key(prefix), secrets.token_hex(8)
    with answering("lock the definitions"):
        answer: Any = client.set(key, token, nx=True, px=EXPIRES)
        if not await answer:
            raise ApplyUnderWay(None)
    task = asyncio.create_task(_renew(client, key))
    try:
        yield
    finally:
        task.cancel()
        with suppress(StoreUnavailable), answering("free the lock of the definitions"):
            if await client.get(key) == token.encode():
                await client.delete(key)


async def _renew(client: Redis, key: str) -> None:
    while True:
        await asyncio.sleep(RENEWED)
        with suppress(StoreUnavailable), answering("renew the lock of the definitions"):
            await client.pexpire(key, EXPIRES)
