"""A person is found by every spelling that facts link."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.schemas.fact import Fact
from resegment.streams.exporting.mentions import Mentions


def fact(**data: Any) -> Fact:
    return Fact(
        account="acme.com", kind="people", id="1", source="s", record="1", time=1, recorded=1, data=data
    )


def test_a_name_and_an_address_beside_each_other_are_one_person() -> None:
    mentions = Mentions("ANN@acme.com")
    mentions.link(fact(email="ann@acme.com", first_name="Ann", last_name="Lee", phone="+1 555 0100"))
    mentions.link(fact(email="bob@acme.com", person="Bob"))
    assert mentions.spellings == {"ann@acme.com", "ann lee", "+1 555 0100"}


@pytest.mark.parametrize(
    "value",
    [
        "ann  LEE",
        {"person": "Ann Lee"},
        {"ann lee": 1},
        ["x", {"deep": [["mail to Ann Lee now"]]}],
        b"<ann lee>",
        ("x", "ANN LEE"),
    ],
)
def test_a_person_is_found_at_any_depth_and_in_texts(value: Any) -> None:
    assert Mentions("Ann Lee").are_in(value)


@pytest.mark.parametrize("value", ["Annabel", {"person": "Ann"}, None, 7, [], {}, "lee ann"])
def test_others_are_not_taken_for_the_person(value: Any) -> None:
    assert not Mentions("Ann Lee").are_in(value)


def test_a_very_short_name_is_only_looked_for_as_a_whole() -> None:
    assert Mentions("Al").are_in({"person": "AL"})
    assert not Mentions("Al").are_in("also")
    assert not Mentions("").are_in("")
