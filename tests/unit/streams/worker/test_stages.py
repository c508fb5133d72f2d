"""What a stage does with a batch that takes too long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, cast

import pytest
import pytest_asyncio

from resegment.agents.batch import Batch
from resegment.metrics import Metrics
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.state.partition_store import Commit, Committed
from resegment.streams.kafka.topics import Topics
from resegment.streams.worker import stages
from resegment.streams.worker.failure import Failure
from resegment.streams.worker.partitions import PartitionManager
from resegment.streams.worker.progress import Progress
from resegment.streams.worker.stages import BatchTooSlow, SegmenterStage
from tests.builders import Rig, definition_of, facts_of, registry_of, replaces_methods, signals
from tests.oracle.cases import day, funding, only

FILE = only({"event": "funding", "within": "7d"})


class Stage:
    """A segmenter stage over one partition, as a worker wires it. `restart` takes the partition again."""

    def __init__(self, patience: float) -> None:
        self.rig, self.metrics, self.failure = Rig(FILE), Metrics(), Failure()
        self.manager: PartitionManager[Account] = PartitionManager(
            lambda _: self.rig.owned,
            self.take,
            publisher=self.rig.published,
            metrics=self.metrics,
            failure=self.failure,
            patience=patience,
        )
        registry = registry_of(definition_of(FILE))
        self.stage = SegmenterStage(
            Topics(),
            registry,
            self.manager,
            inputs=cast("Any", None),
            committed=cast("Any", None),
            publisher=self.rig.published,
            progress=Progress(self.metrics, None),
        )

    async def take(self, _: int = 0) -> None:
        await self.manager.take(0, "log", self.stage.on_due)

    async def deliver(self, batch: Batch) -> None:
        """Deliver the batch until it is done, as the consumer does."""
        for _ in range(50):
            if self.rig.owned.position.offset == batch.records[-1].offset + 1:
                return
            with suppress(BatchTooSlow):
                await self.stage.on_batch(batch)
        raise AssertionError("the batch is never done")

    def failures(self) -> float:
        name, labels = "resegment_failures_total", {"stage": "segmenter", "error": "BatchTooSlow"}
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest_asyncio.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(stages, "BATCH_DEADLINE", 0.1)
    stage = Stage(patience=0.0)
    await stage.take()
    yield stage
    await stage.manager.release(0)


def batch_of(count: int) -> Batch:
    return Batch(
        "signals",
        0,
        signals(facts_of([funding(day(0), id=f"i{n}", account=f"company-{n}.com") for n in range(count)])),
    )


async def test_a_batch_that_is_too_slow_is_counted_and_ends_the_worker_when_patience_is_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: Commit) -> Committed:
        await asyncio.Event().wait()
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(stage.rig.store, "commit", hang)
        with pytest.raises(BatchTooSlow):
            await stage.stage.on_batch(batch_of(4))
        assert stage.failures() == 1
        assert stage.failure.error is None
    await stage.stage.on_batch(batch_of(4))  # what was in memory is worthless: the partition is taken again
    with monkeypatch.context() as patch:
        patch.setattr(stage.rig.store, "commit", hang)
        with pytest.raises(BatchTooSlow):
            await stage.stage.on_batch(batch_of(4))
    assert stage.failures() == 2
    assert isinstance(stage.failure.error, BatchTooSlow)


async def test_a_batch_that_is_too_slow_is_done_in_smaller_parts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = stage.rig.store.commit

    async def slow(given: Commit) -> Committed:
        if len(given.states) > 2:
            await asyncio.sleep(10)
        return await commit(given)

    monkeypatch.setattr(stage.rig.store, "commit", slow)
    await stage.deliver(batch_of(16))
    assert len(stage.rig.memory.accounts) == 16
    assert stage.failures() == 1
    assert stage.failure.error is None


@replaces_methods
async def test_a_fact_that_takes_longer_than_the_deadline_by_itself_is_set_aside_and_the_others_are_decided(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "BATCH_DEADLINE", 0.4)  # no other fact may take so long on a busy machine
    stage.manager._patience = 60.0
    apply_facts = Engine.apply_facts

    def hard(engine: Engine, account: Any, facts: Any, *given: Any) -> Any:
        if account.name == "company-2.com":
            begun = time.thread_time()
            while time.thread_time() < begun + 0.45:
                pass
        return apply_facts(engine, account, facts, *given)

    commit = stage.rig.store.commit

    async def remote(given: Commit) -> Committed:
        await asyncio.sleep(0.001)  # as a server in another process, it lets the loop run
        return await commit(given)

    monkeypatch.setattr(stage.rig.store, "commit", remote)
    monkeypatch.setattr(Engine, "apply_facts", hard)
    await stage.deliver(batch_of(5))
    assert sorted(stage.rig.memory.accounts) == [f"company-{n}.com" for n in (0, 1, 3, 4)]
    (letter,) = stage.rig.published.to("dead-letters")
    assert dict(letter.headers)["dl_reason"] == b"decision-too-slow"
    assert dict(letter.headers)["dl_offset"] == b"2"
