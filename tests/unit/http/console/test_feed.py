"""The live feed: nothing is left out and nothing comes twice, whatever breaks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from resegment.http.access.users import User
from resegment.http.console.feed import AT_ONCE, Place, decode_place, find_end
from resegment.http.console.pages.changes import stream
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
    async with asyncio.timeout(60):
        async for message in messages:
            text = message.decode()
            found += re.findall(r'href="/accounts/([a-z0-9.-]+)"', text)[::-1]
            if (match := re.search(r"^id: (.*)$", text, re.MULTILINE)) is not None:
                place = match[1]
            if len(found) >= rows:
                break
    return found, place


async def test_a_feed_begins_where_the_page_ends_and_continues_where_it_broke(prefix: PrefixInMemory) -> None:
    begun = Place({0: prefix.offset}).encode()
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
    begun = decode_place(Place({0: prefix.offset}).encode())
    await prefix.publish(moved(7, "globex.com"), moved(8, "acme.com"))
    found, _ = await take(stream(viewing(prefix, account="acme.com"), begun), 1)
    assert found == ["acme.com"]


@pytest.mark.parametrize("places", [{0: 0}, {0: 1, 1: 36, 2: 12345678}, {3: 9}])
def test_a_place_is_read_as_it_was_written(places: dict[int, int]) -> None:
    for mark in (None, (0, 0), (3, 4_294_967_295)):
        found = decode_place(Place(places, mark).encode())
        assert found is not None
        assert found.mark == mark
        assert {number: offset for number, offset in found.offsets.items() if offset} == {
            number: offset for number, offset in places.items() if offset
        }


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "x y",
        "1..2",
        "٣",
        "a" * 99,
        "-1",
        "1.",
        "<b>",
        "1-",
        "1-2",
        "1-2.",
        "1-2.3.4",
        "1-2.3-4",
        "zzzzzzzzzzzzz",
        "0.1y2p0ij32e8e8",
    ],
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
    found, _ = await take(stream(viewing(prefix), decode_place(Place({0: 4}).encode())), 450)
    assert found == [f"missed-{number}.com" for number in range(450)]
    assert max(sizes) == AT_ONCE


async def follow(prefix: PrefixInMemory, place: str) -> AsyncIterator[bytes]:
    async for message in stream(viewing(prefix), decode_place(place)):
        if not message.startswith((b":", b"retry")):
            yield message


async def begin_topic_again(prefix: PrefixInMemory, *values: bytes) -> None:
    """Let the topic be made again, with these changes, as the follower does."""
    await prefix.index.clear()
    prefix.progress.begin()
    prefix.offset = 0
    await prefix.publish(*values)
    prefix.progress.done |= {"changes", "commands"}


async def test_a_feed_recovers_when_the_topic_is_made_again_while_it_is_open(prefix: PrefixInMemory) -> None:
    await prefix.publish(*(moved(1, f"old-{number}.com") for number in range(20)))
    messages = follow(prefix, (await find_end(prefix)).encode())
    asked = asyncio.create_task(anext(messages))
    await asyncio.sleep(0.01)
    await begin_topic_again(prefix, moved(1, "new-0.com"), moved(1, "new-1.com"))
    async with asyncio.timeout(60):
        assert (await asked).startswith(b"event: begin")
        rows = (await anext(messages)).decode()
    assert re.findall(r"new-\d", rows) == ["new-1", "new-1", "new-0", "new-0"]
    await prefix.publish(moved(1, "new-2.com"))
    async with asyncio.timeout(60):
        assert b"new-2.com" in await anext(messages)


@pytest.mark.parametrize("new", [2, 40])
async def test_a_browser_that_comes_back_to_a_topic_that_was_made_again_gets_its_rows(
    prefix: PrefixInMemory, new: int
) -> None:
    await prefix.publish(*(moved(1, f"old-{number}.com") for number in range(20)))
    place = (await find_end(prefix)).encode()
    await begin_topic_again(prefix, *(moved(1, f"new-{number}.com") for number in range(new)))
    async with asyncio.timeout(60):
        messages = follow(prefix, place)
        assert (await anext(messages)).startswith(b"event: begin")
        assert (await anext(messages)).count(b"<li ") == new


async def test_a_feed_waits_for_a_console_that_was_started_again_to_have_read_its_place(
    prefix: PrefixInMemory,
) -> None:
    await prefix.publish(*(moved(1, f"old-{number}.com") for number in range(20)))
    place = (await find_end(prefix)).encode()
    values = [moved(1, f"old-{number}.com") for number in range(20)]
    await prefix.index.clear()
    prefix.progress.done.clear()
    prefix.offset = 4
    messages = follow(prefix, place)
    asked = asyncio.create_task(anext(messages))
    await prefix.publish(*values[:5])
    await asyncio.sleep(0.05)
    assert not asked.done()
    await prefix.publish(*values[5:])
    prefix.progress.done |= {"changes", "commands"}
    await prefix.publish(moved(1, "fresh.com"))
    async with asyncio.timeout(60):
        assert b"fresh.com" in await asked


async def test_a_feed_says_when_it_is_not_live_and_when_it_is_again(prefix: PrefixInMemory) -> None:
    messages = follow(prefix, (await find_end(prefix)).encode())
    prefix.progress.problem = "Kafka does not answer"
    async with asyncio.timeout(60):
        assert b'{"problem":"Kafka does not answer"}' in await anext(messages)
        asked = asyncio.create_task(anext(messages))
        await asyncio.sleep(0.01)
        prefix.progress.problem = None
        await prefix.publish(moved(9, "globex.com"))
        assert b'{"problem":null}' in await asked
        assert b"globex.com" in await anext(messages)


async def test_a_change_that_comes_while_the_page_is_made_is_on_it_or_in_its_feed(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    find, coming = prefix.find, [f"coming-{number}.com" for number in range(12)]
    left = list(coming)

    async def find_late(query: Any) -> Any:
        found = await find(query)
        if left:
            await prefix.publish(moved(1, left.pop(0)))
        return found

    prefix.find = find_late  # type: ignore[method-assign]
    page = (await http.get("/")).text
    (place,) = re.findall(r'data-place="([^"]+)"', page)
    shown = re.findall(r'<li data-seq=.*?href="[^"]*/accounts/(coming-\d+\.com)"', page)
    while left:
        await prefix.publish(moved(1, left.pop(0)))
    found, _ = await take(stream(viewing(prefix), decode_place(place)), len(coming) - len(shown))
    assert 0 < len(shown) < len(coming)
    assert sorted([*shown, *found]) == sorted(coming)
