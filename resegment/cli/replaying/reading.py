"""Read events and pack their facts, a chunk at a time, so that processes can share the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

import msgspec

from resegment.cli.replaying.packing import Keeping, check_data, pack_fact
from resegment.errors import RefusedEvent
from resegment.identity.aliases import resolve_subject
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.fact import Fact
from resegment.sources.files.located import Located
from resegment.sources.files.reader import Refusals, Refused

CHUNK: Final = 2_000
"""How many events are read at a time."""


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """Consecutive events, of which the first one has a number; a refusal has its place among them."""

    first: int
    events: list[tuple[str, int, bytes] | Refused]


class Packed(msgspec.Struct, frozen=True):
    """The packed facts of a chunk with their accounts, and what was refused. `last` is when the last became known."""

    rows: list[tuple[str, bytes]]
    refusals: Refusals
    last: int


def cut_chunks(events: Iterable[Located]) -> Iterator[Chunk]:
    """Yield the events in chunks."""
    rest, first = iter(events), 0
    while found := [_take(one) for one in islice(rest, CHUNK)]:
        yield Chunk(first, found)
        first += len(found)


def _take(event: Located) -> tuple[str, int, bytes] | Refused:
    if (error := event.refused) is not None:
        return Refused(event.file, event.line, error.reason, error.message, error.field)
    return event.file, event.line, event.value


def pack_chunk(chunk: Chunk, keeping: Keeping, receive: Callable[[Fact], Fact] | None) -> Packed:
    """Decode the events of a chunk. `receive`, if given, returns each fact as it is kept."""
    refusals = Refusals()
    rows: list[tuple[str, bytes]] = []
    last = 0
    for number, given in enumerate(chunk.events, chunk.first):
        if isinstance(given, Refused):
            refusals.add(given)
            continue
        file, line, value = given
        try:
            event = decode_event(value)
            account = resolve_subject(event.subject)
        except RefusedEvent as error:
            refusals.add(Refused(file, line, error.reason, error.message, error.field))
            continue
        refusals.note_action(event)
        checksum = check_data(event.data)
        fact = event if receive is None else receive(resolve_event(event, account=account))
        recorded = event.time if event.recorded is None else event.recorded
        last = max(last, recorded)
        rows.append((account, pack_fact(fact, account, recorded, keeping, number, checksum)))
    return Packed(rows, refusals, last)
