"""Which changes of a schema break those who rely on it: senders of what comes in, readers of what goes out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from resegment.schemas.contracts.compatibility import Direction, breaking_changes


def fields(*required: str, **given: Any) -> dict[str, Any]:
    return {"type": "object", "properties": given, "required": list(required)}


TEXT = {"type": "string"}
NULLABLE = {"type": ["string", "null"]}
UNION = {"anyOf": [TEXT, {"type": "null"}]}
NUMBER, INTEGER = {"type": "number"}, {"type": "integer"}
LEVELS = {"enum": ["low", "high"], "type": "string"}
MORE_LEVELS = {"enum": ["low", "high", "middle"], "type": "string"}
CLOSED = {"type": "object", "additionalProperties": False}

EITHER: dict[str, tuple[Any, Any]] = {
    "nothing": (fields("a", a=TEXT), fields("a", a=TEXT)),
    "an optional field more": (fields("a", a=TEXT), fields("a", a=TEXT, b=NUMBER)),
    "another description": ({**TEXT, "description": "one"}, {**TEXT, "description": "two", "title": "Two"}),
    "another spelling of a union": (NULLABLE, UNION),
    "a definition with a name": (fields(a=TEXT), {**fields(a={"$ref": "#/$defs/A"}), "$defs": {"A": TEXT}}),
}
WIDER: dict[str, tuple[Any, Any, str]] = {
    "null too": (fields(a=TEXT), fields(a=NULLABLE), ".a: may be null now"),
    "null too, in a union": (fields(a=TEXT), fields(a=UNION), ".a: may be null now"),
    "fractions too": (INTEGER, NUMBER, ".: may be number now"),
    "anything": (TEXT, {}, ".: may be anything now"),
    "one word more": (LEVELS, MORE_LEVELS, ".: may be middle now"),
    "any word": (LEVELS, TEXT, ".: may be any word now"),
    "another constant": ({"const": 1}, {"enum": [1, 2]}, ".: may be 2 now"),
    "a longer text": ({**TEXT, "maxLength": 8}, {**TEXT, "maxLength": 9}, ".: maxLength was 8 and is 9"),
    "a text of any length": ({**TEXT, "maxLength": 8}, TEXT, ".: maxLength was 8 and is None"),
    "less at the least": ({**NUMBER, "minimum": 1}, {**NUMBER, "minimum": 0}, ".: minimum was 1 and is 0"),
    "an optional field": (fields("a", a=TEXT), fields(a=TEXT), ".a: may be missing now"),
    "unknown fields": (CLOSED, {"type": "object"}, ".*: may be anything now"),
    "other items": (
        {"type": "array", "items": TEXT},
        {"type": "array", "items": NULLABLE},
        "[]: may be null now",
    ),
}
NARROWER: dict[str, tuple[Any, Any, str]] = {
    "no null": (fields(a=NULLABLE), fields(a=TEXT), ".a: null is no longer taken"),
    "no fractions": (NUMBER, INTEGER, ".: number is no longer taken"),
    "one word less": (MORE_LEVELS, LEVELS, ".: middle is no longer taken"),
    "only some words": (TEXT, LEVELS, ".: takes only low, high now"),
    "a shorter text": ({**TEXT, "maxLength": 9}, {**TEXT, "maxLength": 8}, ".: maxLength was 9 and is 8"),
    "a limit where there was none": (NUMBER, {**NUMBER, "minimum": 0}, ".: minimum was None and is 0"),
    "a required field": (fields(a=TEXT), fields("a", a=TEXT), ".a: is required now"),
    "no unknown fields": ({"type": "object"}, CLOSED, ".*: anything is no longer taken"),
    "inside a list of objects": (
        {"type": "array", "items": fields(a=NULLABLE)},
        {"type": "array", "items": fields(a=TEXT)},
        "[].a: null is no longer taken",
    ),
    "behind a reference": (
        {**fields(a={"$ref": "#/$defs/A"}), "$defs": {"A": fields(b=NULLABLE)}},
        {**fields(a={"$ref": "#/$defs/A"}), "$defs": {"A": fields(b=TEXT)}},
        ".a.b: null is no longer taken",
    ),
}
NEVER: dict[str, tuple[Any, Any, str]] = {
    "a field gone": (fields(a=TEXT), fields(), ".a: is gone"),
    "a field renamed": (fields(a=TEXT), fields(b=TEXT), ".a: is gone"),
    "another pattern": ({**TEXT, "pattern": "a"}, {**TEXT, "pattern": "b"}, ".: pattern is another"),
    "a pattern more": (TEXT, {**TEXT, "format": "date-time"}, ".: format is another"),
    "a condition on the whole": (
        fields(),
        {**fields(), "anyOf": [{"required": ["a"]}]},
        ".: anyOf is another",
    ),
    "a keyword that cannot be judged": ({}, {"not": {"const": 1}}, ".: not is another"),
}


@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("what", EITHER)
def test_what_breaks_nobody(what: str, direction: Direction) -> None:
    assert breaking_changes(*EITHER[what], direction=direction) == ()


@pytest.mark.parametrize("what", WIDER)
def test_to_take_more_is_good_for_senders_and_to_send_more_breaks_readers(what: str) -> None:
    old, new, told = WIDER[what]
    assert breaking_changes(old, new, direction="in") == ()
    assert breaking_changes(old, new, direction="out") == (told,)


@pytest.mark.parametrize("what", NARROWER)
def test_to_take_less_breaks_senders_and_to_send_less_is_good_for_readers(what: str) -> None:
    old, new, told = NARROWER[what]
    assert breaking_changes(old, new) == (told,)
    assert breaking_changes(old, new, direction="out") == ()


@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("what", NEVER)
def test_what_breaks_both(what: str, direction: Direction) -> None:
    old, new, told = NEVER[what]
    assert told in breaking_changes(old, new, direction=direction)


@pytest.mark.parametrize("direction", ["in", "out"])
def test_a_field_of_another_type_breaks_both(direction: Direction) -> None:
    assert breaking_changes(fields(a=TEXT), fields(a=NUMBER), direction=direction)


def test_an_open_vocabulary_may_gain_words_and_stays_one() -> None:
    opened = {**LEVELS, "x-open": True}
    assert breaking_changes(opened, {**MORE_LEVELS, "x-open": True}, direction="out") == ()
    assert breaking_changes(opened, TEXT, direction="out") == (".: may be any word now",)


def test_a_schema_that_refers_to_itself_is_compared_to_its_end() -> None:
    def tree(leaf: Any) -> dict[str, Any]:
        node = fields(left={"$ref": "#/$defs/Node"}, leaf=leaf)
        return {"$ref": "#/$defs/Node", "$defs": {"Node": node}}

    assert breaking_changes(tree(NULLABLE), tree(NULLABLE)) == ()
    assert breaking_changes(tree(NULLABLE), tree(TEXT)) == (".leaf: null is no longer taken",)


VALUES: list[Any] = [
    None,
    True,
    0,
    1,
    2.5,
    "",
    "low",
    "high",
    "longer",
    [],
    ["low"],
    [1],
    {},
    {"a": "low"},
    {"a": 1},
]
leaves = st.sampled_from([TEXT, NULLABLE, UNION, NUMBER, INTEGER, LEVELS, MORE_LEVELS, {}, CLOSED, {"const": "low"},
                          {**TEXT, "maxLength": 3}, {**TEXT, "minLength": 4}, {**NUMBER, "minimum": 1}])  # fmt: skip
schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda one: {"type": "array", "items": one}),
        inner.map(lambda one: fields(a=one)),
        inner.map(lambda one: fields("a", a=one)),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: {"anyOf": some}),
    ),
    max_leaves=4,
)


@settings(max_examples=2000, deadline=None)
@given(old=schemas, new=schemas)
def test_a_change_that_is_allowed_takes_whatever_was_taken(old: Any, new: Any) -> None:
    before, after = Draft202012Validator(old), Draft202012Validator(new)
    if not breaking_changes(old, new):
        assert [one for one in VALUES if before.is_valid(one) and not after.is_valid(one)] == []
    if not breaking_changes(old, new, direction="out"):
        # fields that are new to a reader apart
        assert [one for one in VALUES if after.is_valid(one) and not before.is_valid(one)] == []
