"""What `explain` says of the constructs that depend on other facts, conditions and files."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.console.definition.explanation import render
from resegment.schemas.fact import Fact
from resegment.schemas.times import parse_instant
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import order_of_delivery, replay_account
from resegment.segmentation.inspection.briefs import write_brief
from resegment.segmentation.inspection.explain import explain, explain_absence
from resegment.segmentation.inspection.explanation import Explanation
from tests.builders import Json, definition_of
from tests.events import read_fact
from tests.oracle.cases import segments

AT = parse_instant("2026-03-01T00:00:00Z")


def fact(kind: str, day: str, **data: Any) -> Fact:
    return read_fact(
        {
            "specversion": "1.0",
            "id": data.pop("id", f"{kind}-{day}"),
            "source": "crawler",
            "type": f"gtm.{kind}.v1",
            "subject": "acme.com",
            "time": f"{day}T00:00:00Z",
            "data": data,
        }
    )


def explained(file: Json, *facts: Fact, files: dict[str, str] | None = None) -> Explanation:
    engine = Engine(Program(definition_of(file, files)))
    account, _ = replay_account(engine, "acme.com", order_of_delivery(facts), AT)
    return explain(engine, account, AT)


def missing(when: Json, *facts: Fact, **keys: Json) -> str:
    return explain_absence(explained({**segments(wanted=when), **keys}, *facts), "wanted")


def test_the_fact_that_nearly_matches_is_named_with_what_is_wrong_about_it() -> None:
    when = {
        "event": "leadership",
        "where": {"change": "joined", "role": ["cro", "vp_sales"]},
        "within": "90d",
    }

    told = missing(
        when,
        fact("leadership", "2026-02-01", change="joined", role="head_of_sales"),
        fact("leadership", "2026-02-02", change="left", role="cfo"),
    )

    assert told.endswith("(found none; a leadership event is there, but its role is head_of_sales)")


def test_of_facts_that_are_equally_near_the_newest_is_named() -> None:
    told = missing(
        {"event": "intent", "where": {"topic": "crm"}},
        fact("intent", "2026-02-01", topic="erp"),
        fact("intent", "2026-02-02"),
    )

    assert told.endswith("(found none; an intent event is there, but its topic is unknown)")


def test_facts_outside_the_window_are_no_near_miss() -> None:
    told = missing(
        {"event": "intent", "where": {"topic": "crm"}, "within": "5d"},
        fact("intent", "2026-02-01", topic="erp"),
    )

    assert told.endswith("(found none)")


def test_a_fact_that_a_later_one_follows_is_named_with_it() -> None:
    when = {
        "event": "engagement",
        "where": {"action": "demo_request"},
        "not_followed_by": {"event": "outcome", "where": {"action": "meeting_booked"}},
    }

    told = missing(
        when,
        fact("engagement", "2026-02-01", action="demo_request"),
        fact("outcome", "2026-02-03", action="meeting_booked"),
    )

    assert (
        "an engagement event is there, but outcome (action = meeting_booked) followed on 2026-02-03" in told
    )


def test_a_trait_that_counts_nothing_has_a_near_miss_too() -> None:
    told = missing(
        {"jobs": {"gte": 1}},
        fact("hiring", "2026-02-01", function="legal"),
        traits={"jobs": {"count": "hiring", "where": {"function": "sales"}}},
    )

    assert told.endswith("(is 0; a hiring event is there, but its function is legal)")


def test_what_was_closed_last_is_named_where_nothing_is_open() -> None:
    told = missing(
        {"open": "hiring"},
        fact("hiring", "2026-02-01", change="opened", job="7"),
        fact("hiring", "2026-02-03", change="closed", job="7"),
    )

    assert "the latest of job 7 is of 2026-02-03T00:00:00Z, whose change is closed" in told


def test_a_value_that_grew_old_is_said_to_be_old() -> None:
    told = missing(
        {"employees": {"gte": 50, "known_within": "10d"}}, fact("firmographic", "2026-01-01", employees=60)
    )

    assert told.endswith("(employees of the last 10d unknown)")


def test_a_score_is_explained_by_its_terms() -> None:
    traits = {
        "readiness": {
            "score": [
                {"when": {"event": "funding"}, "points": 30},
                {"when": {"employees": {"gte": 50}}, "points": 10},
            ]
        }
    }

    found = explained(
        {**segments(wanted={"readiness": {"gte": 40}}), "traits": traits},
        fact("firmographic", "2026-02-01", employees=60),
    )

    node = found.segments[0].condition
    assert node is not None
    assert node.measured == 10
    assert [(term.text, term.value, term.parts[0].text) for term in node.parts] == [
        ("+30 points", False, "funding"),
        ("+10 points", True, "employees >= 50"),
    ]


def test_a_score_that_is_too_low_names_the_terms_that_are_not_true() -> None:
    traits = {
        "readiness": {
            "score": [
                {
                    "when": {"any": [{"event": "funding"}, {"not": {"employees": 60, "country": "US"}}]},
                    "points": 30,
                },
                {"when": {"employees": 60}, "points": 10},
                {"when": {"event": "hiring"}, "points": -5},
            ]
        }
    }

    told = missing(
        {"readiness": {"gte": 40}},
        fact("firmographic", "2026-02-01", employees=60, country="US"),
        traits=traits,
    )

    assert told == (
        "wanted needs readiness >= 40 (is 10; +30 if funding or not (employees = 60 and country = US))"
    )


def test_a_named_condition_is_explained_by_its_tests() -> None:
    found = explained(
        {**segments(wanted={"condition": "fit"}), "conditions": {"fit": {"employees": {"gte": 50}}}},
        fact("firmographic", "2026-02-01", employees=10),
    )

    assert explain_absence(found, "wanted") == "wanted needs employees >= 50 (is 10)"
    node = found.segments[0].condition
    assert node is not None
    assert [part.text for part in node.parts] == ["employees >= 50"]


def test_a_draft_is_explained_and_takes_nobody() -> None:
    file = segments(idea={"employees": 60})
    file["segments"][0]["status"] = "draft"

    found = explained(file, fact("firmographic", "2026-02-01", employees=60))

    assert found.segment != "idea"
    assert found.also_qualified == ()
    assert found.segments[0].value is True
    assert explain_absence(found, "idea") == "idea is a draft: it takes no account"


@pytest.mark.parametrize(
    "when",
    [
        {"open": "hiring"},
        {"condition": "fit"},
        {"score": {"gte": 1}},
        {"renewal_date": {"within_next": "90d"}},
        {"last": {"within_last": "90d"}},
        {"account": {"in_file": "a.txt"}},
        {"event": "hiring", "not_followed_by": {"event": "outcome"}},
        {"sequence": [{"event": "hiring"}, {"event": "funding"}], "within": "30d", "order": "loose"},
    ],
)
def test_each_construct_can_be_shown_and_told_in_a_brief(when: Json) -> None:
    file = {
        **segments(wanted=when),
        "conditions": {"fit": {"employees": {"gte": 50}}},
        "traits": {
            "score": {"score": [{"when": {"condition": "fit"}, "points": 1}]},
            "last": {"latest": "hiring", "field": "time"},
        },
    }
    facts = [
        fact("firmographic", "2026-02-01", employees=60, renewal_date="2026-04-01"),
        fact("hiring", "2026-02-10", change="opened", job="7"),
        fact("funding", "2026-02-10"),
    ]
    engine = Engine(Program(definition_of(file, {"a.txt": "www.acme.com"})))
    account, _ = replay_account(engine, "acme.com", order_of_delivery(facts), AT)

    found = explain(engine, account, AT)
    brief = write_brief(engine, account, AT)

    assert found.segment == "wanted"
    assert found.segments[0].condition is not None
    assert render(found)
    assert brief.why_now
