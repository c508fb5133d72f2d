"""Suppressions at a switch: at every instant they are those of the version of then, and the router was told."""

from __future__ import annotations

import random
from itertools import product
from typing import Any, get_args

import pytest

from resegment.schemas.fact import Fact
from resegment.schemas.segments import BuiltIn
from resegment.segmentation.definition import Definition
from resegment.segmentation.evaluation.engine import Decision
from resegment.segmentation.versions.chain import follow
from resegment.segmentation.versions.differences import compare
from tests.builders import definition_of
from tests.oracle.cases import segments
from tests.oracle.suppressions import DAY, generate_stream, instants, judge

BUILT_IN = get_args(BuiltIn)
SEEDS = 30


def defined(suppression: list[Any], **keys: Any) -> Definition:
    file = {**segments(won={"event": "outcome", "where": {"action": "won"}}), **keys}
    return definition_of({**file, "suppression": suppression})


VERSIONS: list[tuple[Definition, int, str, frozenset[str]]] = [
    (defined(list(BUILT_IN)), 90 * DAY, "", frozenset(BUILT_IN)),
    (
        defined(
            [{"bounced": {"persons": "account"}}, {"do-not-contact": {"persons": "account"}}],
            cooldown_after_lost="2d",
        ),
        2 * DAY,
        "persons:",
        frozenset({"bounced", "do-not-contact"}),
    ),
    (defined(["customers"], cooldown_after_lost="0d"), 0, "", frozenset({"customers"})),
    (defined([]), 90 * DAY, "", frozenset()),
]
"""Definitions that differ in their gates alone; each with its cooldown, and what it suppresses."""


def fact_of(event: dict[str, Any]) -> Fact:
    names = ("kind", "id", "source", "record", "time", "op", "data")
    return Fact(account="acme.com", recorded=event["known"], **{name: event[name] for name in names})


@pytest.mark.parametrize("seed", range(SEEDS))
def test_gates_are_those_of_the_version_of_the_instant_and_the_router_knows_them(seed: int) -> None:
    draw = random.Random(seed)
    events = generate_stream(seed)
    moments = sorted(set(instants(events)))
    old, new = draw.sample(VERSIONS, k=2)
    at = draw.choice(moments[1:])
    timeline = follow(old[0], [(at, new[0])])
    account = timeline.open("acme.com")
    facts = [fact_of(one) for one in sorted(events, key=lambda one: one["known"])]
    told: dict[str, Any] = {}
    for moment in moments:
        decisions: list[Decision] = timeline.advance(account, moment - 1)
        if together := [one for one in facts if one.recorded == moment]:
            decisions += timeline.apply_facts(account, together, moment)
        else:
            decisions += timeline.advance(account, moment)
        assert all(one.change is None or one.change.cause.definition is None for one in decisions)
        for change in [one.change or one.gate_change for one in decisions]:
            if change is not None:
                told = {
                    name: getattr(change, name) for name in ("active_gates", "do_not_contact", "lost_until")
                }
        if account.state.membership.segment is None:
            continue
        _, cooldown, prefix, suppressed = new if moment >= at else old
        expected = judge(events, moment, cooldown)
        holding = {f"suppress:{name}" for name in suppressed if f"{prefix}{name}" in expected["holding"]}
        assert (moment, set(told["active_gates"]), list(told["do_not_contact"]), told["lost_until"]) == (
            moment,
            holding,
            expected["persons"],
            expected["lost_until"],
        )


def test_definitions_that_differ_in_their_gates_move_nobody() -> None:
    for old, new in product([one[0] for one in VERSIONS], repeat=2):
        differences = compare(old, new)
        assert not differences.segments_judged
        assert differences.gates_only == differences.judges == (old is not new)
