from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from resegment.schemas.fact import KINDS, Fact, decode_fact, encode_fact
from resegment.schemas.privacy.envelope import DataKey, Tampered, is_sealed, seal
from resegment.schemas.privacy.facts import keys_of, open_fact, seal_fact, subject_of
from resegment.schemas.privacy.fields import list_personal_fields, personal_fields
from resegment.schemas.privacy.names import KeyNames, key_id

NAMES = KeyNames(b"\1" * 32)
JANE: dict[str, Any] = {"person": "Jane Doe", "title": "VP of Sales", "role": "vp_sales"}

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.sampled_from(
    ["person", "email", "url", "title", "sealed", "title_raw", "role", "amount", "people"]
)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | text, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
ids = text.filter(bool) | st.sampled_from(["jane@acme.com/1", "visit of Jane Doe", "evt-1", "@", "a@b"])
facts = st.builds(
    Fact,
    account=st.sampled_from(["acme.com", "globex.com"]),
    kind=st.sampled_from(KINDS),
    id=ids,
    source=text,
    record=ids,
    time=st.integers(0, 2**41),
    recorded=st.integers(0, 2**41),
    op=st.sampled_from(["assert", "retract"]),
    data=st.dictionaries(names | text, json, max_size=5),
    via=st.just(()) | st.just((("old.com", 3),)),
)


def keys_for(fact: Fact, version: int = 1) -> list[DataKey]:
    account = fact.via[0][0] if fact.via else fact.account
    found = NAMES.of_fact(account, subject_of(fact))
    return [DataKey(key_id(name, version), (name.encode() * 2)[:31] + bytes([version])) for name in found]


def ring(keys: list[DataKey]) -> dict[str, DataKey]:
    return {one.id: one for one in keys}


def sealed(fact: Fact) -> Fact:
    return seal_fact(fact, personal_fields(fact.kind), keys_for(fact))


def person(**data: Any) -> Fact:
    return Fact(
        account="acme.com", kind="people", id="1", source="crm", record="1", time=1, recorded=1, data=data
    )


@settings(max_examples=150)
@given(fact=facts)
def test_a_sealed_fact_opens_to_the_fact(fact: Fact) -> None:
    before = encode_fact(fact)
    logged = decode_fact(encode_fact(sealed(fact)))
    assert open_fact(logged, ring(keys_for(fact))) == fact
    assert encode_fact(fact) == before


@settings(max_examples=60)
@given(fact=facts)
def test_equal_facts_are_sealed_equally(fact: Fact) -> None:
    assert encode_fact(sealed(fact)) == encode_fact(sealed(decode_fact(encode_fact(fact))))


@settings(max_examples=60)
@given(fact=facts)
def test_a_fact_whose_keys_are_gone_is_absent_and_one_without_personal_fields_is_not(fact: Fact) -> None:
    logged = sealed(fact)
    if logged is fact:
        assert not personal_fields(fact.kind) & fact.data.keys()
    else:
        first, second = keys_for(fact)
        assert open_fact(logged, ring([first])) is None
        assert open_fact(logged, ring([second])) is None


@settings(max_examples=60)
@given(fact=facts)
def test_a_fact_sealed_for_one_account_opens_for_no_other(fact: Fact) -> None:
    logged = sealed(fact)
    if logged is fact:
        return
    keys = ring(keys_for(fact))
    for other in (
        replace(logged, account="initech.com", via=()),
        replace(logged, kind=next(one for one in KINDS if one != fact.kind)),
        replace(logged, record=logged.record + "x"),
    ):
        with pytest.raises(Tampered):
            open_fact(other, keys)


def test_a_fact_without_personal_fields_stays_the_same_object() -> None:
    fact = person(role="ceo", tags=[{"a": [1]}])
    assert sealed(fact) is fact
    assert open_fact(fact, {}) is fact


def test_a_merge_passes_a_sealed_fact_on_unchanged() -> None:
    fact = person(**JANE)
    passed = replace(sealed(fact), account="globex.com", via=(("acme.com", 7),))
    assert open_fact(passed, ring(keys_for(fact))) == replace(
        fact, account="globex.com", via=(("acme.com", 7),)
    )


