"""What producers write is shown as text: in names, titles, sources, ids and evidence, on every page and in the feed."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from resegment.http.console.feed import decode_place
from resegment.http.console.pages.changes import stream
from resegment.streams.live.decoding import decode_change
from tests.builders import facts_of
from tests.console import PrefixInMemory
from tests.unit.http.console.conftest import NOW, event
from tests.unit.http.console.test_feed import viewing

MARKUP = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>\u202e{{ 7*7919 }}"
PAGES = (
    "/",
    "/accounts",
    "/accounts?q=evil",
    "/accounts/evil.com",
    "/accounts/evil.com?at=2026-03-29T00:00:00Z",
    "/changes",
    "/segments/hiring-now",
    "/versions/shadow",
)
WITHOUT = ("/versions/shadow",)
"""Pages that show nothing that the producer of `attacked` wrote."""


@pytest.fixture
async def attacked(prefix: PrefixInMemory) -> PrefixInMemory:
    first = event(
        "evil.com", "firmographic", "2026-03-01T00:00:00Z", 1, name=MARKUP, status="active", employees=9
    )
    second = event("evil.com", "hiring", "2026-03-30T00:00:00Z", 2, change="opened", title=MARKUP)
    for one in (first, second):
        one["source"], one["id"] = f"/{MARKUP}", f"{one['id']}{MARKUP}"
    await prefix.add(facts_of([first, second]))
    await prefix.index.put_enrolled([("evil.com", MARKUP, MARKUP, None)])
    prefix.begin_shadow(2, NOW - 1)
    return prefix


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_has_markup_of_a_producer(
    http: httpx.AsyncClient, attacked: PrefixInMemory, path: str
) -> None:
    page = (await http.get(path)).text
    assert "alert(1)" in page or path in WITHOUT, "the text is there"
    assert not re.search(r"<script>alert|<img|\u202e|55433", page)
    assert MARKUP not in page


@pytest.mark.parametrize("path", PAGES)
async def test_csv_and_json_have_the_text_itself(
    http: httpx.AsyncClient, attacked: PrefixInMemory, path: str
) -> None:
    response = await http.get(path, params={"format": "json"})
    assert response.headers["content-type"] == "application/json"
    assert response.json()["tables"]


async def test_the_feed_has_no_markup_of_a_producer(attacked: PrefixInMemory) -> None:
    messages = [one async for one in _first(attacked)]
    assert b"alert(1)" in b"".join(messages)
    assert b"<script>" not in b"".join(messages)


async def _first(prefix: PrefixInMemory):  # type: ignore[no-untyped-def]
    messages = stream(viewing(prefix), decode_place("0"))
    for _ in range(2):
        yield await anext(messages)


@pytest.mark.parametrize(
    "text", [MARKUP, "<b>", "a" * 5_000, "\x00", "../../etc/passwd", "%00", "x" * 300 + ".com"]
)
async def test_addresses_that_nobody_linked_to_are_answered_in_order(
    http: httpx.AsyncClient, text: str
) -> None:
    for path in ("/accounts/", "/segments/"):
        response = await http.get(f"{path}{httpx.QueryParams(a=text)!s}".replace("a=", ""))
        assert response.status_code in (404, 414)
        assert "<script>alert" not in response.text
    for name in ("at", "span", "what", "timeline.sort", "format", "table", "rows"):
        response = await http.get("/accounts/acme.com", params={name: text})
        assert response.status_code in (200, 400, 404), name
        assert "<script>alert" not in response.text
    for name in ("q", "segment", "account", "from", "to", "since", "changes.page", "tz"):
        response = await http.get("/changes", params={name: text})
        assert response.status_code in (200, 400, 404), name
    for path in ("/versions/shadow", "/segments/established", "/accounts"):
        for name in (
            "from",
            "to",
            "owner",
            "unowned",
            "q",
            "since",
            "until",
            "tz",
            "members.sort",
            "moves.sort",
        ):
            response = await http.get(path, params={name: text})
            assert response.status_code in (200, 400, 404), (path, name)
            assert not re.search(r"<script>alert|<img|<b>", response.text), (path, name)


def made(**given: Any) -> bytes:
    data = {"account": "a.com", "sequence_number": 1, "from": None, "to": "a", "cause": {}, "reason": {}}
    times = dict.fromkeys(("effective_at", "decided_at"), "2026-01-01T00:00:00Z")
    return json.dumps({"id": "1", "data": data | times | given}).encode()


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"[]",
        b'{"id": "1", "data": {}}',
        made(sequence_number=10**30),
        made(account="\ud800"),
        made(effective_at="yesterday"),
        made(effective_at="9999-12-31T23:59:59Z"),
        made(to=5),
    ],
)
async def test_a_record_that_no_worker_wrote_holds_up_nothing(
    prefix: PrefixInMemory, value: bytes | None
) -> None:
    change = decode_change((0, 9), value)
    if change is not None:
        await prefix.index.add_changes([change])


async def test_a_change_without_a_readable_reason_is_shown_nevertheless(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    await prefix.publish(
        b'{"id": "1", "data": {"account": "acme.com", "sequence_number": 50, "from": "not-now", "to": "established", '
        b'"effective_at": "2026-03-31T00:00:00Z", "decided_at": "2026-03-31T00:00:00Z", "cause": {"events": 5}, '
        b'"reason": {"holds": [1]}}}'
    )
    assert "its reason cannot be read" in (await http.get("/changes")).text
