"""Who is forgotten by one name is forgotten by all that events and contacts link, and nobody else is."""

from __future__ import annotations

from typing import Any

from resegment.schemas.fact import Fact
from resegment.state.sinks.people import Person
from resegment.streams.forgetting.spellings import find_spellings


def fact(**data: Any) -> Fact:
    return Fact(
        account="acme.com", kind="people", id="1", source="/crm", record="1", time=1, recorded=1, data=data
    )


FACTS = [
    fact(email="ann@acme.com", linkedin="linkedin.com/in/annlee"),
    fact(person="Ann  LEE", email="Ann@Acme.com", phone="+1 555 0100"),
    fact(person="Bo Ek", email="bo@acme.com", phone="+1 555 0100"),
    fact(first_name="Ann", last_name=7, person=["Bo Ek"], email=None),
]


def test_a_name_and_an_address_in_one_event_are_one_person_whichever_is_given() -> None:
    ann = {"ann lee", "ann@acme.com", "linkedin.com/in/annlee"}
    for given in ("Ann Lee", "ANN@acme.com", "linkedin.com/in/AnnLee"):
        assert set(find_spellings(given, [], FACTS)) == ann
    assert set(find_spellings("bo ek", [], FACTS)) == {"bo ek", "bo@acme.com"}


def test_a_contact_links_as_events_do_and_a_phone_number_of_all_links_nobody() -> None:
    contacts = [
        Person(at=1, email="al@acme.com", first_name="Ann", last_name="Lee", phone="+1 555 0100"),
        Person(at=1, email="bo@acme.com", first_name="Bo", last_name="Ek", phone="+1 555 0100"),
    ]
    found = find_spellings("al@acme.com", contacts, FACTS)
    assert {"al@acme.com", "ann lee", "ann@acme.com"} < set(found)
    assert not any(one.startswith("bo") for one in found)


def test_a_person_nobody_knows_is_forgotten_by_what_was_given() -> None:
    assert find_spellings(" Nobody ", [], FACTS) == ("nobody",)
    assert find_spellings("  ", [], FACTS) == ()


def test_a_word_that_many_may_be_called_links_nobody_else() -> None:
    facts = [
        fact(person="unknown", email="ann@acme.com"),
        fact(person="unknown", email="bo@acme.com"),
        fact(person="Ann Lee", email="ann@acme.com"),
    ]
    assert set(find_spellings("Ann Lee", [], facts)) == {"ann lee", "ann@acme.com", "unknown"}
    assert "bo@acme.com" in find_spellings("unknown", [], facts)
