"""Types of a file's own attributes: they hold for old facts, and lose nothing of what was delivered."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.documents.diagnostics import InvalidSegments
from resegment.schemas.fact import Fact
from resegment.schemas.logs.state_log import decode_state, encode_state
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.language.attribute_types import MISFIT, AttributeType
from tests.builders import Json, definition_of
from tests.oracle.cases import segments

DAY = 86_400_000


def engine_of(kind: Json | None, when: Json) -> Engine:
    types = {} if kind is None else {"attributes": {"seats": kind}}
    return Engine(Program(definition_of({**segments(wanted=when), **types})))


def snapshot(fact_id: str, day: int, **data: Any) -> Fact:
    return Fact(
        account="acme.com", kind="firmographic", id=fact_id, source="/s", record=fact_id, op="assert",
        time=day * DAY, recorded=day * DAY, data=data,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("number", "12", 12),
        ("number", "-1.5e2", -150.0),
        ("number", 7, 7),
        ("number", "1,200", MISFIT),
        ("number", "054", MISFIT),
        ("number", "1e999", MISFIT),
        ("number", True, MISFIT),
        ("text", "12", "12"),
        ("text", 12, MISFIT),
        ("date", "2026-02-20", "2026-02-20"),
        ("date", "2026-02-30", MISFIT),
        ("date", "2026-02-20T09:00:00", MISFIT),
        ("list", ["a"], ["a"]),
        ("list", "a;b", MISFIT),
        ("number", None, None),
    ],
)
def test_a_value_is_converted_or_does_not_fit(name: Any, value: Any, expected: Any) -> None:
    assert AttributeType(name).convert(value) == expected


def test_a_choice_is_one_of_the_list() -> None:
    kind = AttributeType("one_of", ("a", 5))

    assert [kind.convert(value) for value in ("a", "5", 5, "b", True)] == ["a", 5, 5, MISFIT, MISFIT]


def test_values_that_do_not_fit_are_counted_by_attribute() -> None:
    engine = engine_of("number", {"seats": {"gte": 10}})
    account = engine.open("acme.com")

    engine.apply_facts(account, [snapshot("a", 0, seats="many"), snapshot("b", 0, seats="12")], 0)

    assert engine.misfits == {"seats": 1}
    assert account.state.membership.segment == "wanted"


def test_the_types_of_a_new_definition_hold_for_facts_that_are_stored() -> None:
    account = engine_of(None, {"seats": {"gte": 10}}).open("acme.com")
    untyped = engine_of(None, {"seats": {"gte": 10}})
    untyped.apply_facts(account, [snapshot("a", 0, seats="12")], 0)
    assert account.state.membership.segment == "out"

    typed = engine_of("number", {"seats": {"gte": 10}})
    again = typed.open("acme.com", decode_state(encode_state(account.state)))
    typed.apply_facts(again, [snapshot("b", 1, name="Acme")], DAY)

    assert again.state.membership.segment == "wanted"


def test_what_was_delivered_comes_back_under_a_definition_with_another_type() -> None:
    typed = engine_of("number", {"seats": {"gte": 10}})
    account = typed.open("acme.com")
    typed.apply_facts(account, [snapshot("a", 0, seats="many")], 0)
    assert account.state.membership.segment == "out"

    as_text = engine_of("text", {"seats": "many"})
    again = as_text.open("acme.com", decode_state(encode_state(account.state)))
    as_text.apply_facts(again, [snapshot("b", 1, name="Acme")], DAY)

    assert again.state.membership.segment == "wanted"


@pytest.mark.parametrize(
    ("types", "code"),
    [
        ({"account": "text"}, "reserved-name"),
        ({"technologies": "list"}, "hidden-attribute"),
        ({"seats": {"one_of": []}}, "wrong-value"),
        ({"seats": {"one_of": ["a"], "more": 1}}, "wrong-value"),
        ({"seats": ["number"]}, "wrong-value"),
    ],
)
def test_a_type_that_makes_no_sense_is_an_error(types: Json, code: str) -> None:
    with pytest.raises(InvalidSegments) as refused:
        definition_of({**segments(wanted={"employees": 5}), "attributes": types})

    assert [one.code for one in refused.value.diagnostics] == [code]


def test_a_test_that_no_value_of_the_type_passes_is_an_error() -> None:
    with pytest.raises(InvalidSegments) as refused:
        definition_of({**segments(wanted={"seats": {"contains": "a"}}), "attributes": {"seats": "number"}})

    assert [one.code for one in refused.value.diagnostics] == ["never-matches"]
