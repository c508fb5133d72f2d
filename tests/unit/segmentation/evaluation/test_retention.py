"""What an account keeps for one program, and for several."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.schemas.fact import Fact
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Limits, Program
from resegment.segmentation.evaluation.retention import Retention
from tests.builders import definition_of

DAY = 86_400_000


def program(when: Any, facts: int = 2_000, **given: Any) -> Program:
    play = {
        "message": {"pain": "x", "value_prop": "x", "proof_points": ["x"]},
        "channels": {"primary": "email"},
    }
    route = {"workflow": "a"}
    file = {
        "version": 1,
        **given,
        "segments": [{"name": "taken", "when": when, "play": "p", "route": route}],
        "fallback": {"name": "rest", "play": "p", "route": {"workflow": "b"}},
        "plays": {"p": play},
    }
    return Program(definition_of(file), Limits(facts=facts))


def fact(fact_id: str, day: int, kind: Any = "funding", **data: Any) -> Fact:
    return Fact(
        account="acme.com", kind=kind, id=fact_id, source="/s", record=fact_id, op="assert",
        time=day * DAY, recorded=day * DAY, data=data,
    )  # fmt: skip


def learn(engine: Engine, account: Account, day: int, *facts: Fact) -> str | None:
    engine.advance(account, day * DAY - 1)
    engine.apply_facts(account, facts, day * DAY)
    return account.state.membership.segment


SEED = program({"event": "funding", "where": {"round": "seed"}, "within": "30d"})
LARGE = program({"event": "funding", "where": {"amount_usd": {"gte": 5}}, "within": "200d"})


def test_an_account_keeps_the_fields_that_any_of_the_programs_reads() -> None:
    engine = Engine(SEED, Retention(SEED, LARGE))
    account = engine.open("acme.com")

    learn(engine, account, 0, fact("a", 0, round="seed", amount_usd=5, currency="EUR"))

    assert [entry.data for entry in account.state.entries] == [{"round": "seed", "amount_usd": 5}]


@pytest.mark.parametrize(
    ("retention", "segment"), [(Retention(SEED), "rest"), (Retention(SEED, LARGE), "taken")]
)
def test_a_fact_is_kept_for_as_long_as_any_of_the_programs_can_count_it(
    retention: Retention, segment: str
) -> None:
    engine, later = Engine(SEED, retention), Engine(LARGE)
    account = engine.open("acme.com")
    learn(engine, account, 0, fact("a", 0, round="seed", amount_usd=5))
    for day in range(60, 110):
        learn(engine, account, day, fact(f"{day}", day, round="a"))

    later.reopen(account)

    assert learn(later, account, 110) == segment


def test_an_account_that_is_opened_again_counts_as_one_that_another_program_has_read_from_the_start() -> None:
    engine, later = Engine(SEED, Retention(SEED, LARGE)), Engine(LARGE)
    account, other = engine.open("acme.com"), later.open("acme.com")
    for day in range(40):
        given = fact(f"{day}", day, round="seed" if day % 2 else "a", amount_usd=day)
        learn(engine, account, day, given)
        learn(later, other, day, given)

    later.reopen(account)
    learn(later, account, 40)
    learn(later, other, 40)

    assert account.state.membership.segment == other.state.membership.segment == "taken"
    assert (account.values, account.untils, account.deadline) == (other.values, other.untils, other.deadline)


def test_an_account_that_is_opened_again_reads_attributes_by_the_types_of_the_other_program() -> None:
    plain = program({"plan": "pro"})
    typed = program({"plan": {"gte": 3}}, attributes={"plan": "number"})
    engine, later = Engine(plain), Engine(typed)
    account = engine.open("acme.com")
    learn(engine, account, 0, fact("a", 0, "firmographic", plan="5"))

    later.reopen(account)

    assert learn(later, account, 1) == "taken"
    engine.reopen(account)
    assert account.state.entries[0].data == {"plan": "5"}


@pytest.mark.parametrize(
    ("retention", "covered"),
    [
        (Retention(SEED), True),
        (Retention(LARGE), False),
        (Retention(SEED, LARGE), False),
        (Retention(program({"event": "funding", "where": {"round": "seed"}, "within": "12h"})), True),
        (Retention(program({"event": "funding", "where": {"round": "seed"}, "within": "31d"})), False),
        (Retention(program({"event": "funding", "where": {"round": "seed"}})), False),
        (Retention(program({"event": "funding", "where": {"round": "a"}, "within": "20d"})), True),
        (Retention(program({"event": "funding", "where": {"amount_usd": 1}, "within": "20d"})), False),
        (Retention(program({"employees": 5})), False),
        (Retention(program({"technologies": {"has_any": ["crm"]}})), False),
        (
            Retention(
                program({"event": "funding", "where": {"round": "seed"}, "within": "30d"}, facts=3_000)
            ),
            False,
        ),
    ],
)
def test_a_retention_covers_another_whose_facts_it_keeps(retention: Retention, covered: bool) -> None:
    assert Retention(SEED).covers(retention) is covered
    assert Retention(SEED).extend(LARGE).covers(Retention(LARGE))


def test_a_retention_is_of_at_least_one_program() -> None:
    with pytest.raises(ValueError, match="needs a program"):
        Retention()
