"""Explanations: why an account is where it is, what is missing elsewhere, and what comes next."""

import io
from typing import Any

import msgspec
import pytest
from rich.console import Console

from resegment.console.definition.explanation import render
from resegment.schemas.logs.state_log import encode_state
from resegment.schemas.times import parse_instant
from resegment.segmentation.definition import read_definition
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine, changes_in
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import order_of_delivery, replay_account
from resegment.segmentation.inspection.explain import describe_explanation, explain, explain_absence
from resegment.segmentation.inspection.explanation import Explanation, Node
from tests.events import read_fact

FILE = """
version: 1
traits:
  growth_1y: {growth: employees, over: 365d}
  per_head: {ratio: [revenue_usd, employees]}
  heat: {decay: intent, field: score, half_life: 7d}
segments:
  - name: new-sales-leader
    when:
      all:
        - {event: leadership, where: {change: joined, role: [cro, vp_sales]}, within: 90d}
        - employees: {gte: 50}
    hold: {min_dwell: 7d, cooldown: 30d}
    play: p
    route: {workflow: w1}
  - name: in-market
    when: {any: [{heat: {gte: 100}}, {all: [{event: engagement}, {event: intent}, {per_head: {gte: 9}}]}]}
    play: p
    route: {workflow: w2}
  - name: scaling
    when: {growth_1y: {gte: 0.25}}
    hold: {exit_when: {growth_1y: {lt: 0.1}}}
    play: p
    route: {workflow: w3}
  - name: large
    when: {employees: {gte: 50}}
    play: p
    route: {workflow: w4}
fallback: {name: not-ready, play: p}
plays: {p: {message: {pain: a, value_prop: b, proof_points: [c]}, channels: {primary: email}}}
"""


def fact(kind: str, day: str, **data: Any) -> Any:
    return read_fact(
        {
            "specversion": "1.0",
            "id": f"{kind}-{day}",
            "source": "crawler",
            "type": f"gtm.{kind}.v1",
            "subject": "acme.com",
            "time": f"{day}T09:00:00Z",
            "data": data,
        }
    )


HISTORY = [
    fact("firmographic", "2026-01-05", employees=60),
    fact("leadership", "2026-09-02", change="joined", role="cro"),
]


def replay(day: str, facts: list[Any] = HISTORY, file: str = FILE) -> tuple[Engine, Account, int]:
    engine = Engine(Program(read_definition([("segments.yaml", file)])))
    t = parse_instant(f"{day}T09:00:00Z")
    account, _ = replay_account(engine, "acme.com", order_of_delivery(facts), t)
    return engine, account, t


def explained(day: str, facts: list[Any] = HISTORY, file: str = FILE) -> Explanation:
    return explain(*replay(day, facts, file))


def standing(explanation: Explanation, name: str) -> Any:
    (found,) = [one for one in explanation.segments if one.name == name]
    return found


def part(node: Node, *places: int) -> Node:
    for place in places:
        node = node.parts[place]
    return node


def test_a_segment_and_since_when() -> None:
    found = explained("2026-09-20")

    assert (found.account, found.segment, found.since) == (
        "acme.com",
        "new-sales-leader",
        "2026-09-02T09:00:00Z",
    )
    assert found.at == "2026-09-20T09:00:00Z"


def test_each_test_has_its_value_its_window_and_its_evidence() -> None:
    condition = standing(explained("2026-09-20"), "new-sales-leader").condition

    event, employees = condition.parts
    assert (condition.kind, condition.value) == ("all", True)
    assert (event.kind, event.value, event.measured, event.window) == ("event", True, 1, "within 90d")
    assert event.until == "2026-12-01T09:00:00Z"
    assert event.evidence == (
        {
            "id": "leadership-2026-09-02",
            "kind": "leadership",
            "time": "2026-09-02T09:00:00Z",
            "source": "crawler",
            "data": {"change": "joined", "role": "cro"},
        },
    )
    assert (employees.kind, employees.value, employees.measured) == ("value", True, 60)
    assert [one["id"] for one in employees.evidence] == ["firmographic-2026-01-05"]


def test_what_is_unknown_is_named_down_to_the_attributes() -> None:
    found = explained("2026-09-20")

    assert standing(found, "scaling").condition.unknown == ("employees 365 days ago",)
    assert part(standing(found, "in-market").condition, 1, 2).unknown == ("revenue_usd",)


def test_the_fewest_tests_that_are_missing_for_a_higher_segment() -> None:
    found = explained("2026-08-01")

    assert found.segment == "large"
    assert [str(one) for one in standing(found, "new-sales-leader").misses] == [
        "leadership (change = joined, role in [cro, vp_sales]) within 90d (found none)"
    ]
    assert [one.test for one in standing(found, "in-market").misses] == ["heat >= 100"]


