"""A Redis with a replica, and a Sentinel that watches both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from resegment.benchmarks.servers.debian import SystemRedis
from resegment.embedded.server import HOST

MASTER = "main"
PATIENCE = 60.0


class SentinelServer(SystemRedis):
    """One Sentinel, which alone decides that a master is gone."""

    name = "sentinel"

    def __init__(self, folder: Path, master: SystemRedis) -> None:
        super().__init__(folder)
        self._watched = master.port

    def command(self, port: int) -> list[str]:
        """Return the program and its configuration, which it writes to."""
        program = super().command(port)[0]
        config = self.folder / "sentinel.conf"
        lines = (
            f"port {port}",
            f"bind {HOST}",
            f"dir {self.folder}",
            f"sentinel monitor {MASTER} {HOST} {self._watched} 1",
            f"sentinel down-after-milliseconds {MASTER} 500",
            f"sentinel failover-timeout {MASTER} 5000",
        )
        config.write_text("\n".join(lines) + "\n")
        return [program, str(config), "--sentinel"]

    async def answers(self, port: int) -> bool:
        """Tell whether it has found the replica."""
        async with Redis(host=HOST, port=port, decode_responses=True) as client:
            answer = await client.execute_command("SENTINEL REPLICAS", MASTER)  # type: ignore[no-untyped-call]
            return len(answer) == 1


@dataclass(frozen=True, slots=True)
class Pair:
    """Two servers; the second follows the first in the beginning."""

    first: SystemRedis
    second: SystemRedis

    async def change_over(self) -> None:
        """Make the second the master, and the first its replica: connections to either stay open."""
        async with Redis.from_url(self.second.url) as second, Redis.from_url(self.first.url) as first:
            await second.replicaof("NO", "ONE")
            await first.replicaof(HOST, str(self.second.port))


@asynccontextmanager
async def replicated(folder: Path) -> AsyncIterator[Pair]:
    """Run a Redis and its replica."""
    first, second = SystemRedis(folder / "first"), SystemRedis(folder / "second")
    async with AsyncExitStack() as stack:
        for one in (first, second):
            stack.push_async_callback(one.stop)
            await one.start()
        async with Redis.from_url(second.url) as replica:
            await replica.replicaof(HOST, str(first.port))
            async with asyncio.timeout(PATIENCE):
                while (await replica.info("replication"))["master_link_status"] != "up":
                    await asyncio.sleep(0.05)
        yield Pair(first, second)


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[tuple[Pair, str]]:
    """Run both with a Sentinel, and yield the URL of what it watches."""
    async with replicated(folder) as pair:
        sentinel = SentinelServer(folder / "sentinel", pair.first)
        await sentinel.start()
        try:
            yield pair, f"redis+sentinel://{HOST}:{sentinel.port}/{MASTER}"
        finally:
            await sentinel.stop()
