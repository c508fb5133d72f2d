"""The limit of the facts that a test counts: what it drops, what it never drops, and that it depends on no order."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from resegment.console.definition.explanation import render
from resegment.schemas.fact import Fact
from resegment.schemas.logs.state_log import decode_state
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Limits, Program
from resegment.segmentation.inspection.explain import explain
from tests.builders import definition_of

HOUR = 3_600_000
DAY = 24 * HOUR
LIMIT = 10

PLAY = {"message": {"pain": "x", "value_prop": "x", "proof_points": ["x"]}, "channels": {"primary": "email"}}
SEGMENTS: list[Any] = [
    {"event": "engagement", "where": {"action": "page_view"}, "count": {"gte": 4}},
    {"event": "engagement", "within": "30d", "count": {"gte": 6}},
    {"event": "engagement", "where": {"action": "unsubscribe"}},
    {"open": "hiring", "count": {"gte": 3}},
    {"open": "hiring", "where": {"function": "sales"}},
    {"technologies": {"has_any": ["crm"]}},
    {"employees": {"gte": 50}},
    {"views": {"gte": 3}},
]


def file(*whens: Any) -> Any:
    segments = [
        {"name": f"s{number}", "when": when, "play": "p", "route": {"workflow": f"w{number}"}}
        for number, when in enumerate(whens)
    ]
    return {
        "version": 1,
        "traits": {"views": {"count": "engagement", "where": {"action": "demo_view"}, "within": "90d"}},
        "suppression": ["customers", "do-not-contact", "bounced", "open-opportunities"],
        "segments": segments,
        "fallback": {"name": "rest", "play": "p", "route": {"workflow": "rest"}},
        "plays": {"p": PLAY},
    }


def engine_of(*whens: Any, limit: int = LIMIT) -> Engine:
    return Engine(Program(definition_of(file(*whens)), Limits(facts=limit)))


def fact(fact_id: str, time: int, kind: Any, *, recorded: int | None = None, **given: Any) -> Fact:
    record, op = given.pop("record", fact_id), given.pop("op", "assert")
    return Fact(
        account="acme.com", kind=kind, id=fact_id, source="/s", record=record, op=op,
        time=time, recorded=time if recorded is None else recorded, data=given,
    )  # fmt: skip


def learn(engine: Engine, account: Account, *facts: Fact, at: int | None = None) -> None:
    for one in facts:
        now = one.recorded if at is None else at
        engine.advance(account, now - 1)
        engine.apply_facts(account, [one], now)


def text_of(shown: Any) -> str:
    console = Console(width=300, file=io.StringIO())
    with console.capture() as capture:
        console.print(shown)
    return capture.get()


def standing(engine: Engine, account: Account, at: int) -> Any:
    """What a restart must not change: each test's value, the segment, and the restrictions."""
    state = account.state
    engine.evaluate(account, at)
    return (
        account.values,
        state.membership.segment,
        state.active_gates,
        state.do_not_contact,
        state.limited,
        state.pruned,
        [one.id for one in state.entries],
    )


def test_no_number_of_page_views_pushes_out_an_unsubscribe() -> None:
    engine = engine_of(
        {"event": "engagement", "where": {"action": "unsubscribe"}, "within": "365d"}, limit=2_000
    )
    account = engine.open("acme.com")
    learn(engine, account, fact("out", 0, "engagement", action="unsubscribe"))
    for hour in range(1, 2_101):
        learn(engine, account, fact(f"{hour}", hour * HOUR, "engagement", action="page_view"))
        assert account.state.membership.segment == "s0"
    assert account.state.active_gates == ("suppress:do-not-contact",)


def test_no_number_of_sent_mails_pushes_out_a_won_deal() -> None:
    engine = engine_of({"employees": 5}, limit=2_000)
    account = engine.open("acme.com")
    learn(engine, account, fact("won", 0, "outcome", action="won"))
    for hour in range(1, 2_101):
        learn(engine, account, fact(f"{hour}", hour * HOUR, "outcome", action="sent"))
    assert account.state.active_gates == ("suppress:customers",)


@pytest.mark.parametrize("many", ["page_view", "demo_view"])
def test_a_tested_fact_stays_though_other_tests_count_many_of_its_kind(many: str) -> None:
    engine = engine_of(*SEGMENTS[:3], {"views": {"gte": 3}})
    account = engine.open("acme.com")
    learn(engine, account, fact("out", 0, "engagement", action="unsubscribe"))
    for hour in range(1, 300):
        learn(engine, account, fact(f"{hour}", hour * HOUR, "engagement", action=many))
    assert "out" in {one.id for one in account.state.entries}
    assert len(account.state.entries) <= 4 * LIMIT


