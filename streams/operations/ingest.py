"""Sends events from files to the topics: live to the topic of their kind, or sorted as a replay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from resegment.agents.batch import Message, Publisher
from resegment.agents.intake import REPLAYED
from resegment.agents.segmenter import TICK
from resegment.schemas.fact import Fact
from resegment.schemas.outgoing import CONTENT_TYPE
from resegment.streams.kafka.topics import Topics

CHUNK: Final = 2_000
"""Messages published and awaited at once."""

Progress = Callable[[int], None]


async def send_live(
    events: Iterable[tuple[Fact, bytes]],
    publisher: Publisher,
    topics: Topics,
    progress: Progress | None = None,
) -> int:
    """Send each event, its bytes as they are, to the topic of its kind; return how many."""
    total = 0
    headers = [("content-type", CONTENT_TYPE)]
    for chunk in _chunks(events):
        messages = [
            Message(topics.of_kind(fact.kind).name, fact.account.encode(), raw, headers)
            for fact, raw in chunk
        ]
        await publisher.publish(messages)
        total += len(messages)
        if progress is not None:
            progress(len(messages))
    return total


async def send_replay(
    events: Sequence[tuple[Fact, bytes]],
    publisher: Publisher,
    topics: Topics,
    *,
    partitions: int,
    until: int | None = None,
    progress: Progress | None = None,
) -> int:
    """Send history in the order in which it became known, then a tick that moves every clock to `until` (ms).

    A second delivery of the same (account, source, id) is left out; `until` is the latest `recorded` by
    default. Only for a prefix whose clock is `facts`. Returns how many events were sent.
    """
    end = max((fact.recorded for fact, _ in events), default=0) if until is None else until
    ordered = [pair for pair in in_order(events) if pair[0].recorded <= end]
    headers = [("content-type", CONTENT_TYPE), (REPLAYED, b"")]
    for chunk in _chunks(ordered):
        messages = [Message(topics.replay.name, fact.account.encode(), raw, headers) for fact, raw in chunk]
        await publisher.publish(messages)
        if progress is not None:
            progress(len(messages))
    tick = [(TICK, str(end).encode()), (REPLAYED, b"")]
    await publisher.publish(
        [Message(topics.replay.name, None, None, tick, partition) for partition in range(partitions)]
    )
    return len(ordered)


def in_order(events: Iterable[tuple[Fact, bytes]]) -> list[tuple[Fact, bytes]]:
    """By when they became known, ties as given; each (account, source, id) once: as a backtest takes them."""
    unique: list[tuple[Fact, bytes]] = []
    seen: set[tuple[str, str, str]] = set()
    for fact, raw in sorted(events, key=lambda pair: pair[0].recorded):
        key = (fact.account, fact.source, fact.id)
        if key not in seen:
            seen.add(key)
            unique.append((fact, raw))
    return unique


def _chunks(events: Iterable[tuple[Fact, bytes]]) -> Iterator[list[tuple[Fact, bytes]]]:
    rest = iter(events)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
