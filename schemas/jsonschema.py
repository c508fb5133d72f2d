"""The JSON Schema of a trigger event, for whoever sends one."""

from __future__ import annotations

from typing import Any, Final

from resegment.schemas.events import DATA, Envelope

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def event_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a kind's events: the CloudEvents envelope and its data. Raises KeyError.

    Fields with a vocabulary are given in their normalised spelling; other spellings are normalised on arrival.
    """
    model = DATA[kind]
    data = model.model_json_schema()
    envelope = Envelope.model_json_schema()
    definitions = {**envelope.pop("$defs", {}), **data.pop("$defs", {}), "Data": data}
    envelope["properties"].update(
        type={"const": f"gtm.{kind}.v1"}, data={"description": model.__doc__, "$ref": "#/$defs/Data"}
    )
    return {
        "$schema": DIALECT,
        **envelope,
        "title": f"gtm.{kind}.v1",
        "description": model.__doc__,
        "anyOf": [{"required": ["data"]}, {"properties": {"op": {"const": "retract"}}, "required": ["op"]}],
        "$defs": definitions,
    }