def test_a_person_whose_mail_arrives_again_stays_so_however_much_mail_of_others_arrives() -> None:
    engine = engine_of({"employees": 5})
    account = engine.open("acme.com")
    learn(engine, account, fact("b", 0, "outcome", action="bounced", person="jo"))
    learn(engine, account, fact("o", HOUR, "outcome", action="opened", person="jo"))
    for hour in range(2, 300):
        learn(engine, account, fact(f"{hour}", hour * HOUR, "outcome", action="opened", person="al"))
    assert account.state.do_not_contact == ()


def test_a_technology_stays_though_many_others_come_and_go() -> None:
    engine = engine_of({"technologies": {"has_any": ["crm"]}})
    account = engine.open("acme.com")
    learn(engine, account, fact("crm", 0, "tech", change="added", technology="crm"))
    for hour in range(1, 300):
        change = "added" if hour % 2 else "removed"
        learn(engine, account, fact(f"{hour}", hour * HOUR, "tech", change=change, technology=f"t{hour % 3}"))
    assert account.state.membership.segment == "s0"


def test_a_correction_that_no_test_reads_keeps_out_what_it_corrected() -> None:
    engine = engine_of({"event": "funding", "where": {"round": "seed"}})
    account = engine.open("acme.com")
    first = fact("a", 0, "funding", round="seed")
    learn(engine, account, first, fact("b", 1, "funding", record="a", round="grant"))
    for hour in range(1, 300):
        learn(engine, account, fact(f"{hour}", hour * HOUR, "funding", round="other"))
    learn(engine, account, first, at=300 * HOUR)
    assert account.state.membership.segment == "rest"


def test_an_explanation_names_the_tests_that_dropped_facts() -> None:
    engine = engine_of(*SEGMENTS[:3])
    account = engine.open("acme.com")
    for hour in range(60):
        learn(engine, account, fact(f"{hour}", hour * HOUR, "engagement", action="page_view"))
    learn(engine, account, *(fact(f"f{hour}", hour, "funding") for hour in range(60)), at=61 * HOUR)

    found = explain(engine, account, 61 * HOUR)

    assert found.dropped_by["engagement (action = page_view)"] == 50
    assert found.dropped == sum(found.dropped_by.values())
    shown = text_of(render(found))
    assert (
        "50 older facts dropped, because the account has too many: engagement (action = page_view)" in shown
    )
    assert "older facts dropped, because the account has too many: funding facts that no test reads" in shown
    assert 0 < engine.dropped["engagement (action = page_view)"] <= 50
    assert engine.crowded["engagement (action = page_view)"] == 1


def test_a_limit_that_drops_nothing_says_nothing() -> None:
    engine = engine_of(*SEGMENTS)
    account = engine.open("acme.com")
    for hour in range(LIMIT):
        learn(engine, account, fact(f"{hour}", hour * HOUR, "engagement", action="page_view"))
    assert explain(engine, account, LIMIT * HOUR).dropped_by == {}


VIEW = {"event": "engagement", "where": {"action": "page_view"}}


TRAITS = {
    "how_many": {"count": "engagement", "where": VIEW["where"]},
    "total": {"sum": "engagement", "field": "amount", "where": VIEW["where"]},
    "first": {"earliest": "engagement", "field": "amount", "where": VIEW["where"]},
    "growing": {"growth": "employees", "over": "12h"},
}


@pytest.mark.parametrize("again", [False, True])
def test_tests_and_traits_read_the_newest_facts_alone(again: bool) -> None:
    counts = [{**VIEW, "count": {"lte": LIMIT}}, {**VIEW, "within": "365d", "count": {"lte": LIMIT}}]
    traits = [{name: {"lte": 5}} for name in TRAITS]
    engine = Engine(
        Program(
            definition_of({**file({"all": [*counts, {"any": traits}]}), "traits": TRAITS}),
            Limits(facts=LIMIT),
        )
    )
    account = engine.open("acme.com")
    for number in range(1, 40):
        view = fact(f"{number}", number * HOUR, "engagement", action="page_view", amount=number)
        learn(engine, account, view, fact(f"s{number}", number * HOUR, "firmographic", employees=number))
        if again:
            account = engine.open("acme.com", decode_state(engine.encode(account)))
        newest = range(max(1, number - LIMIT + 1), number + 1)
        values = {name: engine.program.measure(name).value(account, number * HOUR) for name in TRAITS}
        assert values == {"how_many": len(newest), "total": sum(newest), "first": newest[0], "growing": None}
        engine.evaluate(account, number * HOUR)
        assert [account.values[engine.program.conditions[one]] for one in engine.program.conditions][:2] == [
            True
        ] * 2


