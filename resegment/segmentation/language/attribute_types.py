"""The types that a file gives to attributes of its own, and what they make of a value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from resegment.documents.diagnostics import Problems
from resegment.segmentation.language.fields import attribute_types
from resegment.segmentation.language.limits import WORDS
from resegment.segmentation.language.operators import moment_of, type_of

TypeName = Literal["text", "number", "date", "list", "one_of"]
TYPE_NAMES: Final = ("text", "number", "date", "list")
MISFIT: Final = object()
"""What a value of another type comes to: the snapshot does not carry the field."""

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_LONGEST_NUMBER: Final = 400
_KINDS: Final = {"text": "text", "number": "number", "date": "text", "list": "collection"}


@dataclass(frozen=True, slots=True)
class AttributeType:
    """One type; `choices` are those of `one_of`."""

    name: TypeName
    choices: tuple[str | int | float, ...] = ()

    @property
    def kind(self) -> str:
        """What tests can be asked of such a value: `text`, `number`, `collection` or `any`."""
        if self.name == "one_of":
            kinds = {type_of(one) for one in self.choices}
            return kinds.pop() if len(kinds) == 1 else "any"
        return _KINDS[self.name]

    def convert(self, value: Any) -> Any:
        """Return the value as this type has it, or MISFIT. Null is null under every type."""
        if value is None:
            return None
        given = type_of(value)
        match self.name:
            case "text":
                return value if given == "text" else MISFIT
            case "list":
                return value if given == "collection" else MISFIT
            case "date":
                return value if moment_of(value) is not None else MISFIT
            case "number":
                return value if given == "number" else _read_number(value)
            case _:
                return self._choose(value, given)

    def _choose(self, value: Any, given: str) -> Any:
        if given in ("text", "number") and any(
            type_of(one) == given and one == value for one in self.choices
        ):
            return value
        number = _read_number(value)
        if number is not MISFIT and any(type_of(one) == "number" and one == number for one in self.choices):
            return number
        return MISFIT


def _read_number(value: Any) -> Any:
    """Return the number that a text wholly is, as JSON writes numbers; MISFIT for all else."""
    match = _NUMBER.fullmatch(value) if type(value) is str and len(value) <= _LONGEST_NUMBER else None
    if match is None:
        return MISFIT
    if match[1] is None and match[2] is None:
        return int(match[0])
    number = float(match[0])
    return number if math.isfinite(number) else MISFIT


def read_types(raw: Any, problems: Problems) -> dict[str, AttributeType]:
    """Return the types that a file lists under `attributes`; those with errors are left out."""
    types: dict[str, AttributeType] = {}
    if not isinstance(raw, dict):
        return types
    for name, entry in raw.items():
        path = ("attributes", name)
        if name in WORDS:
            problems.error(
                "reserved-name",
                f"{name!r} is a reserved word",
                path,
                "give the attribute another name",
            )
        elif name in attribute_types():
            problems.error(
                "hidden-attribute",
                f"the contract sets the type of {name!r}",
                path,
                "remove it from attributes",
            )
        elif isinstance(entry, str) and entry in TYPE_NAMES:
            types[name] = AttributeType(entry)  # type: ignore[arg-type]  # one of TYPE_NAMES
        elif isinstance(entry, Mapping) and set(entry) == {"one_of"} and _are_choices(entry["one_of"]):
            types[name] = AttributeType("one_of", tuple(entry["one_of"]))
        else:
            problems.error(
                "wrong-value",
                f"the type of {name!r} is unknown",
                path,
                f"use one of {', '.join(TYPE_NAMES)}, or {{one_of: [a, b]}}",
            )
    return types


def _are_choices(raw: Any) -> bool:
    return isinstance(raw, list) and bool(raw) and all(type_of(one) in ("text", "number") for one in raw)
