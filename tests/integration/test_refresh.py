"""Requests for attributes, written by a worker and by the command: each account once in its time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from redis.asyncio import Redis

from resegment.agents.batch import PublishFailed
from resegment.console.definition.contracts import schema
from resegment.settings import Settings
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics
from resegment.streams.operations.ingest import send_replay
from resegment.streams.operations.outlook import find_stale
from resegment.streams.refresh import RefreshAsker
from resegment.streams.worker.loops import refresher
from resegment.streams.worker.worker import Worker
from tests import companies
from tests.integration.conftest import Stack

PREFIX, PARTITIONS, PER_DAY, DAY = "refresh", 2, 7, 86_400_000
OLDER, EVERY = 30 * DAY, 7 * DAY


async def requests(stack: Stack) -> list[dict[str, Any]]:
    async with reading(stack.bootstrap, Topics(PREFIX).refresh_requests.name) as reader:
        return [
            orjson.loads(record.value)
            async for records in reader.to_end()
            for record in records
            if record.value
        ]


def worker(stack: Stack, *, asks: bool = True) -> Worker:
    settings = Settings(
        prefix=PREFIX,
        partitions=PARTITIONS,
        clock="facts",
        refresh_older=timedelta(milliseconds=OLDER if asks else 0),
        refresh_every=timedelta(milliseconds=EVERY),
        refresh_per_day=PER_DAY,
    )
    return Worker(settings, companies.definition(), bootstrap=stack.bootstrap, redis_url=stack.redis_url)


class _Forgetful(RefreshAsker):
    """Is killed after the requests are published and before they are noted."""

    async def _note(self, some: Any, now: int) -> None:
        raise PublishFailed(["killed"], RuntimeError())


@pytest.mark.asyncio(loop_scope="session")
async def test_accounts_are_asked_for_by_rank_each_once_in_its_time_and_so_many_a_day(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresher, "FIRST_AFTER", 0.2)
    monkeypatch.setattr(refresher, "AGAIN_AFTER", 0.2)
    client = Redis.from_url(stack.redis_url)
    reader = PrefixReader(client, PREFIX, PARTITIONS)
    running = worker(stack)
    async with (
        KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as publisher,
        AsyncExitStack() as work,
    ):
        # accounts are asked for when all is there: on the way, each day has requests of its own
        async with (loading := worker(stack, asks=False)).running():
            await send_replay(
                companies.events(40), publisher, loading.topics, partitions=PARTITIONS, until=companies.UNTIL
            )
            assert await loading.drain(120)
        assert await requests(stack) == []
        await work.enter_async_context(running.running())
        async with asyncio.timeout(120):
            while len(await requests(stack)) < PER_DAY:
                await asyncio.sleep(0.1)
        await asyncio.sleep(1.0)  # some more looks: the day's requests are used up
        first = await requests(stack)
        assert len(first) == PER_DAY
        validator = Draft202012Validator(schema("refresh"))
        for one in first:
            validator.validate(one)
        now = max([await reader.clock(number) for number in range(PARTITIONS)])
        timeline = running.registry.timeline
        finder = await find_stale(reader, timeline, now, OLDER, lambda _: None)
        wanted = [one for one in finder.ranked() if one.matters]
        shares = [4, 3]
        assert {one["data"]["account"] for one in first} == {
            one.account
            for number, share in enumerate(shares)
            for one in [two for two in wanted if reader.partition_of(two.account) == number][:share]
        }

        # whatever comes between, the same account is asked for by the same id until it is noted
        asked = {one["data"]["account"] for one in first}
        rest = [one for one in wanted if one.account not in asked][:3]
        forgetful = _Forgetful(client, reader, running.topics, publisher, EVERY)
        for _ in range(2):
            with pytest.raises(PublishFailed):
                await forgetful.ask(rest, now)
        asker = RefreshAsker(client, reader, running.topics, publisher, EVERY)
        assert await asker.ask(wanted, now, 3) == 3
        known = {one["id"] for one in first}
        again = [one for one in await requests(stack) if one["id"] not in known]
        assert len(again) == 9
        known |= {one["id"] for one in again}
        assert len(known) == PER_DAY + 3

        # an account is asked for again, by another id, when its time is over
        assert await asker.ask(rest, now + EVERY - 1) == 0
        assert await asker.ask(rest, now + EVERY) == 3
        later = [one for one in await requests(stack) if one["id"] not in known]
        assert sorted(one["data"]["account"] for one in later) == sorted(one.account for one in rest)
    await client.aclose()
