"""Check the signatures of webhooks, each provider's in its scheme. All comparisons take the same time."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import orjson

WINDOW: Final = 300
"""Seconds by which the time of a signed message may differ from now."""


class Signed(NamedTuple):
    """A request as it was signed; `headers` have names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


Scheme = Callable[[Signed, str, float], bool]


def is_genuine(source: str, request: Signed, secret: str, now: float) -> bool:
    """Whether a request is signed with the secret in the scheme of the source: by default, Standard Webhooks."""
    return SCHEMES.get(source, _standard)(request, secret, now)


def hide_secrets(source: str, body: bytes, secrets: tuple[str, ...]) -> bytes:
    """Return the body without the secrets that its sender put into it, so that it can be kept."""
    if source not in ("lemlist", "smartlead"):
        return body
    for secret in secrets:
        body = body.replace(secret.encode(), b"***")
    return body


def _hex(digest: str) -> Callable[[str], Scheme]:
    def named(header: str) -> Scheme:
        def check(request: Signed, secret: str, _: float) -> bool:
            given = request.headers.get(header, "").removeprefix(f"{digest}=").lower()
            made = hmac.new(secret.encode(), request.body, getattr(hashlib, digest)).hexdigest()
            return hmac.compare_digest(made.encode(), given.encode())

        return check

    return named


def _in_body(*names: str) -> Scheme:
    """Return the scheme of a sender that puts the secret into a field of the body."""

    def check(request: Signed, secret: str, _: float) -> bool:
        try:
            payload = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            return False
        parts = payload if isinstance(payload, list) else [payload]
        given = [
            next((one[name] for name in names if isinstance(one.get(name), str)), "")
            if isinstance(one, dict)
            else ""
            for one in parts
        ]
        same = [hmac.compare_digest(secret.encode(), one.encode()) for one in given]
        return bool(same) and all(same)

    return check


def _any_header(request: Signed, secret: str, _: float) -> bool:
    """Whether one of the headers, which the user chose, is the secret, or `Bearer` with it."""
    wanted = secret.encode()
    found = [
        hmac.compare_digest(wanted, value.removeprefix("Bearer ").strip().encode("utf-8", "replace"))
        for value in request.headers.values()
    ]
    return any(found)


def _either(*schemes: Scheme) -> Scheme:
    def check(request: Signed, secret: str, now: float) -> bool:
        genuine = [one(request, secret, now) for one in schemes]
        return any(genuine)

    return check


def _shared(header: str) -> Scheme:
    def check(request: Signed, secret: str, _: float) -> bool:
        return hmac.compare_digest(secret.encode(), request.headers.get(header, "").encode())

    return check


def _hubspot(request: Signed, secret: str, now: float) -> bool:
    stamp = request.headers.get("x-hubspot-request-timestamp", "")
    if not _is_recent(stamp, now, 1000):
        return False
    given = request.headers.get("x-hubspot-signature-v3", "").encode()
    # A proxy that ends TLS passes http on, and HubSpot signs the URL that it calls.
    urls = (
        request.url,
        f"https{request.url.removeprefix('http')}" if request.url.startswith("http:") else request.url,
    )
    texts = (request.method.encode() + url.encode() + request.body + stamp.encode() for url in urls)
    made = [base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()) for text in texts]
    return any(hmac.compare_digest(one, given) for one in made)


def _standard(request: Signed, secret: str, now: float) -> bool:
    stamp = request.headers.get("webhook-timestamp", "")
    if not _is_recent(stamp, now, 1):
        return False
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = secret.encode()
    text = f"{request.headers.get('webhook-id', '')}.{stamp}.".encode() + request.body
    made = b"v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest())
    given = request.headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(made, one.encode()) for one in given)


def _is_recent(stamp: str, now: float, unit: int) -> bool:
    return stamp.isascii() and stamp.isdigit() and len(stamp) < 16 and abs(int(stamp) / unit - now) <= WINDOW


def _smartlead(request: Signed, secret: str, now: float) -> bool:
    """Check the signature of the body, or the secret inside of it where the webhook is not signed."""
    if "x-smartlead-signature" in request.headers:
        return _hex("sha256")("x-smartlead-signature")(request, secret, now)
    return _either(_in_body("secret_key"), _any_header)(request, secret, now)


SCHEMES: Final[dict[str, Scheme]] = {
    "hubspot": _hubspot,
    "outreach": _hex("sha256")("outreach-webhook-signature"),
    "salesloft": _hex("sha1")("x-salesloft-signature"),
    "smartlead": _smartlead,
    "lemlist": _in_body("secret"),
    "instantly": _any_header,
    "apollo": _either(_standard, _any_header),
    "salesforce": _either(_standard, _any_header),
    "theirstack": _hex("sha256")("x-theirstack-signature-256"),
    "segment": _hex("sha1")("x-signature"),
    "rudderstack": _hex("sha1")("x-signature"),
    "common-room": _shared("x-commonroom-webhook-secret"),
}
"""The scheme of each source that has its own."""
