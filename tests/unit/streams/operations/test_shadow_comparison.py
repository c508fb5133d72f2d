"""A shadow is compared at one offset of the log, however far its workers and those of the version in force have come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from resegment.schemas.definitions.records import Apply
from resegment.schemas.fact import Fact, encode_fact
from resegment.segmentation.planning.shadow import ShadowComparison, ShadowReport
from resegment.segmentation.versions.timeline import Timeline
from resegment.state.partition_store import Position
from resegment.streams.kafka.topics import Topics
from resegment.streams.operations import shadow as module
from resegment.streams.operations.planning import PlannedPrefix
from resegment.streams.operations.shadow import LogIncomplete, Shadow, _compare_partition
from resegment.streams.operations.snapshot import Snapshot
from tests.unit.segmentation.planning.test_planner import T, World, random_world

SINCE = T - 30 * 86_400_000
APPLY = Apply(id="s1", version=2, base=1, at=SINCE, kind="shadow")


@dataclass
class Record:
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[Any, ...] = ()


class Log:
    """The log of one partition. Its readers get records in pieces."""

    def __init__(self, world: World, begins: int = 0) -> None:
        self.facts: list[Fact] = sorted(
            (one for facts in world.facts.values() for one in facts), key=lambda one: one.recorded
        )
        self.newest_beginning = begins

    async def between(self, number: int, start: int, end: int) -> AsyncIterator[list[Record]]:
        for place in range(start, end, 7):
            yield [
                Record(offset, fact.recorded, fact.account.encode(), encode_fact(fact))
                for offset, fact in enumerate(self.facts[place : min(place + 7, end)], place)
            ]

    def judged(self, timeline: Timeline, upto: int) -> tuple[dict[str, bytes], Position]:
        """The states after the records before an offset, and where that is."""
        states: dict[str, bytes] = {}
        clock = 0
        for fact in self.facts[:upto]:
            clock = max(clock, fact.recorded)
            account = timeline.load(fact.account, states.get(fact.account))
            timeline.advance(account, clock - 1)
            timeline.apply_facts(account, [fact], clock)
            states[fact.account] = timeline.encode(account)
        return states, Position(offset=upto, clock=clock, log="log-1")


async def compared(
    monkeypatch: pytest.MonkeyPatch, *, live: int, judged: int | None, mark: str = "log-1 s1", begins: int = 0
) -> ShadowReport:
    """What a comparison says if the workers have come so far."""
    world = random_world(21)
    log, shadow = Log(world, begins), Shadow(APPLY, world.planned(SINCE))
    states, position = log.judged(world.present, live)
    others, place = ({}, None) if judged is None else log.judged(shadow.timeline, judged)

    class Reader:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.prefix, self.partitions = "x", 1

        async def position(self, number: int) -> Position | None:
            return None if place is None else Position(place.offset, clock=place.clock, log=mark)

        async def raw_states(self, number: int) -> AsyncIterator[tuple[str, bytes]]:
            for pair in others.items():
                yield pair

        async def now(self) -> int:
            return T

    async def snapshot(*_: Any, **__: Any) -> Snapshot:
        return Snapshot(0, position, states)

    @asynccontextmanager
    async def reading(*_: Any, **__: Any) -> AsyncIterator[Log]:
        yield log

    monkeypatch.setattr(module, "PrefixReader", Reader)
    monkeypatch.setattr(module, "read_snapshot", snapshot)
    monkeypatch.setattr(module, "reading", reading)
    prefix = PlannedPrefix(
        client=None,  # type: ignore[arg-type]
        reader=Reader(),  # type: ignore[arg-type]
        registry=SimpleNamespace(timeline=world.present, keys=None),  # type: ignore[arg-type]
        held={"clock": "wall"},
        topics=Topics("x"),
        bootstrap="",
        security={},
        ahead=None,
        facts_per_test=2_000,
    )
    comparison = ShadowComparison((world.present, shadow.timeline), (world.old, world.new))
    await _compare_partition(prefix, shadow, comparison, 0, 0)
    return comparison.finish(version=2, base=1, since=SINCE, differences=())


async def test_it_makes_no_difference_how_far_the_shadow_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    end = len(Log(random_world(21)).facts)
    whole = await compared(monkeypatch, live=end, judged=None)
    assert whole.differ > 0
    for judged in (0, 1, end // 2, end - 1, end):
        assert await compared(monkeypatch, live=end, judged=judged) == whole


async def test_a_shadow_that_is_ahead_of_the_version_in_force_is_met_where_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    end = len(Log(random_world(21)).facts)
    whole = await compared(monkeypatch, live=end, judged=end)
    assert await compared(monkeypatch, live=end - 20, judged=end) == whole


async def test_what_was_judged_for_another_shadow_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    end = len(Log(random_world(21)).facts)
    whole = await compared(monkeypatch, live=end, judged=end)
    assert await compared(monkeypatch, live=end, judged=end // 2, mark="log-1 s0") == whole


async def test_a_log_without_its_beginning_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LogIncomplete, match="begins at offset 3"):
        await compared(monkeypatch, live=40, judged=None, begins=3)
