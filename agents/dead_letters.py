"""What is refused is kept: the original bytes, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resegment.agents.batch import Batch, Headers, Message, Record
from resegment.errors import RefusedEvent
from resegment.schemas.fact import EARLIEST, LATEST
from resegment.schemas.times import format_instant

PREFIX = "dl_"
"""What the names of a dead letter's own headers begin with; the others are the original's."""


def bury(topic: str, batch: Batch, record: Record, refused: RefusedEvent) -> Message:
    """The dead letter of one record: key, value and headers as they were, the reason in headers of its own."""
    about = {
        "reason": refused.reason,
        "field": refused.field or "",
        "message": refused.message[:2000],
        "topic": batch.topic,
        "partition": str(batch.partition),
        "offset": str(record.offset),
        "timestamp": format_instant(min(max(record.timestamp, EARLIEST), LATEST)),
    }
    own = [(PREFIX + name, value.encode()) for name, value in about.items()]
    kept = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
    return Message(topic, record.key, record.value, [*own, *kept], timestamp=None)


def revive(record: Record) -> Message:
    """What was refused, as it was: to be sent again to the topic that it came from. Raises KeyError."""
    about = {name: value for name, value in record.headers if name.startswith(PREFIX)}
    kept = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
    # The same partition: in `signals` it is the one of the account, whatever the key.
    partition = int(about[PREFIX + "partition"])
    return Message(about[PREFIX + "topic"].decode(), record.key, record.value, kept, partition)


def mark_retried(topic: str, record: Record, at: int) -> Message:
    """The same letter again, with a word that it was sent again at `at` (ms)."""
    mark = (PREFIX + "retried", format_instant(at).encode())
    return Message(topic, record.key, record.value, [*record.headers, mark])


def read_letter(headers: Headers, key: bytes | None, value: bytes | None) -> Mapping[str, Any]:
    """A dead letter as people read it: the reason and place, and the original bytes."""
    about = {
        name.removeprefix(PREFIX): text.decode("utf-8", "replace")
        for name, text in headers
        if name.startswith(PREFIX)
    }
    return {
        **about,
        "id": f"{about.get('topic')}:{about.get('partition')}:{about.get('offset')}",
        "partition": int(about.get("partition") or -1),
        "offset": int(about.get("offset") or -1),
        "key": None if key is None else key.decode("utf-8", "replace"),
        "value": None if value is None else value.decode("utf-8", "backslashreplace"),
        "bytes": len(value or b""),
    }
