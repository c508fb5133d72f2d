"""Keep bodies that could not be read in the dead letters, and read them again once their cause is fixed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from resegment.agents.batch import Message, Publisher
from resegment.agents.dead_letters import KEPT_BYTES, MAX_BYTES, PREFIX, mark_retried
from resegment.errors import RefusedEvent
from resegment.http.intake.access import Access
from resegment.http.intake.bodies import Rejected, parse_json
from resegment.http.intake.reading import Reading, read_events, read_webhook
from resegment.schemas.times import format_instant, parse_instant
from resegment.sources.adapters.port import Context
from resegment.sources.registry import UnknownSource
from resegment.streams.kafka.topics import Topics
from resegment.streams.operations.dead_letters import DeadLetter
from resegment.streams.sealing.letters import may_be_sent_again

PLACE: Final = "sources/"
"""Begins the topic of such a letter: no topic of Kafka has a slash in its name."""
EVENTS: Final = "events"


def make_letter(
    topics: Topics, source: str, body: bytes, refused: RefusedEvent, now: int, *, limit: int = MAX_BYTES
) -> Message:
    """Return the dead letter of a body that arrived at `now` (ms). The same body from the same source has the same id."""
    about = {
        "reason": refused.reason,
        "field": (refused.field or "")[:500],
        "message": refused.message[:2000],
        "topic": PLACE + source,
        "partition": "0",
        "offset": str(int(hashlib.sha256(body).hexdigest()[:15], 16)),
        "timestamp": format_instant(now),
    }
    if len(body) > limit:
        about["truncated"] = str(len(body))
        body = body[: min(limit, KEPT_BYTES)]
    headers = [(PREFIX + name, text.encode("utf-8", "replace")) for name, text in about.items()]
    return Message(topics.dead_letters.name, None, body, headers)


def letter_id(letter: Message) -> str:
    """Return the id of a letter that `make_letter` made."""
    about = {name: (value or b"").decode() for name, value in letter.headers}
    return ":".join(about[PREFIX + name] for name in ("topic", "partition", "offset"))


def is_body(letter: DeadLetter) -> bool:
    """Whether a dead letter is a body that came over HTTP."""
    return str(letter.about.get("topic", "")).startswith(PLACE)


class Retried(NamedTuple):
    """What came of bodies that were read again: those read, the events sent, and the bodies that are still refused."""

    bodies: int
    events: int
    refused: int


async def retry_bodies(
    letters: Sequence[DeadLetter],
    topics: Topics,
    publisher: Publisher,
    now: int,
    access: Access,
    context: Context,
) -> Retried:
    """Read bodies again, and send their events. One that is still refused, in part or as a whole, stays a dead letter.

    Raises PublishFailed.
    """
    read = events = refused = 0
    for letter in letters:
        if not may_be_sent_again(letter.record):
            continue
        body = letter.original or b""
        source = str(letter.about["topic"]).removeprefix(PLACE)
        reading = _read_again(source, body, topics, access, context, parse_instant(letter.about["timestamp"]))
        await publisher.publish(reading.messages)
        events += len(reading.messages)
        if reading.wrong:
            refused += 1
            why = reading.wrong[0][1]
            arrived = parse_instant(letter.about["timestamp"])
            await publisher.publish([make_letter(topics, source, body, why, arrived)])
        else:
            read += 1
            await publisher.publish([mark_retried(topics.dead_letters.name, letter.record, now)])
    return Retried(read, events, refused)


def _read_again(
    source: str, body: bytes, topics: Topics, access: Access, context: Context, arrived: int
) -> Reading:
    try:
        if source == EVENTS:
            return read_events([body], topics)
        own = access.find_source(source)
        return read_webhook(own.adapter, parse_json(body), own.apply(context), topics, arrived)
    except UnknownSource as error:
        return Reading([], [(0, RefusedEvent("no-source", error.message))])
    except Rejected as error:
        return Reading([], [(0, RefusedEvent("not-json", error.message))])
