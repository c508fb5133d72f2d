"""Kafka, the intake and both are killed under load: what was answered with 202 is there, and nothing else decides."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import Process
from collections.abc import Sequence
from pathlib import Path

import httpx
import orjson
import pytest
from redis.asyncio import Redis

from resegment.benchmarks.servers import apache
from resegment.embedded.servers import RedisServer
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.fact import LATEST
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.inspection.backtest import backtest
from resegment.sources.segments import load_definition
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.kafka.topics import Topics
from tests.benchmarks.intake import start_intake
from tests.integration.conftest import require_apache
from tests.servers.workers import workers

PREFIX = "taken"
PATIENCE = 180.0
EVENTS = 6_000
SENDERS = 24
SEGMENTS = """
version: 1
segments:
  - {name: large, when: {employees: {gte: 100}}, play: talk, route: {workflow: large}}
  - {name: small, when: {employees: {gte: 10}}, play: talk, route: {workflow: small}}
fallback: {name: rest, play: talk, route: {workflow: nurture}}
plays: {talk: {message: {pain: a, value_prop: b, proof_points: [c]}, channels: {primary: email}}}
"""


def event(number: int) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0", "id": str(number), "source": "/load", "type": "gtm.firmographic.v1", "subject": f"company-{number % 700}.com",
            "time": f"2026-01-{number // 700 + 1:02}T00:00:00Z", "data": {"employees": number * 37 % 160},
        }
    )  # fmt: skip


class Load:
    """Sends each event until it is accepted, wherever the intake is."""

    def __init__(self) -> None:
        self.port = 0
        self.key = ""
        self.accepted: list[bytes] = []
        self.refusals: dict[str, int] = {}
        self._next = 0

    async def send(self) -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            while self._next < EVENTS:
                number, self._next = self._next, self._next + 1
                while not await self._post(client, event(number)):
                    await asyncio.sleep(0.2)

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> bool:
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/cloudevents+json"}
        try:
            answer = await client.post(f"http://127.0.0.1:{self.port}/events", content=body, headers=headers)
        except httpx.HTTPError as error:
            return self._refuse(type(error).__name__)
        if answer.status_code != 202:
            assert answer.headers.get("retry-after"), answer.text
            return self._refuse(str(answer.status_code))
        self.accepted.append(body)
        return True

    def _refuse(self, why: str) -> bool:
        self.refusals[why] = self.refusals.get(why, 0) + 1
        return False

    async def until(self, share: float) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.accepted) < share * EVENTS:
                await asyncio.sleep(0.02)


async def settled(reader: PrefixReader, bootstrap: str, topics: Topics) -> None:
    """Wait until every record of `signals` is decided, and nothing waits to become one."""
    async with asyncio.timeout(PATIENCE):
        before = -1
        while True:
            async with reading(bootstrap, topics.signals.name) as topic:
                end = sum((await topic.ends()).values())
            done = sum(one.position.offset for one in await reader.look() if one.position is not None)
            if done >= end == before:
                return
            before = end
            await asyncio.sleep(1.0)


async def ready(port: int) -> None:
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient() as client:
        while (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code != 200:
            await asyncio.sleep(0.1)


def expected(bodies: Sequence[bytes], segments: Path) -> dict[str, str]:
    facts = [resolve_event(decode_event(body)) for body in bodies]
    program = Program(load_definition(str(segments)))
    found = {
        account.name: account.state.membership.segment for account, _ in backtest(program, facts, LATEST)
    }
    return {name: segment for name, segment in found.items() if segment is not None}


@pytest.mark.faults
@pytest.mark.timeout(600)
async def test_nothing_that_was_accepted_is_lost_when_kafka_the_intake_or_both_are_killed(
    tmp_path: Path,
) -> None:
    require_apache()
    segments = tmp_path / "segments.yaml"
    segments.write_text(SEGMENTS)
    redis = RedisServer(tmp_path / "redis")
    topics, load = Topics(PREFIX), Load()
    taken: list[Process] = []

    async def start(bootstrap: str) -> None:
        process, load.port, load.key = await start_intake(tmp_path, bootstrap, redis.url, None, PREFIX)
        taken.append(process)
        await ready(load.port)

    async def kill() -> None:
        process = taken.pop()
        process.kill()
        await process.wait()

    async with apache.cluster(tmp_path / "kafka") as (kafka,):
        await redis.start()
        settings = {
            "kafka": kafka.bootstrap, "redis": redis.url, "prefix": PREFIX, "partitions": 8, "segments": segments, "session_timeout": 6,
        }  # fmt: skip
        async with workers(tmp_path, **settings) as group:
            try:
                await group.start()
                await start(kafka.bootstrap)
                senders = [asyncio.create_task(load.send()) for _ in range(SENDERS)]
                await load.until(0.2)
                await kafka.kill()
                await kafka.start()
                await load.until(0.45)
                await kill()
                await start(kafka.bootstrap)
                await load.until(0.7)
                await asyncio.gather(kafka.kill(), kill())
                await kafka.start()
                await start(kafka.bootstrap)
                await asyncio.wait_for(asyncio.gather(*senders), PATIENCE)
                client = Redis.from_url(redis.url)
                reader = PrefixReader(client, PREFIX, 8)
                await settled(reader, kafka.bootstrap, topics)
                live = {one.account: one.segment async for batch in reader.places() for one in batch}
                await client.aclose()
            finally:
                for process in taken:
                    process.kill()
                    await process.wait()
        await redis.stop()
    assert len(load.accepted) == EVENTS
    assert sum(load.refusals.values()) > 0, "nothing was killed under load"
    assert live == expected(load.accepted, segments)
    print(f"{os.linesep}{EVENTS:,} accepted, not accepted at first: {load.refusals}")
