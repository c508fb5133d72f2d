"""How the router's stage takes a batch of changes: some at a time, in order, and not again what is committed."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import orjson
import pytest

from resegment.agents.batch import Batch, RecordedMessage
from resegment.agents.router import route
from resegment.metrics import Metrics
from resegment.routing.account import RoutedAccount
from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.account import Account
from resegment.streams.kafka.topics import Topics
from resegment.streams.worker import stages
from resegment.streams.worker.batch_divider import divide_batch
from resegment.streams.worker.failure import Failure
from resegment.streams.worker.partitions import PartitionManager
from resegment.streams.worker.progress import Progress
from resegment.streams.worker.stages import BatchTooSlow, RouterStage
from tests.builders import Routing, definition_of
from tests.oracle.cases import day, segments

NOW = day(1)


def change(number: int) -> bytes:
    data = {
        "account": f"a{number}.com", "sequence_number": 1, "from": None, "to": "hot",
        "effective_at": format_instant(NOW), "decided_at": format_instant(NOW), "supersedes": None,
        "supersedes_to": None, "play": None, "message": None,
        "route": {"workflow": "hot-flow", "team": None, "on_exit": "stop"},
    }  # fmt: skip
    return orjson.dumps({"id": f"change-{number}", "data": data})


def batch_of(first: int, count: int) -> Batch:
    records = [RecordedMessage(number, 0, b"key", change(number)) for number in range(first, first + count)]
    return Batch("segment-changes", 0, records)


def stage_of(routing: Routing, metrics: Metrics) -> tuple[RouterStage, PartitionManager[RoutedAccount]]:
    async def again(_: int) -> None:
        raise AssertionError("no partition is lost")

    def manager(opened: Any) -> PartitionManager[Any]:
        return PartitionManager(
            opened, again, publisher=routing.published, metrics=metrics, failure=Failure()
        )

    segmented: PartitionManager[Account] = manager(lambda _: None)
    routed: PartitionManager[RoutedAccount] = manager(lambda _: routing.owned)
    nothing = cast("Any", None)
    stage = RouterStage(
        Topics(), routing.router, routed,
        segmented=segmented, inputs=nothing, committed=nothing, progress=Progress(metrics, None),
    )  # fmt: skip
    return stage, routed


async def test_a_batch_of_changes_is_committed_some_at_a_time_and_published_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stages, "ROUTED_AT_ONCE", 3)
    routing, metrics = Routing(definition_of(segments(hot={"event": "funding"})), now=NOW), Metrics()
    stage, routed = stage_of(routing, metrics)
    await routed.take(0, "log", stage.on_due)
    try:
        await stage.on_batch(batch_of(0, 8))
        assert routing.owned.position.offset == 8
        assert routing.owned.position.commit >= 3
        await stage.on_batch(batch_of(5, 6))  # delivered again, with more
        assert routing.owned.position.offset == 11
    finally:
        await routed.release(0)
    enrolled = [
        orjson.loads(one.value or b"")["data"]["account"]
        for one in routing.published.messages
        if one.topic == "workflow-commands"
    ]
    assert enrolled == [f"a{number}.com" for number in range(11)]


@pytest.mark.parametrize("slow", ["deciding", "publishing"])
async def test_all_parts_of_a_batch_have_one_deadline_and_the_next_try_continues_after_what_is_done(
    monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    monkeypatch.setattr(stages, "ROUTED_AT_ONCE", 1)
    routing, metrics = Routing(definition_of(segments(hot={"event": "funding"})), now=NOW), Metrics()
    stage, routed = stage_of(routing, metrics)
    await routed.take(0, "log", stage.on_due)
    taken, passed = [0], [0.0]
    loop = asyncio.get_running_loop()
    time_of_loop = loop.time
    monkeypatch.setattr(loop, "time", lambda: time_of_loop() + passed[0])

    async def hang(*given: Any) -> Any:
        """Take two thirds of the deadline for each part of the first try."""
        taken[0] += 1
        if taken[0] <= 2:
            passed[0] += 30.0
            for _ in range(10):  # a deadline that is over cancels this
                await asyncio.sleep(0)
        return None if slow == "publishing" else await route(*given)

    with monkeypatch.context() as patched:
        if slow == "publishing":
            patched.setattr(routing.owned.outbox, "flushed", hang)
        else:
            patched.setattr(stages, "route", hang)
        try:
            with pytest.raises(BatchTooSlow):
                await stage.on_batch(batch_of(0, 8))
            assert taken[0] == 2
            assert 0 < routing.owned.position.offset < 8
            await stage.on_batch(batch_of(0, 8))
            assert routing.owned.position.offset == 8
        finally:
            await routed.release(0)


def test_committed_records_stay_with_the_first_part_and_each_part_begins_where_the_one_before_ended() -> None:
    records = [RecordedMessage(offset, 0, None, b"") for offset in (4, 5, 9, 10, 11)]
    parts = list(divide_batch(Batch("topic", 0, records, 3), 5, lambda: 2))
    assert [[one.offset for one in part.records] for part in parts] == [[4, 5, 9], [10, 11]]
    assert [part.start for part in parts] == [3, 10]
