"""Decodes, validates and normalizes trigger events, resolves each to one account, and passes it on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from resegment.agents.batch import Batch, Message, Publisher, Record
from resegment.agents.dead_letters import to_dead_letter
from resegment.agents.segmenter import TICK
from resegment.errors import RefusedEvent
from resegment.identity.resolution import resolve_event
from resegment.schemas.decoding import decode_record
from resegment.schemas.fact import EARLIEST, LATEST, encode_fact

Clock = Literal["wall", "facts"]
"""`wall`: a fact is known from its receipt on. `facts`: from its `recordedtime` on, in the order of the topic."""


def tick_instant(record: Record) -> int:
    """The instant (ms) to which a tick of a replay moves the clock: its header has it, else its timestamp.

    One that is absurd moves nothing: a clock that has run ahead never comes back.
    """
    given = next((value for name, value in record.headers if name == TICK), b"")
    instant = int(given) if given and len(given) < 16 and given.isdigit() else record.timestamp
    return instant if instant <= LATEST else EARLIEST


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a batch, for metrics."""

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
    """Publish a signal for each good event and a dead letter for each bad one, and await them all.

    A trigger that comes twice gives a signal twice: the segmenter knows it by its id.
    Raises `PublishFailed`; the batch is then tried again.
    """
    messages: list[Message] = []
    refused: list[RefusedEvent] = []
    accepted = 0
    for record in batch.records:
        replayed = clock == "facts"
        if replayed and record.value is None and any(name == TICK for name, _ in record.headers):
            messages.append(
                Message(signals, None, None, [(TICK, b"")], batch.partition, tick_instant(record))
            )
            continue
        try:
            received = None if replayed else _receipt(record, now)
            event = decode_record(record.value, record.headers)
            fact = resolve_event(event, received=received, aliases=aliases)
        except RefusedEvent as reason:
            refused.append(reason)
            messages.append(to_dead_letter(dead_letters, batch, record, reason))
            continue
        accepted += 1
        at = fact.recorded if replayed else now()
        messages.append(Message(signals, fact.account.encode(), encode_fact(fact), timestamp=at))
    await publisher.publish(messages)
    return Ingested(accepted, refused)


def _receipt(record: Record, now: Callable[[], int]) -> int:
    """When the trigger came, by its record: the same at each delivery, unless its producer's clock is absurd."""
    return record.timestamp if EARLIEST <= record.timestamp < LATEST else now()
