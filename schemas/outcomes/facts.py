"""An outcome as the router keeps it: what the event said, without what nobody counts.

Redis keeps outcomes as MessagePack arrays: append fields, never reorder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from resegment.schemas.fact import Fact
from resegment.schemas.times import read_moment

MOST_TEXT: Final = 512
"""How many characters of a text are kept."""

MOST_AMOUNT: Final = 1e15
"""A greater amount is no amount."""


class OutcomeFact(msgspec.Struct, array_like=True, frozen=True, kw_only=True, tag=3, gc=False):
    """One revision of one outcome; `at`, `recorded` and `opened_at` in ms.

    `(account, source, record)` identifies the outcome and `id` the revision; the one recorded last counts. `account` is the one
    that the event was sent to, also where that was merged into another one. `key` is the command that the outcome answers.
    """

    account: str
    source: str
    record: str
    id: str
    at: int
    recorded: int
    retracted: bool = False
    action: str | None = None
    person: str | None = None
    deal: str | None = None
    channel: str | None = None
    sequence: str | None = None
    amount: float | None = None
    currency: str | None = None
    amount_usd: float | None = None
    opened_at: int | None = None
    key: str | None = None
    stage: str | None = None


class Learned(msgspec.Struct, frozen=True, kw_only=True, tag="learned"):
    """Tell the router of every outcome of an account that became known, at `at` (ms): corrections and retractions too.

    `fact` is None where the outcome was sealed and its key is destroyed: the person is forgotten.
    """

    account: str
    at: int
    fact: OutcomeFact | None


def to_outcome(fact: Fact) -> OutcomeFact:
    """Return what is kept of a fact of the kind `outcome`. A value of another type than the contract has is left out."""
    data = fact.data
    amount, currency = _number(data, "amount"), _text(data, "currency")
    opened = data.get("opened_at")
    return OutcomeFact(
        account=fact.via[0][0] if fact.via else fact.account,
        source=fact.source,
        record=fact.record,
        id=fact.id,
        at=fact.time,
        recorded=fact.recorded,
        retracted=fact.op == "retract",
        action=_text(data, "action"),
        person=_text(data, "person"),
        deal=_text(data, "deal"),
        channel=_text(data, "channel"),
        sequence=_text(data, "sequence"),
        amount=amount,
        currency=currency,
        amount_usd=find_dollars(amount, currency, _number(data, "amount_usd")),
        opened_at=read_moment(opened) if isinstance(opened, str) else None,
        key=_text(data, "idempotency_key"),
        stage=_text(data, "stage"),
    )


def find_dollars(amount: float | None, currency: str | None, amount_usd: float | None) -> float | None:
    """Return the amount in dollars; None if nobody said it."""
    if amount_usd is None and currency is not None and currency.upper() == "USD":
        return amount
    return amount_usd


def _text(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    return value[:MOST_TEXT] or None if isinstance(value, str) else None


def _number(data: Mapping[str, Any], name: str) -> float | None:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -MOST_AMOUNT <= value <= MOST_AMOUNT else None
