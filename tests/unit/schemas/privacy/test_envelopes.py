from __future__ import annotations

import hashlib
import hmac
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from itertools import permutations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.schemas.privacy.envelope import (
    DataKey,
    Forgotten,
    PrivacyMissing,
    Tampered,
    key_ids,
    open_sealed,
    seal,
)
from resegment.schemas.privacy.names import KeyNames, key_id, split_id
from resegment.schemas.privacy.wrapping import BadOperatorKey, OperatorKey, parse_operator_key


def keys(count: int) -> list[DataKey]:
    return [DataKey(f"{letter * 22}-{1}", letter.encode() * 32) for letter in "abcdefgh"[:count]]


def ring(given: list[DataKey]) -> dict[str, DataKey]:
    return {one.id: one for one in given}


@settings(max_examples=60)
@given(plain=st.binary(max_size=200), count=st.integers(1, 8), context=st.lists(st.binary(), max_size=3))
def test_an_envelope_opens_with_all_its_keys_and_with_none_of_them_missing(
    plain: bytes, count: int, context: list[bytes]
) -> None:
    given = keys(count)
    text = seal(plain, given, context)
    assert text == seal(plain, keys(count), context)
    assert key_ids(text) == tuple(one.id for one in given)
    assert open_sealed(text, ring(keys(count)), context) == plain
    for one in given:
        with pytest.raises(Forgotten):
            open_sealed(text, ring([key for key in given if key is not one]), context)
    with pytest.raises(Tampered):
        open_sealed(text, ring(given), [*context, b"x"])


def test_the_order_of_the_keys_counts() -> None:
    texts = {seal(b"x", list(order), []) for order in permutations(keys(3))}
    assert len(texts) == 6


def test_an_envelope_can_be_opened_by_what_any_library_has() -> None:
    first, second = keys(2)
    text = seal(b"hello", [first, second], [b"acme.com", b"people", b"1"])
    mark, ids, body = text.split(".")
    secret = HKDF(SHA512(), 64, b"resegment.s1", ids.encode()).derive(first.secret + second.secret)
    sealed = urlsafe_b64decode(body + "=" * (-len(body) % 4))
    assert mark == "s1"
    assert AESSIV(secret).decrypt(sealed, [b"acme.com", b"people", b"1"]) == b"hello"
    assert hmac.new(b"x", b"y", hashlib.sha512).digest()  # the derivation needs nothing else


@pytest.mark.parametrize("text", ["", "s1", "s2.a.b", "s1..x", "s1." + "a" * 22 + "-1", "s1." + "a" * 400 + ".x"])  # fmt: skip
def test_what_is_no_envelope_says_so(text: str) -> None:
    with pytest.raises(Tampered):
        key_ids(text)


def test_names_of_keys_tell_accounts_roles_and_persons_apart_and_no_two_prefixes_share_them() -> None:
    names, others = KeyNames(b"a" * 32), KeyNames(b"b" * 32)
    found = [
        make(*given)
        for ring in (names, others)
        for make, given in [
            (ring.account, ("a.com",)),
            (ring.texts, ("a.com",)),
            (ring.messages, ("a.com",)),
            (ring.person, ("a.com", "jane")),
            (ring.person, ("a.co", "m\0jane")),
            (ring.account, ("b.com",)),
        ]
    ]
    assert len(set(found)) == len(found)
    assert {len(one) for one in found} == {22}
    assert names.account("a.com") == KeyNames(b"a" * 32).account("a.com")
    assert split_id(key_id(found[0], 3)) == (found[0], 3)


def test_what_the_operator_key_wraps_opens_under_its_label_only() -> None:
    key = parse_operator_key(urlsafe_b64encode(b"k" * 32).decode() + "\n")
    wrapped = key.wrap(b"secret", "name-1")
    assert key.unwrap(wrapped, "name-1") == b"secret"
    assert b"secret" not in wrapped
    for other, label in ((key, "name-2"), (OperatorKey(b"o" * 32), "name-1")):
        with pytest.raises(BadOperatorKey):
            other.unwrap(wrapped, label)
    with pytest.raises(BadOperatorKey):
        key.unwrap(b"\xff\xfe", "name-1")


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(PrivacyMissing, match="privacy") as missing:
        seal(b"x", keys(2), [])
    assert "resegment[privacy]" in str(missing.value.remedy)


@pytest.mark.parametrize("text", ["", "short", "!" * 43, "a" * 64, "é" * 43])
def test_a_key_that_is_none_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(BadOperatorKey) as caught:
        parse_operator_key(text)
    assert "privacy keygen" in str(caught.value.remedy)
