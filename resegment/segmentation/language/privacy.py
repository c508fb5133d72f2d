"""Leave out of facts what the file says must not be kept."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from msgspec.structs import replace

from resegment.schemas.fact import Fact

RAW = "_raw"
"""Beside a normalized field, the field of this suffix has what the source wrote."""


def drop_fields(fact: Fact, names: Collection[str]) -> Fact:
    """Return the fact without the fields of these names, at any depth of its data, nor their original spellings."""
    if not names or not fact.data:
        return fact
    kept = _without(fact.data, frozenset(names))
    return fact if kept is fact.data else replace(fact, data=kept)


def _without(value: Any, names: frozenset[str]) -> Any:
    """Return the value without the fields; the same object if it has none of them."""
    if isinstance(value, dict):
        kept = {
            name: _without(one, names)
            for name, one in value.items()
            if name not in names and name.removesuffix(RAW) not in names
        }
        return value if len(kept) == len(value) and all(kept[name] is value[name] for name in kept) else kept
    if isinstance(value, list):
        items = [_without(one, names) for one in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    return value
