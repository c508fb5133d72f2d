"""The relay: the outbox reaches Kafka in order, whatever fails on the way."""

from __future__ import annotations

import asyncio

import pytest

from resegment.agents.batch import PublishFailed
from resegment.agents.relay import relay
from resegment.schemas.outgoing import SegmentChangeData
from resegment.state.partition_store import StoreUnavailable
from tests.builders import Rig, data_of, facts_of, run, signals
from tests.oracle.cases import day, funding, only

DAILY = only({"event": "funding", "within": "1d"})


async def with_outbox(entries: int = 5) -> Rig:
    events = [funding(day(2 * n), id=f"i{n}") for n in range(entries)]
    return await run(Rig(DAILY), [[one] for one in signals(facts_of(events))])


def numbers(rig: Rig) -> list[int]:
    return [SegmentChangeData.model_validate(data_of(one)).sequence_number for one in rig.published.messages]


async def test_what_waits_is_published_in_order_and_then_gone() -> None:
    rig = await with_outbox()
    while rig.owned.outbox.entries:
        await relay(rig.owned, publisher=rig.published, most=2)
    assert numbers(rig) == list(range(1, 10))
    assert rig.memory.outbox == {}
    assert rig.owned.is_idle


async def test_messages_carry_account_and_content_type() -> None:
    rig = await with_outbox(1)
    await rig.deliver()
    (message,) = rig.published.messages
    assert (message.topic, message.key) == ("segment-changes", b"acme.com")
    assert message.headers == [("content-type", b"application/cloudevents+json")]


async def test_what_was_not_published_stays_and_is_published_with_the_next_try() -> None:
    rig = await with_outbox()
    rig.published.failures = 2
    for _ in range(2):
        with pytest.raises(PublishFailed):
            await relay(rig.owned, publisher=rig.published, most=2)
    assert len(rig.memory.outbox) == 5
    await rig.deliver()
    assert numbers(rig) == list(range(1, 10))


async def test_what_was_published_but_not_acknowledged_is_sent_again_unchanged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = await with_outbox()

    async def away(_: object) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(rig.store, "acknowledge", away)
        with pytest.raises(StoreUnavailable):
            await relay(rig.owned, publisher=rig.published, most=2)
    first = list(rig.published.messages)
    await rig.deliver()
    assert rig.published.messages[len(first) : 2 * len(first)] == first
    assert sorted(set(numbers(rig))) == list(range(1, 10))
    assert rig.memory.outbox == {}


async def test_a_relay_waits_for_the_first_entry() -> None:
    rig = Rig(DAILY)
    await rig.take()
    waiting = asyncio.create_task(relay(rig.owned, publisher=rig.published))
    await asyncio.sleep(0)
    assert not waiting.done()
    await rig.feed(*signals(facts_of([funding(day(0))])))
    assert await waiting == 1


async def test_a_relay_of_a_lost_partition_ends_its_wait_with_nothing() -> None:
    rig = Rig(DAILY)
    await rig.take()
    waiting = asyncio.create_task(relay(rig.owned, publisher=rig.published))
    await asyncio.sleep(0)
    rig.owned.forget()
    assert await waiting == 0
    assert rig.published.messages == []


async def test_a_partition_taken_anew_while_the_relay_publishes_loses_nothing() -> None:
    rig = await with_outbox()
    publish = rig.published.publish

    async def publish_and_lose(messages: object) -> None:
        await publish(messages)  # type: ignore[arg-type]
        rig.published.publish = publish  # type: ignore[method-assign]
        await rig.take()

    rig.published.publish = publish_and_lose  # type: ignore[method-assign]
    await rig.deliver()
    assert sorted(set(numbers(rig))) == list(range(1, 10))
    assert rig.memory.outbox == {}
