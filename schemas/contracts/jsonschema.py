"""The JSON Schemas (draft 2020-12) of incoming and outgoing messages, generated from the models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from resegment.schemas.contracts.audit import AUDIT_TYPE, AuditEntryData, AuditEvent
from resegment.schemas.contracts.dead_letter import DeadLetterHeaders
from resegment.schemas.contracts.refresh import REFRESH_TYPE, RefreshRequest, RefreshRequestData
from resegment.schemas.contracts.structs import DIALECT
from resegment.schemas.events import DATA, Envelope
from resegment.schemas.outcomes.messages import TOUCH_TYPE, TouchData
from resegment.schemas.outgoing import CHANGE_TYPE, COMMAND_TYPE, SegmentChangeData, Sent, WorkflowCommandData
from resegment.schemas.privacy.fields import list_personal_fields

Schema = dict[str, Any]

_NAMED: Final = ("properties", "$defs")
"""Keywords whose keys are names, not keywords."""


def event_schema(kind: str) -> Schema:
    """Return the schema of a kind's events: the CloudEvents envelope and its data. Raises KeyError.

    Fields with a vocabulary are given in their normalized spelling; other spellings are normalized on arrival.
    `x-personal` has the fields of the data that are personal, at any depth.
    """
    model = DATA[kind]
    event = _about(f"gtm.{kind}.v1", Envelope, model)
    return {
        **event,
        "anyOf": [
            {"required": ["data"], "properties": {"data": {"type": "object"}}},
            {"required": ["op"], "properties": {"op": {"const": "retract"}}},
        ],
        "x-personal": list_personal_fields()[kind],
    }


def header_schema(kind: str) -> Schema:
    """Return the schema of the headers of a kind's events in binary mode, each UTF-8 text. Raises KeyError."""
    whole = event_schema(kind)
    names = [name for name in whole["properties"] if name not in ("data", "datacontenttype")]
    headers = {f"ce_{name}": _without_null(whole["properties"][name]) for name in names}
    content_type = {"type": "string", "const": "application/json"}
    return {
        "type": "object",
        "properties": {"content-type": content_type, **headers},
        "required": [f"ce_{name}" for name in whole["required"]],
    }


def change_schema() -> Schema:
    """Return the schema of a segment change."""
    return _open(_about(CHANGE_TYPE, Sent, SegmentChangeData))


def command_schema() -> Schema:
    """Return the schema of a workflow command."""
    return _open(_about(COMMAND_TYPE, Sent, WorkflowCommandData))


def touch_schema() -> Schema:
    """Return the schema of a touch."""
    return _open(_about(TOUCH_TYPE, Sent, TouchData))


def audit_schema() -> Schema:
    """Return the schema of an entry of the audit log."""
    return _open(_about(AUDIT_TYPE, AuditEvent, AuditEntryData))


def refresh_schema() -> Schema:
    """Return the schema of a request for attributes."""
    return _open(_about(REFRESH_TYPE, RefreshRequest, RefreshRequestData))


def dead_letter_schema() -> Schema:
    """Return the schema of a dead letter's added headers."""
    return {"$schema": DIALECT, **_schema_of(DeadLetterHeaders)}


def schemas_within(schema: Any) -> Iterator[Schema]:
    """Yield the schema and every schema inside it, in place: changing one changes the whole."""
    if isinstance(schema, list):
        for one in schema:
            yield from schemas_within(one)
    if isinstance(schema, dict):
        yield schema
        for keyword, value in schema.items():
            if keyword not in ("default", "const", "enum", "examples", "required"):
                yield from schemas_within(list(value.values()) if keyword in _NAMED else value)


def _about(type_: str, envelope: type[BaseModel], model: type[BaseModel]) -> Schema:
    data, whole = _schema_of(model), _schema_of(envelope)
    definitions = {**whole.pop("$defs", {}), **data.pop("$defs", {}), "Data": data}
    given: Schema = {"$ref": "#/$defs/Data"}
    if "data" in whole["properties"]:
        given = {"anyOf": [given, {"type": "null"}]}  # a retraction needs none
    else:
        whole["required"].append("data")
    whole["properties"] |= {"type": {"type": "string", "const": type_}, "data": given}
    return {
        "$schema": DIALECT,
        **whole,
        "title": type_,
        "description": data["description"],
        "$defs": definitions,
    }


def _schema_of(model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema()
    for one in schemas_within(schema):
        for inner in one.get("properties", {}).values():
            inner.pop("title", None)  # it only repeats the name
            if inner.get("default", ...) is None:
                del inner["default"]  # a field that is not required may be missing
        _shorten(one)
    return schema


def _shorten(schema: Schema) -> None:
    """Write a union of bare types, like a number that may be null, as one list of types."""
    union = schema.get("anyOf", [])
    if union and all(one.keys() == {"type"} for one in union):
        types = [one["type"] for one in union if one["type"] != "integer" or {"type": "number"} not in union]
        del schema["anyOf"]
        schema["type"] = types


def _without_null(schema: Schema) -> Schema:
    union = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
    return {**{key: value for key, value in schema.items() if key != "anyOf"}, **(union[0] if union else {})}


def _open(schema: Schema) -> Schema:
    """Allow additional fields: outgoing messages may gain some, and older schemas must still accept them."""
    for one in schemas_within(schema):
        if one.get("additionalProperties") is False:
            del one["additionalProperties"]
    return schema
