"""What is a person's for certain is told apart from what another one may be called."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.streams.exporting.calling import are_one, is_full_name, read_called, spell_address
from resegment.streams.exporting.person import IdentifiesNobody, Person

ANN = {"email": "ann@acme.com", "first_name": "Ann", "last_name": "Lee", "phone": "+1 555 0100"}


def learned(given: list[str], *facts: dict[str, Any], account: str = "acme.com") -> Person:
    person = Person(given, account)
    unsettled = True
    while unsettled:
        for one in facts:
            person.learn(account, one)
        unsettled = person.settle()
    return person


def of(one: Person, /, **data: Any) -> bool:
    return one.is_own("acme.com", data)


def test_a_full_name_and_an_address_beside_each_other_are_one_person() -> None:
    person = learned(
        ["ANN@acme.com"],
        {"linkedin": "https://www.linkedin.com/in/ann/", "email": "ann@acme.com"},
        ANN,
        {"person": "Bob Ray", "email": "bob@acme.com"},
    )
    assert person.spellings == ["ann lee", "ann@acme.com", "linkedin.com/in/ann"]
    assert of(person, person="Ann Lee")
    assert of(person, linkedin="linkedin.com/in/ann?x=1")


@pytest.mark.parametrize(
    "other",
    [
        {"person": "Bob Ray", "email": "bob@acme.com", "phone": "+1 555 0100"},
        {"phone": "+1 555 0100"},
        {"person": "Ann", "email": "ann2@acme.com"},
        {"person": "Ann"},
        {"first_name": "Ann"},
        {"email": "joann@acme.com"},
        {"person": "Ann Leeson"},
        {"person": ["Ann Lee", "Bob Ray"]},
        {"person": "Ann Lee", "email": "another.ann@acme.com"},
    ],
)
def test_who_shares_a_number_or_a_first_name_is_not_taken_for_the_person(other: dict[str, Any]) -> None:
    person = learned(["ann@acme.com"], ANN, other)
    assert of(person, **ANN)
    assert not of(person, **other)
    assert "bob ray" not in person.spellings


def test_a_name_is_the_persons_at_the_account_only_where_it_stands() -> None:
    person = learned(["ann@acme.com"], ANN)
    assert person.is_own("acme.com", {"person": "Ann Lee"})
    assert not person.is_own("globex.com", {"person": "Ann Lee"})
    assert person.is_own("globex.com", {"email": "ann@acme.com"})
    assert person.is_named_in("acme.com", "said Ann Lee")
    assert not person.is_named_in("globex.com", "said Ann Lee")


def test_an_address_that_several_have_leads_to_nobody() -> None:
    ann = {"person": "Ann Lee", "email": "sales@acme.com"}
    bob = {"person": "Bob Ray", "email": "sales@acme.com"}
    by_name = learned(["Ann Lee"], ann, bob)
    assert by_name.spellings == ["ann lee"]
    assert of(by_name, **ann)
    assert not of(by_name, **bob)
    assert not of(by_name, email="sales@acme.com")
    by_address = learned(["sales@acme.com"], ann, bob)
    assert by_address.spellings == []
    assert not of(by_address, **ann)
    assert not of(by_address, **bob)


def test_one_wrong_event_does_not_make_two_persons_one() -> None:
    bob = {"person": "Bob Ray", "email": "bob@acme.com", "linkedin": "linkedin.com/in/bob"}
    wrong = {"email": "ann@acme.com", "linkedin": "linkedin.com/in/bob"}
    person = learned(["ann@acme.com"], wrong, bob, ANN)
    assert person.spellings == ["ann lee", "ann@acme.com"]
    assert [of(person, **one) for one in (ANN, bob, wrong)] == [True, False, False]


def test_a_name_that_has_one_more_word_is_the_same_person_at_an_address() -> None:
    person = learned(
        ["ann@acme.com"],
        *({"person": one, "email": "ann@acme.com"} for one in ("Ann Lee", "Lee, Ann M.", "Ann Lee-Smith")),
    )
    assert of(person, person="Ann Lee-Smith")
    assert of(person, email="ann@acme.com")


def test_two_of_one_name_are_told_apart_by_their_addresses() -> None:
    facts = [{"person": "Ann Lee", "email": one} for one in ("ann1@acme.com", "ann2@acme.com")]
    person = learned(["ann1@acme.com"], *facts)
    assert [of(person, **one) for one in facts] == [True, False]
    both = learned(["Ann Lee"], *facts)  # whoever asks by the name asks for both
    assert [of(both, **one) for one in facts] == [True, True]


def test_an_operator_may_say_what_is_one_person() -> None:
    person = learned(["Ann Lee", "Ann Miller"], {"person": "Ann Miller"}, {"person": "Ann Lee"})
    assert of(person, person="Ann Miller")


@pytest.mark.parametrize("lone", ["Ann", "+1 555 0100", "", "A. L.", "unknown", "@ann"])
def test_what_identifies_nobody_is_refused(lone: str) -> None:
    with pytest.raises(IdentifiesNobody):
        Person([lone], "acme.com")


def test_a_name_without_an_account_is_refused() -> None:
    with pytest.raises(IdentifiesNobody):
        Person(["Ann Lee"])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("mail to Ann  LEE now", True),
        ("Ann Lee's", True),
        ("<ann@acme.com>.", True),
        ("Joann Lee", False),
        ("Ann Lee-Smith", False),
        ("ann leeson", False),
        ("joann@acme.com", False),
        ("ann@acme.com.au", False),
        ("Ann", False),
    ],
)
def test_a_text_names_the_person_by_whole_words_only(text: str, named: bool) -> None:
    assert learned(["ann@acme.com"], ANN).is_named_in("acme.com", text) is named


def test_what_several_may_be_called_is_a_doubt_with_its_reason() -> None:
    person = learned(["ann@acme.com"], ANN)
    doubts = [
        person.doubt("acme.com", read_called(one))
        for one in (
            {"phone": "+1 555 0100"},
            {"first_name": "Ann"},
            {"person": "Ann Lee", "email": "x@acme.com"},
            {"person": ["Ann Lee", "Bob Ray"]},
            {"person": "Bob Ray"},
            {"phone": "+1 555 0199"},
        )
    ]
    assert doubts == ["phone", "lone_name", "other_address", "several_persons", None, None]


@pytest.mark.parametrize(
    ("text", "full"),
    [("Ann Lee", True), ("山田太郎", True), ("明", False), ("+1 555 0100", False), ("A. Lee", False)],
)
def test_a_full_name_has_a_first_and_a_last_one(text: str, full: bool) -> None:
    assert is_full_name(text) is full


def test_addresses_are_compared_in_one_spelling() -> None:
    assert spell_address("Ann@Acme.com") == "ann@acme.com"
    assert spell_address("HTTPS://www.LinkedIn.com/in/Ann/") == "linkedin.com/in/ann"
    assert [spell_address(one) for one in ("Ann Lee", "sales/ops", "ann@", "+1/555")] == [None] * 4
    assert are_one(["José Pérez", "jose perez"])
    assert not are_one(["Ann Lee", "Ann Ray"])
    assert are_one([])
