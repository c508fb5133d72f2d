"""Read outcome events that are as they should be quickly: most are. Others are read as every event is."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import MAX_BYTES, decode_event
from resegment.schemas.events import Outcome
from resegment.schemas.fact import EARLIEST, LATEST
from resegment.schemas.outcomes.facts import OutcomeFact, find_dollars, to_outcome
from resegment.schemas.times import parse_instant, read_moment

MOST_REMEMBERED: Final = 1_000_000
"""Subjects whose account is remembered."""

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Text = Annotated[str, msgspec.Meta(max_length=256)] | None
_Number = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)] | None


class _Data(msgspec.Struct, frozen=True, gc=False):
    action: _Text = None
    person: _Text = None
    deal: _Text = None
    stage: _Text = None
    channel: _Text = None
    sequence: _Text = None
    amount: _Number = None
    currency: _Text = None
    amount_usd: _Number = None
    opened_at: _Text = None
    idempotency_key: _Text = None


class _Event(msgspec.Struct, frozen=True):
    specversion: Literal["1.0"]
    type: Literal["gtm.outcome.v1"]
    id: _Name
    source: _Name
    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    time: str
    data: _Data
    recordedtime: str | None = None
    record: _Name | None = None
    op: Literal["assert", "retract"] = "assert"


class OutcomeReader:
    """Reads the bytes of outcome events, one after the other. It remembers what subjects and actions mean."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_Event).decode
        self._accounts: dict[str, str] = {}
        self._actions: dict[str | None, str | None] = {}

    def read(self, value: bytes) -> OutcomeFact | None:
        """Return the outcome; None for an event of another kind. Raises RefusedEvent."""
        event = None
        if len(value) <= MAX_BYTES and value.count(b"{") == 2 and b"[" not in value:
            try:
                event = self._decode(value)
                time = parse_instant(event.time)
                recorded = time if event.recordedtime is None else parse_instant(event.recordedtime)
            except ValueError:  # another kind, or something is wrong with it: see below
                event = None
        if event is None or not EARLIEST <= time < LATEST or not EARLIEST <= recorded < LATEST:
            fact = resolve_event(decode_event(value))
            return to_outcome(fact) if fact.kind == "outcome" else None
        account = self._accounts.get(event.subject)
        if account is None:
            fact = resolve_event(decode_event(value))
            if len(self._accounts) < MOST_REMEMBERED:
                self._accounts[event.subject] = fact.account
            return to_outcome(fact)
        data, amount, currency = event.data, event.data.amount, _trim(event.data.currency)
        opened = _trim(data.opened_at)
        return OutcomeFact(
            account=account,
            source=event.source,
            record=event.record or event.id,
            id=event.id,
            at=time,
            recorded=recorded,
            retracted=event.op == "retract",
            action=self._action(data.action),
            person=_trim(data.person),
            deal=_trim(data.deal),
            channel=_trim(data.channel),
            sequence=_trim(data.sequence),
            amount=amount,
            currency=currency,
            amount_usd=find_dollars(amount, currency, data.amount_usd),
            opened_at=None if opened is None else read_moment(opened),
            key=_trim(data.idempotency_key),
            stage=_trim(data.stage),
        )

    def _action(self, text: str | None) -> str | None:
        """Return the action as the contract spells it."""
        if text not in self._actions:
            if len(self._actions) > MOST_REMEMBERED:
                self._actions.clear()
            self._actions[text] = Outcome.model_validate({"action": text}).action
        return self._actions[text]


def _trim(text: str | None) -> str | None:
    return None if text is None else text.strip() or None
