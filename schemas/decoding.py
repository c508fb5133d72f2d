"""Decode the bytes of a trigger event to an `UnresolvedEvent`, or to the reason why it is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from pydantic import ValidationError

from resegment.errors import RefusedEvent
from resegment.schemas.events import DATA, Envelope, plain_fields
from resegment.schemas.fact import EARLIEST, LATEST, UnresolvedEvent
from resegment.schemas.times import format_instant, parse_instant

MAX_BYTES: Final = 256 * 1024
"""The largest size of an event's value."""

MAX_DEPTH: Final = 16
"""How deep objects and lists may be nested in an event."""

_BINARY: Final = "ce_"
_STRUCTURED: Final = b"application/cloudevents"
_OPS: Final = ("assert", "retract")
_PLAIN_NAMES: Final = (("id", 512), ("source", 512), ("subject", 2048), ("time", 64))
_LISTS: Final = frozenset({"investors", "lead_investors", "technologies"})
_PLAIN_DATA: Final = {kind: plain_fields(kind) for kind in DATA}
_TYPES: Final = {f"gtm.{kind}.v1": kind for kind in DATA}


def decode_event(value: bytes | None) -> UnresolvedEvent:
    """Decode one structured-mode CloudEvent.

    Raises RefusedEvent: `too-large`, `not-json`, `too-deep`, `wrong-envelope`, `unknown-kind`, `wrong-type`
    or `absurd-time`.
    """
    if value is None:
        raise RefusedEvent("not-json", "the record has no value")
    if len(value) > MAX_BYTES:
        raise RefusedEvent("too-large", f"{len(value)} bytes: at most {MAX_BYTES} are allowed")
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise RefusedEvent("not-json", str(error)) from None
    return read_event(event)


def decode_record(value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> UnresolvedEvent:
    """Decode one Kafka record, in structured or binary mode of the CloudEvents binding.

    In binary mode, headers `ce_<name>` hold the attributes and the value holds the data. A content type of
    CloudEvents means structured mode even if there are `ce_` headers. So does a record without such headers.
    Raises the same errors as `decode_event`.
    """
    if _is_binary(headers):
        return read_event(_read_binary(value, headers))
    return decode_event(value)


def _is_binary(headers: Sequence[tuple[str, bytes]]) -> bool:
    found = False
    for name, raw in headers:
        if name.lower() == "content-type" and raw and raw.lower().startswith(_STRUCTURED):
            return False
        found = found or name.startswith(_BINARY)
    return found


def _read_binary(value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> dict[str, Any]:
    event: dict[str, Any] = {}
    for name, raw in headers:
        if name.startswith(_BINARY):
            try:
                event[name.removeprefix(_BINARY)] = raw.decode()
            except (UnicodeDecodeError, AttributeError):
                raise RefusedEvent("wrong-envelope", f"the header {name} is not UTF-8", field=name) from None
    if value is not None and len(value) > MAX_BYTES:
        raise RefusedEvent("too-large", f"{len(value)} bytes: at most {MAX_BYTES} are allowed")
    if value:
        try:
            event["data"] = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise RefusedEvent("not-json", str(error), field="data") from None
    return event


def read_event(event: Any) -> UnresolvedEvent:
    """Read an event whose JSON is already parsed. Raises RefusedEvent."""
    plain = _read_plain(event)
    if plain is not None:
        return _unresolved(event, *plain)
    if not isinstance(event, dict):
        raise RefusedEvent("wrong-envelope", f"a CloudEvent is an object, not {type(event).__name__}")
    _check_depth(event)
    try:
        envelope = Envelope.model_validate(event)
    except ValidationError as error:
        field, message = _first(error)
        raise RefusedEvent("wrong-envelope", message, field=field) from None
    kind = _TYPES.get(envelope.type)
    if kind is None:
        raise RefusedEvent(
            "unknown-kind", f"{envelope.type[:80]!r} is none of {', '.join(_TYPES)}", field="type"
        )
    if envelope.data is None and envelope.op == "assert":
        raise RefusedEvent("wrong-type", "an event that asserts a fact needs data", field="data")
    try:
        data = DATA[kind].model_validate(envelope.data or {})
    except ValidationError as error:
        field, message = _first(error)
        raise RefusedEvent("wrong-type", message, field=f"data.{field}") from None
    return _unresolved(event, kind, _given(data), envelope.time, envelope.recordedtime)


def _read_plain(event: Any) -> tuple[str, dict[str, Any], int, int | None] | None:
    """Return kind, data, time and recordedtime of an event that is valid and normalized already, else None.

    Most events are. The models judge all others, and find what is wrong with them.
    """
    if type(event) is not dict or event.get("specversion") != "1.0":
        return None
    named, data = event.get("type"), event.get("data")
    kind = _TYPES.get(named) if type(named) is str else None
    if kind is None or type(data) is not dict:
        return None
    for name, longest in _PLAIN_NAMES:
        text = event.get(name)
        if type(text) is not str or not 0 < len(text) <= longest:
            return None
    if event.get("op", "assert") not in _OPS or ("record" in event and type(event["record"]) is not str):
        return None
    if type(event.get("recordedtime", "")) is not str or (
        "record" in event and not 0 < len(event["record"]) <= 512
    ):
        return None
    allowed = _PLAIN_DATA[kind]
    for name, value in data.items():
        kinds = type(value)
        if kinds is dict or (
            kinds is list and (name not in _LISTS or any(type(one) is not str for one in value))
        ):
            return None
        good = allowed.get(name)
        if good is not None and not good(value):
            return None
    recorded = event.get("recordedtime")
    return (
        kind,
        data,
        _instant("time", event["time"]),
        None if recorded is None else _instant("recordedtime", recorded),
    )


def _unresolved(
    event: Mapping[str, Any], kind: str, data: dict[str, Any], time: int, recorded: int | None
) -> UnresolvedEvent:
    _check_sane("time", time, event)
    if recorded is not None:
        _check_sane("recordedtime", recorded, event)
    return UnresolvedEvent(
        subject=event["subject"],
        kind=kind,  # type: ignore[arg-type]  # a key of DATA is a Kind
        id=event["id"],
        source=event["source"],
        record=event.get("record") or event["id"],
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


def _check_sane(field: str, ms: int, event: Mapping[str, Any]) -> None:
    if not EARLIEST <= ms < LATEST:
        raise RefusedEvent(
            "absurd-time",
            f"{event[field]} lies outside {format_instant(EARLIEST)} to {format_instant(LATEST)}",
            field=field,
        )


def _first(error: ValidationError) -> tuple[str, str]:
    first = error.errors(include_url=False, include_context=False)[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]


def _check_depth(event: Any) -> None:
    level = [event]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise RefusedEvent("too-deep", f"objects and lists nest deeper than {MAX_DEPTH} levels")
