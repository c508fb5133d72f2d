"""What is to be carried out: a plan of a running prefix, and what it takes to make it again."""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from resegment.segmentation.definition import Definition
from resegment.segmentation.planning.drift import News, find_drift
from resegment.segmentation.planning.plan import Plan
from resegment.segmentation.planning.refusals import BaseDiffers, NotAppliable, PlanStale, PlanUsed
from resegment.segmentation.planning.saved import SavedPlan
from resegment.streams.definitions.content import compile_content
from resegment.streams.definitions.history import Definitions
from resegment.streams.operations.planning import Count, PlannedPrefix, Progress, Wish, plan_live
from resegment.streams.operations.switching.rollback import first_undone, invert_switches, version_before

Planned = Callable[[], Awaitable[PlannedPrefix]]
"""Reads the prefix, with its versions as they are now. Raises TopicUnreadable and StoreUnavailable."""


def count_nothing(step: str, total: int) -> Progress:
    """Show no progress."""
    del step, total
    return _ignore


def _ignore(number: int) -> None:
    del number


@dataclass(frozen=True, slots=True)
class Intent:
    """A plan that is to be carried out, and what it takes to make it again.

    `seen` is when (by the monotonic clock) the accounts were last found to be as the plan says.
    """

    saved: SavedPlan
    wish: Wish
    seen: float = field(default_factory=time.monotonic)

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.saved.plan

    @property
    def definition(self) -> Definition:
        """The new version."""
        return self.wish.definition

    @property
    def goes_back_to(self) -> int | None:
        """The version that a rollback goes back to."""
        return self.wish.goes_back_to


async def plan_wish(
    planned: Planned, wish: Wish, *, news: News | None = None, count: Count = count_nothing
) -> SavedPlan:
    """Plan a switch of the prefix. `news` notes what changed since an earlier plan. Raises as `plan_live` does."""
    plan = await plan_live(await planned(), wish, news=news, count=count)
    return SavedPlan(id=uuid.uuid4().hex, plan=plan, content=wish.definition.content)


async def intend_saved(planned: Planned, name: str, saved: SavedPlan, at: int | None) -> Intent:
    """Return the intent to carry out a saved plan. Raises NotAppliable, PlanUsed, BaseDiffers and PlanStale."""
    plan = saved.plan
    if plan.base.number is None:
        raise NotAppliable(name)
    definitions = (await planned()).registry.definitions
    check_unused(definitions, saved)
    if definitions.current != plan.base.number:
        raise BaseDiffers(plan, definitions.current)
    definition = compile_content(saved.content)
    moved = None if plan.rollback_of is None else invert_switches(definitions, plan.rollback_of)
    wish = Wish(definition, plan.route, at, moved, plan.rollback_of, goes_back_to=plan.target.number)
    if not plan.is_empty:
        await check_drift(planned, saved, wish)
    return Intent(saved, wish)


async def intend_rollback(
    planned: Planned, number: int | None, at: int | None, *, count: Count = count_nothing
) -> Intent:
    """Return the intent to go back to a version, or to the one before. Raises as `first_undone` and `plan_live` do."""
    definitions = (await planned()).registry.definitions
    chosen = number if number is not None else version_before(definitions)
    undone = first_undone(definitions, chosen)
    wish = Wish(
        definitions.definition_of(chosen),
        at=at,
        moved=invert_switches(definitions, undone),
        rollback_of=undone,
        goes_back_to=chosen,
    )
    return Intent(await plan_wish(planned, wish, count=count), wish)


def check_unused(definitions: Definitions, saved: SavedPlan) -> None:
    """Raise PlanUsed if the plan was applied. An apply that did not happen has not used it."""
    for one in definitions.applies.values():
        if one.plan == saved.id and one.verdict == "stands":
            raise PlanUsed(one.version)


async def check_drift(planned: Planned, saved: SavedPlan, wish: Wish) -> Plan:
    """Plan again and return that plan. Raises PlanStale if more accounts depart from the saved one than is tolerated."""
    news = News(saved.plan.partitions)
    fresh = await plan_wish(planned, wish, news=news)
    drift = find_drift(saved.plan, fresh.plan, news)
    if drift.is_too_much:
        raise PlanStale(drift)
    return fresh.plan
