"""Facts of events, resolved as intake resolves them."""

from __future__ import annotations

from typing import Any

from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event, decode_record, read_event
from resegment.schemas.fact import Fact


def read_fact(event: Any, **given: Any) -> Fact:
    """Return the fact of an event whose JSON is parsed."""
    return resolve_event(read_event(event), **given)


def fact_of_bytes(value: bytes | None, **given: Any) -> Fact:
    """Return the fact of an event's JSON."""
    return resolve_event(decode_event(value), **given)


def fact_of_record(value: bytes | None, headers: Any, **given: Any) -> Fact:
    """Return the fact of a Kafka record."""
    return resolve_event(decode_record(value, headers), **given)
