"""Reading outcomes quickly comes to the same as reading them as every event is read."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from resegment.errors import RefusedEvent
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.outcomes.facts import to_outcome
from resegment.streams.outcomes.plain import OutcomeReader

PLAIN: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e1",
    "source": "/sequencer",
    "type": "gtm.outcome.v1",
    "subject": "jo@acme.com",
    "time": "2026-01-02T03:04:05Z",
    "data": {"action": "replied"},
}
texts = st.sampled_from(["x", " x ", "", " ", "Won", "Positive Reply", "a" * 600, "ü ", "1e3", "{", "[", '"'])
values = st.one_of(
    texts,
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.just([1]),
    st.just({"a": {}}),
)
fields = st.sampled_from(
    [
        *("action", "person", "deal", "stage", "channel", "sequence", "amount", "currency", "amount_usd"),
        *("opened_at", "idempotency_key", "note"),
    ]
)
attributes = st.sampled_from(["id", "source", "record", "op", "time", "recordedtime", "subject", "type"])
instants = st.sampled_from(
    ["2026-01-02T03:04:05.123456Z", "2026-01-02", "1969-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "soon"]
)


def read_slowly(value: bytes) -> Any:
    try:
        fact = resolve_event(decode_event(value))
    except RefusedEvent as refused:
        return str(refused)
    return to_outcome(fact) if fact.kind == "outcome" else None


def read_quickly(reader: OutcomeReader, value: bytes) -> Any:
    try:
        return reader.read(value)
    except RefusedEvent as refused:
        return str(refused)


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(
        attributes, st.one_of(values, instants, st.just("retract"), st.just("gtm.hiring.v1")), max_size=2
    ),
    st.dictionaries(fields, st.one_of(values, instants, st.just("usd")), max_size=4),
)
@example({}, {"amount": 5, "currency": " usd "})
@example({"record": "r", "recordedtime": "2026-01-03T00:00:00Z"}, {"opened_at": " 2026-01-01 "})
def test_it_comes_to_the_same(given_attributes: dict[str, Any], data: dict[str, Any]) -> None:
    event = PLAIN | given_attributes | {"data": PLAIN["data"] | data}
    value = json.dumps(event).encode()
    reader = OutcomeReader()
    reader.read(orjson.dumps(PLAIN))  # the subject is known then
    assert read_quickly(reader, value) == read_slowly(value)


def test_what_is_no_event_is_refused_as_ever() -> None:
    for value in (b"", b"null", b"{", b'{"a":', orjson.dumps(PLAIN)[:-1]):
        assert read_quickly(OutcomeReader(), value) == read_slowly(value)
