"""Find the keys that a place of the segments file may have, for suggestions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from resegment.documents.diagnostics import Path
from resegment.schemas.segments import SegmentsFile


def keys_at(path: Path) -> tuple[str, ...]:
    """Return the keys that the map at a path may have, in the order of the reference; empty if it may have any."""
    places = [_schema()]
    for part in path:
        places = [inner for one in places for inner in _step(one, part)]
    found = [name for one in places for whole in _alternatives(one) for name in whole.get("properties", ())]
    return tuple(dict.fromkeys(found))


def _step(schema: dict[str, Any], part: str | int) -> Iterator[dict[str, Any]]:
    for one in _alternatives(schema):
        if isinstance(part, int):
            inner = one.get("items")
        else:
            inner = one.get("properties", {}).get(part, one.get("additionalProperties"))
        if isinstance(inner, dict):
            yield inner


def _alternatives(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schema, or those that it is a choice of."""
    if "$ref" in schema:
        yield from _alternatives(_schema()["$defs"][schema["$ref"].rpartition("/")[2]])
        return
    choices = schema.get("anyOf") or schema.get("oneOf")
    if not choices:
        yield schema
        return
    for one in choices:
        yield from _alternatives(one)


@cache
def _schema() -> dict[str, Any]:
    return SegmentsFile.model_json_schema()
