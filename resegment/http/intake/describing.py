"""Describe the bodies and keys of the intake for the OpenAPI document."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from resegment.schemas.contracts.jsonschema import event_schema
from resegment.schemas.events import RANGED
from resegment.schemas.fact import KINDS

Schema = dict[str, Any]

_EVENT: Final = {"$ref": "#/components/schemas/Event"}
EVENTS_BODY: Final[Schema] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/cloudevents+json": {"schema": _EVENT},
            "application/cloudevents-batch+json": {
                "schema": {"type": "array", "contains": _EVENT, "minItems": 1}
            },
            "application/json": {"schema": _EVENT},
        },
    },
    "security": [{"key": []}, {}],
}
WEBHOOK_BODY: Final[Schema] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}},
    "security": [{"key": []}, {}],
}
SECURITY: Final[Schema] = {
    "key": {"type": "http", "scheme": "bearer", "description": "A key of the file of keys"}
}
_DAY: Final = "20[0-2][0-9]-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
_RANGE: Final = "^([0-9]{1,6}\\+)?$"
_TIME: Final = f"^{_DAY}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$"


def describe_events(app: FastAPI, security: Schema) -> None:
    """Add the contract of events and the scheme of keys to the OpenAPI document of an application."""

    def document() -> Schema:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, routes=app.routes)
            components = made.setdefault("components", {})
            components.setdefault("schemas", {}).update(_event_schemas())
            components["securitySchemes"] = security
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the way that FastAPI documents


def _event_schemas() -> Schema:
    """Return the schema of an event of each kind, with spellings that every reader takes."""
    found: Schema = {"Event": {"oneOf": [{"$ref": f"#/components/schemas/{_name(kind)}"} for kind in KINDS]}}
    for kind in KINDS:
        schema = deepcopy(event_schema(kind))
        inner = schema.pop("$defs", {})
        for name in RANGED & inner["Data"]["properties"].keys():
            inner["Data"]["properties"][name]["anyOf"][1] = {"type": "string", "pattern": _RANGE}
        for name in ("$schema", "anyOf"):
            schema.pop(name, None)
        schema["properties"] = _plain(schema["properties"])
        schema["required"] = [*schema["required"], "data"]
        found[_name(kind)] = _point(schema, kind)
        found.update({f"{_name(kind)}{name}": _point(one, kind) for name, one in inner.items()})
    return found


def _plain(properties: Schema) -> Schema:
    properties["subject"] |= {
        "pattern": "^[a-z]{8,20}\\.com$",
        "description": "The account: a domain. URLs and addresses are read too",
    }
    properties["time"] |= {"pattern": _TIME}
    properties["op"] = {"enum": ["assert", "retract", None], "description": "Default: assert"}
    properties["data"] = properties["data"]["anyOf"][0]
    return {
        name: one
        for name, one in properties.items()
        if name not in ("recordedtime", "record", "datacontenttype")
    }


def _point(schema: Any, kind: str) -> Any:
    """Return a schema whose references lead to the components of its kind."""
    if isinstance(schema, dict):
        return {
            name: f"#/components/schemas/{_name(kind)}{one.removeprefix('#/$defs/')}"
            if name == "$ref"
            else _point(one, kind)
            for name, one in schema.items()
        }
    return [_point(one, kind) for one in schema] if isinstance(schema, list) else schema


def _name(kind: str) -> str:
    return f"{kind.title()}Event"
