"""A worker as `resegment worker` runs it, with ports that fail where FAULTS says so.

FAULTS is a list of `point:action:skip:times`, divided by commas. At the calls `skip` to `skip + times` of the
point the action is done: `kill` (-9), `stop` (SIGSTOP, until somebody sends SIGCONT), `term` (SIGTERM to itself),
`bug` (an exception that nobody expects), `away` (the port's own error), `hang` (no answer at all, for a commit).
Where something hangs, a batch has BATCH_DEADLINE seconds.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence

from resegment.agents.batch import Batch, Message, PublishFailed
from resegment.cli.connection import load_settings
from resegment.cli.logging import set_up_logging
from resegment.cli.runtime.signals import first_of, listening
from resegment.cli.runtime.up import read_segments
from resegment.state.partition_store import Commit, Committed, StoreUnavailable
from resegment.state.redis.partition import PartitionStore
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.worker import stages
from resegment.streams.worker.stages import IntakeStage, RouterStage, SegmenterStage
from resegment.streams.worker.wiring import PartClasses
from resegment.streams.worker.worker import Worker

STAGES = {"signals": "intake", "segment-changes": "relay", "workflow-commands": "router"}
"""Who publishes to a topic."""
IN_FLIGHT = 0.002
"""Seconds after which a batch that was sent is on its way, and most often not acknowledged yet."""


class Bug(Exception):
    """What no code expects."""


class Hang(Exception):
    """The call is never answered."""


BATCH_DEADLINE = 1.0


class Faults:
    """Counts the calls of each point, and does what is planned for them."""

    def __init__(self, plan: str) -> None:
        self._plan: dict[str, tuple[str, range]] = {}
        for one in filter(None, plan.split(",")):
            point, action, skip, times = one.split(":")
            self._plan[point] = action, range(int(skip), int(skip) + int(times))
        self._calls: Counter[str] = Counter()

    def knows(self, point: str) -> bool:
        return point in self._plan

    def pass_by(self, point: str, unavailable: Exception) -> None:
        """Do the planned fault, if this call is one of those; `unavailable` is raised for `away`."""
        planned = self._plan.get(point)
        if planned is None:
            return
        call = self._calls[point]
        self._calls[point] += 1
        action, calls = planned
        if call not in calls:
            return
        print(f"FAULT {point} {action}", file=sys.stderr, flush=True)
        match action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "term":
                os.kill(os.getpid(), signal.SIGTERM)
            case "bug":
                raise Bug(point)
            case "away":
                raise unavailable
            case "hang":
                raise Hang
            case _:
                raise ValueError(action)


FAULTS = Faults(os.environ.get("FAULTS", ""))


class Publisher(KafkaPublisher):
    async def publish(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        topic = messages[0].topic
        stage = STAGES.get(topic.partition(".")[2], "letters")
        away = PublishFailed([topic], TimeoutError())
        FAULTS.pass_by(f"{stage}-before-send", away)
        if FAULTS.knows(f"{stage}-in-flight"):
            sending = asyncio.create_task(super().publish(messages))
            await asyncio.sleep(IN_FLIGHT)
            FAULTS.pass_by(f"{stage}-in-flight", away)
            await sending
        else:
            await super().publish(messages)
        FAULTS.pass_by(f"{stage}-after-send", away)


class Store(PartitionStore):
    async def commit(self, commit: Commit) -> Committed:
        away = StoreUnavailable("not there, for a test")
        # a commit that only takes the partition is another point
        point = f"{self.point}{'script' if commit.states else 'take'}"
        try:
            FAULTS.pass_by(f"before-{point}", away)
        except Hang:
            await asyncio.Event().wait()
        committed = await super().commit(commit)
        FAULTS.pass_by(f"after-{point}", away)
        return committed

    @property
    def point(self) -> str:
        return "route-" if self.stage == "router" else ""

    async def acknowledge(self, ids: Sequence[str]) -> None:
        away = StoreUnavailable("not there, for a test")
        FAULTS.pass_by(f"before-{self.point}ack", away)
        await super().acknowledge(ids)
        FAULTS.pass_by(f"after-{self.point}ack", away)


class Intake(IntakeStage):
    async def on_batch(self, batch: Batch) -> None:
        FAULTS.pass_by("intake-before", Bug("away"))
        await super().on_batch(batch)
        FAULTS.pass_by("intake-after", Bug("away"))


class Segmenter(SegmenterStage):
    async def on_batch(self, batch: Batch) -> None:
        FAULTS.pass_by("segmenter-before", Bug("away"))
        await super().on_batch(batch)
        FAULTS.pass_by("segmenter-after", Bug("away"))


class Router(RouterStage):
    async def on_batch(self, batch: Batch) -> None:
        FAULTS.pass_by("router-before", Bug("away"))
        await super().on_batch(batch)
        FAULTS.pass_by("router-after", Bug("away"))


class FaultyWorker(Worker):
    classes = PartClasses(Publisher, Store, Intake, Segmenter, Router)


async def main() -> int:
    settings = load_settings()
    if ":hang:" in os.environ.get("FAULTS", ""):
        stages.BATCH_DEADLINE = BATCH_DEADLINE  # type: ignore[misc]  # a constant, but for this
    set_up_logging(settings)
    worker = FaultyWorker(
        settings, read_segments(settings), bootstrap=settings.kafka or "", redis_url=settings.redis or ""
    )
    with listening(lambda: None) as stop:
        async with worker.running():
            stop.ready()
            print("The worker is running", file=sys.stderr, flush=True)
            await first_of(stop.asked.wait(), worker.ended())
    if worker.failure is not None:
        print(f"The worker ended: {worker.failure!r}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
