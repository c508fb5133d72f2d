"""Make the messages that announce decisions: segment changes, and events for the router."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson
import structlog

from resegment.agents.batch import Message
from resegment.redaction import hide_quotes
from resegment.schemas.change import GateChange, SegmentChange
from resegment.schemas.definitions.records import Apply
from resegment.schemas.fact import Fact, encode_fact
from resegment.schemas.identities.forgotten import Forgotten
from resegment.schemas.outcomes.facts import Learned, to_outcome
from resegment.schemas.outgoing import CHANGE_TYPE, CONTENT_TYPE, wrap_event
from resegment.schemas.routing import (
    ROUTED_OUTCOMES,
    AccountEvent,
    DefinitionSwitched,
    GatesChanged,
    RoutedOutcome,
    Switch,
    encode_routing_event,
)
from resegment.schemas.shrinking import MAX_BYTES, fit_change
from resegment.schemas.times import format_instant
from resegment.segmentation.definition import Definition
from resegment.segmentation.plays.rendering import cited_in, render_play
from resegment.streams.kafka.topics import Topics

log = structlog.get_logger(__name__)


class MessageFactory:
    """See `resegment.agents.segmenter.MessageFactory`."""

    def __init__(self, definition: Definition, topics: Topics, before: Definition | None = None) -> None:
        """`before` is the version before, out of whose segments this one moves accounts when it takes over."""
        self._changes, self._routing = topics.segment_changes.name, topics.routing_events.name
        self._signals = topics.signals.name
        self._fingerprint = definition.version
        self._plays = definition.compiled_plays
        self._constant = {
            name: orjson.Fragment(orjson.dumps(one.plain))
            for name, one in self._plays.items()
            if one.constant
        }
        self._routes = _routes_of(definition)
        self._left_routes = None if before is None else _routes_of(before)
        self._draws = definition.draws
        self._headers = [("content-type", CONTENT_TYPE)]

    def change(self, change: SegmentChange) -> Message:
        entered = change.to or ""  # no segment has that name: an account that ends enters none
        drawn = self._draws.draw(entered, change.account, change.effective_at)
        play = drawn.play
        value = encode_change(
            change,
            play,
            None if play is None else self._message(change, play),
            self._routes,
            self._left_routes if change.cause.definition is not None else None,
            holdout=drawn.holdout,
            experiment=drawn.experiment,
            variant=drawn.variant,
        )
        key = change.account.encode()
        fitting = fit_change(value, MAX_BYTES - len(key))
        if fitting is not value:
            log.warning("a change was cut to fit into a message", account=change.account, bytes=len(value))
        return Message(self._changes, key, fitting, self._headers)

    def _message(self, change: SegmentChange, play: str) -> Mapping[str, Any] | orjson.Fragment:
        """Return the play as rendered for this account."""
        if (constant := self._constant.get(play)) is not None:
            return constant
        compiled = self._plays[play]
        said = render_play(
            compiled,
            account=change.account,
            segment=change.to or "",
            values=change.values,
            evidence=cited_in(change.reason) if compiled.asks_evidence else (),
        )
        if said.problems:
            log.warning(
                "texts left out",
                account=change.account,
                play=play,
                problems=[hide_quotes(one) for one in said.problems],
            )
        return said.play

    def gate_change(self, gate_change: GateChange) -> Message:
        number = gate_change.definition
        event = GatesChanged(
            account=gate_change.account,
            at=gate_change.effective_at,
            active_gates=gate_change.active_gates,
            sequence=gate_change.sequence,
            do_not_contact=gate_change.do_not_contact,
            lost_until=gate_change.lost_until,
            parent=gate_change.parent,
            switch=None
            if number is None
            else Switch(number, gate_change.route or "none", gate_change.rollback_of),
        )
        return tell(self._routing, event)

    def switched(self, apply: Apply, partition: int) -> Message:
        """Return the event that tells the router of a partition that another version is in force."""
        event = DefinitionSwitched(
            at=apply.at,
            version=apply.version,
            fingerprint=self._fingerprint,
            apply=apply.id,
            route=apply.route,
            rollback_of=apply.rollback_of,
        )
        return Message(self._routing, None, encode_routing_event(event), (), partition)

    def forward(self, fact: Fact, at: int) -> Message:
        """Return the signal of a fact passed to another account."""
        return Message(self._signals, fact.account.encode(), encode_fact(fact), timestamp=at)

    def learned(self, fact: Fact, at: int) -> Message:
        """Return the event that tells the router of an outcome, to be credited to a touch."""
        event = Learned(account=fact.account, at=at, fact=to_outcome(fact))
        return Message(self._routing, fact.account.encode(), encode_routing_event(event))

    def forgotten(self, event: Forgotten) -> Message:
        """Return the event that tells the router that an account, or a person of it, was forgotten."""
        return tell(self._routing, event)

    def outcome(self, fact: Fact) -> Message | None:
        data = fact.data or {}
        action, key = data.get("action"), data.get("idempotency_key")
        if action not in ROUTED_OUTCOMES or fact.op == "retract":
            return None
        return tell(
            self._routing,
            RoutedOutcome(
                account=fact.account,
                at=fact.time,
                action=action,
                key=key if isinstance(key, str) else None,
            ),
        )


def tell(topic: str, event: AccountEvent) -> Message:
    """Return the message of an event for the router."""
    return Message(topic, event.account.encode(), encode_routing_event(event))


def _routes_of(definition: Definition) -> dict[str, orjson.Fragment | None]:
    return {
        one.name: orjson.Fragment(orjson.dumps(one.route.model_dump())) if one.route else None
        for one in definition.segments
    }


def encode_change(
    change: SegmentChange,
    play: str | None,
    message: Mapping[str, Any] | orjson.Fragment | None,
    routes: Mapping[str, orjson.Fragment | None],
    left_routes: Mapping[str, orjson.Fragment | None] | None = None,
    *,
    holdout: bool = False,
    experiment: str | None = None,
    variant: str | None = None,
) -> bytes:
    """Return the event of a change. `message` is its rendered play; `routes` are by segment name, as JSON.

    `left_routes` are those of the version before, where a new one moved the account out of a segment of that one.
    """
    at, decided_at = change.effective_at, change.decided_at
    effective = format_instant(at)
    data = {
        "account": change.account,
        "sequence_number": change.sequence_number,
        "from": change.from_,
        "to": change.to,
        "effective_at": effective,
        "decided_at": effective if decided_at == at else format_instant(decided_at),
        "cause": msgspec.to_builtins(change.cause),
        "reason": change.reason,
        "also_qualified": change.also_qualified,
        "definition_version": change.definition_version,
        "supersedes": change.supersedes,
        "supersedes_to": change.supersedes_to,
        "play": play,
        "message": message,
        "route": None if change.to is None else routes.get(change.to),
        "from_route": None if change.from_ is None else (left_routes or routes).get(change.from_),
        "superseded_route": None if change.supersedes_to is None else routes.get(change.supersedes_to),
        "holdout": holdout,
        "standing": change.active_gates,
        "values": change.values,
        "do_not_contact": change.do_not_contact,
        "lost_until": format_instant(change.lost_until) if change.lost_until else None,
        "parent": change.parent,
        "apply_route": change.route,
        "moved": change.moved,
        "rollback_of": change.rollback_of,
        "absent": change.absent,
        "stays_until": None if change.stays_until is None else format_instant(change.stays_until),
        "experiment": experiment,
        "variant": variant,
    }
    event = wrap_event(change.id, CHANGE_TYPE, "/resegment/segmenter", change.account, effective, data)
    return bytes(memoryview(orjson.dumps(event)))  # a copy, as the bytes that orjson returns hold 8 KB each