def test_a_fact_that_is_too_old_is_named_where_it_is_missed() -> None:
    found = explained("2026-12-24")

    (miss,) = standing(found, "new-sales-leader").misses
    assert miss.last is not None
    assert miss.last["id"] == "leadership-2026-09-02"
    assert part(standing(found, "new-sales-leader").condition, 0).evidence == ()


def test_a_test_that_must_not_be_true_is_missed_as_such() -> None:
    file = FILE.replace("when: {growth_1y: {gte: 0.25}}", "when: {not: {segment: large}}")

    (miss,) = standing(explained("2026-08-01", file=file), "scaling").misses

    assert (miss.test, miss.must, miss.value, str(miss)) == (
        "employees >= 50",
        False,
        True,
        "not: employees >= 50 (is 60)",
    )


def test_lower_segments_that_it_qualifies_for_too() -> None:
    assert explained("2026-09-20").also_qualified == ("large",)


def test_what_comes_with_no_news() -> None:
    coming = explained("2026-09-20").next

    assert coming is not None
    assert (coming.at, coming.from_, coming.to) == ("2026-12-01T09:00:00Z", "new-sales-leader", "large")
    (flip,) = coming.flips
    assert (flip.before, flip.after) == (True, False)
    assert [one["id"] for one in flip.evidence] == ["leadership-2026-09-02"]
    assert coming.text == (
        "leaves new-sales-leader on 2026-12-01T09:00:00Z for large, "
        "when leadership (change = joined, role = cro) of 2026-09-02T09:00:00Z turns 90 days old"
    )


def test_the_change_foretold_is_the_one_that_comes() -> None:
    engine, account, t = replay("2026-09-20")
    coming = explain(engine, account, t).next
    assert coming is not None

    at = parse_instant(coming.at)

    assert engine.advance(account, at - 1) == []
    assert [(one.to, one.effective_at) for one in changes_in(engine.advance(account, at))] == [
        (coming.to, at)
    ]


def test_time_alone_may_change_nothing() -> None:
    found = explained("2027-03-01")

    assert (found.next, found.outlook) == (None, "no change is due")


def test_a_value_of_the_past_that_moves_up_is_named() -> None:
    grown = [
        fact("firmographic", "2025-01-01", employees=40),
        fact("firmographic", "2026-06-01", employees=60),
    ]

    found = explained("2026-07-01", grown)

    assert found.segment == "scaling"
    assert found.outlook == (
        "leaves scaling on 2027-06-01T09:00:00Z for large, "
        "when firmographic (employees = 60) of 2026-06-01T09:00:00Z turns 365 days old"
    )


def test_a_sum_that_decays_is_foretold() -> None:
    found = explained("2026-01-10", [HISTORY[0], fact("intent", "2026-01-10", score=200)])

    assert found.segment == "in-market"
    assert found.outlook.startswith("leaves in-market on 2026-01-17T09:00:00")
    assert found.outlook.endswith("for large, when heat falls to 100")


def test_a_fact_dated_ahead_comes_due() -> None:
    facts = [HISTORY[0], HISTORY[1]]
    facts[1] = msgspec.structs.replace(facts[1], recorded=facts[0].recorded)

    found = explained("2026-02-01", facts)

    assert found.outlook.startswith(
        "leaves large on 2026-09-02T09:00:00Z for new-sales-leader, when leadership"
    )
    assert found.outlook.endswith("comes due")


def test_min_dwell_keeps_an_account_and_says_until_when() -> None:
    shrunk = fact("firmographic", "2026-09-04", employees=10)

    found = explained("2026-09-05", [*HISTORY, shrunk])

    (held,) = standing(found, "new-sales-leader").holds
    assert (found.segment, held.by, held.until) == ("new-sales-leader", "min_dwell", "2026-09-09T09:00:00Z")
    assert "kept by min_dwell until 2026-09-09T09:00:00Z" in found.summary
    assert found.outlook == (
        "leaves new-sales-leader on 2026-09-09T09:00:00Z for not-ready, "
        "when the min_dwell of new-sales-leader (7 days) ends"
    )


def test_a_cooldown_keeps_an_account_out_and_says_until_when() -> None:
    facts = [
        *HISTORY,
        fact("firmographic", "2026-10-01", employees=10),
        fact("firmographic", "2026-10-02", employees=60),
    ]

    found = explained("2026-10-05", facts)

    higher = standing(found, "new-sales-leader")
    assert (found.segment, higher.value, higher.misses) == ("large", True, ())
    assert [(one.by, one.until) for one in higher.holds] == [("cooldown", "2026-10-31T09:00:00Z")]
    assert found.outlook.endswith("when the cooldown of new-sales-leader (30 days) ends")
    assert "cannot take the account back until" in explain_absence(found, "new-sales-leader")


