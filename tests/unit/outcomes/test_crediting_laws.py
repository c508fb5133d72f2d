"""Credit against a naive crediter, and that it depends on what is known alone."""

from __future__ import annotations

import random
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.outcomes.dataset import Dataset
from resegment.schemas.outcomes.facts import OutcomeFact
from resegment.schemas.outcomes.ledger import LedgerItem
from resegment.schemas.outcomes.touch import Touch, TouchKey, TouchVoid
from tests.oracle.crediting import credit_naively

WINDOW = 5
ACCOUNTS = {"old.com": "a.com"}
accounts = st.sampled_from(["a.com", "b.com", "old.com"])
instants = st.integers(0, 12)


@st.composite
def touches(draw: st.DrawFn) -> Touch:
    account = draw(accounts)
    name = draw(st.sampled_from(["k1", "k2", "k3", "k4"]))
    return Touch(
        touch=f"{account}/{name}",
        account=account,
        at=draw(instants),
        segment=draw(st.sampled_from(["s1", "s2"])),
        workflow=draw(st.sampled_from(["w1", "w2"])),
        arm=draw(st.sampled_from(["enrolled", "enrolled", "holdout"])),
        change=f"{account}/{draw(st.sampled_from(['c1', 'c2']))}",
    )


@st.composite
def outcomes(draw: st.DrawFn) -> OutcomeFact:
    account = draw(accounts)
    recorded = draw(st.integers(0, 2))
    record = draw(st.sampled_from("pqrst"))
    return OutcomeFact(
        account=account,
        source=draw(st.sampled_from(["crm", "mail"])),
        record=record,
        id=f"{record}{recorded}",
        at=draw(instants),
        recorded=recorded,
        retracted=draw(st.sampled_from([False, False, False, True])),
        action=draw(st.sampled_from(["replied", "meeting_held", "opportunity_created", "won", "odd", None])),
        person=draw(st.sampled_from([None, "jo", "al"])),
        sequence=draw(st.sampled_from([None, "w1", "s-9"])),
        deal=draw(st.sampled_from([None, None, "d1", "d2"])),
        opened_at=draw(st.sampled_from([None, None, 1, 4, 20])),
        key=draw(st.sampled_from([None, None, f"{account}/k1", f"{account}/k9", f"{account}/r1"])),
    )


voids = st.builds(
    lambda account, at, change: TouchVoid(account=account, at=at, change=f"{account}/{change}"),
    accounts,
    instants,
    st.sampled_from(["c2", "c3"]),
)
keys = st.builds(
    lambda account, at, touch: TouchKey(
        account=account, at=at, key=f"{account}/r1", touch=f"{account}/{touch}"
    ),
    accounts,
    instants,
    st.sampled_from(["k1", "k2", "k7"]),
)
ledgers = st.lists(st.one_of(touches(), outcomes(), outcomes(), voids, keys), max_size=40)


def credit(items: list[LedgerItem]) -> Dataset:
    return Dataset.of(items, window=timedelta(milliseconds=WINDOW), accounts=ACCOUNTS)


def told(dataset: Dataset) -> dict[tuple[str, str, str], tuple[str | None, str | None, str | None]]:
    columns = ("account", "source", "record", "touch", "credited_by", "reason")
    return {
        (ACCOUNTS.get(account, account), source, record): credit
        for account, source, record, *credit in dataset.outcomes.select(columns).iter_rows()
    }


def unique(items: list[LedgerItem]) -> list[LedgerItem]:
    """Keep one of two revisions with the same id, and one of two touches with the same key and instant."""
    kept: dict[object, LedgerItem] = {}
    for one in items:
        match one:
            case OutcomeFact():
                name = ("o", ACCOUNTS.get(one.account, one.account), one.source, one.record, one.recorded)
            case Touch():
                name = ("t", one.touch)
            case _:
                name = one
        kept[name] = one
    return list(kept.values())


