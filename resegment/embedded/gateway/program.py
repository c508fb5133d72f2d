"""The embedded broker with its journal, as a program: restore, serve, pack what is closed."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from resegment.embedded.gateway.committer import Committer
from resegment.embedded.gateway.ending import describe_end
from resegment.embedded.gateway.gateway import Gateway
from resegment.embedded.gateway.restoring import Connection, restore
from resegment.embedded.gateway.status import STATUS_FILE, JournalStatus
from resegment.embedded.journal.files import LOG, PACKED, JournalFile, path_of
from resegment.embedded.journal.journal import Journal, now_ms, open_journal
from resegment.errors import ResegmentError

log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
_GUARD: Final = Path(__file__).parents[1] / "guard.py"
_KNOCK_SECONDS: Final = 0.01
_RETENTION_SECONDS: Final = 3_600.0
_DRAIN_SECONDS: Final = 5.0


class BrokerEnded(ResegmentError):
    """The broker in memory ended by itself."""

    def __init__(self, code: int) -> None:
        super().__init__(
            f"the embedded broker ended with code {code}",
            remedy="Start again: everything that was accepted is in the journal.",
        )
        self.code = code


class Program:
    """One run of the broker."""

    def __init__(self, folder: Path, port: int, broker: list[str]) -> None:
        """`broker` is the command of the broker; `{port}` in it stands for the port that only the gateway knows."""
        self._folder, self._port, self._command = folder, port, broker
        self._packing: asyncio.Task[None] | None = None
        self._status = JournalStatus.create(folder / STATUS_FILE)

    async def run(self) -> None:
        """Serve until SIGTERM. Raises what ends it."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        with (
            socket.socket() as listening
        ):  # bound before anything else: nobody else may take the port meanwhile
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((HOST, self._port))
            opening = asyncio.create_task(asyncio.to_thread(open_journal, self._folder))
            port = _free_port()
            process = await self._spawn(port)
            try:
                journal = await opening
                connection = await self._knock(process, port)
                begun = time.monotonic()
                batches = await restore(journal, connection)
                connection.close()
                log.info("restored %d batches in %.2f s", batches, time.monotonic() - begun)
                await self._serve(journal, process, port, listening, stop)
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _serve(
        self,
        journal: Journal,
        process: asyncio.subprocess.Process,
        port: int,
        listening: socket.socket,
        stop: asyncio.Event,
    ) -> None:
        loop = asyncio.get_running_loop()
        closed = journal.closed
        journal.held.clear()

        def pack_closed(number: int) -> None:
            closed.append(JournalFile(number, path_of(self._folder, number)))
            self._pack(journal, closed, again=False)

        committer = Committer(
            journal.writer, journal.catalog, on_closed=pack_closed, on_full=self._status.note_full
        )
        gateway = Gateway(committer, HOST, port)
        writing = asyncio.create_task(committer.run())
        await gateway.start()
        server = await loop.create_server(gateway.accept, sock=listening, backlog=100)
        ended = asyncio.create_task(process.wait())
        stopped = asyncio.create_task(stop.wait())
        keeping = asyncio.create_task(self._keep_retention(journal, closed))
        parts: set[asyncio.Future[Any]] = {writing, ended, stopped, gateway.failed, keeping}
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        if writing.done():
            writing.result()
        if gateway.failed.done():
            raise gateway.failed.result()
        if ended.done():
            raise BrokerEnded(ended.result())
        if keeping.done():
            keeping.result()
        server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                await gateway.stop()

    async def _keep_retention(self, journal: Journal, closed: list[JournalFile]) -> None:
        while True:
            self._pack(journal, closed, again=True)
            await asyncio.sleep(_RETENTION_SECONDS)

    def _pack(self, journal: Journal, closed: list[JournalFile], *, again: bool) -> None:
        """Pack closed files in another process; with `again`, also those that are packed, for retention."""
        if self._packing is not None and not self._packing.done():
            return  # the next time finds what is left
        files = [one for one in closed if again or one.path.suffix == LOG]
        if files:
            self._packing = asyncio.create_task(self._run_packing(journal, closed, files))

    async def _run_packing(
        self, journal: Journal, closed: list[JournalFile], files: list[JournalFile]
    ) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "resegment.embedded.journal.packing"),
            *(str(self._folder), str(now_ms()), *(str(one.number) for one in files)),
            stdin=asyncio.subprocess.PIPE,
        )
        await process.communicate(msgspec.msgpack.encode(journal.catalog.state()))
        if process.returncode:
            log.error("packing ended with code %d: the files stay as they were", process.returncode)
            return
        for one in files:
            closed.remove(one)
            packed = path_of(self._folder, one.number, PACKED)
            if packed.exists():
                closed.append(JournalFile(one.number, packed))
        if any(one.path.suffix == LOG for one in closed):
            self._packing = None
            self._pack(journal, closed, again=False)

    async def _spawn(self, port: int) -> asyncio.subprocess.Process:
        command = [text.replace("{port}", str(port)) for text in self._command]
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), str(int(signal.SIGKILL))),
            *command,
            stdin=asyncio.subprocess.DEVNULL,
        )

    async def _knock(self, process: asyncio.subprocess.Process, port: int) -> Connection:
        """Connect to the broker once it listens."""
        while True:
            with suppress(OSError):
                return await Connection.open(HOST, port)
            if process.returncode is not None:
                raise BrokerEnded(process.returncode)
            await asyncio.sleep(_KNOCK_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def _run(folder: Path, port: int, command: list[str]) -> None:
    await Program(folder, port, command).run()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop: uvloop's if it is installed, else asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415  # optional
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def main(arguments: list[str]) -> int:
    """Run it: FOLDER PORT COMMAND..."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    folder, port, command = Path(arguments[0]), int(arguments[1]), arguments[2:]
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_run(folder, port, command))
    except ResegmentError as error:
        print(describe_end(error), file=sys.stderr)  # noqa: T201  # the last line of the log
        return 1
    except OSError as error:
        log.error("%s", error)  # noqa: TRY400
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
