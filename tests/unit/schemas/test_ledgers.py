from __future__ import annotations

from typing import Any

import pytest

from resegment.schemas.fact import Fact
from resegment.schemas.outcomes.facts import OutcomeFact, to_outcome
from resegment.schemas.outcomes.ledger import (
    KEPT,
    MOST_BYTES,
    Dropped,
    LedgerItem,
    compact_ledger,
    decode_ledger,
    encode_ledger,
    is_crowded,
    join_ledgers,
)
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


def outcome(number: int, **more: Any) -> OutcomeFact:
    given = {
        "account": "a.com",
        "source": "crm",
        "record": f"r{number}",
        "id": f"i{number}",
        "recorded": number,
    }
    return OutcomeFact(**(given | {"at": number} | more))


def compacted(items: list[LedgerItem]) -> list[LedgerItem]:
    return decode_ledger(compact_ledger("a.com", encode_ledger(items)))


def test_compacting_keeps_what_holds_and_says_nothing_else_was_dropped() -> None:
    latest = outcome(1, id="later", recorded=9)
    found = compacted([*ITEMS, outcome(1), latest, outcome(1), ITEMS[0]])
    assert len(found) == 5
    assert {*found} == {*ITEMS, latest}


def test_compacting_drops_the_oldest_and_counts_them() -> None:
    items: list[LedgerItem] = [Dropped(account="a.com", count=5), *map(outcome, range(KEPT + 3)), ITEMS[0]]
    found = compacted(items)
    assert found == [Dropped(account="a.com", count=8), ITEMS[0], *map(outcome, range(3, KEPT + 3))]
    again = compacted([*found, outcome(KEPT + 3)])
    assert again[0] == Dropped(account="a.com", count=9)


def test_what_was_compacted_is_not_crowded_however_long_its_texts() -> None:
    items: list[LedgerItem] = [outcome(number, person="x" * 512, deal="y" * 512) for number in range(1_000)]
    value = encode_ledger(items)
    assert is_crowded(value)
    small = compact_ledger("a.com", value)
    assert not is_crowded(small)
    assert len(small) < MOST_BYTES
