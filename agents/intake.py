"""Decode, validate and normalize trigger events, resolve each to one account, and publish it to `signals`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from resegment.agents.batch import Batch, Message, Publisher, Record, require_readable
from resegment.agents.dead_letters import to_dead_letter
from resegment.agents.segmenter import TICK, is_tick
from resegment.errors import RefusedEvent
from resegment.identity.resolution import resolve_event
from resegment.schemas.decoding import decode_record
from resegment.schemas.fact import EARLIEST, LATEST, encode_fact

Clock = Literal["wall", "facts"]
"""When a fact counts: `wall` from its receipt, `facts` from its `recordedtime`, in the order of the topic."""


def tick_instant(record: Record) -> int:
    """Return the instant (ms) that a tick of a replay moves the clock to: that of its header, else its timestamp.

    An absurd one moves nothing, because a clock never moves back.
    """
    given = next((value for name, value in record.headers if name == TICK), b"")
    instant = int(given) if given and len(given) < 16 and given.isdigit() else record.timestamp
    return instant if instant <= LATEST else EARLIEST


@dataclass(frozen=True, slots=True)
class Ingested:
    """The result of a batch, for metrics."""

    accepted: int
    refused: Sequence[RefusedEvent]


async def ingest(
    batch: Batch,
    *,
    publisher: Publisher,
    signals: str,
    dead_letters: str,
    clock: Clock,
    now: Callable[[], int],
    aliases: Mapping[str, str] | None = None,
) -> Ingested:
    """Publish a signal for each valid event and a dead letter for each other one, and await all acks.

    A trigger that arrives twice becomes two signals: the segmenter recognizes the second by its id.
    Raises `PublishFailed`; the batch is then retried.
    """
    messages: list[Message] = []
    refused: list[RefusedEvent] = []
    accepted = 0
    for record in batch.records:
        replayed = clock == "facts"
        if replayed and record.value is None and is_tick(record):
            messages.append(
                Message(signals, None, None, [(TICK, b"")], batch.partition, tick_instant(record))
            )
            continue
        try:
            require_readable(record)
            received = None if replayed else _receipt(record, now)
            event = decode_record(record.value, record.headers)
            fact = resolve_event(event, received=received, aliases=aliases)
        except RefusedEvent as reason:
            refused.append(reason.at(record.offset))
            messages.append(to_dead_letter(dead_letters, batch, record, reason))
            continue
        accepted += 1
        at = fact.recorded if replayed else now()
        messages.append(Message(signals, fact.account.encode(), encode_fact(fact), timestamp=at))
    await publisher.publish(messages)
    return Ingested(accepted, refused)


def _receipt(record: Record, now: Callable[[], int]) -> int:
    """Return when the trigger was received, by its record: the same at each delivery, unless its timestamp is absurd."""
    return record.timestamp if EARLIEST <= record.timestamp < LATEST else now()
