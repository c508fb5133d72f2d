"""What a worker does with a partition that gets nowhere."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from resegment.agents.batch import Message
from resegment.agents.outbox import Unpublished
from resegment.agents.partition import OwnedPartition
from resegment.metrics import Metrics
from resegment.segmentation.evaluation.account import Account
from resegment.streams.heartbeat import Heartbeat
from resegment.streams.transport.config import PartitionProgress
from resegment.streams.worker import partitions as module
from resegment.streams.worker.failure import Failure
from resegment.streams.worker.loops.monitor import Gauges, Monitor, Stalled
from resegment.streams.worker.partitions import UNPUBLISHED, PartitionManager, RelayBehind
from resegment.streams.worker.progress import Progress
from tests.builders import Published, Rig
from tests.oracle.cases import only

FILE = only({"event": "funding", "within": "7d"})


class Worker:
    """One partition in the hands of a worker whose publisher reaches no broker."""

    def __init__(self, *, patience: float) -> None:
        self.rig, self.publisher, self.failure = Rig(FILE), Published(), Failure()
        self.publisher.failures = 1_000
        self.patience = patience
        self.manager = self.make_manager()

    def make_manager(self) -> PartitionManager[Account]:
        """What it owns for one stage: nothing yet."""
        return PartitionManager(
            lambda _: self.rig.owned,
            self.never,
            publisher=self.publisher,
            metrics=Metrics(),
            failure=self.failure,
            patience=self.patience,
        )

    async def never(self, what: object) -> None:
        raise AssertionError(f"not expected: {what}")

    @property
    def owned(self) -> OwnedPartition[Account]:
        return self.rig.owned


@pytest_asyncio.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker(patience=0.0)
    await worker.manager.take(0, "log", worker.never)
    yield worker
    await worker.manager.release(0)


async def test_a_partition_that_fails_for_too_long_at_one_place_ends_the_worker_though_it_was_taken_anew(
    worker: Worker,
) -> None:
    worker.manager.note_failure(worker.owned, TypeError("a bug"))
    assert worker.failure.error is None
    await worker.manager.take(0, "log", worker.never)
    worker.manager.note_failure(worker.owned, TypeError("the same bug"))
    assert str(worker.failure.error) == "the same bug"


async def test_a_batch_that_is_done_gives_the_next_one_all_the_patience(worker: Worker) -> None:
    worker.manager.note_failure(worker.owned, TypeError("a bug"))
    worker.manager.note_success(worker.owned)
    worker.manager.note_failure(worker.owned, TypeError("another"))
    assert worker.failure.error is None


async def test_nothing_more_is_decided_while_too_much_waits_for_the_broker(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROOM_WITHIN", 0.01)
    await worker.manager.wait_for_room(worker.owned)
    change = [Message("segment-changes", b"acme.com", b"{}")]
    worker.owned.outbox.add([Unpublished(f"{number}-0", change) for number in range(UNPUBLISHED)])
    with pytest.raises(RelayBehind):
        await worker.manager.wait_for_room(worker.owned)


class Silent(Heartbeat):
    """A heartbeat that keeps nothing."""

    def __init__(self) -> None:
        self.lost = 0

    async def report(self, *_: object) -> None:
        pass


async def test_a_worker_with_lag_that_gets_nothing_done_ends_by_itself(worker: Worker) -> None:
    async def partition_progress() -> list[PartitionProgress]:
        return [PartitionProgress("signals", 0, 0, 10)]

    metrics = Metrics()
    gauges = Gauges(
        metrics,
        worker.rig.engine,
        worker.manager,
        worker.make_manager(),  # type: ignore[arg-type]
        client=None,
        now=lambda: 0,
    )
    monitor = Monitor(
        gauges, Silent(), Progress(metrics, None), partition_progress=partition_progress, stalled_after=0.0
    )
    with pytest.raises(Stalled):
        await monitor.run()


class Counted:
    """What two versions of the definition counted."""

    def __init__(self, facts: int) -> None:
        self.dropped, self.crowded, self.misfits = {"intent": facts}, {"intent": 2}, {"seats": 1}
        self.repeated = {"/crm": facts}


async def test_dropped_facts_are_counted_once_by_test_and_told_with_the_accounts_that_lost_them(
    worker: Worker,
) -> None:
    metrics, counted = Metrics(), [Counted(5), Counted(5), Counted(8)]
    gauges = Gauges(
        metrics,
        worker.rig.engine,
        worker.manager,
        worker.make_manager(),  # type: ignore[arg-type]
        client=None,
        now=lambda: 0,
        counts=lambda: counted[0],
    )
    while len(counted) > 1:
        await gauges.measure([])
        counted.pop(0)
    await gauges.measure([])

    assert metrics.registry.get_sample_value("resegment_facts_dropped_total", {"test": "intent"}) == 8
    assert gauges.dropped == {"intent": (8, 2)}
    assert metrics.registry.get_sample_value("resegment_repeated_ids_total", {"source": "/crm"}) == 8
    assert gauges.repeated == {"/crm": 8}


async def test_lag_is_measured_from_where_a_partition_was_last_while_its_position_is_not_known(
    worker: Worker,
) -> None:
    metrics = Metrics()
    gauges = Gauges(
        metrics,
        worker.rig.engine,
        worker.manager,
        worker.make_manager(),  # type: ignore[arg-type]
        client=None,
        now=lambda: 0,
    )

    async def lag(*seen: PartitionProgress) -> float | None:
        await gauges.measure(seen)
        return metrics.registry.get_sample_value("resegment_lag", {"topic": "signals", "partition": "0"})

    assert await lag(PartitionProgress("signals", 0, None, 9)) == 0, "a new worker has no place yet"
    assert await lag(PartitionProgress("signals", 0, 7, 9)) == 2
    assert await lag(PartitionProgress("signals", 0, None, 12)) == 5, "Redis is away"
    assert await lag(PartitionProgress("signals", 0, None, 20)) == 13
    assert await lag() is None, "the partition is another worker's"
    assert await lag(PartitionProgress("signals", 0, None, 20)) == 0
