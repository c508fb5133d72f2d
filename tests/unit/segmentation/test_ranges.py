"""A number that is known as a range passes a test if all of the range does, and fails it if none does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.vocabulary import read_range, spell_range
from resegment.segmentation.language.conditions import Check
from resegment.segmentation.language.operators import compile_check
from tests.builders import raw_event

SMALL = st.integers(0, 12)


def check(operator: str, operand: Any) -> Any:
    return compile_check(Check(operator, operand))


@given(
    SMALL,
    SMALL,
    st.sampled_from(["gt", "gte", "lt", "lte", "eq", "ne", "between", "in", "not_in"]),
    SMALL,
    SMALL,
)
def test_the_answer_is_that_of_every_number_in_the_range(
    low: int, more: int, operator: str, one: int, other: int
) -> None:
    operand: Any = one
    if operator == "between":
        operand = (min(one, other), max(one, other))
    elif operator in ("in", "not_in"):
        operand = [one, other]
    test = check(operator, operand)
    answers = {test(number) for number in range(low, low + more + 1)}
    expected = answers.pop() if len(answers) == 1 else None
    assert test(f"{low}-{low + more}") is expected


@pytest.mark.parametrize(
    ("operator", "operand", "answer"),
    [
        ("gte", 10_001, True),
        ("gt", 10_001, None),
        ("lt", 10_001, False),
        ("gte", 20_000, None),
        ("eq", 5, False),
    ],
)
def test_a_range_without_an_upper_bound(operator: str, operand: int, answer: bool | None) -> None:
    assert check(operator, operand)("10001+") is answer


@pytest.mark.parametrize("text", ["many", "", "5", "-5", "10-5", "1-2-3", "1.5-2", "9" * 40 + "+"])
def test_another_text_is_no_range(text: str) -> None:
    assert read_range(text) is None
    assert check("gte", 1)(text) is None


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("51-200", "51-200"),
        ("1,001 - 5,000", "1001-5000"),
        ("51–200", "51-200"),
        ("10,001+", "10001+"),
        ("x", None),
    ],
)
def test_a_range_is_spelled_in_one_way(text: str, spelled: str | None) -> None:
    assert spell_range(text) == spelled


def test_an_event_may_state_a_range_of_employees() -> None:
    event = raw_event(
        type="gtm.firmographic.v1", data={"employees": "1,001 – 5,000", "revenue_usd": "1000000+"}
    )
    assert decode_event(event).data == {"employees": "1001-5000", "revenue_usd": "1000000+"}
