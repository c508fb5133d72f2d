"""The columns of archived topics, and how the row of a record is read from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import polars as pl

from resegment.agents.batch import Record
from resegment.errors import RefusedEvent
from resegment.identity.aliases import resolve_account
from resegment.schemas.cloudevents.decoding import decode_record
from resegment.schemas.logs.decoding import decode_value
from resegment.schemas.times import parse_instant

Instant: Final = pl.Datetime("ms", "UTC")
Row = dict[str, Any]

RECORD: Final[Mapping[str, Any]] = {
    "log_offset": pl.Int64(),
    "partition": pl.Int32(),
    "log_time": Instant,
    "key": pl.Binary(),
    "value": pl.Binary(),
    "headers": pl.List(pl.Struct({"name": pl.String(), "value": pl.Binary()})),
}
"""What every topic has: the record itself, to the byte."""

_EVENT: Final[Mapping[str, Any]] = {
    "type": pl.String(),
    "account": pl.String(),
    "id": pl.String(),
    "source": pl.String(),
    "event_time": Instant,
    "recorded_time": Instant,
}

COLUMNS: Final[Mapping[str, Mapping[str, Any]]] = {
    "signals": {
        **_EVENT,
        "kind": pl.String(),
        "record": pl.String(),
        "op": pl.String(),
        "via": pl.List(pl.String()),
    },
    "segment-changes": {
        **_EVENT,
        "sequence_number": pl.Int64(),
        "from_segment": pl.String(),
        "to_segment": pl.String(),
        "effective_at": Instant,
        "decided_at": Instant,
        "cause_events": pl.List(pl.String()),
        "cause_deadline": Instant,
        "cause_definition": pl.Int64(),
        "definition_version": pl.String(),
        "supersedes": pl.String(),
        "play": pl.String(),
        "workflow": pl.String(),
    },
    "workflow-commands": {
        **_EVENT,
        "action": pl.String(),
        "workflow": pl.String(),
        "owner": pl.String(),
        "team": pl.String(),
        "segment": pl.String(),
        "play": pl.String(),
        "reason": pl.String(),
        "accept_by": Instant,
        "change": pl.String(),
        "sequence_number": pl.Int64(),
        "effective_at": Instant,
    },
    "touches": {
        **_EVENT,
        "says": pl.String(),
        "touch": pl.String(),
        "segment": pl.String(),
        "workflow": pl.String(),
        "arm": pl.String(),
        "play": pl.String(),
        "owner": pl.String(),
        "team": pl.String(),
        "channel": pl.String(),
        "definition_version": pl.String(),
        "version": pl.Int64(),
        "experiment": pl.String(),
        "variant": pl.String(),
        "change": pl.String(),
    },
    "outcomes": {
        **_EVENT,
        "kind": pl.String(),
        "op": pl.String(),
        "action": pl.String(),
        "idempotency_key": pl.String(),
        "person": pl.String(),
    },
    "routing-events": {**_EVENT},
    "audit-log": {
        **_EVENT,
        "action": pl.String(),
        "actor": pl.String(),
        "stage": pl.String(),
        "error": pl.String(),
    },
    "identities": {
        **_EVENT,
        "alias": pl.String(),
        "name": pl.String(),
        "op": pl.Int64(),
        "author": pl.String(),
    },
    "definitions": {
        **_EVENT,
        "version": pl.Int64(),
        "apply": pl.String(),
        "author": pl.String(),
        "message": pl.String(),
    },
}
"""The topics that are archived, and what each has besides: null where the record does not say it."""


class _Value(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"")


_envelope: Final = msgspec.json.Decoder(_Value)
_plain: Final = msgspec.json.Decoder(dict[str, Any])


def schema_of(topic: str) -> dict[str, Any]:
    """Return the columns of a topic's files, in their order."""
    return {**RECORD, **COLUMNS[topic], "data": pl.String()}


def to_table(topic: str, partition: int, records: Sequence[Record]) -> pl.DataFrame:
    """Return the rows of records."""
    schema = schema_of(topic)
    read = _READERS[topic]
    columns: dict[str, list[Any]] = {name: [] for name in schema}
    for record in records:
        row = _read(read, record)
        row["log_offset"], row["partition"], row["log_time"] = record.offset, partition, record.timestamp
        row["key"], row["value"] = record.key, record.value
        row["headers"] = [{"name": name, "value": value} for name, value in record.headers]
        for name, values in columns.items():
            values.append(row.get(name))
    return pl.DataFrame(
        [
            pl.Series(name, columns[name], dtype=pl.Int64).cast(kind)
            if kind == Instant
            else pl.Series(name, columns[name], dtype=kind, strict=False)
            for name, kind in schema.items()
        ]
    )


def _read(read: Callable[[Record, dict[str, Any]], Row], record: Record) -> Row:
    """Return what the columns say of a record; nothing where it is none that they describe."""
    try:
        plain = decode_value(_plain, record.value)
    except msgspec.DecodeError:
        return read(record, {})
    row = {name: _fit(value) for name, value in read(record, plain).items()}
    row["data"] = _data_of(record.value or b"", whole="data" not in plain)
    return row


def _data_of(value: bytes, *, whole: bool) -> str:
    data = value if whole else bytes(_envelope.decode(value).data)
    return data.decode("utf-8", "replace")


