"""Workers as processes of their own, run by the command that ops teams run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("resegment")
PATIENCE = 90.0
"""Seconds that a worker may take to start or to stop."""


class Workers:
    """Those of one prefix. `settings` are the variables without `RESEGMENT_`."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self._folder = folder
        given = {f"RESEGMENT_{name.upper()}": str(value) for name, value in settings.items()}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RESEGMENT_")}
        self._environment = (
            kept
            | {"RESEGMENT_HTTP_PORT": "0", "RESEGMENT_DRAIN_TIMEOUT": "5", "RESEGMENT_ROUTE": "all"}
            | given
        )
        self.live: list[Process] = []
        self._logs: dict[Process, Path] = {}

    async def start(self) -> Process:
        """Start one more and return when it runs."""
        log = self._folder / f"worker-{len(self._logs)}.log"
        with log.open("wb") as out:
            worker = await asyncio.create_subprocess_exec(
                str(PROGRAM), "worker", stdout=out, stderr=out, env=self._environment, cwd=self._folder
            )
        self._logs[worker] = log
        self.live.append(worker)
        async with asyncio.timeout(PATIENCE):
            while "The worker is running" not in log.read_text():
                self.check()
                await asyncio.sleep(0.05)
        return worker

    async def kill(self, worker: Process) -> None:
        """End it with no chance to say goodbye."""
        self.live.remove(worker)
        worker.kill()
        await worker.wait()

    async def stop(self, worker: Process) -> None:
        """Ask it to end, and see that it does so cleanly."""
        self.live.remove(worker)
        worker.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(worker.wait(), PATIENCE)
        assert code == 0, f"stopped with {code}:\n{self._logs[worker].read_text()[-3000:]}"

    def check(self) -> None:
        """None has ended by itself."""
        for worker in self.live:
            assert worker.returncode is None, (
                f"a worker ended with {worker.returncode}:\n{self._logs[worker].read_text()[-3000:]}"
            )

    def said(self) -> str:
        """What all of them wrote."""
        return "".join(log.read_text() for log in self._logs.values())


@asynccontextmanager
async def workers(folder: Path, **settings: object) -> AsyncIterator[Workers]:
    """A place for workers; none of them outlives the block."""
    group = Workers(folder, **settings)
    try:
        yield group
    finally:
        for worker in group._logs:
            with suppress(ProcessLookupError):
                worker.kill()
            await worker.wait()
