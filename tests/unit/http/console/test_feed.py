"""The live feed: nothing is left out and nothing comes twice, whatever breaks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import Request

from resegment.http.access.users import User
from resegment.http.console.pages.changes import AT_ONCE, decode_place, encode_place, stream
from resegment.http.console.rendering import Theme
from resegment.http.console.table import TableRequest
from resegment.http.console.viewing import Console, Viewing
from resegment.localization import US
from tests.console import PrefixInMemory


def viewing(prefix: PrefixInMemory, **query: str) -> Viewing:
    request = Request({"type": "http", "path": "/feed", "headers": [], "query_string": b"", "root_path": ""})
    return Viewing(request, Console(prefix, Theme(US)), User("try", "viewer"), TableRequest("/feed", query))


def moved(number: int, account: str = "acme.com") -> bytes:
    text = (
        '{"id": "%s-%d", "data": {"account": "%s", "sequence_number": %d, "from": "not-now", "to": "hiring-now", '
        '"effective_at": "2026-03-31T12:00:00Z", "decided_at": "2026-03-31T12:00:00Z", "cause": {"events": []}, '
        '"reason": {"holds": []}, "supersedes": null}}'
    )
    return (text % (account, number, account, number)).encode()


async def take(messages: AsyncIterator[bytes], rows: int) -> tuple[list[str], str]:
    """Return the accounts of so many rows, and the place after them."""
    found: list[str] = []
    place = ""
    async with asyncio.timeout(5):
        async for message in messages:
            text = message.decode()
            found += re.findall(r'href="/accounts/([a-z0-9.-]+)"', text)[::-1]
            if (match := re.search(r"^id: (.*)$", text, re.MULTILINE)) is not None:
                place = match[1]
            if len(found) >= rows:
                break
    return found, place


async def test_a_feed_begins_where_the_page_ends_and_continues_where_it_broke(prefix: PrefixInMemory) -> None:
    begun = encode_place({0: prefix.offset})
    await prefix.publish(*(moved(1, f"first-{number}.com") for number in range(3)))
    found, place = await take(stream(viewing(prefix), decode_place(begun)), 3)
    assert found == ["first-0.com", "first-1.com", "first-2.com"]
    await prefix.publish(*(moved(1, f"second-{number}.com") for number in range(300)))
    found, place = await take(stream(viewing(prefix), decode_place(place)), 300)
    assert found == [f"second-{number}.com" for number in range(300)]
    messages = stream(viewing(prefix), decode_place(place))
    taking = asyncio.create_task(take(messages, 1))
    await asyncio.sleep(0)
    await prefix.publish(moved(1, "third.com"))
    assert (await taking)[0] == ["third.com"]


async def test_a_feed_of_one_segment_or_account_has_only_that(prefix: PrefixInMemory) -> None:
    begun = decode_place(encode_place({0: prefix.offset}))
    await prefix.publish(moved(7, "globex.com"), moved(8, "acme.com"))
    found, _ = await take(stream(viewing(prefix, account="acme.com"), begun), 1)
    assert found == ["acme.com"]


@pytest.mark.parametrize("places", [{0: 0}, {0: 1, 1: 36, 2: 12345678}, {3: 9}])
def test_a_place_is_read_as_it_was_written(places: dict[int, int]) -> None:
    found = decode_place(encode_place(places))
    assert found is not None
    assert {number: offset for number, offset in found.items() if offset} == {
        number: offset for number, offset in places.items() if offset
    }


@pytest.mark.parametrize(
    "text", [None, "", "x y", "1..2", "٣", "a" * 99, "-1", "1.", "<b>", "zzzzzzzzzzzzz", "0.1y2p0ij32e8e8"]
)
def test_what_is_no_place_is_none(text: str | None) -> None:
    assert decode_place(text) is None


async def test_a_feed_that_missed_much_reads_it_in_parts(prefix: PrefixInMemory) -> None:
    await prefix.publish(*(moved(1, f"missed-{number}.com") for number in range(450)))
    sizes, found = [], list[str]()
    find = prefix.find

    async def counting(query: Any) -> Any:
        rows = await find(query)
        sizes.append(len(rows) if isinstance(rows, list) else 0)
        return rows

    prefix.find = counting  # type: ignore[method-assign]
    found, _ = await take(stream(viewing(prefix), decode_place(encode_place({0: 4}))), 450)
    assert found == [f"missed-{number}.com" for number in range(450)]
    assert max(sizes) == AT_ONCE
