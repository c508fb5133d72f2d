"""Time passes in each partition by itself: one whose store is away waits alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from resegment.agents.batch import Message
from resegment.agents.partition import OwnedPartition
from resegment.metrics import Metrics
from resegment.routing.account import RoutedAccount
from resegment.routing.enrollment import EnrollmentMachine
from resegment.routing.policy import OnePolicy, Policy
from resegment.schemas.assignment import Assign
from resegment.schemas.routing import Offered, RoutedState, decode_routing_event
from resegment.state.memory.partition import Memory, PartitionStore
from resegment.state.partition_store import Commit, Committed, StoreUnavailable
from resegment.streams.heartbeat import Heartbeat
from resegment.streams.worker import partitions as partitions_module
from resegment.streams.worker.failure import Failure
from resegment.streams.worker.loops import monitor as monitor_module
from resegment.streams.worker.loops.monitor import Gauges, Monitor
from resegment.streams.worker.loops.ticker import Ticker
from resegment.streams.worker.partitions import DueTooSlow, PartitionManager
from resegment.streams.worker.progress import Progress
from tests.builders import Published, Rig, Routing, definition_of
from tests.oracle.cases import only

FILE = only({"event": "funding", "within": "7d"})
DUE = 5
MACHINE = EnrollmentMachine(OnePolicy(Policy(definition_of(FILE))))


class Store(PartitionStore):
    """A store that answers to no commit while it is away."""

    away = False

    async def commit(self, commit: Commit) -> Committed:
        if self.away:
            await asyncio.Event().wait()
        return await super().commit(commit)


class Partitions:
    """Routed partitions of one worker, each with one account whose deadline is at DUE."""

    def __init__(self, count: int) -> None:
        self.stores = [Store(Memory(), number) for number in range(count)]
        self.decided: dict[int, asyncio.Event] = {number: asyncio.Event() for number in range(count)}
        self.hangs: set[int] = set()
        self.manager: PartitionManager[RoutedAccount] = PartitionManager(
            lambda number: OwnedPartition(number, self.stores[number], MACHINE),
            self.never,
            publisher=Published(),
            metrics=Metrics(),
            failure=Failure(),
        )

    async def never(self, what: object) -> None:
        raise AssertionError(f"not expected: {what}")

    async def on_due(self, owned: OwnedPartition[RoutedAccount]) -> None:
        if owned.number in self.hangs:
            await asyncio.Event().wait()
        owned.due = ()
        self.decided[owned.number].set()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        for number in range(len(self.stores)):
            await self.manager.take(number, "log", self.on_due)
        for owned in self.manager:
            account = RoutedAccount("a.com", RoutedState())
            account.deadline = DUE
            await owned.commit(owned.position, owned.collect([account]))
        try:
            yield
        finally:
            for number in range(len(self.stores)):
                await self.manager.release(number)


async def test_a_partition_whose_store_is_away_does_not_stop_the_routers_time_in_another() -> None:
    partitions = Partitions(2)
    segmented: PartitionManager[Any] = PartitionManager(
        partitions.never,  # type: ignore[arg-type]
        partitions.never,
        publisher=Published(),
        metrics=Metrics(),
        failure=Failure(),
    )
    ticker = Ticker(
        segmented,
        partitions.manager,
        publisher=Published(),
        signals="signals",
        metrics=Metrics(),
        now=lambda: DUE,
        router=Routing(definition_of(FILE)).router,
    )
    async with partitions.taken():
        partitions.stores[0].away = True
        running = asyncio.create_task(ticker.run())
        await asyncio.wait_for(partitions.decided[1].wait(), 5)
        assert not partitions.decided[0].is_set()
        running.cancel()
        await asyncio.wait([running])


class Offers(Published):
    """Says when something was published."""

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Event()

    async def publish(self, messages: Sequence[Message]) -> None:
        await super().publish(messages)
        self.came.set()


async def test_what_is_in_a_queue_is_offered_to_a_member_who_may_take_it() -> None:
    file = {**FILE, "teams": {"sales": {"members": ["ann"], "fallback": "pool"}}}
    routing, partitions, published = Routing(definition_of(file), now=DUE), Partitions(1), Offers()
    queued = Assign(key="k", account="acme.com", team="sales", fallback="pool", eligible=("ann",))
    await routing.owners.settle([queued])
    segmented: PartitionManager[Any] = PartitionManager(
        partitions.never,  # type: ignore[arg-type]
        partitions.never,
        publisher=Published(),
        metrics=Metrics(),
        failure=Failure(),
    )
    ticker = Ticker(
        segmented,
        partitions.manager,
        publisher=published,
        signals="signals",
        metrics=Metrics(),
        now=lambda: DUE,
        router=routing.router,
    )
    async with partitions.taken():
        running = asyncio.create_task(ticker.run())
        await asyncio.wait_for(published.came.wait(), 5)
        running.cancel()
        await asyncio.wait([running])
    (message,) = published.messages
    assert (message.topic, message.key) == ("routing-events", b"acme.com")
    assert decode_routing_event(message.value or b"") == Offered(account="acme.com", at=DUE, key="k")


async def test_partitions_that_cannot_decide_keep_no_turn_from_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partitions_module, "TURN", 0.01)
    partitions = Partitions(4)
    partitions.hangs = {0, 1, 2}
    async with partitions.taken():
        for owned in partitions.manager:
            owned.due = ["a.com"]
            owned._work.woken.set()
        await asyncio.wait_for(partitions.decided[3].wait(), 5)
        assert not any(partitions.decided[number].is_set() for number in partitions.hangs)


async def test_deadlines_that_are_never_decided_have_the_partition_taken_again_and_end_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partitions_module, "TURN", 0.01)
    monkeypatch.setattr(partitions_module, "DUE_WITHIN", 0.02)
    partitions = Partitions(1)
    partitions.hangs, partitions.manager._patience = {0}, 0.0
    taken = 0

    async def take_again(number: int) -> None:
        nonlocal taken
        taken += 1
        await partitions.manager.take(number, "log", partitions.on_due)
        (owned,) = partitions.manager
        owned.due = ["a.com"]

    monkeypatch.setattr(partitions.manager, "_restart", take_again)
    async with partitions.taken():
        (owned,) = partitions.manager
        owned.due = ["a.com"]
        owned._work.woken.set()
        error = await asyncio.wait_for(partitions.manager._failure.wait(), 5)
    assert isinstance(error, DueTooSlow)
    assert taken >= 1


class Reports(Heartbeat):
    """A heartbeat that keeps what it is told."""

    def __init__(self) -> None:
        self.reported, self.lost = 0, 2

    async def report(self, *_: object) -> None:
        self.reported += 1


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_worker_reports_its_partitions_although_the_store_of_one_is_away(
    monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    monkeypatch.setattr(monitor_module, "ANSWERED_WITHIN", 0.05)
    partitions, rig, metrics, heartbeat = Partitions(2), Rig(FILE), Metrics(), Reports()

    async def away() -> dict[str, int]:
        if hangs:
            await asyncio.Event().wait()
        raise StoreUnavailable("gone")

    async def progress() -> list[Any]:
        return []

    segmented = PartitionManager(
        lambda _: rig.owned, partitions.never, publisher=Published(), metrics=metrics, failure=Failure()
    )
    gauges = Gauges(metrics, rig.engine, segmented, partitions.manager, client=None, now=lambda: 0)
    monitor = Monitor(
        gauges, heartbeat, Progress(metrics, None), partition_progress=progress, stalled_after=60
    )
    async with partitions.taken():
        monkeypatch.setattr(partitions.stores[0], "sizes", away)
        running = asyncio.create_task(monitor.run())
        while not heartbeat.reported:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        assert not monitor.reachable
        running.cancel()
        await asyncio.wait([running])
    assert metrics.registry.get_sample_value("resegment_workers_lost") == 2
    assert metrics.registry.get_sample_value("resegment_servers_away") == 1
