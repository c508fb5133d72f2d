"""What type each field of the contract has, derived from its models."""

from __future__ import annotations

import types
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from resegment.schemas.events import DATA, Firmographic


@cache
def field_types(kind: str) -> dict[str, str]:
    """Field -> `text`, `number`, `bool` or `collection`, of the fields that the contract lists for a kind."""
    return {name: _type_of(info.annotation) for name, info in DATA[kind].model_fields.items()}


@cache
def attribute_types() -> dict[str, str]:
    """Return the same for attributes; a custom attribute is not in it."""
    return {name: _type_of(info.annotation) for name, info in Firmographic.model_fields.items()}


def words_of(kind: str, field: str) -> tuple[str, ...]:
    """Return the only words that a field of a kind can have; empty if it can have any."""
    info = DATA[kind].model_fields.get(field)
    members = () if info is None else _members(info.annotation)
    return tuple(word for one in members if get_origin(one) is Literal for word in get_args(one))


def _type_of(annotation: Any) -> str:
    kinds = {_kind(member) for member in _members(annotation)} - {None}
    return str(next(iter(kinds))) if len(kinds) == 1 else "any"


def _members(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return [found for one in get_args(annotation) for found in _members(one)]
    if hasattr(annotation, "__metadata__"):
        return _members(get_args(annotation)[0])
    return [annotation]


def _kind(member: Any) -> str | None:
    if member is type(None):
        return None
    origin = get_origin(member)
    if origin is list:
        return "collection"
    if str(origin) == "typing.Literal" or member is str:
        return "text"
    if member is bool:
        return "bool"
    if member in (int, float):
        return "number"
    return "any"
