"""What an account lacks for a segment: every way to it, and which of them are enough."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.schemas.times import parse_instant
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection import needs
from resegment.segmentation.inspection.backtest import replay_account
from resegment.segmentation.inspection.explain import explain
from resegment.segmentation.inspection.explanation import Need
from tests.builders import definition_of
from tests.events import read_fact

FACT = read_fact(
    {
        "specversion": "1.0",
        "id": "1",
        "source": "crm",
        "type": "gtm.firmographic.v1",
        "subject": "acme.com",
        "time": "2026-01-05T09:00:00Z",
        "data": {"employees": 60, "country": "de"},
    }
)


def lacking(when: Any, **given: Any) -> tuple[Need, ...]:
    file = {
        "version": 1,
        "segments": [{"name": "hot", "when": when, "play": "p", "route": {"workflow": "w"}}],
        "fallback": {"name": "cold", "play": "p"},
        "plays": {
            "p": {
                "message": {"pain": "a", "value_prop": "b", "proof_points": ["c"]},
                "channels": {"primary": "email"},
            }
        },
        **given,
    }
    engine = Engine(Program(definition_of(file)))
    now = parse_instant("2026-02-01T00:00:00Z")
    account, _ = replay_account(engine, "acme.com", [FACT], now)
    found: tuple[Need, ...] = explain(engine, account, now).segments[0].needs
    return found


def plain(found: tuple[Need, ...]) -> list[Any]:
    """Return needs in short: a test as its text, ways as a tuple of lists, and how many more there are."""
    return [
        (str(one.test.test) if one.test.must else f"not {one.test.test}")
        if one.test is not None
        else (*map(plain, one.one_of), *([one.more] if one.more else []))
        for one in found
    ]


COUNTRY, SIZE, NEWS, VISIT = (
    {"country": "us"},
    {"employees": {"gte": 100}},
    {"event": "funding"},
    {"event": "engagement"},
)


def test_all_that_is_required_is_a_list_and_branches_of_any_are_ways() -> None:
    assert plain(lacking({"all": [COUNTRY, {"any": [SIZE, NEWS]}]})) == [
        "country = us",
        (["employees >= 100"], ["funding"]),
    ]


def test_what_holds_already_is_not_needed_and_a_branch_that_holds_is_enough() -> None:
    holds = {"employees": {"gte": 50}}
    assert plain(lacking({"all": [holds, COUNTRY]})) == ["country = us"]
    assert plain(lacking({"all": [COUNTRY, {"any": [holds, NEWS]}]})) == ["country = us"]


def test_a_way_may_need_several_tests_and_the_shortest_way_comes_first() -> None:
    assert plain(lacking({"any": [{"all": [NEWS, VISIT]}, SIZE]})) == [
        (["employees >= 100"], ["funding", "engagement"])
    ]


def test_any_in_any_is_one_choice_and_the_same_way_is_told_once() -> None:
    assert plain(lacking({"any": [SIZE, {"any": [NEWS, {"any": [SIZE, VISIT]}]}]})) == [
        (["employees >= 100"], ["funding"], ["engagement"])
    ]
    assert plain(lacking({"any": [SIZE, {"any": [SIZE, SIZE]}]})) == ["employees >= 100"]


def test_of_all_that_must_not_hold_one_is_enough() -> None:
    both = {"all": [{"employees": {"gte": 50}}, {"country": "de"}]}
    assert plain(lacking({"not": both})) == [(["not employees >= 50"], ["not country = de"])]
    assert plain(lacking({"not": {"any": both["all"]}})) == ["not employees >= 50", "not country = de"]


def test_named_conditions_are_told_by_what_they_mean() -> None:
    ways = {"busy": {"any": [NEWS, VISIT]}}
    assert plain(lacking({"condition": "busy"}, conditions=ways)) == [(["funding"], ["engagement"])]


def test_many_ways_are_counted_and_what_has_too_many_tests_is_told_by_its_least() -> None:
    cities = [{"city": f"c{number}"} for number in range(9)]
    (one,) = lacking({"any": cities})
    assert (len(one.one_of), one.more) == (needs.WAYS, 3)
    wide = [{"all": [{"city": f"c{number}"}, {"state": f"s{number}"}, NEWS]} for number in range(20)]
    assert plain(lacking({"any": [*wide]}))[0][0] == ["city = c0", "state = s0", "funding"]
    deep = {"any": [{"all": [*({"any": cities} for _ in range(1)), {"any": wide}, NEWS]} for _ in range(2)]}
    assert needs.count_tests(lacking(deep)) <= needs.TESTS


@pytest.mark.parametrize("depth", [14])
def test_conditions_that_name_each_other_many_times_take_no_time(depth: int) -> None:
    named: dict[str, Any] = {"c0": {"any": [NEWS, VISIT]}}
    for number in range(1, depth):
        before = {"condition": f"c{number - 1}"}
        named[f"c{number}"] = {
            "any": [{"all": [before, {"city": f"x{number}"}]}, {"all": [before, {"city": f"y{number}"}]}]
        }
    found = lacking({"condition": f"c{depth - 1}"}, conditions=named)
    assert 0 < needs.count_tests(found) <= needs.TESTS
