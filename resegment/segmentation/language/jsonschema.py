"""The JSON Schema of the segments file, for editors: the models of its parts, and the grammar of conditions and traits.

It checks what can be checked without looking elsewhere in the file. Names (plays, teams, traits, segments), cycles and regular
expressions are checked when the file is read.
"""

from __future__ import annotations

from typing import Final

from resegment.schemas.contracts.structs import DIALECT
from resegment.schemas.fact import KINDS
from resegment.schemas.segments import SegmentsFile
from resegment.segmentation.language.attribute_types import TYPE_NAMES
from resegment.segmentation.language.fields import attribute_types, field_types
from resegment.segmentation.language.limits import MAX_STEPS, WORDS
from resegment.segmentation.language.operator_schemas import (
    APPLIES,
    IN_WHERE,
    ON_TEXTS,
    Schema,
    choices,
    one_or_more,
    ref,
    test_of,
    testable,
)
from resegment.segmentation.language.operators import KNOWN_WITHIN
from resegment.segmentation.language.parsing.trait_parser import FUNCTIONS

_AGGREGATES: Final = {
    "sum": "The sum of a field over the matching facts; 0 if there are none.",
    "distinct": "How many different values a field has among the matching facts.",
    "min": "The smallest value of a field among the matching facts.",
    "max": "The largest value of a field among the matching facts.",
    "avg": "The mean of a field over the matching facts that have it.",
    "latest": "A field of the newest matching fact that has it.",
    "earliest": "A field of the oldest matching fact that has it.",
}
_DESCRIPTIONS: Final = {
    "SegmentsFile.version": "The version of the language.",
    "SegmentsFile.retain": "The minimum time that facts are kept, like 730d.",
    "SegmentsFile.attributes": "The types of your own attributes.",
    "SegmentsFile.traits": "Named values derived from what is known about an account.",
    "SegmentsFile.segments": "In order of priority: an account goes to the first segment whose `when` is true.",
    "SegmentsFile.fallback": "The segment of every account that no other segment takes.",
    "SegmentsFile.plays": "What to say to the accounts of a segment, by name.",
    "SegmentsFile.personas": "The contacts that plays address, by name.",
    "SegmentsFile.teams": "The teams that own the accounts of a route, by name.",
    "Privacy.drop": "Fields of events that are never kept, like email.",
    "SegmentsFile.tests": "Made-up accounts and the segments they must be in; `resegment test` runs them.",
    "SegmentEntry.name": "The name that changes and commands carry.",
    "SegmentEntry.status": "A draft is evaluated and explained, but takes no account",
    "SegmentEntry.target": "How many accounts the segment should have, for reports",
    "SegmentEntry.layer": "What the segment is based on: what a company is, uses, does or needs.",
    "SegmentEntry.hypothesis": "Why accounts of this segment should want to hear from you.",
    "SegmentEntry.hold": "Keeps an account from moving back and forth.",
    "SegmentEntry.play": "The name of a play.",
    "SegmentEntry.route": "The workflow, team and qualification of the segment.",
    "SegmentEntry.holdout": "A stable random share that is not enrolled, like 10%, to measure lift.",
    "SegmentsFile.qualifications": "How accounts are qualified, by name, and how soon someone must accept one.",
    "Member.name": "The name that commands carry as the owner.",
    "Member.weight": "The share of new accounts, relative to the weights of the others.",
    "Member.absences": "Local days when the member takes no new accounts, both ends included.",
    "EnrollmentLimits.enrollments": "The most enrollments of one account.",
    "EnrollmentLimits.per": "In any time of this length, like 30d.",
    "Suppression.name": "The reason reported for accounts that are not enrolled.",
    "HoldTimes.min_dwell": "After entering, the account stays in the segment for at least this long.",
    "HoldTimes.cooldown": "After leaving, the account can't enter the segment again for this long.",
    "Holdout.salt": "Each salt draws different accounts; default: the segment's name",
    "SegmentsFile.cooldown_after_lost": "How long after an outcome lost an account is not enrolled again; 0d for no time",
    "SegmentsFile.suppression": "Accounts that are never enrolled; the first that holds is the reason reported",
    "SegmentsFile.moved": "Segments that got another name since the version before: the new name, and the old one",
    "Route.workflow": "The workflow that an account is enrolled in.",
    "Route.team": "The name of a team.",
    "Route.qualification": "How an account is qualified, like fast-track.",
    "PlayMessage.value_prop": "What the account gets.",
    "PlayMessage.proof_points": "Why they should believe it.",
    "PlayMessage.objections": "Objections that a buyer may raise, and the responses.",
    "Channels.primary": "The first channel, like email.",
    "Channels.secondary": "Other channels.",
    "Channels.touches": "How many touches the cadence has.",
    "TestEntry.given": "What is known about the account of the test.",
    "TestEntry.expect": "The segment that it must be in.",
    "TestEntry.until": "The segment after time has passed without events.",
    "TestGiven.attributes": "The account's attributes.",
    "TestUntil.after": "How much time passes.",
    "TestUntil.expect": "The segment that it must be in after that time.",
}


