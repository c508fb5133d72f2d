"""Whatever a vendor's server sends is an answer: an odd body is lost, and none is an error."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from resegment.sinks.client import MAX_BODY, MAX_DEPTH, VendorClient
from resegment.sinks.port import Answer, Request


async def answer_to(body: bytes, status: int = 200) -> Answer:
    async with VendorClient("https://vendor.test", timeout=5) as client:
        await client._client.aclose()
        transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body))
        client._client = httpx.AsyncClient(transport=transport, base_url="https://vendor.test")
        return await client.send(Request("GET", "/x"))


@pytest.mark.parametrize(
    ("body", "status", "found"),
    [
        (b"", 200, None),
        (b"", 204, None),
        (b'{"id": 1}', 201, {"id": 1}),
        (b"[" * 50 + b"]" * 50, 200, ...),
        (b"<html>Sign in</html>", 502, "<html>Sign in</html>"),
        (b'{"id": ', 200, '{"id": '),
        (b"\xff\xfe", 200, "\ufffd\ufffd"),
    ],
)
async def test_a_body_is_json_or_text_or_nothing(body: bytes, status: int, found: Any) -> None:
    answer = await answer_to(body, status)
    assert answer.status == status
    assert found is ... or answer.body == found


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "levels deep"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "levels deep"),
        (b'"' + b"x" * MAX_BODY + b'"', "longer than"),
    ],
    ids=["a deep list", "a deep object", "too long"],
)
async def test_a_body_that_nobody_can_use_counts_as_lost(body: bytes, why: str) -> None:
    answer = await answer_to(body)
    assert answer.status == 0
    assert why in answer.body
    assert not answer.unsent
