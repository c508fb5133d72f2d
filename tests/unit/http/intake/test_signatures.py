"""How each sequencer proves that a webhook is its own."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from resegment.http.intake.reading import add_type
from resegment.http.intake.signatures import Signed, hide_secrets, is_genuine

BODY = b'{"event_type": "EMAIL_REPLY", "secret": "s3cret", "secret_key": "s3cret"}'
NOW = 1_767_225_600.0


def signed(body: bytes = BODY, **headers: str) -> Signed:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Signed("POST", "https://in.example/sources/x", names, body)


def digest(algorithm: str, key: str = "s3cret") -> str:
    return hmac.new(key.encode(), BODY, getattr(hashlib, algorithm)).hexdigest()


@pytest.mark.parametrize(
    ("source", "request_"),
    [
        ("outreach", signed(outreach_webhook_signature=digest("sha256"))),
        ("salesloft", signed(x_salesloft_signature=digest("sha1"))),
        ("smartlead", signed(x_smartlead_signature=f"sha256={digest('sha256')}")),
        ("smartlead", signed()),
        ("lemlist", signed()),
        ("instantly", signed(x_our_header="s3cret")),
        ("instantly", signed(authorization="Bearer s3cret")),
        ("apollo", signed(x_our_header="s3cret")),
        ("salesforce", signed(authorization="Bearer s3cret")),
    ],
)
def test_a_webhook_with_the_secret_of_its_source_is_genuine(source: str, request_: Signed) -> None:
    assert is_genuine(source, request_, "s3cret", NOW)
    assert not is_genuine(source, request_, "another", NOW)


@pytest.mark.parametrize(
    ("source", "request_"),
    [
        ("outreach", signed()),
        ("outreach", signed(b"{}", outreach_webhook_signature=digest("sha256"))),
        ("outreach", signed(outreach_webhook_signature=digest("sha1"))),
        ("salesloft", signed(x_salesloft_signature="")),
        ("smartlead", signed(x_smartlead_signature="sha256=00")),
        ("smartlead", signed(b'{"secret_key": "guess"}')),
        ("smartlead", signed(b"not json")),
        ("lemlist", signed(b'{"secret": 5}')),
        ("lemlist", signed(b"[]")),
        ("lemlist", signed(b'[{"secret": "s3cret"}, {"type": "emailsReplied"}]')),
        ("instantly", signed(x_our_header="s3cre")),
        ("instantly", signed()),
        ("apollo", signed()),
    ],
)
def test_a_webhook_without_it_is_not(source: str, request_: Signed) -> None:
    assert not is_genuine(source, request_, "s3cret", NOW)


def test_a_secret_in_the_body_is_hidden_before_the_body_is_kept() -> None:
    assert b"s3cret" not in hide_secrets("smartlead", BODY, ("s3cret",))
    assert hide_secrets("outreach", BODY, ("s3cret",)) == BODY


def test_the_type_that_a_header_says_is_part_of_the_payload() -> None:
    headers = {"x-salesloft-event": "email_updated"}
    assert add_type("salesloft", {"id": 1}, headers) == {"event_type": "email_updated", "data": {"id": 1}}
    assert add_type("salesloft", {"event_type": "x"}, headers) == {"event_type": "x"}
    assert add_type("outreach", {"id": 1}, headers) == {"id": 1}
