"""The JSON Schema of operators: in tests of attributes and traits, and of the fields of events."""

from __future__ import annotations

from typing import Any, Final

from resegment.segmentation.language.limits import MAX_LIST, MAX_PATTERN
from resegment.segmentation.language.operators import IN_TIME, KNOWN_WITHIN, OPERATORS

Schema = dict[str, Any]

_OPERATORS: Final = {
    "eq": "Is this value.",
    "ne": "Is known and is not this value.",
    "in": "Is one of these.",
    "not_in": "Is known and is none of these.",
    "gt": "Is greater.",
    "gte": "Is at least this.",
    "lt": "Is less.",
    "lte": "Is at most this.",
    "between": "Is between two numbers, both included.",
    "contains": "Contains this text; case doesn't matter.",
    "contains_any": "Contains at least one of these texts; case doesn't matter.",
    "in_file": "Is a line of this file; the path is relative to the segments file.",
    "not_in_file": "Is known and is no line of this file.",
    "before": "Is a date before this one.",
    "after": "Is a date after this one.",
    "within_next": "Is a date at most this far ahead.",
    "within_last": "Is a date at most this long ago.",
    "known_within": "Counts as unknown if it was given longer ago than this.",
    "matches": "Matches this regular expression (RE2) anywhere in the text; anchor it with ^ and $.",
    "has_any": "The set has at least one of these.",
    "has_all": "The set has all of these.",
    "has_none": "The set is known and has none of these.",
    "exists": "Whether a value is known at all.",
}

ON_TEXTS: Final = (
    "eq",
    "ne",
    "in",
    "not_in",
    "contains",
    "contains_any",
    "matches",
    "in_file",
    "not_in_file",
)

APPLIES: Final = {
    "text": (*ON_TEXTS, "before", "after", "within_next", "within_last", "exists"),
    "number": ("eq", "ne", "in", "not_in", "gt", "gte", "lt", "lte", "between", "exists"),
    "bool": ("eq", "ne", "in", "not_in", "exists"),
    "collection": ("has_any", "has_all", "has_none", "exists"),
    "any": tuple(one for one in OPERATORS if one != KNOWN_WITHIN),
}

IN_WHERE: Final = {kind: tuple(one for one in names if one not in IN_TIME) for kind, names in APPLIES.items()}

_JSON_TYPES: Final = {"text": "string", "number": "number", "bool": "boolean"}


def test_of(kind: str, names: tuple[str, ...]) -> Schema:
    """Return the schema of a test: a scalar, a list or a map of operators, that can match a value of the kind."""
    operators = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {name: {"description": _OPERATORS[name], **_operand(name, kind)} for name in names},
    }
    plain = [] if kind == "collection" else [_scalar_of(kind), one_or_more(kind), ref("list_name")]
    called = {"any": "a value", "bool": "a value that is true or false", "collection": "a list or set"}
    return {"description": f"A test of {called.get(kind, f'a {kind}')}.", "anyOf": [*plain, operators]}


def _operand(name: str, kind: str) -> Schema:
    if name == "exists":
        return {"type": "boolean"}
    if name in ("eq", "ne"):
        return _scalar_of(kind)
    if name in ("in", "not_in"):
        return {"anyOf": [one_or_more(kind), ref("list_name")]}
    if name in ("has_any", "has_all", "has_none"):
        return {"anyOf": [one_or_more("any"), ref("list_name")]}
    if name == "contains_any":
        texts = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_LIST}
        return {"anyOf": [texts, ref("list_name")]}
    if name in ("in_file", "not_in_file", "before", "after"):
        return {"type": "string", "minLength": 1}
    if name in IN_TIME:
        return ref("window")
    if name == "between":
        numbers = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
        return {"anyOf": [numbers, ref("list_name")]}
    if name in ("contains", "matches"):
        return {"type": "string", **({"maxLength": MAX_PATTERN} if name == "matches" else {})}
    return {"type": "number"}


def _scalar_of(kind: str) -> Schema:
    return {"type": _JSON_TYPES.get(kind, list(_JSON_TYPES.values()))}


def one_or_more(kind: str) -> Schema:
    """Return a list of scalars of which at least one can match."""
    some = {"contains": _scalar_of(kind)} if kind in _JSON_TYPES else {}
    return {"type": "array", "items": _scalar_of("any"), "minItems": 1, "maxItems": MAX_LIST, **some}


def choices() -> Schema:
    """Return the schema of a list of texts or numbers."""
    return {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 1}


def testable(kind: str) -> str:
    """Return the kind of test that a field takes."""
    return kind if kind in APPLIES else "any"


def ref(name: str) -> Schema:
    """Return a reference to a definition of the schema."""
    return {"$ref": f"#/$defs/{name}"}