def test_exit_when_keeps_an_account() -> None:
    facts = [
        fact("firmographic", "2025-01-01", employees=100),
        fact("firmographic", "2026-06-01", employees=130),
        fact("firmographic", "2026-06-20", employees=115),
    ]

    found = explained("2026-07-01", facts)

    scaling = standing(found, "scaling")
    assert (found.segment, scaling.value, scaling.exit_when.value) == ("scaling", False, False)
    assert [one.by for one in scaling.holds] == ["exit_when"]
    assert "kept until exit_when is true" in found.summary


def test_an_account_that_is_explained_stays_as_it_is() -> None:
    engine, account, t = replay("2026-09-20")
    before = encode_state(engine.close(account)), list(account.values), account.deadline

    explain(engine, account, t)

    assert (encode_state(engine.close(account)), account.values, account.deadline) == before


def test_an_account_of_which_nothing_is_known_is_in_no_segment() -> None:
    engine, account, t = replay("2026-01-01")

    found = explain(engine, account, t)

    assert (found.segment, found.since, found.next) == (None, None, None)


def test_why_an_account_is_not_in_a_segment() -> None:
    found = explained("2026-09-20")

    assert explain_absence(found, "large") == "large is below new-sales-leader"
    assert explain_absence(found, "in-market") == "in-market needs heat >= 100 (is 0)"
    with pytest.raises(KeyError):
        explain_absence(found, "nowhere")


def test_an_explanation_is_plain_json() -> None:
    plain = describe_explanation(explained("2026-09-20"))

    again = msgspec.json.decode(msgspec.json.encode(plain))
    assert again["segments"][0]["condition"]["parts"][0]["evidence"][0]["data"] == {
        "change": "joined",
        "role": "cro",
    }
    assert again["next"]["from"] == "new-sales-leader"
    assert again["segments"][1]["condition"]["value"] is False


def test_a_terminal_shows_it_all_with_signs() -> None:
    facts = [
        fact("intent", "2026-09-01", score=120),
        *HISTORY,
        fact("engagement", "2026-09-03", action="demo_request"),
    ]
    output = io.StringIO()
    Console(file=output, width=130, color_system=None).print(render(explained("2026-12-05", facts)))

    assert [line.rstrip() for line in output.getvalue().splitlines()] == SHOWN.strip().splitlines()


SHOWN = """
acme.com at Dec 5, 2026, 9:00 AM UTC
├── ✓ in large since Dec 1, 2026, 9:00 AM UTC
│   └── ✓ employees >= 50  is 60
├── above it
│   ├── ✗ new-sales-leader
│   │   ├── ✗ needs leadership (change = joined, role in [cro, vp_sales]) within 90d (found none; the last one was on Sep 2, 2026,
│   │   │   9:00 AM UTC)
│   │   └── ⏸ cannot take the account back until Dec 31, 2026, 9:00 AM UTC (cooldown)
│   ├── ? in-market
│   │   └── needs one of these
│   │       ├── ✗ heat >= 100 (is 0.00985767)
│   │       └── ? per_head >= 9 (revenue_usd unknown)
│   └── ? scaling
│       └── ? needs growth_1y >= 0.25 (employees 365 days ago unknown)
└── next: no change is due
"""


def test_a_condition_that_is_not_met_never_carries_a_check_mark() -> None:
    file = """
version: 1
segments:
  - name: back-again
    when: {all: [{event: engagement, within: 7d}, {not: {event: engagement, ago: [7d, 90d]}}]}
    play: talk
    route: {workflow: calls}
fallback: {name: out, play: talk}
plays: {talk: {message: {pain: a, value_prop: b, proof_points: [c]}, channels: {primary: email}}}
"""
    facts = [fact("engagement", day, action="page_view") for day in ("2026-01-01", "2026-02-01")]
    output = io.StringIO()
    Console(file=output, width=100, color_system=None).print(
        render(explained("2026-02-01", facts, file=file))
    )
    (line,) = [line for line in output.getvalue().splitlines() if "needs" in line]
    assert "✗ needs not: engagement 7d to 90d ago (found 1)" in line


def test_an_account_that_never_moved_is_there_since_it_was_first_seen() -> None:
    assert "since 2026-01-05T09:00:00Z, when it was first seen" in explained("2026-01-06").summary
    assert "first seen" not in explained("2026-12-05").summary
