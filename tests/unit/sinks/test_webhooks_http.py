"""One request to a webhook: how it is signed, and how little of the answer is believed."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from resegment.sinks.webhook.addresses import Guard
from resegment.sinks.webhook.client import HttpWebhook, read_retry_after
from resegment.sinks.webhook.endpoint import Endpoint
from resegment.sinks.webhook.ping import make_ping
from resegment.sinks.webhook.signing import Secret, sign
from tests.servers.receiver import HANG, RESET, Receiver, receiving

OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
NEW = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(32)).decode()


@asynccontextmanager
async def webhook_to(
    receiver: Receiver, secrets: Sequence[str] = (NEW,), guard: Guard | None = None, **given: Any
) -> AsyncIterator[HttpWebhook]:
    data = {
        "url": f"http://127.0.0.1:{receiver.port}/",
        "secrets": [{"env": "A"}],
        "timeout": "300ms",
        **given,
    }
    allowed = Guard((), frozenset({"127.0.0.1"}))
    endpoint = Endpoint.model_validate(data)
    async with HttpWebhook(endpoint, [Secret.parse(one) for one in secrets], guard or allowed) as webhook:
        yield webhook


@given(st.binary(min_size=24, max_size=64), st.text(), st.uuids().map(str))
def test_what_is_signed_is_verified_by_the_reference(key: bytes, body: str, message: str) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    now = int(time.time())
    headers = {
        "webhook-id": message,
        "webhook-timestamp": str(now),
        "webhook-signature": sign([Secret.parse(secret)], message, now, body.encode("utf-8", "replace")),
    }
    verifier = Verifier(secret)
    verifier.verify(body.encode("utf-8", "replace"), headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        verifier.verify(body.encode("utf-8", "replace") + b" ", headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        verifier.verify(
            body.encode("utf-8", "replace"), {**headers, "webhook-id": message + "x"}, json_parse=False
        )


async def test_while_secrets_change_a_receiver_may_know_either() -> None:
    async with receiving() as receiver, webhook_to(receiver, [NEW, OLD]) as webhook:
        await webhook.send(*make_ping("crm"))
    (request,) = receiver.received
    for secret in (NEW, OLD):
        Verifier(secret).verify(request.body, dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        Verifier(OTHER).verify(request.body, dict(request.headers))
    assert [one.split(",")[0] for one in request.headers["webhook-signature"].split(" ")] == ["v1", "v1"]


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with receiving() as inside, receiving(307) as receiver:
        receiver.extra = {"location": f"http://127.0.0.1:{inside.port}/"}
        async with webhook_to(receiver) as webhook:
            assert (await webhook.send("1", b"{}")).status == 307
        assert not inside.received


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with webhook_to(receiver) as webhook:
            assert (await webhook.send("1", b"{}")).status == 200
        assert not proxy.received


async def test_cookies_are_not_kept() -> None:
    async with receiving() as receiver, webhook_to(receiver) as webhook:
        receiver.extra = {"set-cookie": "a=b; Path=/"}
        await webhook.send("1", b"{}")
        await webhook.send("2", b"{}")
    assert all("cookie" not in one.headers for one in receiver.received)


async def test_an_address_that_is_not_allowed_is_not_connected_to() -> None:
    async with receiving() as receiver, webhook_to(receiver, guard=Guard()) as webhook:
        answer = await webhook.send("1", b"{}")
    assert answer.status is None
    assert "127.0.0.1, which is loopback" in str(answer)
    assert not receiver.received


async def test_a_name_that_turns_internal_is_refused_for_the_next_connection() -> None:
    places = ["127.0.0.1", "10.0.0.1"]

    async def resolve(host: str, port: int) -> Sequence[str]:
        return [places.pop(0)]

    async with receiving() as receiver:
        receiver.extra = {"connection": "close"}
        url = f"http://rebinding.example:{receiver.port}/"
        hosts = Guard((), frozenset({"rebinding.example"}), resolve)
        strict = Guard(resolve=resolve)
        async with webhook_to(receiver, guard=hosts, url=url) as webhook:
            assert (await webhook.send("1", b"{}")).status == 200
        async with webhook_to(receiver, guard=strict, url=url) as webhook:
            assert "10.0.0.1, which is private" in str(await webhook.send("2", b"{}"))
    assert [one.headers["host"] for one in receiver.received] == [f"rebinding.example:{receiver.port}"]


@pytest.mark.parametrize(("trouble", "what"), [(HANG, "no answer within"), (RESET, "Error")])
async def test_trouble_on_the_way_is_an_answer_too(trouble: int, what: str) -> None:
    async with receiving(trouble) as receiver, webhook_to(receiver) as webhook:
        answer = await webhook.send("1", b"{}")
    assert answer.status is None
    assert what in str(answer)


async def test_nobody_listening_is_an_answer_too() -> None:
    async with receiving() as receiver:
        pass
    async with webhook_to(receiver) as webhook:
        assert "Error" in str(await webhook.send("1", b"{}"))


NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("Wed, 99 Foo 2026 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert read_retry_after(text, NOW) == seconds


@given(st.text())
def test_no_retry_after_does_harm(text: str) -> None:
    found = read_retry_after(text, NOW)
    assert found is None or found >= 0
