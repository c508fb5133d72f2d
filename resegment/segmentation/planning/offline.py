"""Plan a switch from recorded events, without Kafka and Redis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from resegment.schemas.fact import Fact
from resegment.segmentation.definition import Definition
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.evaluation.retention import Retention
from resegment.segmentation.planning.plan import Plan
from resegment.segmentation.planning.planner import Planner
from resegment.segmentation.planning.switch import plan_switch
from resegment.segmentation.versions.era import ALWAYS, Era
from resegment.segmentation.versions.timeline import Timeline


def plan_replay(
    old: Definition,
    new: Definition,
    facts: Mapping[str, Sequence[Fact]],
    at: int,
    route: str | tuple[str, ...] = "none",
    progress: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Plan the switch at `at` (ms), from the facts of each account in the order in which they became known.

    Those of `at` itself count, as they do when a switch happens. `progress` is called with each account.
    """
    engines = Engine(Program(old)), Engine(Program(new))
    present = Timeline([Era(1, ALWAYS, engines[0])]).retaining(Retention(engines[1].program))
    switch = plan_switch(old, new, route=route)
    planner = Planner(
        switch,
        present=present,
        planned=lambda at: present.extend(
            Era(2, at, engines[1], new.moved, switch.judges, gates_only=switch.changes == "gates")
        ),
        engines=engines,
    )
    if not switch.judges:
        planner.skip(at)
        return planner.finish(accounts=len(facts))
    planner.begin(0, at)
    for name in sorted(facts):
        value, latest = _replay(present, name, facts[name], at)
        if value is not None:
            planner.take(name, value, facts=latest)
        progress(name)
    return planner.finish()


def _replay(
    timeline: Timeline, name: str, facts: Sequence[Fact], at: int
) -> tuple[bytes | None, Sequence[Fact]]:
    """Return the state of an account right before `at`, None where nothing was known of it, and the facts of `at`."""
    account = timeline.open(name)
    latest: list[Fact] = []
    for known, together in groupby(facts, key=attrgetter("recorded")):
        if known >= at:
            latest = list(together) if known == at else []
            break
        timeline.advance(account, known - 1)
        timeline.apply_facts(account, list(together), known)
    if account.state.membership.segment is None:
        return None, latest
    timeline.advance(account, at - 1)
    return timeline.encode(account), latest
