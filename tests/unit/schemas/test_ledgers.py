from __future__ import annotations

import pytest

from resegment.schemas.fact import Fact
from resegment.schemas.outcomes.facts import OutcomeFact, to_outcome
from resegment.schemas.outcomes.ledger import decode_ledger, encode_ledger, join_ledgers
from resegment.schemas.outcomes.touch import Touch, TouchKey, TouchVoid

ITEMS = (
    Touch(touch="k1", account="a.com", at=1, segment="s", workflow="w", change="c1"),
    TouchVoid(account="a.com", at=1, change="c1"),
    TouchKey(account="a.com", at=2, key="k2", touch="k1"),
    OutcomeFact(account="a.com", source="crm", record="r", id="r", at=3, recorded=4, action="won"),
)


def fact(**data: object) -> Fact:
    return Fact(
        account="a.com", kind="outcome", id="i", source="crm", record="r", time=5, recorded=6, data=data
    )


def test_a_ledger_comes_back_as_it_was() -> None:
    assert decode_ledger(encode_ledger(ITEMS)) == list(ITEMS)


def test_appended_items_follow_those_that_are_there() -> None:
    assert decode_ledger(join_ledgers([encode_ledger(ITEMS[:3]), encode_ledger(ITEMS[3:])])) == list(ITEMS)


def test_an_outcome_keeps_what_the_contract_lists() -> None:
    kept = to_outcome(
        fact(
            action="won",
            amount=12,
            currency="EUR",
            deal="d",
            opened_at="2026-01-02",
            idempotency_key="k",
            other="x",
        )
    )
    assert kept == OutcomeFact(
        account="a.com",
        source="crm",
        record="r",
        id="i",
        at=5,
        recorded=6,
        action="won",
        amount=12.0,
        currency="EUR",
        deal="d",
        opened_at=1_767_312_000_000,
        key="k",
    )


def test_an_amount_in_dollars_is_one_in_dollars() -> None:
    assert to_outcome(fact(amount=5, currency="usd")).amount_usd == 5.0
    assert to_outcome(fact(amount=5, currency="EUR")).amount_usd is None
    assert to_outcome(fact(amount=5)).amount_usd is None


@pytest.mark.parametrize("odd", [True, "5", 10**400, float("nan"), float("inf"), [5], None])
def test_what_is_no_amount_is_left_out(odd: object) -> None:
    assert to_outcome(fact(amount=odd)).amount is None


def test_an_outcome_that_came_through_a_merge_is_of_the_account_that_it_was_sent_to() -> None:
    passed = Fact(
        account="new.com",
        kind="outcome",
        id="i",
        source="crm",
        record="r",
        time=5,
        recorded=6,
        op="retract",
        via=(("old.com", 1), ("mid.com", 2)),
    )
    assert (to_outcome(passed).account, to_outcome(passed).retracted) == ("old.com", True)