def _fit(value: Any) -> Any:
    """Leave out what no column can hold."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**63 else None
    return value


def _text(plain: Mapping[str, Any], name: str) -> str | None:
    value = plain.get(name)
    return value if isinstance(value, str) else None


def _number(plain: Mapping[str, Any], name: str) -> int | None:
    value = plain.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _instant(plain: Mapping[str, Any], name: str) -> int | None:
    text = _text(plain, name)
    try:
        return None if text is None else parse_instant(text)
    except ValueError:
        return None


def _part(plain: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = plain.get(name)
    return value if isinstance(value, dict) else {}


def _read_signal(record: Record, plain: dict[str, Any]) -> Row:
    if record.key is None and record.headers:
        return {"type": record.headers[0][0]}
    texts = {name: _text(plain, name) for name in ("account", "id", "source", "kind", "record")}
    return {
        **texts,
        "type": "fact" if texts["kind"] is not None else None,
        "op": (_text(plain, "op") if "op" in plain else "assert") if texts["kind"] is not None else None,
        "event_time": _number(plain, "time"),
        "recorded_time": _number(plain, "recorded"),
        "via": _names_of_hops(plain.get("via")),
    }


def _names_of_hops(via: Any) -> list[str] | None:
    """Return the name of each hop, `[name, op]`; None where it is no list of hops."""
    hops = via if isinstance(via, list) else []
    names = [hop[0] for hop in hops if isinstance(hop, list) and hop and isinstance(hop[0], str)]
    return names if names and len(names) == len(hops) else None


def _read_sent(plain: Mapping[str, Any]) -> Row:
    """Read the envelope of an outgoing message."""
    return {
        "type": _text(plain, "type"),
        "account": _text(plain, "subject"),
        "id": _text(plain, "id"),
        "source": _text(plain, "source"),
        "event_time": _instant(plain, "time"),
    }


def _read_change(_: Record, plain: dict[str, Any]) -> Row:
    data = _part(plain, "data")
    cause = _part(data, "cause")
    events = cause.get("events")
    return {
        **_read_sent(plain),
        "sequence_number": _number(data, "sequence_number"),
        "from_segment": _text(data, "from"),
        "to_segment": _text(data, "to"),
        "effective_at": _instant(data, "effective_at"),
        "decided_at": _instant(data, "decided_at"),
        "recorded_time": _instant(data, "decided_at"),
        "cause_events": events
        if isinstance(events, list) and all(isinstance(one, str) for one in events)
        else None,
        "cause_deadline": _instant(cause, "deadline"),
        "cause_definition": _number(cause, "definition"),
        "definition_version": _text(data, "definition_version"),
        "supersedes": _text(data, "supersedes"),
        "play": _text(data, "play"),
        "workflow": _text(_part(data, "route"), "workflow"),
    }


def _read_command(_: Record, plain: dict[str, Any]) -> Row:
    data = _part(plain, "data")
    cause = _part(data, "cause")
    names = ("action", "workflow", "owner", "team", "segment", "play", "reason")
    return {
        **_read_sent(plain),
        **{name: _text(data, name) for name in names},
        "accept_by": _instant(data, "accept_by"),
        "change": _text(cause, "change"),
        "sequence_number": _number(cause, "sequence_number"),
        "effective_at": _instant(cause, "effective_at"),
    }


def _read_touch(_: Record, plain: dict[str, Any]) -> Row:
    data = _part(plain, "data")
    names = (
        *("says", "touch", "segment", "workflow", "arm", "play", "owner", "team", "channel"),
        *("definition_version", "experiment", "variant", "change"),
    )
    return {
        **_read_sent(plain),
        **{name: _text(data, name) for name in names},
        "version": _number(data, "version"),
    }


def _read_outcome(record: Record, plain: dict[str, Any]) -> Row:
    try:
        event = decode_record(record.value, record.headers)
        account = resolve_account(event.subject)
    except RefusedEvent:
        return _read_sent(plain) | {"account": None}
    return {
        "type": _text(plain, "type"),
        "account": account,
        "id": event.id,
        "source": event.source,
        "event_time": event.time,
        "recorded_time": event.recorded,
        "kind": event.kind,
        "op": event.op,
        **{name: _text(event.data, name) for name in ("action", "idempotency_key", "person")},
    }


def _read_routing_event(_: Record, plain: dict[str, Any]) -> Row:
    return {
        "type": _text(plain, "type"),
        "account": _text(plain, "account"),
        "event_time": _number(plain, "at"),
    }


def _read_definition(_: Record, plain: dict[str, Any]) -> Row:
    kind = _text(plain, "type")
    return {
        "type": kind,
        "id": _text(plain, "id"),
        "event_time": _number(plain, "at"),
        "version": _number(plain, "number" if kind == "version" else "version"),
        "apply": _text(plain, "id" if kind == "apply" else "apply"),
        "author": _text(plain, "author"),
        "message": _text(plain, "message"),
    }


def _read_audit_entry(_: Record, plain: dict[str, Any]) -> Row:
    data = _part(plain, "data")
    names = ("action", "actor", "stage", "error")
    return {**_read_sent(plain), "account": None, **{name: _text(data, name) for name in names}}


def _read_identity(_: Record, plain: dict[str, Any]) -> Row:
    names = ("type", "account", "alias", "name", "author")
    return {
        **{name: _text(plain, name) for name in names},
        "op": _number(plain, "op"),
        "event_time": _number(plain, "at"),
    }


_READERS: Final[Mapping[str, Callable[[Record, dict[str, Any]], Row]]] = {
    "signals": _read_signal,
    "segment-changes": _read_change,
    "workflow-commands": _read_command,
    "touches": _read_touch,
    "outcomes": _read_outcome,
    "routing-events": _read_routing_event,
    "audit-log": _read_audit_entry,
    "identities": _read_identity,
    "definitions": _read_definition,
}
