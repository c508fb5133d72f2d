"""Read all accounts of a partition as they are at one position, while its worker works."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from resegment.state.partition_store import Position
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics

ROUNDS: Final = 50
"""How many times what changed meanwhile is read again."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The stored states of a partition's accounts at one position."""

    number: int
    position: Position
    states: Mapping[str, bytes]


async def read_snapshot(
    reader: PrefixReader,
    number: int,
    *,
    bootstrap: str,
    topics: Topics,
    security: Mapping[str, Any],
    progress: Callable[[int], None] = lambda _: None,
) -> Snapshot | None:
    """Return a partition as it is at one position; None where nothing was ever written.

    Accounts are read in slices. Then those that signals touched meanwhile are read again, together with the position,
    until no signal came in between. Raises StoreUnavailable and TopicUnreadable.
    """
    position = await reader.position(number)
    if position is None:
        return None
    states: dict[str, bytes] = {}
    async for name, value in reader.raw_states(number):
        states[name] = value
        if len(states) % 1_000 == 0:
            progress(1_000)
    progress(len(states) % 1_000)
    last = await reader.position(number) or position
    if last.offset == position.offset:
        return Snapshot(number, last, states)
    async with reading(bootstrap, topics.signals.name, [number], security=security) as log:
        for _ in range(ROUNDS):
            touched = {
                record.key.decode()
                async for records in log.between(number, position.offset, last.offset)
                for record in records
                if record.key is not None
            }
            position = last
            found, last = await reader.states_at(number, sorted(touched))
            states.update(found)
            if last.offset == position.offset:
                break
    return Snapshot(number, last, states)
