"""One server as a child process: on a free port, guarded, logged to a file, awaited until it answers, watched."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self

from resegment.embedded.folder import make_private
from resegment.errors import ResegmentError

HOST = "127.0.0.1"
_GUARD = Path(__file__).with_name("guard.py")
_TAIL_BYTES = 4_000
_PORTS_TRIED = 5
_LOOK_AGAIN_SECONDS = 0.02
_FOR_SERVERS = {"HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "USER"}
"""What a server gets of the environment: it may hold secrets, and settings that a server would take from there."""


class ServerDied(ResegmentError):
    """A server ended by itself. `exit_code` is negative for a signal, `log_tail` the last it wrote."""

    def __init__(self, server: str, exit_code: int, log: Path, log_tail: str) -> None:
        super().__init__(
            f"the embedded {server} stopped unexpectedly with exit code {exit_code}. Its last lines:\n{log_tail}",
            remedy=f"Read {log}, then start again.",
        )
        self.server = server
        self.exit_code = exit_code
        self.log = log
        self.log_tail = log_tail

    def explained(self, message: str, remedy: str | None) -> Self:
        """Say what the server itself said of its end."""
        self.message, self.remedy = message, remedy or self.remedy
        self.args = (message,)
        return self


class ServerNotReady(ResegmentError):
    """A server runs but did not answer in time (`seconds`)."""

    def __init__(self, server: str, seconds: float, log: Path, log_tail: str) -> None:
        super().__init__(
            f"the embedded {server} did not answer within {seconds:g} s. Its last lines:\n{log_tail}",
            remedy=f"Read {log}. If the machine is slow or the data is large, try again.",
        )
        self.server = server
        self.seconds = seconds
        self.log = log
        self.log_tail = log_tail


class PortTaken(ResegmentError):
    """The port that was asked for belongs to another program."""

    def __init__(self, server: str, port: int) -> None:
        super().__init__(
            f"port {port} on {HOST} for the embedded {server} is in use",
            remedy="Choose another port, or none to use a free one.",
        )
        self.server = server
        self.port = port


class Server(ABC):
    """A server of one kind; `start` and `stop` may alternate, and a restart keeps the port.

    `lock` is the descriptor of the folder's lock, which the server inherits (see `folder.held`).
    """

    name: ClassVar[str]
    dying: ClassVar[signal.Signals]
    """What the server gets when its parent ends without stopping it."""

    def __init__(
        self, folder: Path, *, port: int | None = None, lock: int | None = None, patience: float = 30.0
    ) -> None:
        self.folder = folder.resolve()
        self.log = self.folder / "logs" / f"{self.name}.log"
        self._port = port
        self._lock = lock
        self._patience = patience
        self._process: asyncio.subprocess.Process | None = None
        self._exit: asyncio.Task[int] | None = None
        self._stopping = False

    @abstractmethod
    def command(self, port: int) -> list[str]:
        """Return the absolute path of the program and its options; called once for each start."""

    @abstractmethod
    async def answers(self, port: int) -> bool:
        """Tell whether this very server, not another on the same port, is ready to serve. May raise `OSError`."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the variables that the program needs beside the few that every server gets."""
        return {}

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        if self._port is None:
            raise RuntimeError(f"the embedded {self.name} was not started")
        return self._port

    @property
    def pid(self) -> int:
        """The process, once started: the server's own on Linux, elsewhere its guard's."""
        if self._process is None:
            raise RuntimeError(f"the embedded {self.name} is not running")
        return self._process.pid

    async def start(self) -> None:
        """Start the server and return when it answers.

        Raises `PortTaken`, `ServerDied` or `ServerNotReady`; nothing is left running then.
        """
        if self._process is not None and self._process.returncode is None:
            raise RuntimeError(f"the embedded {self.name} is running already")
        for attempt in range(1, _PORTS_TRIED + 1):
            port = self._port if self._port is not None else _free_port()
            try:
                await self._start_on(port)
            except ServerDied as died:
                if "in use" not in died.log_tail:
                    raise
                if self._port is not None or attempt == _PORTS_TRIED:
                    raise PortTaken(self.name, port) from died
            else:
                self._port = port
                return

    async def wait(self) -> int:
        """Return the exit code once the started server has ended, however it did; negative for a signal."""
        if self._process is None:
            raise RuntimeError(f"the embedded {self.name} is not running")
        return await self._process.wait()

    async def stop(self, *, deadline: float = 10.0) -> None:
        """End the server: ask first, kill it after `deadline` seconds or when cancelled. Not running: nothing to do."""
        process = self._process
        if process is None:
            return
        self._stopping = True
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), deadline)
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        self._process = None

    def report_death(self, failed: asyncio.Future[ServerDied]) -> None:
        """Resolve `failed` with the reason if this started server ends without `stop`, unless it is resolved already."""

        def report(exited: asyncio.Task[int]) -> None:
            if not self._stopping and not exited.cancelled() and not failed.done():
                failed.set_result(self._death(exited.result()))

        if self._exit is None:
            raise RuntimeError(f"the embedded {self.name} is not running")
        self._exit.add_done_callback(report)

    async def _start_on(self, port: int) -> None:
        self._process = process = await self._spawn(self.command(port))
        self._stopping = False
        self._exit = asyncio.create_task(process.wait(), name=f"exit of the embedded {self.name}")
        answer = asyncio.create_task(self._answer(port), name=f"answer of the embedded {self.name}")
        try:
            await self._await_first(self._exit, answer)
        except BaseException:
            await self.stop()
            raise
        finally:
            answer.cancel()

    async def _await_first(self, exited: asyncio.Task[int], answer: asyncio.Task[None]) -> None:
        await asyncio.wait({exited, answer}, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
        if exited.done():
            raise self._death(exited.result())
        if not answer.done():
            raise ServerNotReady(self.name, self._patience, self.log, self._tail())
        answer.result()

    async def _spawn(self, command: list[str]) -> asyncio.subprocess.Process:
        guard = [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), str(int(self.dying))]
        log = self._open_log()
        try:
            return await asyncio.create_subprocess_exec(
                *guard,
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={name: value for name, value in os.environ.items() if name in _FOR_SERVERS}
                | {"NO_COLOR": "1", "RUST_BACKTRACE": "0"}
                | dict(self.environment),
                umask=0o077,
                pass_fds=() if self._lock is None else (self._lock,),
                start_new_session=True,  # Ctrl-C in the terminal is for the parent, which stops its servers in order
            )
        finally:
            os.close(log)

    async def _answer(self, port: int) -> None:
        while True:
            with suppress(OSError):
                if await self.answers(port):
                    return
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def _death(self, exit_code: int) -> ServerDied:
        return ServerDied(self.name, exit_code, self.log, self._tail())

    def _open_log(self) -> int:
        """Begin a new log; the one of the last start is kept beside it."""
        make_private(self.log.parent)
        with suppress(FileNotFoundError):
            self.log.rename(self.log.with_suffix(".log.1"))
        return os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _tail(self) -> str:
        return self.log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip()


def _free_port() -> int:
    """Return a port free at this moment; another program may still be faster, so the caller tries again."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
