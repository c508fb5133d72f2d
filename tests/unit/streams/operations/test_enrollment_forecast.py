"""What a planned switch would start and stop, under each route."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.routing.policy import OnePolicy, Policy, RoutingControls
from resegment.schemas.routing import Enrollment, Mode, RoutedState, Target, Touched
from resegment.segmentation.planning.plan import EnrollmentForecast, VersionName
from resegment.segmentation.planning.planner import PlannedSwitch, Planner
from resegment.streams.operations.enrollment_forecast import EnrollmentForecaster
from tests.builders import definition_of
from tests.unit.segmentation.planning.test_planner import BIG, MIDDLE, PLAYS, T, World, fact, file_of, growing

HIGHER = file_of(("big", {"employees": {"gte": 150}}), MIDDLE)


def enrolled(workflow: str, **more: Any) -> RoutedState:
    """An account that runs in a workflow."""
    target = Target("c", 1, 0, "big", False, None, "p", False)
    run = Enrollment("k", workflow, "big", 1, 0, "stop", play="old-play")
    return RoutedState(target=target, enrollment=run, decision="enrolled", **more)


def forecast(
    world: World,
    states: dict[str, RoutedState],
    *,
    mode: Mode = "all",
    changes: Any = "segments",
    routes: tuple[Any, ...] = ("none", "new-only", "all"),
) -> dict[str, EnrollmentForecast]:
    names = VersionName(number=1, fingerprint="a"), VersionName(number=None, fingerprint="b")
    planner = Planner(
        PlannedSwitch(*names, changes, ()),
        present=world.present,
        planned=world.planned,
        engines=(world.old, world.new),
    )
    planner.begin(0, T)
    for name, value in world.states.items():
        planner.take(name, value)
    controls = RoutingControls(mode=mode)
    before, after = (Policy(one.program.definition, controls) for one in (world.old, world.new))
    forecaster = EnrollmentForecaster(
        OnePolicy(before), before=before, after=after, number=2, at=T, routes=routes
    )
    for one in planner.told:
        decision = one.change or one.gate_change
        assert decision is not None
        forecaster.take(one.account, decision, states.get(one.account))
    return {one.route: one for one in forecaster.forecasts()}


def test_none_stops_those_who_leave_and_starts_nobody() -> None:
    world = World(file_of(BIG, MIDDLE), HIGHER, growing({"a.com": 120, "b.com": 500}))
    found = forecast(world, {"a.com": enrolled("w-big"), "b.com": enrolled("w-big")})
    assert (found["none"].stop, found["none"].enroll) == ({"w-big": 1}, {})
    assert (found["all"].stop, found["all"].enroll) == ({"w-big": 1}, {"w-middle": 1})


def test_new_only_starts_whom_the_workflow_has_not_touched() -> None:
    world = World(file_of(BIG, MIDDLE), HIGHER, growing({"a.com": 120, "b.com": 130}))
    touched = enrolled("w-big", touched=Touched(frozenset({"w-middle"}), frozenset()))
    found = forecast(world, {"a.com": touched, "b.com": enrolled("w-big")})
    assert found["new-only"].enroll == {"w-middle": 1}
    assert found["new-only"].held_back == {"quiet": 1}
    assert found["all"].enroll == {"w-middle": 2}


def test_a_route_of_segments_starts_only_those_who_move_there() -> None:
    world = World(file_of(BIG, MIDDLE), HIGHER, growing({"a.com": 120}))
    found = forecast(world, {"a.com": enrolled("w-big")}, routes=(("middle",), ("big", "rest")))
    assert found["middle"].enroll == {"w-middle": 1}
    assert found["big rest"].enroll == {}


def test_an_account_that_stays_in_its_workflow_is_neither_started_nor_stopped() -> None:
    old, new = file_of(BIG, MIDDLE), file_of(("big", {"employees": {"gte": 150}}), MIDDLE)
    for file in (old, new):
        file["segments"][1] |= {"route": {"workflow": "w-big"}, "play": "q"}
        file["plays"] = {"p": PLAYS["p"], "q": PLAYS["p"]}
    found = forecast(World(old, new, growing({"a.com": 120})), {"a.com": enrolled("w-big")})
    assert {one.route: (one.enroll, one.stop) for one in found.values()} == {
        "none": ({}, {}),
        "new-only": ({}, {}),
        "all": ({}, {}),
    }


@pytest.mark.parametrize("on_exit", ["stop", "finish", "pause"])
def test_what_happens_to_those_who_leave_is_what_their_workflow_says(on_exit: str) -> None:
    world = World(file_of(BIG, MIDDLE), HIGHER, growing({"a.com": 120}))
    state = enrolled("w-big")
    assert state.enrollment is not None
    state.enrollment = Enrollment("k", "w-big", "big", 1, 0, on_exit)  # type: ignore[arg-type]
    found = forecast(world, {"a.com": state})["none"]
    assert {"stop": found.stop, "finish": found.finish, "pause": found.pause}[on_exit] == {"w-big": 1}


def test_an_account_that_the_router_does_not_know_is_stopped_nowhere() -> None:
    world = World(file_of(BIG, MIDDLE), HIGHER, growing({"a.com": 120}))
    assert forecast(world, {})["none"].stop == {}


def test_a_mode_of_none_starts_nobody() -> None:
    world = World(file_of(BIG, MIDDLE), HIGHER, growing({"a.com": 120}))
    assert forecast(world, {"a.com": enrolled("w-big")}, mode="none")["all"].enroll == {}


def test_members_of_a_renamed_segment_are_left_alone() -> None:
    new = file_of(("large", {"employees": {"gte": 100}}), MIDDLE)
    world = World(file_of(BIG, MIDDLE), new, growing({"a.com": 120}), {"large": "big"})
    found = forecast(world, {"a.com": enrolled("w-big")})
    assert (found["all"].stop, found["all"].enroll) == ({}, {})


def test_who_is_newly_suppressed_is_stopped() -> None:
    won = [*growing({"a.com": 120}), fact("a.com", "outcome", T - 1000, "o", action="won")]
    world = World(file_of(BIG), file_of(BIG, suppression=["customers"]), won)
    found = forecast(world, {"a.com": enrolled("w-big")}, changes="gates")
    assert found["none"].stop == {"w-big": 1}


def test_a_daily_limit_lets_only_so_many_start() -> None:
    team = {"teams": {"sales": {"members": ["ann"], "per_day": 2}}}
    old, new = file_of(BIG, MIDDLE, **team), file_of(("big", {"employees": {"gte": 150}}), MIDDLE, **team)
    for file in (old, new):
        file["segments"][1]["route"]["team"] = "sales"
    world = World(old, new, growing({f"a{number}.com": 120 for number in range(5)}))
    found = forecast(world, {name: enrolled("w-big") for name in world.states})["all"]
    assert (found.enroll, found.held_back) == ({"w-middle": 2}, {"waiting": 3})


def test_a_new_list_stops_those_on_it_though_no_account_is_judged() -> None:
    listed = file_of(BIG, suppression=[{"name": "partners", "file": "partners.txt"}])
    before = Policy(definition_of(file_of(BIG)))
    after = Policy(definition_of(listed), RoutingControls({"partners": {"a.com"}}, "all"))
    forecaster = EnrollmentForecaster(
        OnePolicy(before), before=before, after=after, number=2, at=T, routes=["none"]
    )
    forecaster.look_again("a.com", enrolled("w-big"))
    forecaster.look_again("b.com", enrolled("w-big"))
    (found,) = forecaster.forecasts()
    assert found.stop == {"w-big": 1}
