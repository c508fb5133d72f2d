"""A value is made once for a while, by one caller at a time, and again when it was changed."""

from __future__ import annotations

import asyncio

import pytest

from resegment.streams.live.cached import Cached


class Maker:
    """Makes 1, 2, 3... and fails where it is told to."""

    def __init__(self) -> None:
        self.made, self.fails = 0, False

    async def make(self) -> int:
        await asyncio.sleep(0)
        if self.fails:
            raise ValueError("away")
        self.made += 1
        return self.made


async def test_a_value_is_made_once_for_all_who_ask_and_again_once_it_is_dropped() -> None:
    cached, maker = Cached[int](60), Maker()
    assert await asyncio.gather(*(cached.get(maker.make) for _ in range(5))) == [1] * 5
    cached.drop()
    assert await cached.get(maker.make) == 2
    assert await cached.get(maker.make) == 2


async def test_a_value_that_is_dropped_while_it_is_made_is_not_kept() -> None:
    cached, maker = Cached[int](60), Maker()
    first = asyncio.create_task(cached.get(maker.make))
    await asyncio.sleep(0)
    cached.drop()
    assert await cached.get(maker.make) == 2
    assert await first == 1
    assert await cached.get(maker.make) == 2


async def test_an_old_value_is_made_again_and_a_failure_is_not_kept() -> None:
    cached, maker = Cached[int](-1), Maker()
    assert [await cached.get(maker.make) for _ in range(2)] == [1, 2]
    maker.fails = True
    with pytest.raises(ValueError, match="away"):
        await cached.get(maker.make)
    maker.fails = False
    assert await cached.get(maker.make) == 3