@pytest.mark.parametrize("how", [{}, {"gap": "100d"}, {"order": "loose"}])
def test_a_sequence_is_made_of_the_newest_facts_of_each_step(how: Any) -> None:
    engine = engine_of({"sequence": [VIEW, {"event": "intent"}], "within": "365d", **how})
    account = engine.open("acme.com")
    learn(engine, account, fact("between", 5 * DAY + HOUR, "intent", recorded=0))
    for number in range(1, 40):
        learn(engine, account, fact(f"{number}", number * DAY, "engagement", action="page_view"))
        assert account.state.membership.segment == ("s0" if 5 < number < 15 else "rest"), number


# Laws

ACTIONS = ["page_view", "demo_view", "unsubscribe", "sent", "resubscribed"]
TIMES = st.integers(0, 40)


@st.composite
def a_fact(draw: Any, number: int) -> Fact:
    kind = draw(st.sampled_from(["engagement", "engagement", "outcome", "hiring", "tech", "firmographic"]))
    data: dict[str, Any] = {}
    if kind == "engagement":
        data = {"action": draw(st.sampled_from(ACTIONS))}
    elif kind == "outcome":
        data = {
            "action": draw(st.sampled_from(["sent", "won", "bounced", "opened"])),
            "person": draw(st.sampled_from(["jo", "al", ""])),
        }
    elif kind == "hiring":
        data = {
            "job": draw(st.sampled_from("abcdefgh")),
            "change": draw(st.sampled_from(["opened", "closed"])),
            "function": draw(st.sampled_from(["sales", "legal"])),
        }
    elif kind == "tech":
        data = {
            "technology": draw(st.sampled_from(["crm", "erp"])),
            "change": draw(st.sampled_from(["added", "removed"])),
        }
    else:
        data = {"employees": draw(st.sampled_from([10, 60]))}
    return fact(f"{number}", draw(TIMES) * DAY, kind, recorded=41 * DAY, **data)


@st.composite
def facts(draw: Any) -> list[Fact]:
    return [draw(a_fact(number)) for number in range(draw(st.integers(20, 90)))]


@given(known=facts(), draw=st.randoms(use_true_random=False))
def test_the_order_in_which_facts_become_known_makes_no_difference_to_what_counts(
    known: list[Fact], draw: Any
) -> None:
    engine = engine_of(*SEGMENTS)
    found = []
    for _ in range(2):
        account = engine.open("acme.com")
        draw.shuffle(known)
        for place, one in enumerate(known):
            learn(engine, account, one, at=41 * DAY + place)
        engine.advance(account, 42 * DAY)
        engine.evaluate(account, 42 * DAY)
        found.append((account.values, account.state.active_gates, account.state.do_not_contact))
    assert found[0] == found[1]


@given(known=facts(), draw=st.randoms(use_true_random=False))
def test_an_account_that_is_stored_and_read_after_each_fact_is_as_one_that_stays_in_memory(
    known: list[Fact], draw: Any
) -> None:
    engine = engine_of(*SEGMENTS)
    kept, stored = engine.open("acme.com"), engine.open("acme.com")
    for place, one in enumerate(known):
        given_facts = [one]
        if draw.random() < 0.2:
            old = draw.choice(known[: place + 1])
            given_facts.append(
                fact(
                    f"r{place}",
                    old.time,
                    old.kind,
                    record=old.record,
                    op=draw.choice(["assert", "retract"]),
                    **old.data,
                )
            )
        at = 41 * DAY + place * 6 * HOUR
        learn(engine, kept, *given_facts, at=at)
        learn(engine, stored, *given_facts, at=at)
        stored = engine.open("acme.com", decode_state(engine.encode(stored)))
        assert standing(engine, kept, at) == standing(engine, stored, at)


@given(known=facts(), draw=st.randoms(use_true_random=False))
def test_tests_that_ask_for_few_facts_say_the_same_with_and_without_a_limit(
    known: list[Fact], draw: Any
) -> None:
    limited, free = engine_of(*SEGMENTS), engine_of(*SEGMENTS, limit=2_000)
    one, other = limited.open("acme.com"), free.open("acme.com")
    for place, given_fact in enumerate(known):
        at = 41 * DAY + place * draw.choice([1, HOUR, DAY])
        at = max(at, one.state.entries[-1].known) if one.state.entries else at
        learn(limited, one, given_fact, at=at)
        learn(free, other, given_fact, at=at)
        assert one.values == other.values
        assert (one.state.active_gates, one.state.do_not_contact) == (
            other.state.active_gates,
            other.state.do_not_contact,
        )


@given(known=facts())
def test_an_account_holds_no_more_than_its_tests_count_and_half_as_much_again(known: list[Fact]) -> None:
    engine = engine_of(SEGMENTS[0])
    account = engine.open("acme.com")
    for place, one in enumerate(known * 3):
        learn(engine, account, fact(f"{place}", place * HOUR, one.kind, **one.data))
    # Those that the suppressions and the segment read, and those of the five kinds that nothing reads.
    readers = len(engine.program.watchers)
    assert len(account.state.entries) <= (readers + 6) * LIMIT * 3 // 2