def segments_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a segments file."""
    schema = SegmentsFile.model_json_schema()
    definitions: dict[str, Schema] = schema.pop("$defs")
    root = {"SegmentsFile": schema, **definitions}
    for key, text in _DESCRIPTIONS.items():
        model, field = key.split(".")
        root[model]["properties"][field].setdefault("description", text)
    definitions["SegmentEntry"]["properties"]["when"] = _described(
        "condition", "The account belongs to the segment while this is true."
    )
    definitions["HoldTimes"]["properties"]["exit_when"] = _described(
        "condition", "After entering, the account stays until this is true."
    )
    definitions["Suppression"]["properties"]["when"] = _described(
        "condition", "Accounts are suppressed while this is true."
    )
    definitions["Suppression"]["oneOf"] = [{"required": ["when"]}, {"required": ["file"]}]
    options = definitions["BuiltInOptions"]["properties"]
    definitions["BuiltInOptions"]["oneOf"] = [{"required": [name]} for name in options]
    definitions["ExperimentEntry"]["oneOf"] = [{"required": ["plays"]}, {"required": ["holdout"]}]
    definitions["Member"]["properties"]["territory"] = _described(
        "condition", "The member takes an account only if this is true."
    )
    schema["properties"]["traits"].update(
        additionalProperties=ref("trait"),
        propertyNames={"not": {"enum": sorted({*WORDS, *attribute_types()})}},
    )
    schema["properties"]["attributes"].update(
        additionalProperties=ref("attribute_type"),
        propertyNames={"not": {"enum": sorted({*WORDS, *attribute_types()})}},
    )
    schema["properties"]["lists"]["additionalProperties"] = one_or_more("any")
    schema["properties"]["conditions"]["additionalProperties"] = ref("condition")
    schema["properties"]["segments"]["minItems"] = 1
    definitions["TestGiven"]["properties"]["events"] = _test_events()
    definitions.update(_grammar())
    return {
        "$schema": DIALECT,
        "title": "Resegment segments file",
        **{key: value for key, value in schema.items() if key != "title"},
        "$defs": dict(sorted(definitions.items())),
    }


def _grammar() -> dict[str, Schema]:
    found: dict[str, Schema] = {
        "duration": _pattern("A whole number with s, m, h, d or w, like 90d.", "^[0-9]{1,12}[smhdw]$"),
        "window": _pattern("A length greater than zero, like 90d.", "^(?!0+[smhdw]$)[0-9]{1,12}[smhdw]$"),
        "ago": {
            "description": "An interval of time before now, the shorter first, like [30d, 90d].",
            "type": "array",
            "prefixItems": [ref("duration"), ref("window")],
            "minItems": 2,
            "maxItems": 2,
        },
        "kind": {"description": "A kind of event.", "enum": list(KINDS)},
        "condition": _condition(),
        "step": _step("One event of a sequence."),
        "trait": {
            "description": "A value derived from what is known about an account.",
            "oneOf": [ref(f"trait_{name}") for name in FUNCTIONS],
        },
        "attribute_type": {
            "description": "The type of an attribute of your own.",
            "oneOf": [
                {"enum": list(TYPE_NAMES)},
                _closed("One of these.", {"one_of": choices()}, ("one_of",)),
            ],
        },
        "list_name": _pattern("A list of the file's `lists`.", r"^\$"),
        **{f"test_{kind}": test_of(kind, (*names, KNOWN_WITHIN)) for kind, names in APPLIES.items()},
        **{f"field_{kind}": test_of(kind, names) for kind, names in IN_WHERE.items()},
        "test_account": test_of("text", (*ON_TEXTS, "exists")),
        "follower": _step("A fact that must not have happened later."),
        **{f"where_{kind}": _where(kind) for kind in KINDS},
        "trait_count": _fact_trait("count", "How many facts match; 0 without any.", {}, ()),
        **{
            f"trait_{name}": _fact_trait(name, text, {"field": ref("field")}, ("field",))
            for name, text in _AGGREGATES.items()
        },
        "trait_decay": _fact_trait(
            "decay",
            "The sum of a field (without `field`: of ones), each fact's part halved every half-life.",
            {"field": ref("field"), "half_life": ref("window")},
            ("half_life",),
        ),
        "trait_open": {
            **_closed("How many groups of facts are open.", {"open": ref("kind"), **_open()}, ("open",)),
            "allOf": _where_by_kind("open"),
        },
        "trait_score": _closed(
            "The sum of the points of the conditions that are true.",
            {
                "score": {
                    "type": "array",
                    "minItems": 1,
                    "items": _closed(
                        "Points, and the condition that they are for.",
                        {"when": ref("condition"), "points": {"type": "number"}},
                        ("when", "points"),
                    ),
                }
            },
            ("score",),
        ),
        "trait_ratio": _closed(
            "One number divided by another: attributes or traits.",
            {"ratio": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}},
            ("ratio",),
        ),
        "trait_growth": _closed(
            "The relative growth of an attribute: 0.2 is a fifth more.",
            {
                "growth": {"description": "A numeric attribute.", **_growing()},
                "over": ref("window"),
            },
            ("growth", "over"),
        ),
        "field": {"description": "A field of the event's data.", "type": "string", "minLength": 1},
    }
    return found


def _condition() -> Schema:
    group = {"type": "array", "items": ref("condition"), "minItems": 1}
    attributes = {name: ref(f"test_{testable(kind)}") for name, kind in attribute_types().items()}
    return {
        "description": (
            "True, false or unknown of an account. Several tests in one map must all hold. Names that are not words of the "
            "language are attributes or traits."
        ),
        "type": "object",
        "minProperties": 1,
        "properties": {
            "all": {"description": "Every one of these.", **group},
            "any": {"description": "At least one of these.", **group},
            "not": _described("condition", "Not this; unknown stays unknown."),
            "segment": {"description": "Whether another segment's `when` is true.", "type": "string"},
            "condition": {"description": "Whether a condition of `conditions` is true.", "type": "string"},
            "account": _described("test_account", "The account's own domain."),
            "open": {"description": "How many groups of facts of this kind are open.", "enum": list(KINDS)},
            "by": _open()["by"],
            "event": {"description": "How many facts of this kind count.", "enum": list(KINDS)},
            "where": {"description": "Tests on the fact's own data.", "type": "object"},
            "within": _described("window", "The fact happened at most this long ago."),
            "ago": ref("ago"),
            "not_followed_by": _described("follower", "A fact counts only if none of these happened later."),
            "count": _described("field_number", "How many facts must match; at least 1 by default."),
            "sequence": {
                "description": "Facts that followed one another, all inside `within`.",
                "type": "array",
                "items": ref("step"),
                "minItems": 1,
                "maxItems": MAX_STEPS,
            },
            "gap": _described("window", "How far apart two consecutive facts of the sequence may be."),
            "order": {
                "description": "Whether neighbors of the sequence may happen at the same time; strict by default.",
                "enum": ["strict", "loose"],
            },
            **attributes,
        },
        "additionalProperties": ref("test_any"),
        "dependentRequired": {
            "ago": ["event"],
            "not_followed_by": ["event"],
            "by": ["open"],
            "gap": ["sequence"],
            "order": ["sequence"],
            "sequence": ["within"],
        },
        "dependentSchemas": {
            "where": {"anyOf": [{"required": ["event"]}, {"required": ["open"]}]},
            "count": {"anyOf": [{"required": ["event"]}, {"required": ["open"]}]},
            "open": {"not": {"anyOf": [{"required": ["event"]}, {"required": ["sequence"]}]}},
            "within": {"anyOf": [{"required": ["event"]}, {"required": ["sequence"]}]},
            "sequence": {"not": {"required": ["event"]}},
        },
        "allOf": [*_where_by_kind("event"), *_where_by_kind("open")],
    }


def _open() -> dict[str, Schema]:
    return {
        "by": {
            "description": "The text field that tells one thing from another.",
            "type": "string",
            "minLength": 1,
        },
        "where": {"description": "Tests on the latest fact of each group.", "type": "object"},
    }


def _step(text: str) -> Schema:
    step = _closed(
        text,
        {"event": ref("kind"), "where": {"description": "Tests on the fact's own data.", "type": "object"}},
        ("event",),
    )
    return {**step, "allOf": _where_by_kind("event")}


def _fact_trait(name: str, text: str, more: dict[str, Schema], required: tuple[str, ...]) -> Schema:
    properties = {
        name: ref("kind"),
        **more,
        "where": {"description": "Tests on the fact's own data.", "type": "object"},
        "within": _described("window", "The fact happened at most this long ago."),
        "ago": ref("ago"),
        "not_followed_by": _described("follower", "A fact counts only if none of these happened later."),
    }
    return {**_closed(text, properties, (name, *required)), "allOf": _where_by_kind(name)}


def _where_by_kind(key: str) -> list[Schema]:
    """`where` tests the fields of the kind that stands under `key`."""
    return [
        {
            "if": {"properties": {key: {"const": kind}}, "required": [key]},
            "then": {"properties": {"where": ref(f"where_{kind}")}},
        }
        for kind in KINDS
        if kind != "people"  # a branch more would be another schema to those that compare them
    ]


def _where(kind: str) -> Schema:
    return {
        "description": f"Tests on the data of a {kind} event.",
        "type": "object",
        "properties": {name: ref(f"field_{testable(one)}") for name, one in field_types(kind).items()},
        "additionalProperties": ref("field_any"),
    }


def _test_events() -> Schema:
    return {
        "description": "Facts about the account: the kind, how long ago it happened, and the fields of its data.",
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"event": ref("kind"), "ago": _described("duration", "How long ago it happened.")},
            "required": ["event"],
        },
    }


def _growing() -> Schema:
    """Attributes that are no number cannot grow; custom ones may."""
    return {
        "type": "string",
        "minLength": 1,
        "not": {"enum": [name for name, kind in attribute_types().items() if kind != "number"]},
    }


def _closed(text: str, properties: dict[str, Schema], required: tuple[str, ...]) -> Schema:
    return {
        "description": text,
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _pattern(text: str, pattern: str) -> Schema:
    return {"description": text, "type": "string", "pattern": pattern}


def _described(name: str, text: str) -> Schema:
    return {"description": text, **ref(name)}
