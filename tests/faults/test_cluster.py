"""The state on a Redis Cluster of three nodes with a replica each, and what becomes of it when nodes are lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from resegment.benchmarks.servers import apache
from resegment.state.redis.keys import PartitionKeys, prefix_key
from tests.faults.conftest import Arena
from tests.faults.scenario import PARTITIONS, Scenario
from tests.servers.clustered import Cluster, cluster

ACL = Path(__file__).parents[2] / "docs" / "operations" / "redis.acl"
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]


@pytest_asyncio.fixture(loop_scope="session")
async def nodes(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path / "cluster") as found:
        yield found


@pytest.fixture
def on_cluster(broker: apache.Kafka, nodes: Cluster, tmp_path: Path) -> Arena:
    return Arena(broker.bootstrap, nodes.url, tmp_path)


async def masters_of(nodes: Cluster, prefix: str) -> set[int]:
    """Which masters hold the partitions of a prefix."""
    held = set()
    for number in range(PARTITIONS):
        slot = await nodes.masters[0].ask("CLUSTER KEYSLOT", PartitionKeys.of(prefix, number).meta)
        held.add(nodes.owner(slot))
    return held


async def test_state_on_a_cluster_is_that_of_a_backtest(on_cluster: Arena, nodes: Cluster) -> None:
    """With the rights that the documentation gives on a cluster, and no more."""
    rule = next(line for line in ACL.read_text().splitlines() if line.startswith("user resegment-worker "))
    words = rule.replace("{resegment", "{f????????").split()[1:]  # a scenario's prefix is not known before
    for node in [*nodes.masters, *nodes.replicas]:
        await node.ask("ACL", "SETUSER", *words, "+cluster|slots", "+command")
    user = {"redis_username": "resegment-worker", "redis_password": "WORKER_PASSWORD"}

    async def look(run: Scenario) -> int:
        await run.start()
        await run.reached(1000)
        return len(await masters_of(nodes, run.prefix))

    async def send(run: Scenario) -> None:
        await run.send(rate=3000)

    await on_cluster.play("Redis Cluster of 3, no fault", look, one_in=4, send=send, **user)


@pytest.mark.faults
async def test_masters_of_a_cluster_that_are_killed_change_nothing(on_cluster: Arena, nodes: Cluster) -> None:
    async def harm(run: Scenario) -> int:
        await run.start()
        await run.reached(200)
        with_prefix = nodes.owner(await nodes.masters[0].ask("CLUSTER KEYSLOT", prefix_key(run.prefix)))
        with_state = next(iter(await masters_of(nodes, run.prefix) - {with_prefix}), with_prefix)
        killed = [with_state]
        await nodes.fail_over(with_state)
        await run.reached(500)
        if with_prefix != with_state:
            await nodes.masters[with_state].start()  # two of three masters must be there to agree on a third
            await nodes.rejoined(with_state)
            await nodes.fail_over(with_prefix)
            killed.append(with_prefix)
        await run.reached(800)
        return len(killed)

    await on_cluster.play("Redis Cluster of 3, masters killed, replicas take over", harm)
