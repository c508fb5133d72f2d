"""The tests inside a segments file."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from resegment.documents.diagnostics import InvalidSegments
from resegment.schemas.times import parse_instant
from resegment.segmentation.analysis.lint import lint
from resegment.segmentation.definition import read_definition
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.file_tests import CaseResult, run_tests

EXAMPLES = Path(__file__).parents[4] / "examples"
NOW = parse_instant("2026-03-01T00:00:00Z")
DAY = 86_400_000

FILE = """
version: 1
traits: {growth_1y: {growth: employees, over: 365d}}
segments:
  - name: new-leader
    when: {all: [{event: leadership, where: {role: [cro]}, within: 90d}, {employees: {gte: 50}}]}
    hold: {min_dwell: 7d}
    play: p
    route: {workflow: w1}
  - {name: growing, when: {growth_1y: {gte: 0.2}}, play: p, route: {workflow: w2}}
  - {name: steady, when: {growth_1y: 0}, play: p, route: {workflow: w3}}
  - {name: raised, when: {event: funding, where: {round: series_a}}, play: p, route: {workflow: w4}}
  - {name: stacked, when: {technologies: {has_all: [a, b]}}, play: p, route: {workflow: w5}}
fallback: {name: rest, play: p}
plays: {p: {message: {pain: a, value_prop: b, proof_points: [c]}, channels: {primary: email}}}
tests:
"""


def run(*tests: dict[str, Any]) -> tuple[CaseResult, ...]:
    listed = "".join(f"  - {orjson.dumps({'name': 't', **test}).decode()}\n" for test in tests)
    return run_tests(Program(read_definition([("segments.yaml", FILE + listed)])), NOW)


def got(attributes: dict[str, Any] | None = None, *events: dict[str, Any]) -> str:
    (result,) = run({"given": {"attributes": attributes or {}, "events": list(events)}, "expect": "rest"})
    return result.got


CRO = {"event": "leadership", "change": "joined", "role": "cro", "ago": "10d"}


@pytest.mark.parametrize("name", ["segments.yaml", "quickstart.yaml"])
@pytest.mark.parametrize("now", [NOW, parse_instant("2031-12-24T18:00:00Z")])
def test_the_tests_of_the_examples_pass_whenever_they_run(name: str, now: int) -> None:
    definition = read_definition([(name, (EXAMPLES / name).read_text())])

    results = run_tests(Program(definition), now)

    assert results
    assert [result for result in results if not result.passed] == []


def test_the_file_of_a_whole_go_to_market_team_has_no_errors_and_passes_its_tests() -> None:
    file = Path(__file__).parents[4] / "tests" / "data" / "go-to-market.yaml"
    definition = read_definition([(file.name, file.read_text())])

    assert {one.code for one in lint(definition)} <= {"many-segments"}
    assert [result for result in run_tests(Program(definition)) if not result.passed] == []


def test_a_test_may_name_its_account() -> None:
    text = FILE.replace("traits:", "lists: {ours: [acme.com]}\ntraits:").replace(
        "{growth_1y: 0}", "{account: $ours}"
    )
    given = [{"account": "acme.com"}, {}]
    listed = "".join(
        f"  - {orjson.dumps({'name': 't', 'given': one, 'expect': 'rest'}).decode()}\n" for one in given
    )

    results = run_tests(Program(read_definition([("segments.yaml", text + listed)])), NOW)

    assert [one.got for one in results] == ["steady", "rest"]


def test_an_account_of_a_test_that_is_none_is_an_error() -> None:
    with pytest.raises(InvalidSegments) as refused:
        run({"given": {"account": "www.acme.com"}, "expect": "rest"})

    assert [one.code for one in refused.value.diagnostics] == ["wrong-value"]


def test_a_test_says_what_was_expected_what_came_and_why() -> None:
    (result,) = run({"given": {"attributes": {"employees": 30}, "events": [CRO]}, "expect": "new-leader"})

    assert (result.name, result.expected, result.got, result.passed, result.at) == (
        "t",
        "new-leader",
        "steady",
        False,
        NOW,
    )
    assert "new-leader needs employees >= 50 (is 30)" in result.why


def test_until_says_where_the_account_is_once_time_has_passed() -> None:
    later = [{"after": "80d", "expect": "steady"}, {"after": "79d", "expect": "steady"}]

    first, second, third = run(
        {"given": {"attributes": {"employees": 60}, "events": [CRO]}, "expect": "new-leader", "until": later}
    )

    assert first.passed
    assert (second.passed, second.at, second.after) == (True, NOW + 80 * DAY, 80 * DAY)
    assert (third.passed, third.got) == (False, "new-leader")


def test_one_until_needs_no_list() -> None:
    results = run({"given": {"events": [CRO]}, "expect": "rest", "until": {"after": "3d", "expect": "rest"}})

    assert [result.passed for result in results] == [True, True]


def test_an_attribute_has_had_its_value_for_long() -> None:
    assert got({"employees": 40}) == "steady"


def test_an_earlier_snapshot_is_the_history_of_an_attribute() -> None:
    assert got({"employees": 40}, {"event": "firmographic", "employees": 20, "ago": "400d"}) == "growing"


def test_a_snapshot_of_now_comes_after_the_attributes() -> None:
    assert got({"employees": 40}, {"event": "firmographic", "employees": 60}) == "growing"


def test_a_technology_joins_those_of_the_attributes() -> None:
    added = {"event": "tech", "change": "added", "technology": "B", "ago": "3d"}

    assert got({"technologies": ["a"]}, added) == "stacked"


def test_events_are_normalized_as_those_that_arrive() -> None:
    assert got({}, {"event": "funding", "round": "Series A", "ago": "3d"}) == "raised"


def test_an_event_without_ago_happens_now() -> None:
    assert got({}, {"event": "funding", "round": "series_a"}) == "raised"


def test_an_account_of_which_nothing_is_given_is_in_the_fallback() -> None:
    assert got() == "rest"


def test_facts_become_known_one_by_one_so_that_hold_sees_the_past() -> None:
    gone = {"event": "firmographic", "employees": 10, "ago": "5d"}
    large = {"event": "firmographic", "employees": 60, "ago": "30d"}

    assert got({"employees": 10}, large, CRO, gone) == "rest"
    assert got({"employees": 10}, large, {**CRO, "ago": "6d"}, gone) == "new-leader"


WRONG = [
    ({"events": [{"event": "hirng"}]}, "unknown-kind", "tests[0].given.events[0].event"),
    ({"events": [{}]}, "unknown-kind", "tests[0].given.events[0].event"),
    ({"events": [{**CRO, "ago": "ten days"}]}, "wrong-duration", "tests[0].given.events[0].ago"),
    ({"events": [{**CRO, "ago": 10}]}, "wrong-duration", "tests[0].given.events[0].ago"),
    ({"events": [{**CRO, "ago": "99999d"}]}, "wrong-duration", "tests[0].given.events[0].ago"),
    ({"events": [{**CRO, "role": 3}]}, "wrong-type", "tests[0].given.events[0].role"),
    ({"events": [{**CRO, "change": "hired"}]}, "wrong-type", "tests[0].given.events[0].change"),
    ({"attributes": {"employees": "many"}}, "wrong-type", "tests[0].given.attributes.employees"),
]


@pytest.mark.parametrize(("given", "code", "path"), WRONG)
def test_what_is_no_event_of_the_contract_is_an_error_with_its_place(
    given: Any, code: str, path: str
) -> None:
    with pytest.raises(InvalidSegments) as caught:
        run({"given": given, "expect": "rest"})

    (found,) = caught.value.diagnostics
    assert (found.code, found.place.line) == (code, FILE.count("\n") + 1)
    assert path in str(found)


def test_all_errors_of_all_tests_are_reported_at_once() -> None:
    with pytest.raises(InvalidSegments) as caught:
        run(*({"given": given, "expect": "rest"} for given, _, _ in WRONG))

    assert [one.code for one in caught.value.diagnostics] == [code for _, code, _ in WRONG]


def test_an_event_of_a_kind_that_is_compared_says_which_source_it_is_from() -> None:
    same = "same: {funding: {within: 30d}, trust: [crm]}\ntests:\n"
    one = {"event": "funding", "round": "series_a", "amount_usd": 5, "source": "crm"}
    other = {**one, "source": "formd", "ago": "5d"}
    text = FILE.replace("tests:\n", same).replace(
        "{event: funding, where: {round: series_a}}", "{event: funding, count: 1}"
    )
    listed = "".join(
        f"  - {orjson.dumps({'name': 't', 'given': {'events': events}, 'expect': expect}).decode()}\n"
        for events, expect in (([one, other], "raised"), ([one, one], "rest"))
    )
    results = run_tests(Program(read_definition([("segments.yaml", text + listed)])), NOW)
    assert [result.passed for result in results] == [True, True]
