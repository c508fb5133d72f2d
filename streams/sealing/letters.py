"""Seal whole dead letters and waiting records, and open them again: nobody knows what is in a record that was refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from resegment.agents.batch import Headers, Message, Record
from resegment.agents.dead_letters import KEPT_BYTES, PREFIX, PROOF
from resegment.errors import RefusedEvent
from resegment.identity.aliases import resolve_subject
from resegment.schemas.cloudevents.traces import TRACEPARENT
from resegment.schemas.privacy.envelope import DataKey, Forgotten, Tampered, key_ids, open_sealed, seal
from resegment.schemas.privacy.fields import find_address, normalize_person, person_of
from resegment.schemas.privacy.names import NOBODY

SEALED: Final = f"{PREFIX}sealed"
"""The header of a sealed letter: its value is an envelope."""
FORGOTTEN: Final = f"{PREFIX}forgotten"
"""The header of an opened letter whose key was destroyed: nothing is left of its record but the place."""
GONE: Final = "(forgotten)"
"""What is shown in place of it."""
MOST_BYTES: Final = 740_000
"""The most bytes of a record, before it is cut: sealed and as text it takes a third more."""

_PLACE: Final = ("topic", "partition", "offset", "endpoint")
_PLAIN: Final = frozenset(
    (*(PREFIX + one for one in (*_PLACE, "reason", "timestamp", "truncated", "retried")), TRACEPARENT)
)
"""The headers that name nobody. All others are sealed: a message quotes, and a producer's may say anything."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(
    tuple[bytes | None, bytes | None, list[tuple[str, Any]]], strict=False
)


class Opened(NamedTuple):
    """A record as it was before it was sealed."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    topic: str = ""
    partition: int = -1


def is_letter(message: Message) -> bool:
    """Return whether a message for the topic of dead letters is one: it may be a proof that Kafka acknowledges."""
    names = {name for name, _ in message.headers}
    return SEALED not in names and PREFIX + PROOF not in names


def subject_of_letter(message: Message) -> tuple[str, str | None]:
    """Return the account that a letter is about, `?` where it says none, and the person, if its event names one.

    The event that was refused may be of any form, so this takes what it can read.
    """
    event, fields = _read_event(message), fields_of_letter(message)
    given = event.get("account") or fields.get("account") or event.get("subject")
    account = NOBODY
    if isinstance(given, str):
        try:
            account = resolve_subject(given)
        except RefusedEvent:
            account = NOBODY
    person = person_of(fields)
    if person is None and isinstance(given, str) and (address := find_address(given)) is not None:
        person = normalize_person(address)
    return account, person


def fields_of_letter(message: Message) -> Mapping[str, Any]:
    """Return the data of the event that was refused, as far as it can be read."""
    data = _read_event(message).get("data")
    return data if isinstance(data, dict) else {}


def _read_event(message: Message) -> dict[str, Any]:
    try:
        event = orjson.loads(message.value or b"")
    except orjson.JSONDecodeError:
        event = None
    if not isinstance(event, dict):
        event = {}
    said = {name: (value or b"").decode("utf-8", "replace") for name, value in message.headers}
    if "ce_subject" in said:
        return {"subject": said["ce_subject"], "data": event}
    return event


def seal_letter(message: Message, keys: Sequence[DataKey]) -> Message:
    """Return a letter with its key, value and headers in one envelope. What it is counted by stays readable."""
    key, value = message.key, message.value
    plain = [(name, one) for name, one in message.headers if name in _PLAIN]
    hidden = [(name, one) for name, one in message.headers if name not in _PLAIN]
    if (
        len(key or b"") + len(value or b"") + sum(len(name) + len(one or b"") for name, one in hidden)
        > MOST_BYTES
    ):
        if all(name != f"{PREFIX}truncated" for name, _ in plain):
            plain.append((f"{PREFIX}truncated", str(len(value or b"")).encode()))
        key, value = key and key[:KEPT_BYTES], value and value[:KEPT_BYTES]
        hidden = [(name, one) for name, one in hidden if name.startswith(PREFIX)]
    text = seal(_encode((key, value, hidden)), keys, _context(plain))
    return message._replace(key=None, value=text.encode(), headers=[*plain, (SEALED, b"1")])


def strip_letter(message: Message) -> Message:
    """Return a letter about somebody forgotten: its place and reason, and nothing of the record."""
    plain = [(name, one) for name, one in message.headers if name in _PLAIN]
    return message._replace(key=None, value=GONE.encode(), headers=[*plain, *_gone(plain)])


def keys_of_letter(record: Record) -> tuple[str, ...]:
    """Return the ids of the keys that a letter needs; none if it is not sealed, or its value is no envelope."""
    if not is_sealed_letter(record):
        return ()
    try:
        return key_ids(_text(record))
    except Tampered:
        return ()


def is_sealed_letter(record: Record) -> bool:
    """Return whether a record is a sealed letter."""
    return any(name == SEALED for name, _ in record.headers)


def open_letter(record: Record, keys: Mapping[str, DataKey]) -> Record:
    """Return a letter as it was before it was sealed; the same object if it is not.

    Where a key was destroyed, its place and reason are left. Raises Tampered.
    """
    if not is_sealed_letter(record):
        return record
    plain = [(name, one) for name, one in record.headers if name != SEALED]
    about = record.offset, record.timestamp
    place = getattr(record, "topic", ""), getattr(record, "partition", -1)
    try:
        key, value, hidden = _decoder.decode(open_sealed(_text(record), keys, _context(plain)))
    except Forgotten:
        return Opened(*about, None, GONE.encode(), [*plain, *_gone(plain)], *place)
    except msgspec.DecodeError:
        raise Tampered("what is sealed is no dead letter") from None
    return Opened(*about, key, value, [*hidden, *plain], *place)


def may_be_sent_again(record: Record) -> bool:
    """Return whether a letter has its record: not one that is still sealed, or of which nothing is left."""
    return not any(name in (SEALED, FORGOTTEN) for name, _ in record.headers)


def _gone(plain: Headers) -> list[tuple[str, bytes]]:
    names = {name for name, _ in plain}
    added = [(FORGOTTEN, b"1"), (f"{PREFIX}message", GONE.encode())]
    return added if f"{PREFIX}truncated" in names else [*added, (f"{PREFIX}truncated", b"0")]


def _text(record: Record) -> str:
    return (record.value or b"").decode("ascii", "replace")


def _context(plain: Headers) -> list[bytes]:
    """Return what an envelope is bound to: the place of the record."""
    about = dict(plain)
    return [b"letter", *(about.get(PREFIX + name) or b"" for name in _PLACE)]
