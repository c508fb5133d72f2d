"""Carry out a plan on a running prefix, after a last look at the accounts, and find what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from resegment.schemas.times import format_instant
from resegment.segmentation.planning.outcome import Outcome
from resegment.segmentation.planning.plan import Plan
from resegment.state.redis.reader import PrefixReader
from resegment.streams.definitions.applying.apply import apply_version
from resegment.streams.definitions.applying.requests import (
    Applied,
    ApplyConnection,
    ApplyRequest,
    Report,
    report_nothing,
)
from resegment.streams.operations.moves import find_outcome, note_ends
from resegment.streams.operations.switching.intents import Intent, Planned, check_drift

FRESH = 60.0
"""Seconds for which the world is taken to be as a plan saw it."""


@dataclass(frozen=True, slots=True)
class Order:
    """Who carries a plan out, when and why. `at` (ms) is the instant of the switch, None for at once."""

    author: str
    message: str = ""
    at: int | None = None
    shadow: bool = False


class DriftCheck:
    """Makes the plan again right before the switch, if it is not fresh or for a later time, and compares."""

    def __init__(self, planned: Planned, intent: Intent) -> None:
        self._planned, self._intent = planned, intent
        self._later = intent.wish.at is not None
        self.latest: Plan | None = None
        """The plan that was made again, if one was."""

    async def check(self) -> None:
        """Raise PlanStale if more accounts depart from the plan than is tolerated."""
        if not self._later and time.monotonic() - self._intent.seen < FRESH:
            return
        self.latest = await check_drift(self._planned, self._intent.saved, self._intent.wish)


async def carry_out(
    connection: ApplyConnection,
    planned: Planned,
    intent: Intent,
    order: Order,
    report: Report = report_nothing,
) -> tuple[Applied, Outcome | None]:
    """Apply a plan; return what it came to, and how that compares with the plan, if it is known.

    Raises PlanStale, and what `apply_version` raises.
    """
    plan, wish = intent.plan, intent.wish
    checker = DriftCheck(planned, intent)
    ends = await note_ends(connection.bootstrap, connection.topics, connection.security)
    request = ApplyRequest(
        definition=intent.definition,
        base=plan.base.number,
        at=order.at,
        route=wish.route,  # type: ignore[arg-type]  # one of the words, or segments
        kind="shadow" if order.shadow else "switch",
        plan=intent.saved.id,
        author=order.author,
        message=order.message,
        rollback_of=wish.rollback_of,
        moved=wish.moved,
        check=None if order.shadow else checker.check,
    )
    applied = await apply_version(connection, request, report)
    if order.shadow or applied.apply is None or applied.pending:
        return applied, None
    outcome = await find_outcome(
        checker.latest or plan,
        applied.version,
        ends,
        PrefixReader(connection.client, connection.prefix, connection.partitions),
        connection.bootstrap,
        connection.topics,
        connection.security,
    )
    return applied, outcome


def describe_result(applied: Applied, outcome: Outcome | None, *, shadow: bool = False) -> dict[str, Any]:
    """Return what an apply came to, for the audit log. A shadow is not applied."""
    told = {"version": applied.version, "shadow" if shadow else "applied": applied.apply is not None}
    return told if outcome is None else told | {"moved": outcome.moved, "as_planned": outcome.as_planned}


def describe_order(intent: Intent, order: Order) -> dict[str, Any]:
    """Return what an apply is asked to do, for the audit log."""
    route = intent.wish.route
    return {
        "plan": intent.plan.hash,
        "base": intent.plan.base.number,
        "back_to": intent.goes_back_to,
        "at": None if order.at is None else format_instant(order.at),
        "route": route if isinstance(route, str) else list(route),
        "shadow": order.shadow or None,
        "message": order.message or None,
    }
