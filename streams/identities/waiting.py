"""Keep count of the events that wait for their subject to be resolved, and put them in again once it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from resegment.agents.batch import Message, Publisher, Record
from resegment.agents.dead_letters import has_place, name_of_waiting, to_retry
from resegment.identity.merges import Identities
from resegment.schemas.logs.decoding import decode_value
from resegment.streams.kafka.topic_reader import TopicUnreadable, reading
from resegment.streams.kafka.topics import Topics
from resegment.streams.sealing.opener import PLAIN, RecordOpener

PARTITION: Final = 0
TOGETHER: Final = 500
"""Events that are published and awaited at once."""
MOST_NAMES: Final = 100_000
"""Names of which a worker keeps count. Events of others are on the list all the same."""


@dataclass(frozen=True, slots=True)
class WaitingName:
    """The events that wait for one name; `first` and `last` are when (ms) they came."""

    name: str
    events: int
    first: int
    last: int
    sources: Sequence[str] = ()
    kinds: Sequence[str] = ()


WaitingCount = tuple[int, int]
"""How many events wait, and for how many names."""


@dataclass(slots=True)
class WaitingEvents:
    """Counts the events on the list by the name that they wait for, as the topic is read."""

    counts: Counter[str] = field(default_factory=Counter)

    def take(self, record: Record, identities: Identities) -> bool:
        """Count a record; return whether it waits for nothing any more, so that it has to be put in again."""
        name = name_of_waiting(record)
        if name is None:
            return False
        if name in identities.names:
            return True
        if name in self.counts or len(self.counts) < MOST_NAMES:
            self.counts[name] += 1
        return False

    def forget(self, names: Collection[str]) -> None:
        """Forget names that are resolved."""
        for name in names:
            self.counts.pop(name, None)

    @property
    def total(self) -> WaitingCount:
        """Return how many events wait for how many names."""
        return self.counts.total(), len(self.counts)


async def put_in_again(
    names: Collection[str],
    publisher: Publisher,
    topics: Topics,
    bootstrap: str,
    security: Mapping[str, Any] | None = None,
    opener: RecordOpener = PLAIN,
) -> int:
    """Send the events that wait for these names to their topics again; return how many.

    An event that is sent twice counts once, so this may be done again. Raises TopicUnreadable and PublishFailed.
    """
    if not names:
        return 0
    total, batch = 0, list[Message]()
    async with reading(bootstrap, topics.unresolved.name, [PARTITION], security=security) as reader:
        async for records in opener.each(reader.to_end()):
            batch += [message for one in records if (message := again(one, topics, names)) is not None]
            if len(batch) >= TOGETHER:
                await publisher.publish(batch)
                total, batch = total + len(batch), []
    await publisher.publish(batch)
    return total + len(batch)


def again(record: Record, topics: Topics, names: Collection[str]) -> Message | None:
    """Return the message that puts an event in again, None if it waits for another name or says no place."""
    if name_of_waiting(record) not in names or not has_place(record):
        return None
    message = to_retry(record, topics.signals.name)
    return message if message.topic in {one.name for one in topics.triggers} else None


async def list_waiting(
    bootstrap: str,
    topics: Topics,
    identities: Identities,
    security: Mapping[str, Any] | None = None,
    opener: RecordOpener = PLAIN,
) -> list[WaitingName]:
    """Return the names for which events wait, those with the most events first. Raises TopicUnreadable."""
    found: dict[str, WaitingName] = {}
    try:
        async with reading(bootstrap, topics.unresolved.name, [PARTITION], security=security) as reader:
            async for records in opener.each(reader.to_end()):
                for record in records:
                    _add(found, record, identities)
    except TopicUnreadable as error:
        if not error.is_missing:
            raise
    return sorted(found.values(), key=lambda one: (-one.events, one.name))


def _add(found: dict[str, WaitingName], record: Record, identities: Identities) -> None:
    name = name_of_waiting(record)
    if name is None or name in identities.names:
        return
    source, kind = _read_envelope(record)
    at = record.timestamp
    before = found.get(name) or WaitingName(name, 0, at, at)
    found[name] = WaitingName(
        name,
        before.events + 1,
        min(before.first, at),
        max(before.last, at),
        _with(before.sources, source),
        _with(before.kinds, kind),
    )


class _Envelope(msgspec.Struct):
    source: str = ""
    type: str = ""


_envelope: Final = msgspec.json.Decoder(_Envelope)


def _read_envelope(record: Record) -> tuple[str, str]:
    """Return the source and the type of an event in either mode of CloudEvents; "" where they can't be read."""
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    if "ce_type" in headers:
        return headers.get("ce_source", ""), headers["ce_type"]
    try:
        found = decode_value(_envelope, record.value)
    except msgspec.DecodeError:
        return "", ""
    return found.source, found.type


def _with(known: Sequence[str], one: str) -> Sequence[str]:
    return known if not one or one in known or len(known) >= 5 else (*known, one)
