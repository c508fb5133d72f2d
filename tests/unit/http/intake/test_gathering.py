"""How requests that come at the same time are published together, and do not fail for each other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from resegment.agents.batch import Message, PublishFailed
from resegment.http.intake.bodies import Rejected
from resegment.http.intake.gathering import Gathering
from resegment.http.intake.load import MAX_BYTES, MAX_REQUESTS, Load


def message(text: str) -> Message:
    return Message("t", None, text.encode())


class Publisher:
    """Publishes when it is let; fails for what is too large, and while it is away."""

    def __init__(self) -> None:
        self.goes: list[list[str]] = []
        self.away = False
        self.open = asyncio.Event()

    async def publish(self, messages: Sequence[Message]) -> None:
        texts = [(one.value or b"").decode() for one in messages]
        self.goes.append(texts)
        await self.open.wait()
        if self.away:
            raise PublishFailed((), TimeoutError())
        if "large" in texts:
            raise PublishFailed((), ValueError(), too_large=True)


async def test_what_comes_while_one_is_published_goes_together_in_order() -> None:
    publisher = Publisher()
    gathering = Gathering(publisher)
    first = asyncio.create_task(gathering.publish([message("a")]))
    while not publisher.goes:
        await asyncio.sleep(0)
    rest = [asyncio.create_task(gathering.publish([message(text)])) for text in "bcd"]
    await asyncio.sleep(0)
    publisher.open.set()
    await asyncio.gather(first, *rest)
    assert publisher.goes == [["a"], ["b", "c", "d"]]


async def test_a_message_that_is_too_large_fails_its_own_request_only() -> None:
    publisher = Publisher()
    publisher.open.set()
    gathering = Gathering(publisher)
    given = ("a", "large", "b")
    found = await asyncio.gather(
        *(gathering.publish([message(text)]) for text in given), return_exceptions=True
    )
    assert [one is None for one in found] == [True, False, True]


async def test_every_request_hears_that_kafka_is_away() -> None:
    publisher = Publisher()
    publisher.open.set()
    publisher.away = True
    gathering = Gathering(publisher)
    found = await asyncio.gather(
        *(gathering.publish([message("a")]) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(one, PublishFailed) for one in found)
    publisher.away = False
    await gathering.publish([message("a")])


def test_a_sender_with_too_much_under_way_waits_and_others_do_not() -> None:
    load = Load()
    with load.held("a") as share:
        share.add(MAX_BYTES)
        with pytest.raises(Rejected) as error, load.held("a") as more:
            more.add(1)
        assert (error.value.status, error.value.retry_after) == (429, 1)
        with load.held("b") as other:
            other.add(1)
    with load.held("a") as share:
        share.add(MAX_BYTES)
    assert not load.bytes
    assert not load.requests


def test_a_sender_has_only_so_many_requests_at_once() -> None:
    load = Load()
    held = [load.held("a") for _ in range(MAX_REQUESTS)]
    for one in held:
        one.__enter__()
    with pytest.raises(Rejected), load.held("a"):
        pass
    for one in held:
        one.__exit__(None, None, None)
    assert not load.requests
