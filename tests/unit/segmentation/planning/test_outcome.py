"""What a switch did, beside what was planned."""

from __future__ import annotations

from resegment.segmentation.planning.outcome import compare_outcome
from tests.unit.segmentation.planning.test_drift import plan_of


def test_moves_as_planned_are_counted_and_others_are_named() -> None:
    plan = plan_of(("a.com", "hot", "warm"), ("b.com", "hot", "cold"), ("c.com", "hot", "warm"))
    done = {"a.com": ("hot", "warm"), "b.com": ("hot", "warm"), "d.com": ("cold", "warm")}
    outcome = compare_outcome(plan, done)
    assert (outcome.planned, outcome.moved, outcome.as_planned) == (3, 3, 1)
    assert [(one.account, one.planned, one.done) for one in outcome.departed] == [
        ("b.com", ("hot", "cold"), ("hot", "warm")),
        ("c.com", ("hot", "warm"), None),
        ("d.com", None, ("cold", "warm")),
    ]


def test_a_switch_that_did_what_was_planned_has_no_departures() -> None:
    outcome = compare_outcome(plan_of(("a.com", "hot", "warm")), {"a.com": ("hot", "warm")})
    assert (outcome.as_planned, outcome.departed) == (1, ())
