"""Decode the bytes of a trigger event to an `UnresolvedEvent`, or to the reason why it is refused."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic import ValidationError

from resegment.errors import RefusedEvent
from resegment.schemas.cloudevents.foreign import (
    is_connect_envelope,
    name_bytes,
    name_object,
    strip_registry_header,
)
from resegment.schemas.cloudevents.kafka_binding import Headers, content_type_of, is_binary, read_attributes
from resegment.schemas.cloudevents.plain_events import TYPES, find_plain_kind
from resegment.schemas.events import DATA, Envelope
from resegment.schemas.fact import EARLIEST, LATEST, Kind, UnresolvedEvent
from resegment.schemas.logs.decoding import is_deeper
from resegment.schemas.times import format_instant, parse_instant

MAX_BYTES: Final = 256 * 1024
"""The largest size of an event's value."""

MAX_DEPTH: Final = 16
"""How deep objects and lists may be nested in an event."""

_BOM: Final = b"\xef\xbb\xbf"
_EXPECTED: Final = {
    "string_type": "text",
    "int_type": "a number",
    "number_or_range": "a number or a range like 51-200",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "time_type": "a time like 2026-01-31T09:00:00Z",
}
"""What to say for pydantic's types of errors."""


def decode_event(value: bytes | None) -> UnresolvedEvent:
    """Decode one structured-mode CloudEvent.

    Raises RefusedEvent: `too-large`, `not-json`, `too-deep`, `wrong-envelope`, `unknown-kind`, `wrong-type`
    or `absurd-time`.
    """
    return read_event(_parse(value))


def decode_record(value: bytes | None, headers: Headers) -> UnresolvedEvent:
    """Decode one Kafka record, in structured or binary mode of the CloudEvents binding.

    In binary mode, headers `ce_<name>` hold the attributes and the value holds the data. A content type of
    CloudEvents means structured mode even if there are `ce_` headers. So does a record without such headers.
    Raises the same errors as `decode_event`.
    """
    if not is_binary(headers):
        return decode_event(value)
    event = read_attributes(headers)
    if value:
        data = _parse(value, field="data", content_type=content_type_of(headers))
        if isinstance(data, dict) and is_connect_envelope(data):
            message = (
                "the value is a Kafka Connect envelope (schema and payload): set "
                "value.converter.schemas.enable=false, so that the value is the data alone"
            )
            raise RefusedEvent("wrong-envelope", message, field="data")
        event["data"] = data
    return read_event(event)


def _parse(value: bytes | None, *, field: str | None = None, content_type: bytes | None = None) -> Any:
    """Parse the JSON of a value, which a schema registry's five bytes may precede. Raises RefusedEvent."""
    if value is None:
        message = "the record has no value (a tombstone): to withdraw a fact, send an event with op retract"
        raise RefusedEvent("not-json", message, field=field)
    if len(value) > MAX_BYTES:
        raise RefusedEvent("too-large", f"{len(value)} bytes: at most {MAX_BYTES} are allowed", field=field)
    try:
        return orjson.loads(value if value[:1] == b"{" else strip_registry_header(value.removeprefix(_BOM)))
    except orjson.JSONDecodeError as error:
        message = name_bytes(value) or f"the value is not JSON in UTF-8 ({error})"
        if content_type is not None and b"json" not in content_type:
            message += f". Its content type is {content_type[:80].decode('utf-8', 'replace')}: send JSON"
        raise RefusedEvent("not-json", message, field=field) from None


def read_event(event: Any) -> UnresolvedEvent:
    """Read an event whose JSON is already parsed. Raises RefusedEvent."""
    kind = find_plain_kind(event)
    if kind is not None:
        recorded = event.get("recordedtime")
        return _unresolved(
            event,
            kind,
            event["data"],
            _instant("time", event["time"]),
            None if recorded is None else _instant("recordedtime", recorded),
        )
    if not isinstance(event, dict):
        advice = ": send one event per record" if isinstance(event, list) else ""
        raise RefusedEvent("wrong-envelope", f"a CloudEvent is an object, not {_name_type(event)}{advice}")
    given, event = event, _read_variants(event)
    check_depth(event)
    try:
        envelope = Envelope.model_validate(event)
    except ValidationError as error:
        field, message = _first(error)
        raise RefusedEvent("wrong-envelope", name_object(given) or message, field=field) from None
    kind = TYPES.get(envelope.type)
    if kind is None:
        raise RefusedEvent(
            "unknown-kind", f"{envelope.type[:80]!r} is none of {', '.join(TYPES)}", field="type"
        )
    if envelope.data is None and envelope.op == "assert":
        raise RefusedEvent("wrong-type", "an event that asserts a fact needs data", field="data")
    try:
        data = DATA[kind].model_validate(envelope.data or {})
    except ValidationError as error:
        field, message = _first(error)
        raise RefusedEvent("wrong-type", message, field=f"data.{field}") from None
    return _unresolved(event, kind, _given(data), envelope.time, envelope.recordedtime)


