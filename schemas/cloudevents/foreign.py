"""Recognize what other programs write instead of a CloudEvent, to say so in a refusal with a remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_MAGICS: Final = (
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed data"),
    (b"Obj\x01", "an Avro file"),
    (b"PAR1", "a Parquet file"),
    (b"PK\x03\x04", "an Excel workbook or a ZIP archive"),
)
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_REGISTRY_HEADER: Final = 5
"""One magic byte 0 and the schema's id in four bytes, as serializers of a schema registry write them."""

_ADVICE: Final = "send the event itself, as a JSON object in UTF-8"


def strip_registry_header(value: bytes) -> bytes:
    """Return JSON without the five bytes that a JSON Schema serializer of a schema registry puts before it."""
    if value[:1] == b"\0" and value[_REGISTRY_HEADER : _REGISTRY_HEADER + 1] == b"{":
        return value[_REGISTRY_HEADER:]
    return value


def is_utf16(start: bytes) -> bool:
    """Whether bytes are the beginning of text in UTF-16, with or without a byte order mark."""
    if start.startswith(_UTF16_MARKS):
        return True
    zeros = [byte == 0 for byte in start[:4]]
    return len(zeros) > 1 and zeros in (
        [True, False, True, False][: len(zeros)],
        [False, True, False, True][: len(zeros)],
    )


def name_format(start: bytes) -> str | None:
    """Name the binary format of a file or value that begins with these bytes; None if it is not known."""
    return next((name for magic, name in _MAGICS if start.startswith(magic)), None)


def name_bytes(value: bytes) -> str | None:
    """Say what bytes are that are not JSON text, and the remedy; None if they are not recognized."""
    if not value:
        return f"the value is empty: {_ADVICE}"
    if (format_name := name_format(value)) is not None:
        return (
            f"the value is {format_name}: {_ADVICE}, and let Kafka compress it if you want (compression.type)"
        )
    if is_utf16(value):
        return "the value is text in UTF-16: write it in UTF-8"
    if value[0] == 0 and len(value) > _REGISTRY_HEADER:
        return _name_registry(value)
    return None


def _name_registry(value: bytes) -> str:
    number = int.from_bytes(value[1:_REGISTRY_HEADER], "big")
    return (
        f"the value begins with 5 bytes of a schema registry (magic byte 0, schema id {number}) and is Avro or "
        "Protobuf: use a JSON serializer, with or without a registry"
    )


def name_object(event: Mapping[str, Any]) -> str | None:
    """Say what an object is that is not a CloudEvent, and the remedy; None if it is not recognized."""
    if "specversion" in event:
        return None
    if is_connect_envelope(event):
        inner = event["payload"]
        if isinstance(inner, Mapping) and _is_debezium(inner):
            return _DEBEZIUM
        return (
            "this is a Kafka Connect envelope (schema and payload): set value.converter.schemas.enable=false, and "
            "send the payload as a CloudEvent"
        )
    if _is_debezium(event):
        return _DEBEZIUM
    if not event.keys() & {"id", "source", "type", "subject", "time"}:
        return (
            "this is not a CloudEvent: put the object into data, and add specversion, id, source, type, subject "
            "and time"
        )
    return None


_DEBEZIUM: Final = (
    "this is a Debezium change event (before, after, op): unwrap it with the ExtractNewRecordState transform, and "
    "send the row as a CloudEvent"
)


def is_connect_envelope(event: Mapping[str, Any]) -> bool:
    """Whether an object is the envelope of Kafka Connect's JsonConverter."""
    return event.keys() == {"schema", "payload"} and isinstance(event["schema"], Mapping | None)


def _is_debezium(event: Mapping[str, Any]) -> bool:
    return event.get("op") in ("c", "u", "d", "r", "t", "m") and bool(
        event.keys() & {"before", "after", "source"}
    )