def throw(dice: random.Random, account: str) -> LedgerItem:
    """Return an item of an account at random, as the strategies draw it."""
    at, change = dice.randrange(13), f"{account}/{dice.choice(['c1', 'c2', 'c3'])}"
    key = f"{account}/{dice.choice(['k1', 'k2', 'k3', 'k4'])}"
    kind = dice.random()
    if kind < 0.05:
        return TouchVoid(account=account, at=at, change=f"{account}/{dice.choice(['c2', 'c4'])}")
    if kind < 0.1:
        return TouchKey(account=account, at=at, key=f"{account}/r{dice.randrange(2)}", touch=key)
    if kind < 0.35:
        arm, workflow = dice.choice(["enrolled", "enrolled", "holdout"]), dice.choice(["w1", "w2"])
        return Touch(
            touch=key, account=account, at=at, segment="s", workflow=workflow, arm=arm, change=change
        )
    recorded, record = dice.randrange(3), dice.choice("pqrstuv")
    return OutcomeFact(
        account=account,
        source=dice.choice(["crm", "mail"]),
        record=record,
        id=f"{record}{recorded if dice.random() < 0.8 else 0}",
        at=at,
        recorded=recorded,
        retracted=dice.random() < 0.15,
        action=dice.choice(["replied", "meeting_held", "opportunity_created", "won", "odd", None]),
        person=dice.choice([None, "jo", "al"]),
        sequence=dice.choice([None, "w1", "s-9"]),
        deal=dice.choice([None, None, "d1", "d2"]),
        opened_at=dice.choice([None, None, 1, 4, 20]),
        key=dice.choice([None, None, None, key, f"{account}/r1", f"{account}/k9"]),
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_naive_crediter_says_the_same_of_many_accounts(seed: int) -> None:
    dice = random.Random(seed)
    names = [f"a{number}.com" for number in range(800)] + ["a.com", "old.com"] * 20
    items = unique([throw(dice, name) for name in names for _ in range(dice.randrange(14))])
    naive = {name: list(one) for name, one in credit_naively(items, WINDOW, ACCOUNTS).items()}
    assert told(credit(items)) == naive


@settings(max_examples=40, deadline=None)
@given(ledgers)
def test_a_naive_crediter_says_the_same(items: list[LedgerItem]) -> None:
    items = unique(items)
    naive = {name: list(one) for name, one in credit_naively(items, WINDOW, ACCOUNTS).items()}
    assert told(credit(items)) == naive


@settings(max_examples=15, deadline=None)
@given(ledgers, st.randoms(use_true_random=False))
def test_the_order_and_repetitions_make_no_difference(items: list[LedgerItem], dice: random.Random) -> None:
    shuffled = [*items, *dice.choices(items, k=5)] if items else []
    dice.shuffle(shuffled)
    first, second = credit(items), credit(shuffled)
    assert first.outcomes.equals(second.outcomes)
    assert first.touches.equals(second.touches)


@settings(max_examples=15, deadline=None)
@given(ledgers, outcomes())
def test_a_retraction_takes_an_outcome_back(items: list[LedgerItem], one: OutcomeFact) -> None:
    items = [other for other in items if not is_same(other, one)]
    asserted = OutcomeFact(**{**fields(one), "retracted": False, "recorded": 5})
    retraction = OutcomeFact(
        account=one.account, source=one.source, record=one.record, id="z", at=0, recorded=6, retracted=True
    )
    assert credit([*items, asserted, retraction]).outcomes.equals(credit(items).outcomes)
    assert credit([retraction, *items, asserted]).outcomes.equals(credit(items).outcomes)


@settings(max_examples=15, deadline=None)
@given(ledgers, outcomes(), outcomes())
def test_a_correction_counts_as_if_nothing_else_had_been_said(
    items: list[LedgerItem], one: OutcomeFact, other: OutcomeFact
) -> None:
    items = [known for known in items if not is_same(known, one)]
    same = {"account": one.account, "source": one.source, "record": one.record, "retracted": False}
    before = OutcomeFact(**{**fields(other), **same, "recorded": 5, "id": "z"})
    after = OutcomeFact(**{**fields(one), **same, "recorded": 6})
    assert credit([*items, after, before]).outcomes.equals(credit([*items, after]).outcomes)


@settings(max_examples=15, deadline=None)
@given(ledgers)
def test_every_outcome_has_either_a_touch_or_a_reason(items: list[LedgerItem]) -> None:
    found = credit(items)
    frame = found.outcomes
    assert frame.filter(pl.col("touch").is_null() != pl.col("reason").is_not_null()).is_empty()
    assert frame.filter(pl.col("touch").is_null() != pl.col("credited_by").is_null()).is_empty()
    assert set(frame["touch"].drop_nulls()) <= set(found.touches["touch"])


def fields(one: OutcomeFact) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def is_same(one: LedgerItem, other: OutcomeFact) -> bool:
    return isinstance(one, OutcomeFact) and (
        ACCOUNTS.get(one.account, one.account),
        one.source,
        one.record,
    ) == (ACCOUNTS.get(other.account, other.account), other.source, other.record)
