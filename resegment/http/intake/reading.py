"""Turn the body of a request into messages: a webhook by its adapter, events by the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import orjson

from resegment.agents.batch import Message
from resegment.errors import RefusedEvent
from resegment.identity.names import Unresolved
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.outgoing import CONTENT_TYPE
from resegment.sources.adapters.port import Adapter, Context, Remark
from resegment.sources.conversion import Source, learn_accounts
from resegment.streams.kafka.topics import Topics

_HEADERS: Final = [("content-type", CONTENT_TYPE)]


class Reading(NamedTuple):
    """What was found in a body: messages to publish, and what was refused, each with its place."""

    messages: list[Message]
    refused: list[tuple[int, RefusedEvent]]

    @property
    def wrong(self) -> list[tuple[int, RefusedEvent]]:
        """Return what was refused for another reason than that its source is known to send it for nothing."""
        return [(index, error) for index, error in self.refused if error.reason != "ignored"]


def read_events(events: Sequence[bytes], topics: Topics) -> Reading:
    """Read structured events."""
    return _read([(index, one) for index, one in enumerate(events)], [], topics)


TYPES: Final = {"salesloft": "x-salesloft-event"}
"""The header in which a provider says the type of an event, where the body doesn't."""


def add_type(source: str, payload: Any, headers: Mapping[str, str]) -> Any:
    """Return the payload with the type of the event that a header says."""
    kind = headers.get(TYPES.get(source, ""))
    if kind is None or not isinstance(payload, dict) or "event_type" in payload:
        return payload
    return {"event_type": kind, "data": payload}


def read_webhook(adapter: Adapter, payload: Any, context: Context, topics: Topics, now: int) -> Reading:
    """Convert a webhook that arrived at `now` (ms). What does not say when it was so, holds then."""
    if adapter.learns():
        context = learn_accounts([payload], Source(adapter, context))
    found = list(adapter.convert(payload, context))
    if any(isinstance(one, RefusedEvent) and one.reason == "no-time" for one in found):
        found = list(adapter.convert(payload, replace(context, at=now)))
    events: list[tuple[int, bytes]] = []
    refused: list[tuple[int, RefusedEvent]] = []
    for index, item in enumerate(one for one in found if not isinstance(one, Remark)):
        if isinstance(item, dict):
            events.append((index, orjson.dumps(item)))
        else:
            refused.append((index, item))
    return _read(events, refused, topics)


def _read(
    events: list[tuple[int, bytes]], refused: list[tuple[int, RefusedEvent]], topics: Topics
) -> Reading:
    messages = []
    for index, value in events:
        try:
            event = decode_event(value)
            try:
                fact = resolve_event(event)
            except Unresolved as unresolved:  # the worker keeps it until somebody says which account that is
                fact = resolve_event(event, account=unresolved.name)
        except RefusedEvent as error:
            refused.append((index, error))
        else:
            messages.append(Message(topics.of_kind(fact.kind).name, fact.account.encode(), value, _HEADERS))
    return Reading(messages, sorted(refused, key=lambda one: one[0]))
