"""Let time pass: append ticks to `signals`, and move the router's clock, when a deadline has come; offer what is in queues."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from resegment.agents.batch import Publisher, PublishFailed
from resegment.agents.deadlines import tick
from resegment.agents.enrolling.offering import offer_queued
from resegment.agents.partition import OwnedPartition
from resegment.agents.router import Router, pass_time
from resegment.errors import PartitionLost, ResegmentError
from resegment.metrics import Metrics
from resegment.routing.account import RoutedAccount
from resegment.schemas.definitions.in_force import decode_in_force
from resegment.segmentation.evaluation.account import Account
from resegment.state.partition_store import StoreUnavailable
from resegment.streams.worker.partitions import PartitionManager, cancel

LOOKED_AT: Final = 0.1
"""Seconds between two looks for deadlines."""
OFFERED_EVERY: Final = 1.0
"""Seconds between two looks for accounts in queues that somebody may take."""
AFTER_A_TICK: Final = 0.5
"""Seconds until the next look after a tick: the tick itself has to come through `signals` first."""


class Ticker:
    """Moves the clocks of the owned partitions, on prefixes whose clock is the wall's. `now` is that clock, ms."""

    def __init__(
        self,
        segmented: PartitionManager[Account],
        routed: PartitionManager[RoutedAccount],
        *,
        publisher: Publisher,
        signals: str,
        metrics: Metrics,
        now: Callable[[], int],
        router: Router,
    ) -> None:
        self._segmented, self._routed = segmented, routed
        self._publisher, self._signals, self._metrics, self._now = publisher, signals, metrics, now
        self._router = router

    async def run(self) -> None:
        """Look for deadlines until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._append_ticks())
            group.create_task(self._move_routing())
            group.create_task(self._offer_queued())

    async def _append_ticks(self) -> None:
        while True:
            late: Sequence[int] = ()
            with suppress(PublishFailed):
                late = await tick(
                    self._segmented, publisher=self._publisher, signals=self._signals, now=self._now()
                )
            self._metrics.ticks.inc(len(late))
            await asyncio.sleep(AFTER_A_TICK if late else LOOKED_AT)

    async def _move_routing(self) -> None:
        """Move each partition's clock in a task of its own: one whose store is away must not stop the others."""
        moving: dict[int, asyncio.Task[None]] = {}
        try:
            while True:
                for number in [one for one, task in moving.items() if task.done()]:
                    moving.pop(number).result()
                for owned in self._routed:
                    due = owned.next_deadline is not None and owned.next_deadline <= self._now()
                    if due and owned.number not in moving:
                        moving[owned.number] = asyncio.create_task(self._pass_time(owned))
                await asyncio.sleep(LOOKED_AT)
        finally:
            await cancel(list(moving.values()))

    async def _offer_queued(self) -> None:
        """Offer queued accounts to members who may take them now. Every worker does; the store offers each once."""
        router = self._router
        while True:
            held = [
                decode_in_force(one.position.definition).number
                for one in self._routed
                if one.fence is not None
            ]
            if held:
                with suppress(ResegmentError):
                    policy = router.machine.policies.at(max(held))
                    await offer_queued(router.owners, self._publisher, policy, self._now(), router.events)
            await asyncio.sleep(OFFERED_EVERY)

    async def _pass_time(self, owned: OwnedPartition[RoutedAccount]) -> None:
        try:
            await pass_time(owned, self._now())
        except (PartitionLost, StoreUnavailable) as error:
            await self._routed.retake(owned, error)
