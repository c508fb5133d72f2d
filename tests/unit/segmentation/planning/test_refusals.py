"""What keeps a plan from being carried out, and what a rollback undoes."""

from __future__ import annotations

import pytest

from resegment.segmentation.planning.drift import Departure, Drift
from resegment.segmentation.planning.plan import VersionName, hash_plan
from resegment.segmentation.planning.refusals import HashDiffers, PlanStale, check_hash
from resegment.segmentation.planning.rollback import Step, invert_steps
from tests.builders import definition_of
from tests.unit.segmentation.planning.test_drift import plan_of
from tests.unit.segmentation.planning.test_planner import file_of


def test_a_refusal_names_accounts_and_flows() -> None:
    how = "was planned to move from hot to warm, and would not move now"
    departures = tuple(Departure(account=f"a{number:02}.com", how=how) for number in range(25))
    error = PlanStale(Drift(accounts=100, foreseen=3, unforeseen=departures))
    assert (
        "25 of 100 accounts depart from it, and 20 may (3 others do by time alone, as foreseen)"
        in error.message
    )
    assert f"25 {how}" in error.message
    assert "Accounts: a00.com, a01.com" in error.message
    assert "a19.com and 5 more" in error.message


def test_a_hash_approves_a_plan_that_moves_about_as_many() -> None:
    plan = plan_of(accounts=10_000)
    for moved in (0, 40, 100):
        check_hash(f"h-{moved}", plan)
    with pytest.raises(HashDiffers, match="101 accounts were to move, and 0 would move now"):
        check_hash("h-101", plan)


@pytest.mark.parametrize("given", ["", "h", "other-0", "h-", "h-x", "-0"])
def test_another_hash_is_refused(given: str) -> None:
    with pytest.raises(HashDiffers, match="the file, the version in force or --route differs"):
        check_hash(given, plan_of())


def test_a_hash_tells_apart_base_content_route_and_rollback() -> None:
    base, other = VersionName(number=1, fingerprint="a"), VersionName(number=2, fingerprint="a")
    hashes = {
        hash_plan(base, "x", "none", None, 5),
        hash_plan(other, "x", "none", None, 5),
        hash_plan(base, "y", "none", None, 5),
        hash_plan(base, "x", "all", None, 5),
        hash_plan(base, "x", "none", 1, 5),
    }
    assert len(hashes) == 5
    assert hash_plan(base, "x", "none", None, 5) in hashes


def definition(*names: str):  # type: ignore[no-untyped-def]
    return definition_of(file_of(*((name, {"employees": {"gte": 1}}) for name in names)))


def test_a_rollback_over_one_switch_takes_its_names_back() -> None:
    assert invert_steps([Step(definition("hot", "warm"), {"boiling": "hot"})]) == {"hot": "boiling"}


def test_a_rollback_over_several_switches_takes_names_back_through_all() -> None:
    first, second = definition("hot", "warm"), definition("boiling", "warm")
    steps = [Step(first, {"boiling": "hot"}), Step(second, {"blazing": "boiling", "tepid": "warm"})]
    assert invert_steps(steps) == {"hot": "blazing", "warm": "tepid"}


def test_a_swap_is_taken_back_as_a_swap() -> None:
    swap = {"hot": "warm", "warm": "hot"}
    assert invert_steps([Step(definition("hot", "warm"), swap)]) == swap
    assert invert_steps([Step(definition("hot", "warm"), swap)] * 2) == {}


def test_without_renames_there_is_nothing_to_take_back() -> None:
    assert invert_steps([]) == {}
    assert invert_steps([Step(definition("hot"), {})]) == {}
