"""Outreach's requests: JSON:API documents with integer ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from resegment.sinks.port import Answer, Method, Request
from resegment.sinks.reading import number

JSON_API: Final = "application/vnd.api+json"
_HEADERS: Final = (("Content-Type", JSON_API), ("Accept", JSON_API))


def get(path: str, *query: tuple[str, str]) -> Request:
    """Return a request that reads."""
    return Request("GET", f"/api/v2{path}", query=query, headers=_HEADERS)


def post(path: str, body: Any = None, *, method: Method = "POST") -> Request:
    """Return a request that changes something."""
    return Request(method, f"/api/v2{path}", body=body, headers=_HEADERS)


def resource(
    kind: str,
    identity: int | None = None,
    attributes: Mapping[str, Any] | None = None,
    *,
    relationships: Mapping[str, tuple[str, int]] | None = None,
) -> dict[str, Any]:
    """Return the document of a resource; relationships are by name, each a type and an id."""
    data: dict[str, Any] = {"type": kind}
    if identity is not None:
        data["id"] = identity
    if attributes:
        data["attributes"] = dict(attributes)
    if relationships:
        data["relationships"] = {
            name: {"data": {"type": one, "id": related_id}}
            for name, (one, related_id) in relationships.items()
        }
    return {"data": data}


def related(one: Answer, name: str) -> int | None:
    """Return the id of a related resource."""
    return number(one.get("relationships", name, "data", "id"))
