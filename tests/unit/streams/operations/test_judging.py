"""Accounts that are judged by several processes make the plan that one process makes."""

from __future__ import annotations

import msgspec
import pytest

from resegment.segmentation.planning.planner import Planner
from resegment.state.partition_store import Position
from resegment.streams.operations import judging
from resegment.streams.operations.judging import judging_pool
from resegment.streams.operations.snapshot import Snapshot
from tests.unit.segmentation.planning.test_planner import T, World, random_world

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "FEW", 10)
    monkeypatch.setattr(judging, "SLICE", 7)
    monkeypatch.setattr(judging.os, "cpu_count", lambda: 2)


async def judged(world: World, accounts: int) -> tuple[Planner, int]:
    planner, seen = world.planner(), []
    with judging_pool(planner, accounts) as pool:
        await pool.judge(Snapshot(0, Position(clock=T - 1), world.states), T, {}, seen.append)
    return planner, sum(seen)


async def test_processes_make_the_plan_that_one_makes() -> None:
    world = random_world(11)
    alone, one = await judged(world, accounts=0)
    together, several = await judged(world, accounts=len(world.states))
    assert together.finish() == alone.finish()
    assert together.digest(0) == alone.digest(0)
    assert together.latest(0) == alone.latest(0)
    assert one == several == len(world.states)


async def test_a_state_that_cannot_be_read_ends_the_plan_with_its_error() -> None:
    world = random_world(12)
    world.states["broken.com"] = b"\xc1"
    with pytest.raises(msgspec.DecodeError):
        await judged(world, accounts=len(world.states))
