"""What is not known of accounts, and what knowing it could change."""

from __future__ import annotations

from itertools import product
from typing import Any

import msgspec
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from resegment.schemas.times import format_instant
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import backtest
from resegment.segmentation.language.conditions import Compare
from resegment.segmentation.outlook.staleness import (
    StaleAccount,
    StaleAttribute,
    StaleFinder,
    describe_report,
    stale_schema,
)
from tests.builders import definition_of, facts_of
from tests.oracle.generate import generate

DAY = 86_400_000
MOST = 6
Json = Any


def segment(name: str, when: Json, **more: Json) -> Json:
    return {"name": name, "when": when, "play": "talk", "route": {"workflow": name}, **more}


FILE: Json = {
    "version": 1,
    "segments": [
        segment("big", {"all": [{"employees": {"gte": 100}}, {"industry": "software"}]}),
        segment("hiring", {"all": [{"event": "hiring", "within": "90d"}, {"employees": {"gte": 10}}]}),
        segment("funded", {"event": "funding", "within": "90d"}),
    ],
    "fallback": {"name": "out", "play": "talk", "route": {"workflow": "out"}},
    "plays": {
        "talk": {
            "message": {"pain": "a", "value_prop": "b", "proof_points": ["c"]},
            "channels": {"primary": "email"},
        }
    },
}


def event(subject: str, day: int, kind: str, **data: Json) -> Json:
    return {
        "specversion": "1.0",
        "id": f"{subject}-{kind}-{day}",
        "source": "/test",
        "type": f"gtm.{kind}.v1",
        "subject": subject,
        "time": format_instant(day * DAY),
        "data": data,
    }


def find(events: list[Json], at: int = 200, older: int = 180, file: Json = FILE, **given: Any) -> StaleFinder:
    program = Program(definition_of(file))
    finder = StaleFinder(Engine(program), at * DAY, older * DAY, **given)
    for account, _ in backtest(program, facts_of(events), at * DAY):
        finder.take(account)
    return finder


def test_each_account_says_what_to_ask_for_and_what_it_could_change() -> None:
    finder = find(
        [
            event("a.com", 5, "firmographic", employees=500, industry="software"),
            event("b.com", 190, "firmographic", employees=500),
            event("c.com", 195, "hiring", change="opened"),
            event("d.com", 199, "firmographic", employees=500, industry="software"),
            event("e.com", 199, "firmographic", employees=5, industry="toys"),
        ]
    )
    old, unknown = format_instant(5 * DAY), None
    assert finder.ranked() == [
        StaleAccount(
            account="b.com",
            segment="out",
            attributes=(StaleAttribute(name="industry", known_at=unknown),),
            tests=("industry = software",),
            could_win="big",
        ),
        StaleAccount(
            account="c.com",
            segment="out",
            attributes=(
                StaleAttribute(name="employees", known_at=unknown),
                StaleAttribute(name="industry", known_at=unknown),
            ),
            tests=("employees >= 100", "industry = software", "employees >= 10"),
            could_win="big",
        ),
        StaleAccount(
            account="a.com",
            segment="big",
            attributes=(
                StaleAttribute(name="employees", known_at=old),
                StaleAttribute(name="industry", known_at=old),
            ),
            tests=("employees >= 100", "industry = software", "employees >= 10"),
            could_fall_to="out",
        ),
    ]


def test_each_test_says_for_how_many_accounts_it_cannot_tell() -> None:
    report = find(
        [
            event("a.com", 5, "firmographic", employees=500, industry="software"),
            event("b.com", 190, "firmographic", employees=5),
            event("c.com", 195, "funding", round="seed"),
        ]
    ).report()
    assert [(one.test, one.unjudged, one.old, one.could_change) for one in report.tests] == [
        ("industry = software", 2, 1, 2),
        ("employees >= 100", 1, 1, 2),
        ("employees >= 10", 1, 1, 0),
    ]
    assert (report.accounts, report.stale, report.could_change) == (3, 3, 2)


def test_null_is_an_answer_and_counts_as_known_until_it_is_old() -> None:
    told = [event("a.com", 190, "firmographic", employees=500, industry=None)]
    assert find(told).ranked() == []
    assert [one.account for one in find(told, older=5).ranked()] == ["a.com"]


def test_the_accounts_of_one_segment_are_those_in_it_and_those_that_could_come_into_it() -> None:
    finder = find(
        [event("a.com", 195, "hiring", change="opened"), event("b.com", 195, "funding", round="seed")]
    )
    assert [one.account for one in finder.report("funded").requests] == ["b.com"]
    assert [one.account for one in finder.report("big").requests] == ["a.com", "b.com"]


def test_only_the_accounts_that_matter_most_are_remembered_where_few_are_wanted() -> None:
    events = [event(f"company-{number}.com", 195, "hiring", change="opened") for number in range(3_000)]
    everything = find(events).ranked()
    assert find(events, keep=5).ranked() == everything[:5]


def test_a_min_dwell_that_runs_keeps_an_account_whatever_is_answered() -> None:
    held = {**FILE, "segments": [segment("big", {"employees": {"gte": 100}}, hold={"min_dwell": "365d"})]}
    told = [event("a.com", 5, "firmographic", employees=500)]
    (found,) = find(told, file=held).ranked()
    assert (found.could_win, found.could_fall_to) == (None, None)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), older=st.sampled_from([0, 30, 3_000]))
def test_no_account_could_come_into_a_segment_that_no_values_of_its_tests_lead_to(
    seed: int, older: int
) -> None:
    file, events, files = generate(seed, extended=True)
    program = Program(definition_of(file, files))
    facts = facts_of(events)
    t = max(fact.recorded for fact in facts)
    engine = Engine(program)
    for account, _ in backtest(program, facts, t):
        finder = StaleFinder(engine, t, older * DAY)
        found = finder.take(account)
        if found is None:
            continue
        tests = [
            number
            for part, number in program.conditions.items()
            if number < program.plain and isinstance(part, Compare) and str(part) in found.tests
        ]
        if len(tests) > MOST:
            continue
        current = program.numbers[found.segment]
        possible = set()
        for values in product((True, False, None), repeat=len(tests)):
            account.untils[:] = [-1] * len(account.untils)
            account.next_leaf = -1
            engine.evaluate(account, t)
            for number, value in zip(tests, values, strict=True):
                account.values[number] = value
            possible.add(program.segments[engine.place(account, t, current)].name)
        named = {found.could_win, found.could_fall_to} - {None}
        assert (seed, found.account, named - possible) == (seed, found.account, set())


def test_a_report_is_as_its_schema_says() -> None:
    report = find([event("a.com", 195, "hiring", change="opened")]).report()
    described = orjson.loads(msgspec.json.encode(describe_report(report)))
    Draft202012Validator(stale_schema()).validate(described)
    assert described["requests"][0]["attributes"][0] == {"name": "employees", "known_at": None}
