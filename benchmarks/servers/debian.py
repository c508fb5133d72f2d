"""The Redis that the system has, for tests; Valkey's server from its wheel where it has none."""

from __future__ import annotations

import os
import shutil
import signal

from resegment.embedded.servers import RedisServer


def program() -> str | None:
    """Return the path of the system's redis-server, or None."""
    return shutil.which("redis-server")


class SystemRedis(RedisServer):
    """With an append-only file, and never evicting. What it held is there again after a kill and a start."""

    has_password = False

    def command(self, port: int) -> list[str]:
        own, *options = super().command(port)
        return [program() or own, *options]

    async def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)
        await self.wait()
