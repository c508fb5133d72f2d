"""Decode, validate and normalize trigger events, resolve each to one account, and publish it to `signals`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from msgspec.structs import replace

from resegment.agents.batch import Batch, Message, Publisher, Record, require_readable, stamped
from resegment.agents.dead_letters import to_dead_letter, to_waiting
from resegment.agents.privacy.sealing import FactSealer, refuse_sealed
from resegment.agents.segmenter import TICK, is_tick
from resegment.errors import RefusedEvent
from resegment.identity.names import Unresolved
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_record
from resegment.schemas.events import find_unlisted_action
from resegment.schemas.fact import EARLIEST, LATEST, Fact, Kind, UnresolvedEvent, encode_fact
from resegment.segmentation.language.privacy import drop_fields

Clock = Literal["wall", "facts"]
"""When a fact counts: `wall` from its receipt, `facts` from its `recordedtime`, in the order of the topic."""
REPLAYED: Final = "replayed"
"""The header by which `resegment ingest` marks the records of a replay. Others may not let time pass."""


def tick_instant(record: Record) -> int:
    """Return the instant (ms) that a tick of a replay moves the clock to: that of its header, else its timestamp.

    An absurd one moves nothing, because a clock never moves back.
    """
    given = next((value for name, value in record.headers if name == TICK), b"")
    instant = int(given) if given and len(given) < 16 and given.isdigit() else record.timestamp
    return instant if instant <= LATEST else EARLIEST


@dataclass(frozen=True, slots=True)
class IntakeRules:
    """What intake needs to know to judge a record.

    `kinds` says which kind each topic carries; a topic that is not in it carries any. `now` is the wall clock, ms,
    and `tolerance` (ms) how far the clocks of producers may be ahead of it. `dropped` gives the fields that are
    not kept of events that become known at an instant (ms). `sealer` seals personal fields; None: they stay readable.
    """

    clock: Clock
    now: Callable[[], int]
    tolerance: int = 300_000
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    dropped: Callable[[int], Collection[str]] = lambda _: ()
    sealer: FactSealer | None = None


@dataclass(frozen=True, slots=True)
class Ingested:
    """The result of a batch, for metrics.

    `ahead` counts the records that came from a clock ahead, and `unlisted` the actions that the contract does not list,
    by kind and action. `arrived` is when (ms) the last event came, by source and kind; empty in a replay.
    `waiting` counts the events whose subject means no account yet, and `forgotten` those of an account or a person that
    is forgotten: they are left out.
    """

    accepted: int
    refused: Sequence[RefusedEvent]
    ahead: int = 0
    unlisted: Mapping[tuple[Kind, str], int] = field(default_factory=dict)
    arrived: Mapping[tuple[str, str], int] = field(default_factory=dict)
    waiting: int = 0
    forgotten: int = 0


async def ingest(
    batch: Batch,
    rules: IntakeRules,
    *,
    publisher: Publisher,
    signals: str,
    dead_letters: str,
    unresolved: str | None = None,
) -> Ingested:
    """Publish a signal for each valid event and a dead letter for each other one, and await all acks.

    An event whose subject is a name or id that means no account yet is kept in the topic `unresolved`, if that is given.
    A trigger that arrives twice becomes two signals: the segmenter recognizes the second by its id.
    Raises `PublishFailed`; the batch is then retried.
    """
    messages: list[Message] = []
    refused: list[RefusedEvent] = []
    unlisted: Counter[tuple[Kind, str]] = Counter()
    arrived: dict[tuple[str, str], int] = {}
    facts: dict[int, Fact] = {}
    accepted = ahead = waiting = 0
    replayed, latest = rules.clock == "facts", rules.now() + rules.tolerance
    expected = rules.kinds.get(batch.topic)
    for record in batch.records:
        try:
            value = record.value
            require_readable(record)
            if replayed and value is None and is_tick(record):
                _check_mark(record)
                messages.append(
                    Message(signals, None, None, [(TICK, b"")], batch.partition, tick_instant(record))
                )
                continue
            event = decode_record(value, record.headers)
            if replayed:
                fact = resolve_event(event)
                at = fact.recorded
                if at > latest:
                    _check_mark(record)
            else:
                at = rules.now()
                fact, is_ahead = _receive(event, record, rules, at)
                ahead += is_ahead
            if fact.kind != expected and expected is not None:
                raise _wrong_topic(fact, expected, rules.kinds)
            if rules.sealer is not None:
                refuse_sealed(fact)
        except RefusedEvent as reason:
            if isinstance(reason, Unresolved) and unresolved is not None:
                waiting += 1
                messages.append(to_waiting(unresolved, batch, record, reason))
            else:
                refused.append(reason.at(record.offset))
                messages.append(to_dead_letter(dead_letters, batch, record, reason))
            continue
        accepted += 1
        if not replayed:
            arrived[fact.source, fact.kind] = record.timestamp if 0 < record.timestamp < at else at
        if (action := find_unlisted_action(fact.kind, fact.data)) is not None:
            unlisted[fact.kind, action] += 1
        fact = drop_fields(fact, dropped) if (dropped := rules.dropped(fact.recorded)) else fact
        value = encode_fact(fact) if rules.sealer is None else None
        if value is None:  # they are sealed together, below
            facts[len(messages)] = fact
        messages.append(Message(signals, fact.account.encode(), value, timestamp=at))
    forgotten = 0 if rules.sealer is None else await _seal(messages, facts, rules.sealer)
    await publisher.publish(stamped(messages))
    return Ingested(accepted - forgotten, refused, ahead, unlisted, arrived, waiting, forgotten)


async def _seal(messages: list[Message], facts: Mapping[int, Fact], sealer: FactSealer) -> int:
    """Give the messages at the places of facts these facts, sealed; leave out those that are forgotten and count them."""
    sealed = await sealer.seal(list(facts.values()))
    forgotten: list[int] = []
    for place, fact in zip(facts, sealed, strict=True):
        if fact is None:
            forgotten.append(place)
        else:
            topic, key, _, headers, partition, at = messages[place]
            messages[place] = Message(topic, key, encode_fact(fact), headers, partition, at)
    for place in reversed(forgotten):
        del messages[place]
    return len(forgotten)


def _check_mark(record: Record) -> None:
    """Refuse a record that moves the clock of a replay, unless `resegment ingest` wrote it."""
    if not any(name == REPLAYED for name, _ in record.headers):
        raise RefusedEvent(
            "clock-ahead",
            "the record would let time pass in this replay, and only `resegment ingest` may do that: send ticks and events "
            "of the future with it (--until, --allow-future)",
        )


def _wrong_topic(event: Fact, expected: Kind, kinds: Mapping[str, Kind]) -> RefusedEvent:
    """Refuse an event on the topic of another kind, so that permission to write a topic is permission for its kind."""
    right = next((name for name, kind in kinds.items() if kind == event.kind), None)
    return RefusedEvent(
        "wrong-topic",
        f"this topic carries {expected} events, not {event.kind}: send the event to {right or 'its own topic'}",
        field="type",
    )


def _receive(event: UnresolvedEvent, record: Record, rules: IntakeRules, now: int) -> tuple[Fact, bool]:
    """Return the fact of an event that was received live, and whether it came from a clock ahead.

    The receipt is the record's timestamp, which is the same at each delivery. A timestamp or `recordedtime` beyond
    the tolerance counts as of now: otherwise no later correction would ever replace the fact.
    """
    latest = now + rules.tolerance
    received, is_ahead = record.timestamp, False
    if not EARLIEST <= received <= latest:
        received, is_ahead = now, received > latest
    fact = resolve_event(event, received=received)
    if fact.recorded > latest:
        return replace(fact, recorded=received), True
    return fact, is_ahead
