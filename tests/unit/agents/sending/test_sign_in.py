"""Access tokens are renewed with the newest refresh token, else with the one that a person gave."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from resegment.agents.sending.runner import SignedOut, SignIn
from resegment.sinks.port import Answer, Request
from tests.vendors.samples import SAMPLES


@dataclass
class TokenServer:
    """Takes each refresh token once, as long as `strict`, and gives another."""

    valid: set[str] = field(default_factory=lambda: {"given"})
    asked: list[str] = field(default_factory=list)
    strict: bool = True

    async def send(self, request: Request) -> Answer:
        token = dict(request.form)["refresh_token"]
        self.asked.append(token)
        if token not in self.valid:
            return Answer(400, {"error": "invalid_grant"})
        if self.strict:
            self.valid.discard(token)
        number = len(self.asked)
        self.valid.add(f"refresh-{number}")
        return Answer(200, {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}"})


def sign_in(secrets: dict[str, str]) -> SignIn:
    return SignIn(SAMPLES["outreach"].sink(), lambda: dict(secrets))


async def renewed(signing: SignIn, server: TokenServer) -> str:
    refused = await signing.current(server.send)
    assert await signing.renew(refused)
    return (await signing.current(server.send))["access_token"]


def test_the_newest_refresh_token_is_used() -> None:
    server = TokenServer()
    signing = sign_in({"client_id": "c", "client_secret": "s", "refresh_token": "given"})
    assert asyncio.run(renewed(signing, server)) == "access-2"
    assert asyncio.run(renewed(signing, server)) == "access-3"
    assert server.asked == ["given", "refresh-1", "refresh-2"]


def test_the_given_one_is_tried_if_the_newest_is_refused() -> None:
    server = TokenServer(strict=False)
    signing = sign_in({"client_id": "c", "client_secret": "s", "refresh_token": "given"})
    asyncio.run(signing.current(server.send))
    server.valid = {"given"}
    assert asyncio.run(renewed(signing, server)) == "access-3"
    assert server.asked == ["given", "refresh-1", "given"]


def test_a_token_that_a_person_replaced_counts() -> None:
    server = TokenServer()
    secrets = {"client_id": "c", "client_secret": "s", "refresh_token": "given"}
    signing = sign_in(secrets)
    asyncio.run(signing.current(server.send))
    secrets.update({"refresh_token": "replaced"})
    server.valid = {"replaced"}
    assert asyncio.run(renewed(signing, server)) == "access-2"
    assert server.asked == ["given", "replaced"]


def test_without_a_valid_token_it_is_signed_out() -> None:
    server = TokenServer(valid=set())
    signing = sign_in({"client_id": "c", "client_secret": "s", "refresh_token": "given"})
    with pytest.raises(SignedOut, match="invalid_grant"):
        asyncio.run(signing.current(server.send))
