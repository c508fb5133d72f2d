"""Fields that are never kept."""

from __future__ import annotations

from resegment.segmentation.language.privacy import drop_fields
from tests.events import read_fact
from tests.oracle.cases import day, event, hiring


def test_a_field_is_dropped_at_any_depth() -> None:
    people = [{"email": "jo@acme.com", "role": "cro"}, {"role": "ceo"}]
    fact = read_fact(event("engagement", day(0), email="x", people=people, deep={"in": {"email": 1, "a": 2}}))

    assert drop_fields(fact, {"email"}).data == {
        "people": [{"role": "cro"}, {"role": "ceo"}],
        "deep": {"in": {"a": 2}},
    }


def test_the_original_spelling_is_dropped_with_the_field() -> None:
    fact = read_fact(hiring(day(0), function="Sales Team"))
    assert "function_raw" in fact.data

    assert not {"function", "function_raw"} & drop_fields(fact, ["function"]).data.keys()


def test_a_fact_without_the_field_stays_the_same() -> None:
    fact = read_fact(event("engagement", day(0), people=[{"role": "cro"}]))

    assert drop_fields(fact, {"email"}) is fact
    assert drop_fields(fact, ()) is fact
