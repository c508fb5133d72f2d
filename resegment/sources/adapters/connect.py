"""Read the rows in envelopes of change streams: Kafka Connect, Debezium and Singer."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from resegment.errors import RefusedEvent
from resegment.schemas.times import format_instant
from resegment.sources.adapters.records import Record, as_list, as_text

STAMP: Final = "__ts_ms"
"""The field of an unwrapped row with the time of the change."""
TABLE: Final = "__table"
"""The field of an unwrapped row with the name of its table or stream."""
GONE: Final = "__deleted"
"""The field of an unwrapped row that says that it was deleted."""

_OPS: Final = frozenset({"c", "r", "u", "d", "i", "create", "read", "update", "delete", "insert"})
_UNITS: Final = {
    "io.debezium.time.Timestamp": 1,
    "org.apache.kafka.connect.data.Timestamp": 1,
    "io.debezium.time.MicroTimestamp": 1_000,
    "io.debezium.time.NanoTimestamp": 1_000_000,
}
_DAYS: Final = frozenset({"io.debezium.time.Date", "org.apache.kafka.connect.data.Date"})
_DECIMAL: Final = "org.apache.kafka.connect.data.Decimal"

Row = dict[str, Any]


def unwrap_connect(payload: Any) -> Iterator[Row | RefusedEvent]:
    """Yield the rows of envelopes of Kafka Connect (schema and payload), of Debezium, or of both."""
    for one in as_list(payload):
        if not isinstance(one, Mapping):
            yield RefusedEvent("wrong-payload", "an object is expected")
            continue
        schema, inner = one.get("schema"), one.get("payload")
        if "payload" in one and (inner is None or isinstance(inner, Mapping)) and len(one) <= 3:
            if inner is None:
                yield RefusedEvent("ignored", "a tombstone: the deletion came before it", field="payload")
            else:
                yield _unwrap(inner, schema if isinstance(schema, Mapping) else None)
        else:
            yield _unwrap(one, None)


def _unwrap(one: Mapping[str, Any], schema: Mapping[str, Any] | None) -> Row | RefusedEvent:
    operation = one.get("op")
    if isinstance(operation, str) and ("after" in one or "before" in one or operation in ("t", "m")):
        return _change(one, operation, schema)
    record = Record(one)
    row: Row = _decode(one, schema)
    stamp = record.find("__ts_ms", "__source_ts_ms")
    if stamp is not None:
        row[STAMP] = stamp
    if str(one.get("__deleted")).lower() == "true" or one.get("__op") == "d":
        row[GONE] = True
        row["is_deleted"] = True
    if (table := record.find_text("__table")) is not None:
        row[TABLE] = table
    return row


def _change(one: Mapping[str, Any], operation: str, schema: Mapping[str, Any] | None) -> Row | RefusedEvent:
    word = operation.lower()
    if word == "t":
        return RefusedEvent(
            "ignored", "the table was truncated: withdraw its facts by a new prefix", field="op"
        )
    if word == "m":
        return RefusedEvent("ignored", "a message of the database is no row", field="op")
    if word not in _OPS:
        return RefusedEvent("unknown-type", f"{operation[:20]!r} is no operation of Debezium", field="op")
    gone = word in ("d", "delete")
    side = "before" if gone else "after"
    row = one.get(side)
    if not isinstance(row, Mapping):
        return RefusedEvent("no-record", f"the change has no row in {side}", field=side)
    found = _decode(row, _field_schema(schema, side))
    origin = Record(one)
    stamp = origin.find("source.ts_ms", "ts_ms")
    if stamp is not None:
        found[STAMP] = stamp
    table = origin.find_text("source.table", "source.collection")
    if table is not None:
        found[TABLE] = table
    if gone:
        found[GONE] = True
        found["is_deleted"] = True
    return found


def _field_schema(schema: Mapping[str, Any] | None, name: str) -> Mapping[str, Any] | None:
    fields = as_list(schema.get("fields")) if schema is not None else []
    return next((one for one in fields if isinstance(one, Mapping) and one.get("field") == name), None)


def _decode(row: Mapping[str, Any], schema: Mapping[str, Any] | None) -> Row:
    """Return a row whose dates, times and decimals are read by the schema, if there is one."""
    found: Row = {str(name): value for name, value in row.items()}
    for one in as_list(schema.get("fields")) if schema is not None else []:
        if not isinstance(one, Mapping):
            continue
        name, logical = one.get("field"), one.get("name")
        if isinstance(name, str) and isinstance(logical, str) and found.get(name) is not None:
            found[name] = _read_logical(found[name], logical, one.get("parameters"))
    return found


def _read_logical(value: Any, logical: str, parameters: Any) -> Any:
    try:
        if logical in _DAYS and isinstance(value, int):
            return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=value)).date().isoformat()
        if logical in _UNITS and isinstance(value, int):
            return format_instant(value // _UNITS[logical]) if value >= 0 else value
        if logical == _DECIMAL and isinstance(value, str):
            scale = int(parameters.get("scale", 0)) if isinstance(parameters, Mapping) else 0
            number = int.from_bytes(b64decode(value, validate=True), "big", signed=True)
            return number / 10**scale if scale else number
    except (ValueError, OverflowError, TypeError, ZeroDivisionError):
        return value
    return value


def unwrap_singer(payload: Any) -> Iterator[Row | RefusedEvent]:
    """Yield the rows of RECORD messages."""
    for one in as_list(payload):
        if not isinstance(one, Mapping):
            yield RefusedEvent("wrong-payload", "an object is expected")
            continue
        kind = (as_text(one.get("type")) or "").upper()
        row = one.get("record")
        if kind in ("SCHEMA", "STATE", "ACTIVATE_VERSION", "BATCH"):
            yield RefusedEvent("ignored", f"a {kind} message has no record", field="type")
        elif kind != "RECORD":
            yield RefusedEvent("unknown-type", f"{kind[:40]!r} is no message of Singer", field="type")
        elif not isinstance(row, Mapping):
            yield RefusedEvent("no-record", "a RECORD message needs a record", field="record")
        else:
            found: Row = {str(name): value for name, value in row.items()}
            stream = as_text(one.get("stream"))
            if stream is not None:
                found[TABLE] = stream
            if as_text(one.get("time_extracted")) is not None:
                found[STAMP] = one["time_extracted"]
            if row.get("_sdc_deleted_at"):
                found[GONE] = True
                found["is_deleted"] = True
            yield found
