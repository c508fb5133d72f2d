"""The state on a Redis Cluster of three nodes with a replica each, and what becomes of it when nodes are lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from resegment.benchmarks.servers import apache
from resegment.state.redis.keys import OwnersKeys, PartitionKeys, prefix_key
from resegment.streams.partition_marks import find_waiting
from resegment.streams.prefix import read_prefix
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
        await node.ask("CONFIG", "SET", "cluster-node-timeout", 60_000)  # none is taken for dead that is slow
    user = {
        "redis_username": "resegment-worker",
        "redis_password": "WORKER_PASSWORD",
        "redis_allow_plaintext_password": "true",  # nodes of a cluster may name any machine
    }

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


async def master_of(nodes: Cluster, key: str) -> int:
    """Return which master holds a key."""
    return nodes.owner(await nodes.masters[0].ask("CLUSTER KEYSLOT", key))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.faults
async def test_a_master_of_a_cluster_that_is_emptied_is_noticed_and_rebuilt(
    on_cluster: Arena, nodes: Cluster, shared: bool
) -> None:
    """With partitions alone the others go on meanwhile; with the owners, too, the workers end until all is rebuilt."""

    async def harm(run: Scenario) -> int:
        await run.reached(300)
        held: dict[int, set[int]] = {}
        for number in range(PARTITIONS):
            master = await master_of(nodes, PartitionKeys.of(run.prefix, number).meta)
            held.setdefault(master, set()).add(number)
        with_owners = await master_of(nodes, OwnersKeys.of(run.prefix).held)
        for_all = {await master_of(nodes, prefix_key(run.prefix)), with_owners}
        victim = with_owners if shared else next((one for one in held if one not in for_all), with_owners)
        await nodes.masters[victim].ask("FLUSHALL")
        if victim in for_all:
            (worker,) = run.live
            assert await asyncio.wait_for(worker.wait(), 60) == 1
            assert run.said("has lost the owners") or run.said("has lost the state")
            run.live.clear()
            await run.command("rebuild")
            await run.start()
            return 1

        async def all_wait() -> bool:
            return find_waiting(await read_prefix(run.client, run.prefix)).keys() == held[victim]

        await run.until(all_wait)
        before = await run.done()
        await run.reached(before + 50)
        for number in sorted(held[victim]):
            await run.command("rebuild", "--partition", str(number))
        return len(held[victim])

    what = "with the owners, all rebuilt" if shared else "its partitions rebuilt"
    await on_cluster.play(f"Redis Cluster of 3, one master emptied, {what}", harm)