def test_nothing_personal_is_readable_in_a_sealed_fact() -> None:
    fact = replace(
        person(**JANE, email_raw="Jane@ACME.com", team=[{"email": "joe@acme.com", "seat": 3}]),
        id="crm/JANE DOE/1",
        record="jane@acme.com",
    )
    logged = encode_fact(sealed(fact)).lower()
    for word in (b"jane", b"doe", b"vp of", b"joe"):
        assert word not in logged
    assert b'"seat":3' in logged
    assert b'"role":"vp_sales"' in logged


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("Jo Li", "team/jo-li-7"),
        ("Li Wei", "crm_liwei"),
        ("O'Hara", "crm/ohara"),
        ("Jane Doe", "DOE, Jane (3)"),
        ("Žoë Díaz", "zoe-diaz"),
        ("j.doe@acme.com", "j.doe-17"),
    ],
)
def test_an_id_is_hidden_that_has_a_name_in_another_spelling(name: str, record: str) -> None:
    assert sealed(replace(person(person=name), id="1", record=record)).record.startswith("h.")


def test_a_word_too_short_to_name_anybody_hides_no_id() -> None:
    assert sealed(replace(person(person="Jo"), id="1", record="jo-7")).record == "jo-7"


def test_what_repeats_or_retracts_a_fact_still_has_its_hidden_record() -> None:
    told = replace(person(**JANE), id="1", record="Jane Doe")
    again = replace(told, id="2", data={"person": "JANE  doe"})
    assert sealed(told).record == sealed(again).record
    assert sealed(told).record.startswith("h.")


@pytest.mark.parametrize(
    ("data", "record", "subject"),
    [
        ({"person": " Jane\u00a0 DOE "}, "1", "jane doe"),
        ({"person": "", "email": "Jane@Acme.com"}, "1", "jane@acme.com"),
        ({"person": "ﬁona straße"}, "1", "fiona strasse"),
        ({"person": 7}, "visit:jane@acme.com:3", "jane@acme.com"),
        ({}, "@", None),
    ],
)
def test_a_person_is_one_in_every_spelling(data: Any, record: str, subject: str | None) -> None:
    assert subject_of(replace(person(**data), record=record)) == subject


def test_an_envelope_that_a_producer_wrote_is_sealed_like_any_text() -> None:
    stolen = sealed(person(**JANE)).data["sealed"]
    fact = replace(person(sealed=stolen), account="thief.com")
    logged = sealed(fact)
    assert logged.data["sealed"] != stolen
    assert open_fact(logged, ring(keys_for(fact))) == fact


def test_text_that_only_looks_like_an_envelope_is_left_as_it_is() -> None:
    for odd in ("s1.", "s1.x.y", "s1." + "~" * 900_000, "text", 7, None, ["s1."], "s1." + "A" * 22 + "-0.x"):
        fact = person(sealed=odd)
        assert open_fact(fact, {}) is fact
        assert keys_of(fact) == ()
        assert not is_sealed(odd)


def test_what_was_changed_after_it_was_sealed_does_not_open() -> None:
    fact = person(**JANE)
    logged = sealed(fact)
    body = logged.data["sealed"]
    keys = ring(keys_for(fact))
    for other in (body[:-2] + ("AA" if body[-2:] != "AA" else "BB"), body[:-20], body + "\u00e9", body + "!"):
        with pytest.raises(Tampered):
            open_fact(replace(logged, data={**logged.data, "sealed": other}), keys)


def test_a_well_formed_envelope_with_other_content_does_not_open_as_a_fact() -> None:
    fact = person(**JANE)
    keys = keys_for(fact)
    context = [b"acme.com\0people\x001"]
    for plain in (b"not json", b"7", b"[]", b"[1]", b"[{},[[[],1]],null,null]", b'[{},[[["x","y"],1]],7,8]'):
        odd = replace(fact, data={"sealed": seal(plain, keys, context)})
        with pytest.raises(Tampered):
            open_fact(odd, ring(keys))


def test_a_file_can_add_personal_fields() -> None:
    fact = person(nickname="Janie", nickname_raw="JANIE")
    assert sealed(fact) is fact
    taken = seal_fact(fact, personal_fields("people", ["nickname"]), keys_for(fact))
    assert set(taken.data) == {"sealed"}


def test_the_title_of_a_job_and_the_name_of_a_company_are_not_personal() -> None:
    fields = list_personal_fields()
    assert "title" not in fields["hiring"]
    assert "name" not in fields["firmographic"]
    assert {"title", "url", "name", "email"} <= set(fields["people"])
