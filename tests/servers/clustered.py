"""Redis Cluster for tests: three masters with a third of the slots each, and a replica of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from resegment.benchmarks.servers.apache import free_port
from resegment.benchmarks.servers.debian import SystemRedis
from resegment.embedded.server import HOST

SLOTS = 16_384
PATIENCE = 60.0


class Node(SystemRedis):
    """One server of a cluster."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.bus = free_port()

    def command(self, port: int) -> list[str]:
        options = {
            "--cluster-enabled": "yes",
            "--cluster-port": str(self.bus),
            "--cluster-node-timeout": "1500",
            # one that lags takes over too: what it lacks is to be noticed
            "--cluster-replica-validity-factor": "0",
            "--repl-diskless-sync-delay": "0",
        }
        return [*super().command(port), *(text for option in options.items() for text in option)]

    async def ask(self, *words: object) -> Any:
        """What the node answers to a command."""
        client = Redis(host=HOST, port=self.port, decode_responses=True)
        try:
            return await client.execute_command(*words)  # type: ignore[no-untyped-call]
        finally:
            await client.aclose()


class Cluster:
    """Three masters, and the replica of each at the same place of `replicas`."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        half = len(nodes) // 2
        self.masters, self.replicas = nodes[:half], nodes[half:]
        self._bounds = [number * SLOTS // half for number in range(half + 1)]

    @property
    def url(self) -> str:
        """The address of the cluster, for the project."""
        return "redis+cluster://" + ",".join(f"{HOST}:{node.port}" for node in self.masters)

    def owner(self, slot: int) -> int:
        """Which master was given a slot in the beginning."""
        return next(n for n, last in enumerate(self._bounds[1:]) if slot < last)

    async def join(self) -> None:
        """Make one cluster of the nodes."""
        nodes = [*self.masters, *self.replicas]
        first, *others = nodes
        for node in others:
            await first.ask("CLUSTER MEET", HOST, node.port, node.bus)
        for number, node in enumerate(self.masters):
            await node.ask("CLUSTER ADDSLOTSRANGE", self._bounds[number], self._bounds[number + 1] - 1)
        for node in nodes:
            await until(node, f"cluster_known_nodes:{len(nodes)}", "CLUSTER INFO")
        for master, replica in zip(self.masters, self.replicas, strict=True):
            await replica.ask("CLUSTER REPLICATE", await master.ask("CLUSTER MYID"))
        for node in nodes:
            await until(node, "cluster_state:ok", "CLUSTER INFO")
        for node in self.replicas:
            await until(node, "master_link_status:up", "INFO", "replication")

    async def fail_over(self, number: int) -> None:
        """Kill a master and wait until its replica has taken over."""
        await self.masters[number].kill()
        await until(self.replicas[number], "role:master", "INFO", "replication")
        await until(self.replicas[number], "cluster_state:ok", "CLUSTER INFO")

    async def rejoined(self, number: int) -> None:
        """Wait until a master that was killed and started again follows the one that took over."""
        await until(self.masters[number], "master_link_status:up", "INFO", "replication")


async def until(node: Node, line: str, *words: str) -> None:
    """Wait until a node's answer has that line."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(RedisError):
                answer = await node.ask(*words)
                found = (
                    [f"{key}:{value}" for key, value in answer.items()]
                    if isinstance(answer, dict)
                    else answer
                )
                if line in found:
                    return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[Cluster]:
    """Run a cluster in `folder`; stop it at the end of the block."""
    nodes = [Node(folder / f"redis-{number}") for number in range(6)]
    async with AsyncExitStack() as stack:
        for node in nodes:
            stack.push_async_callback(node.stop)
            await node.start()
        made = Cluster(nodes)
        await made.join()
        yield made
