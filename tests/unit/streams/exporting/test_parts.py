"""Of a value that is about several persons, an export has the person's own parts."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.streams.exporting.parts import NOTHING, OwnParts
from resegment.streams.exporting.person import Person


@pytest.fixture
def parts() -> OwnParts:
    person = Person(["ann@acme.com"])
    for _ in range(2):
        person.learn("acme.com", {"person": "Ann Lee", "email": "ann@acme.com", "phone": "555 01"})
        person.settle()
    return OwnParts(person)


def test_a_list_of_persons_has_the_own_one(parts: OwnParts) -> None:
    value = {
        "crew": [{"person": "Ann Lee", "title": "CRO"}, {"person": "Bob Ray", "title": "CFO"}],
        "size": 2,
    }
    assert parts.of("acme.com", value) == {"crew": [{"person": "Ann Lee", "title": "CRO"}]}
    assert not parts.doubts


def test_what_is_about_another_person_stays_out_even_if_it_names_the_own_one(parts: OwnParts) -> None:
    assert parts.of("acme.com", {"person": "Bob Ray", "statement": "hired by Ann Lee"}) is NOTHING
    assert parts.doubts == {"several_persons": 1}


def test_the_own_part_is_told_without_others_in_it(parts: OwnParts) -> None:
    value = {
        "person": "Ann Lee",
        "manager": {"full_name": "Bob Ray"},
        "cc": "bob@acme.com",
        "statement": "I like it",
        "with": ["eve@acme.com", "a tag"],
    }
    assert parts.of("acme.com", value) == {"person": "Ann Lee", "statement": "I like it", "with": ["a tag"]}


@pytest.mark.parametrize(
    ("value", "doubt"),
    [({"phone": "555 01"}, "phone"), ({"first_name": "Ann", "title": "CFO"}, "lone_name")],
)
def test_what_may_be_another_persons_is_counted_and_not_told(
    parts: OwnParts, value: dict[str, Any], doubt: str
) -> None:
    assert parts.of("acme.com", value) is NOTHING
    assert parts.doubts == {doubt: 1}


def test_texts_are_told_where_they_name_the_person(parts: OwnParts) -> None:
    value = {"message": {"pain": "Congratulations, Ann Lee", "value_prop": "Bob Ray likes us"}, "n": 1}
    assert parts.of("acme.com", value) == {"message": {"pain": "Congratulations, Ann Lee"}}
    assert parts.of("acme.com", ["ann@acme.com", "bob@acme.com", None, 7]) == ["ann@acme.com"]


def test_an_event_is_about_whom_its_data_are_about(parts: OwnParts) -> None:
    own = {"id": "1", "subject": "acme.com", "data": {"email": "ann@acme.com", "title": "CRO"}}
    other = {"id": "2", "subject": "acme.com", "data": {"email": "bob@acme.com", "title": "CFO"}}
    assert parts.of("acme.com", [own, other]) == [own]
