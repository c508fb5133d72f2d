"""On the absence of which kinds of events a change rests."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.schemas.times import parse_instant
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.leaves.absence import find_absent
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import order_of_delivery, replay_account
from tests.builders import definition_of, facts_of
from tests.oracle.cases import segments
from tests.oracle.generate.reports import REPORTED, counting_file, report, reports

Json = Any
HIRING, FUNDING = {"event": "hiring"}, {"event": "funding"}
EVENTS = [
    ("firmographic", 0, {"employees": 10}),
    ("funding", 0, {"round": "seed", "amount_usd": 5}),
    ("tech", 0, {"change": "added", "technology": "dbt"}),
]


def event(number: int, kind: str, day: int, data: Json) -> Json:
    return {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "crawler",
        "type": f"gtm.{kind}.v1",
        "subject": "acme.com",
        "time": f"2026-01-{day + 1:02}T00:00:00Z",
        "data": data,
    }


def changes_of(file: Json, events: Any = EVENTS) -> list[tuple[str | None, tuple[str, ...]]]:
    """Where the account went, and on what absence each change rests."""
    facts = facts_of(event(number, *one) for number, one in enumerate(events))
    _, changes = replay_account(Engine(Program(definition_of(file))), "acme.com", order_of_delivery(facts))
    return [(change.to, change.absent) for change in changes]


START = parse_instant("2024-01-01T00:00:00Z")  # of generated reports
TRAITS: Json = {
    "rounds": {"count": "funding"},
    "roles": {"count": "hiring"},
    "last_hire": {"latest": "hiring", "field": "time"},
    "last_round": {"latest": "funding", "field": "round"},
    "least": {"min": "funding", "field": "amount_usd"},
    "heat": {"decay": "intent", "half_life": "5d"},
    "fit": {"score": [{"when": {"not": HIRING}, "points": 5}, {"when": FUNDING, "points": 5}]},
    "good": {"score": [{"when": FUNDING, "points": 5}, {"when": HIRING, "points": -9}]},
}


@pytest.mark.parametrize(
    ("when", "absent"),
    [
        (FUNDING, ()),
        ({"not": HIRING}, ("hiring",)),
        ({"not": {"not": FUNDING}}, ()),
        ({**FUNDING, "count": {"lte": 3}}, ("funding",)),
        ({**FUNDING, "count": {"lt": 3}}, ("funding",)),
        ({**FUNDING, "count": 1}, ("funding",)),
        ({**FUNDING, "count": {"gte": 1}}, ()),
        ({"not": {**FUNDING, "count": {"gte": 2}}}, ("funding",)),
        ({"not": {**FUNDING, "count": {"lte": 0}}}, ()),
        ({**FUNDING, "not_followed_by": HIRING}, ("hiring",)),
        ({"not": {"sequence": [FUNDING, HIRING], "within": "9d"}}, ("funding", "hiring")),
        ({"open": "hiring", "count": 0}, ("hiring",)),
        ({"roles": {"lte": 0}}, ("hiring",)),
        ({"rounds": {"gte": 1}}, ()),
        ({"rounds": {"between": [1, 2]}}, ("funding",)),
        ({"last_hire": {"exists": False}}, ("hiring",)),
        ({"last_round": "seed"}, ()),
        ({"least": {"gte": 5}}, ("funding",)),
        ({"least": {"lte": 5}}, ()),
        ({"heat": {"lte": 1}}, ("intent",)),
        ({"employees": {"gte": 5}}, ()),
        ({"industry": {"exists": False}}, ("firmographic",)),
        ({"fit": {"gte": 10}}, ("hiring",)),
        ({"good": {"gte": 5}}, ("hiring",)),
        ({"fit": {"gte": 5}}, ("hiring",)),
        ({"all": [FUNDING, {"not": HIRING}, {"not": {"event": "intent"}}]}, ("hiring", "intent")),
        ({"any": [FUNDING, {"not": HIRING}]}, ()),
        ({"any": [{"not": FUNDING}, {"not": HIRING}]}, ("hiring",)),
        ({"any": [{"not": {"event": "intent"}}, {"not": HIRING}]}, ()),
        ({"condition": "quiet"}, ("hiring",)),
    ],
)
def test_a_change_rests_on_the_absence_of_events_of_which_one_more_would_have_prevented_it(
    when: Json, absent: tuple[str, ...]
) -> None:
    file = {**segments(TRAITS, true=when), "conditions": {"quiet": {"not": HIRING}}}
    assert changes_of(file)[-1] == ("true", absent)


def test_an_account_that_time_moves_down_rests_on_the_absence_of_what_the_higher_segment_asks_for() -> None:
    file = segments(funded={**FUNDING, "within": "9d"}, small={"employees": {"lt": 50}})
    assert changes_of(file) == [("funded", ()), ("small", ("funding",))]


def test_an_account_that_an_event_moves_down_does_not() -> None:
    file = segments(funded={"all": [FUNDING, {"employees": {"lt": 50}}]}, grown={"employees": {"gte": 50}})
    events = [*EVENTS, ("firmographic", 3, {"employees": 90})]
    assert changes_of(file, events) == [("funded", ()), ("grown", ())]


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_another_event_of_a_kind_that_a_membership_does_not_rest_on_leaves_it_true(seed: int) -> None:
    draw = random.Random(seed)
    file = counting_file(draw)
    del file["traits"]["newest"]  # the newest value is as another event says, like an attribute
    file["segments"] = [one for one in file["segments"] if "newest" not in str(one)] or [
        {"name": "any", "when": FUNDING, "play": "any", "route": {"workflow": "any"}}
    ]
    events = [one for one in reports(draw) if (one["data"].get("amount_usd") or 0) >= 0]
    facts = order_of_delivery(facts_of(events))
    engine = Engine(Program(definition_of(file)))
    program = engine.program
    until = max((fact.recorded for fact in facts), default=0) + 1
    for name in {fact.account for fact in facts}:
        mine = [fact for fact in facts if fact.account == name]
        latest = min(until, max(fact.time for fact in mine)) - START
        for number, when in enumerate(program.whens):
            account, _ = replay_account(engine, name, mine, until)
            engine.evaluate(account, until)
            if not when.is_true(account.values):
                continue
            absent = find_absent(program, account.values, -1, number, timed=False)
            more = [
                fact
                for kind in REPORTED
                if kind not in absent
                for fact in facts_of(report(draw, 900 + place, name, kind, latest) for place in range(4))
                if fact.data.get("amount_usd") is None or fact.data["amount_usd"] >= 0
            ]
            engine.fold_facts(account, more, until)
            engine.evaluate(account, until)
            assert when.is_true(account.values), (program.segments[number].when, absent)
