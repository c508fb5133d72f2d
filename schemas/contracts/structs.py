"""The JSON Schemas of values that are msgspec structs: what commands print with --json."""

from __future__ import annotations

import inspect
from typing import Any, Final

import msgspec

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def struct_schema(kind: type[msgspec.Struct], title: str) -> dict[str, Any]:
    """Return the JSON Schema of a struct, with those of its parts."""
    (reference,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    for part in parts.values():
        if "description" in part:  # Python 3.13 takes the indentation out of docstrings, older ones don't
            part["description"] = inspect.cleandoc(part["description"])
    return {"$schema": DIALECT, "title": title, **reference, "$defs": parts}
