"""Keep rejected records: the original bytes, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resegment.agents.batch import Batch, Headers, Message, Record
from resegment.errors import RefusedEvent
from resegment.identity.names import Unresolved
from resegment.schemas.fact import EARLIEST, LATEST
from resegment.schemas.times import format_instant, parse_instant

PREFIX = "dl_"
"""The prefix of a dead letter's added headers; all others are the original's."""
MAX_BYTES = 1_000_000
"""The limit for key, value and headers: with the added headers they stay below the 1,048,588 bytes that a broker accepts."""
KEPT_BYTES = 100_000
"""How much is kept of each part of a larger record: enough to see what it was."""
SMALL_BYTES = 2_000
"""The same where the topic of dead letters accepts only small messages."""
MAX_FIELD = 500
MAX_MESSAGE = 2000
"""How many characters are kept of a reason's field and message: a field can be a header's name, of any length."""
WAITS_FOR = f"{PREFIX}name"
"""The header of a waiting record that says for which name it waits."""
PROOF = "proof"
ONLY = "endpoint"
"""The header of an event for one webhook endpoint; it holds the endpoint's name."""


def to_dead_letter(
    topic: str,
    batch: Batch,
    record: Record,
    refused: RefusedEvent,
    *,
    endpoint: str | None = None,
    small: bool = False,
) -> Message:
    """Return the dead letter of a record: its key, value and headers, with the reason in added headers.

    `endpoint` is the one that the record could not be delivered to. If the record would not fit into a message,
    its key and value are cut, its headers are left out, and the reason gives the value's size. `small` is for a topic
    that accepts only small messages.
    """
    limit, cut = (SMALL_BYTES, SMALL_BYTES) if small else (MAX_BYTES, KEPT_BYTES)
    about = {
        "reason": refused.reason,
        "field": (refused.field or "")[:MAX_FIELD],
        "message": refused.message[:MAX_MESSAGE],
        "topic": batch.topic,
        "partition": str(batch.partition),
        "offset": str(record.offset),
        "timestamp": format_instant(min(max(record.timestamp, EARLIEST), LATEST)),
    }
    if endpoint is not None:
        about["endpoint"] = endpoint
    kept = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
    key, value = record.key or b"", record.value or b""
    if len(key) + len(value) + sum(len(_encoded(name)) + len(one or b"") + 8 for name, one in kept) > limit:
        about["truncated"] = str(len(value))
        value, key, kept = value[:cut], key[:cut], []
    own = [(PREFIX + name, _encoded(text)) for name, text in about.items()]
    return Message(
        topic,
        None if record.key is None else key,
        None if record.value is None else value,
        [*own, *kept],
        timestamp=None,
    )


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # a name that was no UTF-8 may hold half of a pair


def to_waiting(topic: str, batch: Batch, record: Record, unresolved: Unresolved) -> Message:
    """Return a record that waits until somebody says which account its subject means, as a dead letter is kept."""
    letter = to_dead_letter(topic, batch, record, unresolved)
    return letter._replace(headers=[(WAITS_FOR, _encoded(unresolved.name)), *letter.headers])


def name_of_waiting(record: Record) -> str | None:
    """Return the name, id or page that a waiting record is about."""
    found = next((value for name, value in record.headers if name == WAITS_FOR), None)
    return None if found is None else found.decode("utf-8", "replace")


def is_for_one_endpoint(record: Record) -> bool:
    """Return whether a record was sent again to one webhook endpoint, and others have had it before."""
    return any(name == ONLY for name, _ in record.headers)


def make_proof(topic: str) -> Message:
    """Return a record for the topic of dead letters that is none: Kafka acknowledges it, or is away."""
    return Message(topic, None, None, [(PREFIX + PROOF, b"1")])


def is_proof(about: Mapping[str, Any]) -> bool:
    """Return whether a record, as `read_dead_letter` reads it, is no dead letter but shows that Kafka acknowledges."""
    return PROOF in about


def has_place(letter: Record) -> bool:
    """Return whether a dead letter says which place of which topic its record is from, and of what time."""
    about = read_dead_letter(letter.headers, None, None)
    try:
        parse_instant(about.get("timestamp", ""))
    except ValueError:
        return False
    return "topic" in about and about["partition"] >= 0


def to_retry(record: Record, signals: str) -> Message:
    """Return the rejected record, unchanged, to send again to its topic. It must have a place: see `has_place`.

    If one endpoint did not get it, a header limits it to that endpoint. A record of the topic `signals`
    keeps its time, which moves the clock.
    """
    about = {name: value or b"" for name, value in record.headers if name.startswith(PREFIX)}
    kept = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
    if (endpoint := about.get(PREFIX + "endpoint")) is not None:
        kept = [*((name, value) for name, value in kept if name != ONLY), (ONLY, endpoint)]
    # The same partition: in `signals` it is the one of the account, whatever the key.
    partition, topic = int(about[PREFIX + "partition"]), about[PREFIX + "topic"].decode()
    timestamp = parse_instant(about[PREFIX + "timestamp"].decode()) if topic == signals else None
    return Message(topic, record.key, record.value, kept, partition, timestamp)


def mark_retried(topic: str, record: Record, at: int) -> Message:
    """Return the dead letter again, marked as retried at `at` (ms)."""
    mark = (PREFIX + "retried", format_instant(at).encode())
    return Message(topic, record.key, record.value, [*record.headers, mark])


def read_dead_letter(headers: Headers, key: bytes | None, value: bytes | None) -> Mapping[str, Any]:
    """Return a dead letter for people to read: the reason, the place, and the original bytes."""
    about = {
        name.removeprefix(PREFIX): (text or b"").decode("utf-8", "replace")
        for name, text in headers
        if name.startswith(PREFIX)
    }
    place = [about.get("topic"), about.get("partition"), about.get("offset")]
    if "endpoint" in about:
        place.append(about["endpoint"])
    return {
        **about,
        "id": ":".join(map(str, place)),
        "partition": _read_number(about.get("partition")),
        "offset": _read_number(about.get("offset")),
        "key": None if key is None else key.decode("utf-8", "replace"),
        "value": None if value is None else value.decode("utf-8", "backslashreplace"),
        "bytes": len(value or b""),
    }


def _read_number(text: str | None) -> int:
    """Return a number of at most 19 digits, or -1: any producer may write to the topic by mistake."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 20 else -1
