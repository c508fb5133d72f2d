"""The benchmark of growing accounts, small: what an event writes does not depend on how many facts there are."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from resegment.benchmarks import growth


async def test_an_event_writes_the_same_with_few_facts_and_with_many(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "FACTS", (10, 300))
    monkeypatch.setattr(growth, "TOGETHER", 10)
    async with Redis.from_url(redis_url) as client:
        growing = growth.Growing(redis_url, client, lambda _: None)
        few_by_hand, few, many_by_hand, many = await growing.by_facts()
        rows = await growing.by_accounts(300)
        growing.close()
        assert not [key async for key in client.scan_iter(match="*growth-*")]
    assert few.facts < 20
    assert many.facts >= 300
    assert many.sent < 1.3 * few.sent
    assert many_by_hand.sent > 10 * few_by_hand.sent
    assert [(one.name, one.accounts, one.events) for one in rows] == [
        ("by hand", 300, 600),
        ("segmenter", 300, 600),
    ]
