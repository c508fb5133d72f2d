"""What an account forgets, and what it must not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from resegment.schemas.fact import Fact
from resegment.schemas.logs.state_log import decode_state
from resegment.segmentation.definition import read_definition
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Limits, Program
from resegment.segmentation.inspection.explain import explain

DAY = 86_400_000
FILE = """
version: 1
segments:
  - name: taken
    when: {WHEN}
    play: p
    route: {workflow: a}
fallback: {name: rest, play: p, route: {workflow: b}}
plays:
  p: {message: {pain: x, value_prop: x, proof_points: [x]}, channels: {primary: email}}
"""


def engine(when: str, facts: int = 2_000) -> Engine:
    definition = read_definition([("segments.yaml", FILE.replace("{WHEN}", when))])
    return Engine(Program(definition, Limits(facts=facts)))


def fact(fact_id: str, day: int, kind: Any = "funding", op: Any = "assert", **given: Any) -> Fact:
    record = given.pop("record", fact_id)
    return Fact(
        account="acme.com", kind=kind, id=fact_id, source="/s", record=record, op=op,
        time=day * DAY, recorded=day * DAY, data=given,
    )  # fmt: skip


def learn(judge: Engine, account: Account, day: int, *facts: Fact) -> str | None:
    judge.advance(account, day * DAY - 1)
    judge.apply_facts(account, facts, day * DAY)
    return account.state.membership.segment


@pytest.mark.parametrize(
    ("when", "kind", "data"),
    [
        ("{event: funding, where: {round: seed}}", "funding", {"round": "seed"}),
        ("{employees: {gte: 50}}", "firmographic", {"employees": 60}),
        ("{technologies: {has_any: [crm]}}", "tech", {"change": "added", "technology": "crm"}),
    ],
)
@pytest.mark.parametrize("revision", ["retracted", "corrected"])
def test_a_redelivery_brings_nothing_back_however_late(
    when: str, kind: str, data: dict[str, Any], revision: str
) -> None:
    judge = engine(when)
    account = judge.open("acme.com")
    original = fact("a", 0, kind, **data)
    assert learn(judge, account, 0, original) == "taken"
    op = "retract" if revision == "retracted" else "assert"
    other: dict[str, Any] = {"round": "grant"} if kind == "funding" else {}
    assert learn(judge, account, 1, fact("b", 1, kind, op, record="a", **other)) == "rest"
    for day in range(2, 202):
        learn(judge, account, day, fact(f"n{day}", day, "strategy", theme="x"))
    assert learn(judge, account, 300, original) == "rest"


def test_what_can_count_no_more_is_forgotten() -> None:
    judge = engine("{event: funding, within: 30d}")
    account = judge.open("acme.com")
    for day in range(400):
        learn(judge, account, day, fact(f"f{day}", day, round="seed"))
    assert len(account.state.entries) < 80


def test_a_fact_that_the_cap_drops_counts_no_more_at_once() -> None:
    judge = engine("{event: funding, count: {gte: 4}}", facts=3)
    account = judge.open("acme.com")
    for day in range(6):
        learn(judge, account, day, fact(f"f{day}", day, round="seed"))
    again = judge.open("acme.com", decode_state(judge.encode(account)))
    assert learn(judge, again, 7, fact("x", 7, "strategy")) == account.state.membership.segment == "rest"
    assert explain(judge, account, 7 * DAY).dropped_by == {"funding": 3}


def test_the_cap_spares_the_snapshot_that_gives_an_attribute_its_value() -> None:
    judge = engine("{employees: {gte: 50}}", facts=3)
    account = judge.open("acme.com")
    learn(judge, account, 0, fact("first", 0, "firmographic", employees=60))
    for day in range(1, 8):
        segment = learn(judge, account, day, fact(f"n{day}", day, "firmographic", name=f"Name {day}"))
    assert segment == "taken"


def test_a_correction_that_no_test_counts_is_remembered_for_the_longest_window() -> None:
    judge = engine("{event: funding, within: 60d}")
    account = judge.open("acme.com")
    correction = msgspec.structs.replace(fact("b", 100, record="a"), time=0)
    assert learn(judge, account, 100, correction) == "rest"
    for day in range(101, 141):
        learn(judge, account, day, fact(f"n{day}", day, "strategy", theme="x"))
    late = fact("a", 99, record="a")
    assert learn(judge, account, 141, late) == "rest"


def test_a_correction_is_remembered_while_what_it_replaced_is_dated_ahead() -> None:
    judge = engine("{event: funding, within: 60d}")
    account = judge.open("acme.com")
    ahead = msgspec.structs.replace(fact("a", 100), time=300 * DAY)
    learn(judge, account, 100, ahead)
    learn(judge, account, 101, msgspec.structs.replace(fact("b", 101, record="a"), time=0))
    for day in range(150, 200):
        learn(judge, account, day, fact(f"n{day}", day, "strategy", theme="x"))
    learn(judge, account, 200, ahead)
    assert learn(judge, account, 301, fact("later", 301, "strategy", theme="x")) == "rest"


def test_an_account_holds_few_more_facts_than_its_tests_count() -> None:
    judge = engine("{event: funding, count: {gte: 4}}", facts=40)
    account = judge.open("acme.com")
    learn(judge, account, 0, fact("one", 0, "firmographic", name="Acme"))
    for day in range(1, 200):
        learn(judge, account, day, fact(f"f{day}", day, round="seed"))
        assert len(account.state.entries) <= 1 + 40 + 40


def test_only_fields_that_the_file_uses_are_kept() -> None:
    judge = engine("{event: funding, where: {round: seed}}")
    account = judge.open("acme.com")
    learn(judge, account, 0, fact("a", 0, round="seed", amount_usd=5))
    assert [entry.data for entry in account.state.entries] == [{"round": "seed"}]


def test_a_job_that_stays_open_is_not_forgotten_among_many_others() -> None:
    judge = engine("{open: hiring, where: {function: sales}}", facts=20)
    account = judge.open("acme.com")
    learn(judge, account, 1, fact("old", 1, "hiring", job="old", change="opened", function="sales"))

    for day in range(2, 60):
        change = "opened" if day % 2 else "closed"
        placed = learn(
            judge,
            account,
            day,
            fact(f"{day}", day, "hiring", job=f"{day // 4}", change=change, function="legal"),
        )

    assert placed == "taken"
    assert len(account.state.entries) <= 15 + 20 + 20


def test_a_rare_fact_is_not_forgotten_among_many_of_another_test() -> None:
    judge = engine("{event: engagement, where: {action: unsubscribe}}", facts=20)
    account = judge.open("acme.com")
    learn(judge, account, 1, fact("out", 1, "engagement", action="unsubscribe"))

    for day in range(2, 60):
        placed = learn(judge, account, day, fact(f"{day}", day, "engagement", action="page_view"))

    assert placed == "taken"


def test_a_follower_is_remembered_as_long_as_a_fact_before_it_can_count() -> None:
    judge = engine("{event: engagement, within: 30d, not_followed_by: {event: outcome}}")
    account = judge.open("acme.com")
    learn(judge, account, 1, fact("a", 1, "engagement"))
    learn(judge, account, 2, fact("b", 2, "outcome"))

    for day in range(3, 45):
        learn(judge, account, day, fact(f"{day}", day, "intent"))
    late = fact("late", 20, "engagement")
    placed = learn(judge, account, 45, late, fact("before", 1, "engagement"))

    assert placed == "taken"
    assert learn(judge, account, 46, fact("follows", 21, "outcome")) == "rest"


def test_a_follower_of_facts_without_a_window_is_never_forgotten() -> None:
    judge = engine("{event: engagement, not_followed_by: {event: outcome}}")
    account = judge.open("acme.com")
    learn(judge, account, 1, fact("a", 1, "engagement"))
    learn(judge, account, 2, fact("b", 2, "outcome"))

    placed = [learn(judge, account, day, fact(f"{day}", day, "intent")) for day in range(400, 450)]

    assert set(placed) == {"rest"}
    again = judge.open("acme.com", decode_state(judge.encode(account)))
    assert learn(judge, again, 451, fact("451", 451, "intent")) == "rest"


def test_the_latest_of_many_facts_says_whether_a_job_is_open() -> None:
    judge = engine("{open: hiring, count: 1}")
    account = judge.open("acme.com")
    for day in range(150):
        change = "closed" if day % 2 else "opened"
        placed = learn(judge, account, day, fact(f"{day}", day, "hiring", job="a", change=change))
        assert placed == ("rest" if day % 2 else "taken")


def test_an_empty_text_of_a_stored_signal_is_null() -> None:
    judge = engine("{plan: {exists: true}}")
    account = judge.open("acme.com")

    assert learn(judge, account, 1, fact("a", 1, "firmographic", plan=" pro ")) == "taken"
    assert learn(judge, account, 2, fact("b", 2, "firmographic", plan="  ")) == "rest"


def test_facts_of_one_time_fill_one_step_each() -> None:
    steps = "[{event: hiring, where: {function: sales}}, {event: hiring, where: {function: sales}}, {event: hiring}]"
    judge = engine(f"{{sequence: {steps}, within: 9d, order: loose}}")
    account = judge.open("acme.com")

    first = [fact(name, 1, "hiring", function=name[:5]) for name in ("sales-1", "legal-1", "legal-2")]
    assert learn(judge, account, 1, *first) == "rest"
    assert learn(judge, account, 2, fact("sales-2", 1, "hiring", function="sales")) == "taken"


@pytest.mark.parametrize(("before", "segment"), [(3_996, "taken"), (3_997, "rest")])
def test_a_text_is_read_up_to_a_length_and_kept_up_to_it(before: int, segment: str) -> None:
    judge = engine('{event: intent, where: {topic: {contains: "last"}}}')
    account = judge.open("acme.com")

    text = "x" * before + "last" + "y" * 250_000
    assert learn(judge, account, 1, fact("a", 1, "intent", topic=text)) == segment
    assert len(judge.encode(account)) < 4_200


def test_texts_inside_lists_and_maps_are_cut_too() -> None:
    judge = engine("{tags: {exists: true}}")
    account = judge.open("acme.com")

    learn(judge, account, 1, fact("a", 1, "firmographic", tags=["x" * 9_000, 5, {"y" * 9_000: "z" * 9_000}]))

    assert [entry.data for entry in account.state.entries] == [
        {"tags": ["x" * 4_000, 5, {"y" * 4_000: "z" * 4_000}]}
    ]


def test_many_long_texts_make_no_large_account() -> None:
    judge = engine("{event: intent, where: {topic: pricing}, count: {gte: 3}}")
    account = judge.open("acme.com")
    for day in range(200):
        learn(judge, account, day, fact(f"{day}", day, "intent", topic="x" * 250_000))

    assert len(judge.encode(account)) < 200 * 4_100


@pytest.mark.parametrize(
    ("again", "told"),
    [
        (fact("a", 0, kind="firmographic", employees=60), 0),
        (fact("a", 5, kind="firmographic", employees=60, unread=7), 0),
        (fact("a", 5, kind="firmographic", employees=10), 1),
        (fact("a", 5, kind="firmographic"), 1),
        (fact("a", 5, kind="funding", round="seed"), 1),
        (fact("a", 5, kind="firmographic", op="retract"), 1),
        (fact("b", 5, kind="firmographic", employees=10, record="a"), 0),
        (fact("b", 5, kind="firmographic", employees=10), 0),
    ],
)
def test_an_event_that_says_something_else_under_the_id_of_an_earlier_one_is_counted(
    again: Fact, told: int
) -> None:
    judge = engine("{employees: {gte: 50}}")
    account = judge.open("acme.com")
    learn(judge, account, 0, fact("a", 0, kind="firmographic", employees=60))
    learn(judge, account, 9, again)
    assert dict(judge.repeated) == ({"/s": 1} if told else {})


def test_an_older_revision_that_is_delivered_again_is_not() -> None:
    judge = engine("{employees: {gte: 50}}")
    account = judge.open("acme.com")
    first = fact("a", 0, kind="firmographic", employees=60)
    learn(judge, account, 0, first)
    learn(judge, account, 1, fact("b", 1, kind="firmographic", employees=10, record="a"))
    learn(judge, account, 2, first)
    assert dict(judge.repeated) == {}
