"""Workers while another server becomes the master of Redis."""

from __future__ import annotations

import pytest

from tests.faults.conftest import Arena
from tests.faults.proxy import proxied
from tests.faults.scenario import Scenario
from tests.servers.sentinels import replicated, watched

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]
SECONDS = 30.0
"""Within which the workers must be at work again."""


@pytest.mark.faults
async def test_a_redis_that_became_a_replica_is_left_for_the_new_master(arena: Arena) -> None:
    """The name leads to the new master, and the old connections stay open: as a managed failover does it."""
    async with replicated(arena.folder) as pair, proxied(pair.first.port) as proxy:

        async def harm(run: Scenario) -> int:
            await run.reached(400)
            await pair.change_over()
            proxy.target = pair.second.port
            before = await run.done()
            await run.until(lambda: beyond(run, before + 50), SECONDS)
            assert not run.deaths, "a worker ended"
            return 1

        url = f"redis://127.0.0.1:{proxy.port}/0"
        await Arena(arena.kafka, url, arena.folder).play("Redis became a replica, connections open", harm)


@pytest.mark.faults
async def test_a_master_that_is_killed_is_replaced_by_the_one_that_the_sentinel_names(arena: Arena) -> None:
    async with watched(arena.folder) as (pair, url):

        async def harm(run: Scenario) -> int:
            await run.reached(400)
            await pair.first.kill()
            before = 400
            await run.until(lambda: beyond(run, before + 100), SECONDS)
            assert not run.deaths, "a worker ended"
            return 1

        await Arena(arena.kafka, url, arena.folder).play("Sentinel: master killed, replica promoted", harm)


async def beyond(run: Scenario, mark: int) -> bool:
    """Whether so many signals are committed."""
    return await run.done() >= mark
