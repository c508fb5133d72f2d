"""Plan another version of the segments file, apply exactly what was planned, and go back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn, Protocol

import structlog

from resegment.agents.batch import Publisher
from resegment.errors import ResegmentError, TransientError, UserError
from resegment.http.operations.place import Place
from resegment.segmentation.definition import Content, Definition
from resegment.segmentation.planning.outcome import Outcome
from resegment.segmentation.planning.plan import Plan
from resegment.segmentation.planning.refusals import check_hash
from resegment.streams.definitions.applying.requests import Applied, ApplyConnection
from resegment.streams.definitions.content import compile_content
from resegment.streams.definitions.starting import NoVersion, read_registry
from resegment.streams.live.planning import read_planned
from resegment.streams.operations.planning import PlannedPrefix, Wish
from resegment.streams.operations.switching.carrying import Order, carry_out, describe_order, describe_result
from resegment.streams.operations.switching.intents import Intent, intend_rollback, intend_saved, plan_wish
from resegment.streams.prefix import read_prefix

log = structlog.get_logger(__name__)

KEPT: Final = 5
"""How many plans are kept until they are applied."""


class NoSuchPlan(UserError):
    """No plan of that id is kept here."""

    def __init__(self, plan: str) -> None:
        super().__init__(
            f"there is no plan {plan[:40]}",
            remedy=f"The newest {KEPT} plans are kept until the console stops. Make a new one.",
        )
        self.plan = plan


class Busy(TransientError):
    """A plan is made or applied already."""

    def __init__(self) -> None:
        super().__init__(
            "another plan is being made or applied", remedy="Wait until it is done, and try again."
        )


@dataclass(slots=True)
class Job:
    """The apply of a plan: who began it when (ms), how far it is, and what came of it."""

    actor: str
    begun: int
    step: str = "prepare"
    done: int = 0
    total: int = 0
    applied: Applied | None = None
    outcome: Outcome | None = None
    problem: ResegmentError | None = None

    @property
    def is_running(self) -> bool:
        """Whether it is not done yet."""
        return self.applied is None and self.problem is None

    def report(self, step: str, done: int, total: int) -> None:
        """Note how far it is."""
        self.step, self.done, self.total = step, done, total


@dataclass(slots=True)
class KeptPlan:
    """A plan that waits to be applied: who made it when (ms), and its apply, once that has begun."""

    intent: Intent
    by: str
    made: int
    job: Job | None = None

    @property
    def id(self) -> str:
        """The id under which it can be applied once."""
        return self.intent.saved.id

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.intent.plan


@dataclass(frozen=True, slots=True)
class Draft:
    """The files of the version in force, to begin with."""

    number: int
    files: Mapping[str, str] = field(default_factory=dict)


class Versions(Protocol):
    """The versions of a prefix, and how an operator changes them."""

    async def draft(self) -> Draft:
        """Return the version in force as it was written. Raises TopicUnreadable."""
        ...

    async def plan(self, actor: str, files: Mapping[str, str], route: str) -> KeptPlan:
        """Plan a switch to other files. Raises InvalidSegments, Busy, and what planning raises."""
        ...

    async def plan_rollback(self, actor: str, number: int | None) -> KeptPlan:
        """Plan to go back to a version, or to the one before. Raises as the command does, and Busy."""
        ...

    def find(self, plan: str) -> KeptPlan:
        """Return a plan that was made. Raises NoSuchPlan."""
        ...

    def kept(self) -> list[KeptPlan]:
        """Return the plans that are kept, the newest first."""
        ...

    async def apply(self, actor: str, plan: str, approved: str, message: str) -> Job:
        """Begin to apply a plan whose hash is `approved`. Raises NoSuchPlan, HashDiffers and Busy."""
        ...


class LiveVersions:
    """The `Versions` of a running prefix."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._plans: dict[str, KeptPlan] = {}
        self._working = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def draft(self) -> Draft:
        definitions = (await self._planned()).registry.definitions
        content = definitions.content_of(definitions.current)
        files = {
            name: data.decode("utf-8", "replace").removeprefix("\ufeff") for name, data in content.segments
        }
        return Draft(definitions.current, files)

    async def plan(self, actor: str, files: Mapping[str, str], route: str) -> KeptPlan:
        definitions = (await self._planned()).registry.definitions
        before = definitions.content_of(definitions.current)
        segments = tuple((name, text.encode("utf-8", "replace")) for name, text in files.items())
        definition = compile_content(Content(segments, before.lists))
        wish = Wish(definition, route)

        async def intend() -> Intent:
            return Intent(await plan_wish(self._planned, wish), wish)

        return await self._keep(actor, intend)

    async def plan_rollback(self, actor: str, number: int | None) -> KeptPlan:
        return await self._keep(actor, lambda: intend_rollback(self._planned, number, None))

    async def _keep(self, actor: str, intend: Callable[[], Awaitable[Intent]]) -> KeptPlan:
        if self._working.locked():
            raise Busy
        async with self._working:
            kept = KeptPlan(await intend(), actor, _now())
        self._plans[kept.id] = kept
        while len(self._plans) > KEPT:
            del self._plans[next(iter(self._plans))]
        return kept

    def find(self, plan: str) -> KeptPlan:
        if plan not in self._plans:
            raise NoSuchPlan(plan)
        return self._plans[plan]

    def kept(self) -> list[KeptPlan]:
        return list(reversed(self._plans.values()))

    async def apply(self, actor: str, plan: str, approved: str, message: str) -> Job:
        kept = self.find(plan)
        check_hash(approved, kept.plan)
        if self._working.locked() or (kept.job is not None and kept.job.is_running):
            raise Busy
        job = kept.job = Job(actor, _now())
        task = asyncio.create_task(self._apply(kept, job, message), name="console: apply")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    async def _apply(self, kept: KeptPlan, job: Job, message: str) -> None:
        try:
            async with self._working:
                await self._carry_out(kept, job, message)
        except ResegmentError as error:
            job.problem = error
        except Exception as error:  # the border of a task: the page must not wait forever
            log.exception("an apply ended with a bug")
            job.problem = ResegmentError(
                f"the apply ended with {type(error).__name__}; the log of the console says why",
                remedy="`resegment history` shows whether the version is in force.",
            )

    async def _carry_out(self, kept: KeptPlan, job: Job, message: str) -> None:
        intent = await intend_saved(self._planned, f"plan {kept.plan.hash}", kept.intent.saved, None)
        back = intent.goes_back_to
        told = message or ("" if back is None else f"roll back to version {back}")
        order = Order(job.actor, told)
        action = "apply" if back is None else "rollback"
        async with (
            self._place.trail(job.actor).recording(action, describe_order(intent, order)) as recording,
            self._place.publisher("resegment-apply") as publisher,
        ):
            applied, job.outcome = await carry_out(
                self._connect(publisher), self._planned, intent, order, job.report
            )
            recording.result |= describe_result(applied, job.outcome)
        job.applied = applied

    def _connect(self, publisher: Publisher) -> ApplyConnection:
        one = self._place.connection
        return ApplyConnection(
            client=one.client,
            publisher=publisher,
            bootstrap=one.bootstrap,
            topics=one.topics,
            security=one.security,
            partitions=one.reader.partitions,
            clock=one.clock,
            facts_per_test=one.facts_per_test,
        )

    async def _planned(self) -> PlannedPrefix:
        one = self._place.connection
        held = await read_prefix(one.client, one.prefix)

        def nothing() -> Definition:
            _refuse(one.prefix)

        registry = await read_registry(
            *(nothing, held, one.topics, one.bootstrap, one.security),
            facts_per_test=one.facts_per_test,
            keys=None if one.keys is None else one.keys.facts,
        )
        return await read_planned(one, registry, held)


def _refuse(prefix: str) -> NoReturn:
    raise NoVersion(prefix)


def _now() -> int:
    return time.time_ns() // 1_000_000
