"""Apache Kafka for tests: jars from Maven Central, fetched once, run in KRaft mode with a data folder that lasts."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from resegment.embedded.server import HOST, Server

POM = Path(__file__).with_name("kafka") / "pom.xml"
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "kafka"
VERSION: str = re.findall(r"<kafka\.version>(.+)</kafka\.version>", POM.read_text())[0]
CLUSTER = "resegmentTestsCluster0"  # 22 characters, as Kafka's own ids have
PATIENCE = 90.0
"""Seconds that a broker may take: two JVMs start one after another, on a machine that does other things too."""


def is_possible() -> bool:
    """Whether this machine can run it: Java, and Maven or jars fetched before."""
    return shutil.which("java") is not None and (
        shutil.which("mvn") is not None or (CACHE / VERSION).is_dir()
    )


def fetch_jars() -> Path:
    """Return the folder of the broker's jars, got with Maven the first time. Raises CalledProcessError."""
    jars = CACHE / VERSION
    if not jars.is_dir():
        draft = CACHE / f"{VERSION}.{os.getpid()}"
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={draft}"]
        subprocess.run([_program("mvn"), "-q", "-B", "-f", str(POM), *goal], check=True, timeout=600)
        with suppress(OSError):  # another run was faster
            draft.rename(jars)
        shutil.rmtree(draft, ignore_errors=True)
    return jars


class Kafka(Server):
    """One broker, controller too. Whatever it held is there again after a stop, a kill and a start."""

    name = "kafka"
    dying = signal.SIGKILL

    def __init__(
        self, folder: Path, *, node: int = 1, port: int | None = None, voters: Sequence[int] | None = None
    ) -> None:
        """`voters`: the controllers' ports, node 1's first; by default this node stands alone."""
        super().__init__(folder / f"node-{node}", port=port, patience=PATIENCE)
        self._node = node
        self._voters = voters or [free_port()]
        self._data = self.folder / "data"
        self._properties = self.folder / "server.properties"

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    def command(self, port: int) -> list[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(
            "".join(f"{key}={value}\n" for key, value in self._settings(port).items())
        )
        if not self._data.exists():
            format_it = ["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(self._properties)]
            subprocess.run([*_java(), *format_it], check=True, capture_output=True, timeout=PATIENCE)
        return [*_java(), "kafka.Kafka", str(self._properties)]

    async def answers(self, port: int) -> bool:
        """Tell whether the broker on `port` is this one and sees the whole cluster."""
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        admin = AIOKafkaAdminClient(bootstrap_servers=f"{HOST}:{port}", request_timeout_ms=5_000)
        try:
            await admin.start()
            cluster = await admin.describe_cluster()
        except KafkaError:
            return False
        finally:
            await admin.close()
        return bool(cluster["cluster_id"] == CLUSTER and port in {one["port"] for one in cluster["brokers"]})

    async def kill(self) -> None:
        """End it as a power cut does, but for what the kernel still writes."""
        os.kill(self.pid, signal.SIGKILL)
        await self.wait()

    def _settings(self, port: int) -> dict[str, object]:
        replicas = len(self._voters)
        voters = ",".join(f"{node}@{HOST}:{voter}" for node, voter in enumerate(self._voters, 1))
        return {
            "process.roles": "broker,controller",
            "node.id": self._node,
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{self._voters[self._node - 1]}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
            "log.dirs": self._data,
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": max(1, replicas - 1),
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": max(1, replicas - 1),
            "min.insync.replicas": max(1, replicas - 1),
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1_000,
            # what is too old goes at once: a wrong retention shows
            "log.retention.check.interval.ms": 1_000,
            "log.initial.task.delay.ms": 1_000,
            # one that was killed may come back after this, not after 9 s
            "broker.session.timeout.ms": 3_000,
            "broker.heartbeat.interval.ms": 500,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "num.recovery.threads.per.data.dir": 1,
        }


@asynccontextmanager
async def cluster(folder: Path, brokers: int = 1) -> AsyncIterator[list[Kafka]]:
    """Run so many brokers together, each with its data in `folder`; stop them at the end of the block."""
    await asyncio.to_thread(fetch_jars)
    voters = [free_port() for _ in range(brokers)]
    nodes = [Kafka(folder, node=node, voters=voters) for node in range(1, brokers + 1)]
    async with AsyncExitStack() as stack:
        for node in nodes:
            stack.push_async_callback(node.stop)
        await asyncio.gather(*(node.start() for node in nodes))  # none answers before a majority is there
        yield nodes


def free_port() -> int:
    """Return a port that is free at this moment, below those that systems give to connections: nobody takes it by chance."""
    draw = random.SystemRandom()
    while True:
        port = draw.randrange(15_000, 32_000)
        with suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            return port


def _java() -> list[str]:
    quick = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
    return [_program("java"), *quick, "-Dlog4j2.level=WARN", "-cp", f"{fetch_jars()}/*"]


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not on this machine")
    return found