def _read_variants(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event as it was meant: nulls are absent, and data as JSON text or in base64 is an object."""
    event = {name: value for name, value in event.items() if value is not None}
    data, encoded = event.get("data"), event.pop("data_base64", None)
    content_type = event.get("datacontenttype", "application/json")
    if data is None and encoded is not None:
        try:
            data = b64decode(encoded, validate=True)
        except (ValueError, TypeError):
            message = "data_base64 is not base64: send the data as a JSON object in data"
            raise RefusedEvent("wrong-envelope", message, field="data_base64") from None
    elif not isinstance(data, str):
        return event
    if isinstance(content_type, str) and "json" not in content_type.lower():
        message = f"the data is {content_type[:80]}: send a JSON object"
        raise RefusedEvent("wrong-envelope", message, field="data")
    try:
        event["data"] = orjson.loads(data)
    except orjson.JSONDecodeError:
        message = "the data is text that is not JSON: send a JSON object"
        raise RefusedEvent("wrong-envelope", message, field="data") from None
    return event


def _unresolved(
    event: Mapping[str, Any], kind: Kind, data: dict[str, Any], time: int, recorded: int | None
) -> UnresolvedEvent:
    if not EARLIEST <= time < LATEST:
        raise _absurd("time", event)
    if recorded is not None and not EARLIEST <= recorded < LATEST:
        raise _absurd("recordedtime", event)
    name = event["id"]
    return UnresolvedEvent(
        subject=event["subject"],
        kind=kind,
        id=name,
        source=event["source"],
        record=event.get("record") or name,
        time=time,
        recorded=recorded,
        op=event.get("op", "assert"),
        data=data,
    )


def _given(data: Any) -> dict[str, Any]:
    """Return the fields that the event has, nulls included, in their normalized spelling."""
    fields: dict[str, Any] = {
        name: getattr(data, name) for name in type(data).model_fields if name in data.model_fields_set
    }
    fields.update(data.model_extra or {})
    return fields


def _instant(field: str, text: str) -> int:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise RefusedEvent("wrong-envelope", str(error), field=field) from None


def _absurd(field: str, event: Mapping[str, Any]) -> RefusedEvent:
    return RefusedEvent(
        "absurd-time",
        f"{event[field]} lies outside {format_instant(EARLIEST)} to {format_instant(LATEST)}",
        field=field,
    )


def _first(error: ValidationError) -> tuple[str, str]:
    """Return the field and the message of the first error. The message names the value that is wrong."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"] if part not in ("int", "float"))
    wrong, given = first["type"], first["input"]
    if wrong == "missing":
        return field, f"{field} is missing: an event has specversion, id, source, type, subject and time"
    if wrong == "string_too_short":
        return field, f"{field} is empty"
    if wrong == "literal_error":
        return field, f"expected {first['ctx']['expected']}, not {_show(given)}"
    if (expected := _EXPECTED.get(wrong)) is not None:
        return field, f"expected {expected}, not {_show(given)}"
    return field, first["msg"].removeprefix("Value error, ")


def _show(value: Any) -> str:
    shown = repr(value) if isinstance(value, str) else _name_type(value)
    return shown if len(shown) <= 80 else shown[:79] + "…"


def _name_type(value: Any) -> str:
    """Name the type of a JSON value."""
    if isinstance(value, str):
        return "text: is the JSON encoded twice?" if value[:1] in ("{", "[") else "text"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    return "null" if value is None else "true or false" if isinstance(value, bool) else "a number"


def check_depth(event: Any, most: int = MAX_DEPTH) -> None:
    """Refuse what is nested deeper than an event may be. Raises RefusedEvent: `too-deep`."""
    if is_deeper(event, most):
        raise RefusedEvent("too-deep", f"objects and lists nest deeper than {most} levels")
