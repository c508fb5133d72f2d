"""The benchmark, small: what counts here is that its participants come to what a backtest says."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from resegment.benchmarks.peers.comparison import Comparison
from resegment.benchmarks.run import Bench, Plan, Servers
from resegment.state.redis.keys import prefix_key
from tests.integration.conftest import Stack


async def test_a_drained_topic_comes_to_what_a_backtest_says(stack: Stack) -> None:
    plan = Plan(accounts=200, triggers=2_000, stock_events=0, by_hand=False)
    async with Redis.from_url(stack.redis_url) as client:
        bench = Bench(Servers(stack.bootstrap, stack.redis_url), plan, client, lambda _: None)
        workers = [one for one in (await bench.run()).rows if one.verdict is not None]
        assert [one.name for one in workers] == ["segmenter", "whole pipeline"]
        assert all(one.verdict and one.verdict.is_right and one.verdict.changes > 200 for one in workers)
        assert not [key async for key in client.scan_iter(match=f"*{bench.prefix}*")]
        assert not await client.exists(prefix_key(f"{bench.prefix}-whole"))


@pytest.mark.faults  # it may install Quix Streams, and takes a minute
async def test_every_peer_comes_to_what_is_expected_of_it(stack: Stack) -> None:
    plan = Plan(accounts=100, triggers=1_000, stock_events=300)
    async with Redis.from_url(stack.redis_url) as client:
        bench = Bench(Servers(stack.bootstrap, stack.redis_url), plan, client, lambda _: None)
        compared = await Comparison(bench).run()
        assert compared.is_right
        assert {"segmenter", "whole pipeline", "stock faust"} <= {one.name for one in compared.peers}
        assert all(len(one.rounds) == 2 for one in compared.peers)
        assert not [key async for key in client.scan_iter(match=f"*{bench.prefix}*")]
