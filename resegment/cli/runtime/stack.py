"""The servers of a command: the configured ones, and embedded servers in place of the others."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from resegment.cli.connection import INSTANCE_FILE
from resegment.embedded.folder import held
from resegment.embedded.server import ServerDied
from resegment.embedded.servers import JOURNAL, Broker, RedisServer
from resegment.settings import Settings

_DATA: Final = ("redis", JOURNAL)


@dataclass(frozen=True, slots=True)
class Stack:
    """Servers that are ready. `failed` resolves when an embedded one ends by itself."""

    bootstrap: str
    redis_url: str
    failed: asyncio.Future[ServerDied]
    journal: Path | None = None
    """The folder of the embedded broker's journal."""


@asynccontextmanager
async def stack(settings: Settings, *, fresh: bool = False) -> AsyncIterator[Stack]:
    """Start the servers that are not configured; stop them at the end. `fresh` deletes the folder's data first.

    Raises what `resegment.embedded` raises, and then leaves nothing running.
    """
    failed: asyncio.Future[ServerDied] = asyncio.get_running_loop().create_future()
    async with AsyncExitStack() as exits:
        broker = redis = None
        if settings.kafka is None or settings.redis is None:
            lock = await exits.enter_async_context(held(settings.folder))
            if fresh:
                await asyncio.to_thread(forget, settings.folder)
            if settings.kafka is None:
                broker = Broker(settings.folder, keeps=True, lock=lock)
            if settings.redis is None:
                redis = RedisServer(settings.folder, lock=lock)
        for server in (broker, redis):
            if server is not None:
                await server.start()
                exits.push_async_callback(server.stop)
                server.report_death(failed)
        yield Stack(
            settings.kafka if broker is None else broker.bootstrap,  # type: ignore[arg-type]  # one of the two is set
            settings.redis if redis is None else redis.url,  # type: ignore[arg-type]  # as above
            failed,
            None if broker is None else broker.journal,
        )


def forget(folder: Path) -> None:
    """Delete the data of an instance from its folder, and nothing else."""
    for name in (*_DATA, "logs"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / INSTANCE_FILE).unlink(missing_ok=True)


def has_data(folder: Path) -> bool:
    """Tell whether an instance has data in the folder."""
    return any(path for name in _DATA for path in (folder / name).rglob("*"))
