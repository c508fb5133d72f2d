"""From a signal to an enrollment to a reply that is credited to the segment at touch: on both stacks."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import orjson
import pytest
from redis.asyncio import Redis

from resegment.http.intake.access import Access
from resegment.http.intake.app import build
from resegment.http.intake.service import Intake
from resegment.outcomes.dataset import Dataset
from resegment.schemas.outcomes.ledger import encode_ledger
from resegment.schemas.outcomes.messages import decode_touch
from resegment.schemas.outcomes.touch import Touch, TouchVoid
from resegment.schemas.times import format_instant
from resegment.settings import Settings
from resegment.sources.adapters.port import Context
from resegment.state.redis.client import connect_redis
from resegment.state.redis.keys import PartitionKeys
from resegment.state.redis.reader import PrefixReader
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.outcomes.archived import read_dataset_log
from resegment.streams.outcomes.live import read_dataset
from resegment.streams.recovery.replay import LogSource
from resegment.streams.recovery.verify import hold_ledgers, verify_ledgers
from resegment.streams.worker.worker import Worker
from tests.builders import definition_of
from tests.integration.conftest import Stack
from tests.integration.test_routing import FILE, NUMBERS
from tests.oracle.cases import event

pytestmark = pytest.mark.asyncio(loop_scope="session")

T = TypeVar("T")
PATIENCE = 120.0
PARTITIONS = 4


class Way:
    """A prefix with a worker and an intake, asked by HTTP as vendors ask it."""

    def __init__(self, stack: Stack, worker: Worker, http: httpx.AsyncClient, client: Redis) -> None:
        self.worker, self.http, self._bootstrap, self.client = worker, http, stack.bootstrap, client
        self.reader = PrefixReader(client, worker.topics.prefix, PARTITIONS)
        self.source = LogSource(stack.bootstrap, worker.topics, {})

    async def send(self, kind: str, **data: Any) -> None:
        """Send an event of ours to `POST /events`."""
        given = {
            "op": data.pop("op", "assert"),
            "record": data.pop("record", None),
            "source": data.pop("source", None),
        }
        now = time.time_ns() // 1_000_000
        one = event(kind, now, id=f"{kind}-{next(NUMBERS)}", **data)
        one |= {name: value for name, value in given.items() if value is not None}
        answer = await self.http.post("/events", content=orjson.dumps(one), headers=STRUCTURED)
        assert answer.status_code == 202, answer.text

    async def reply(self, key: str) -> None:
        """Send what Instantly sends when a lead replies, with the key that the sink gave it."""
        body = {
            "timestamp": format_instant(time.time_ns() // 1_000_000),
            "event_type": "reply_received",
            "campaign_id": "c1",
            "lead_email": "jo@acme.com",
            "reply_text": "Tell me more",
            "resegment_key": key,
        }
        answer = await self.http.post("/sources/instantly", json=body)
        assert (answer.status_code, answer.json()["refused"]) == (202, []), answer.text

    async def commands(self) -> list[dict[str, Any]]:
        topic = self.worker.topics.workflow_commands.name
        async with reading(self._bootstrap, topic) as log:
            found = [orjson.loads(record.value) async for records in log.to_end() for record in records]
        return [one["data"] for one in found]

    async def enrolled(self, segment: str) -> dict[str, Any]:
        """Wait for the command that enrolls the account for a segment."""

        async def find() -> dict[str, Any] | None:
            found = await self.commands()
            return next(
                (one for one in found if (one["action"], one["segment"]) == ("enroll", segment)), None
            )

        return await until(find)

    async def dataset(self) -> Dataset:
        return await read_dataset(self.reader)

    async def outcomes(self, holds: Callable[[Dataset], bool]) -> Dataset:
        async def find() -> Dataset | None:
            found = await self.dataset()
            return found if holds(found) else None

        return await until(find)

    async def differences(self) -> list[Any]:
        """Wait until nothing is on its way, and compare all partitions with the log."""
        found: list[Any] = []
        for number in range(PARTITIONS):
            held = await until(lambda one=number: hold_ledgers(one, self.reader, self.source))  # type: ignore[misc]
            found += await verify_ledgers(number, held, self.source)
        return found


STRUCTURED = {"content-type": "application/cloudevents+json"}


async def until(find: Callable[[], Awaitable[T | None]]) -> T:
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await find()
            if found is not None:
                return found
            await asyncio.sleep(0.05)


@asynccontextmanager
async def way(stack: Stack, name: str) -> AsyncIterator[Way]:
    prefix = f"{name}{next(NUMBERS)}{stack.name}"
    kafka = {} if stack.name == "embedded" else {"kafka": stack.bootstrap}
    settings = Settings(prefix=prefix, partitions=PARTITIONS, route="all", **kafka)  # type: ignore[arg-type]
    worker = Worker(settings, definition_of(FILE), bootstrap=stack.bootstrap, redis_url=stack.redis_url)
    client = connect_redis(settings, stack.redis_url)
    async with worker.running(), KafkaPublisher(stack.bootstrap, idempotent=bool(kafka)) as publisher:
        intake = build(Intake(publisher, worker.topics, Access(), Context()))
        transport = httpx.ASGITransport(app=intake, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            try:
                yield Way(stack, worker, http, client)
            finally:
                await client.aclose()


async def test_a_reply_after_the_account_has_moved_on_is_credited_to_the_segment_at_touch(
    stack: Stack,
) -> None:
    async with way(stack, "touch") as one:
        await one.send("firmographic", employees=300, region="emea", name="Acme")
        await one.send("hiring", change="opened", function="sales")
        first = await one.enrolled("growing")
        await one.send("leadership", change="joined", role="cro")
        second = await one.enrolled("new-leader")
        (state,) = await one.reader.states(["acme.com"])
        assert state is not None
        assert state.membership.segment == "new-leader"

        await one.reply(first["idempotency_key"])
        found = await one.outcomes(lambda found: not found.outcomes.is_empty())
        (reply,) = found.outcomes.to_dicts()
        assert (reply["action"], reply["person"], reply["credited_by"]) == ("replied", "jo@acme.com", "key")
        touches = {row["touch"]: row for row in found.touches.to_dicts()}
        touch = touches[reply["touch"]]
        assert (touch["segment"], touch["play"], touch["owner"], touch["arm"]) == (
            "growing",
            "plain",
            "kim",
            "enrolled",
        )
        assert touches.keys() >= {first["idempotency_key"], second["idempotency_key"]}

        assert await one.worker.drain(PATIENCE)
        async with reading(stack.bootstrap, one.worker.topics.touches.name) as log:
            values = [record.value async for records in log.to_end() for record in records]
        published = [decode_touch(value) for value in values]
        # events of one millisecond may come in two batches: the second decision voids what followed from the first
        void = {record.change for record in published if isinstance(record, TouchVoid)}
        kept = {one.touch for one in published if isinstance(one, Touch) and one.change not in void}
        assert kept == touches.keys()
        assert len(published) == len(set(published))
        assert await one.differences() == []
        logged = await read_dataset_log(one.source)
        assert logged.outcomes.equals(found.outcomes)
        assert logged.touches.equals(found.touches)

        await one.send("outcome", op="retract", record=reply["record"], source=reply["source"])
        found = await one.outcomes(lambda found: found.outcomes.is_empty())
        assert found.touches.height == len(touches)
        assert await one.differences() == []


async def test_ledgers_that_are_lost_are_what_they_were_after_a_rebuild(stack: Stack, tmp_path: Path) -> None:
    async with way(stack, "lost") as one:
        await one.send("firmographic", employees=300, region="emea", name="Acme")
        await one.send("hiring", change="opened", function="sales")
        first = await one.enrolled("growing")
        await one.reply(first["idempotency_key"])
        before = await one.outcomes(lambda found: not found.outcomes.is_empty())
        assert await one.worker.drain(PATIENCE)
        prefix, number = one.worker.topics.prefix, one.reader.partition_of("acme.com")
        code, output = await resegment(stack, tmp_path, prefix, "outcomes", "acme.com", "--json")
        told = orjson.loads(output[output.index("{") :])
        code, output = await resegment(stack, tmp_path, prefix, "archive", "kept", "--once")
        assert code == 0, output
        code, output = await resegment(
            stack, tmp_path, prefix, "outcomes", "acme.com", "--archive", "kept", "--json"
        )
        assert orjson.loads(output[output.index("{") :]) == told
        assert (code, told["uncredited"], told["outcomes"][0]["touch"]) == (0, {}, first["idempotency_key"])
    async with connect_redis(Settings(), stack.redis_url) as client:
        reader = PrefixReader(client, prefix, PARTITIONS)
        await client.delete(PartitionKeys.of(prefix, number, "router").ledgers)
        assert (await read_dataset(reader)).touches.is_empty()
        code, output = await resegment(stack, tmp_path, prefix, "rebuild", "--partition", str(number))
        assert code == 0, output
        found = await read_dataset(reader)
    assert found.touches.equals(before.touches)
    assert found.outcomes.equals(before.outcomes)
    code, output = await resegment(stack, tmp_path, prefix, "verify", "--json")
    assert (code, output) == (0, "")

    async with connect_redis(Settings(), stack.redis_url) as client:
        reader = PrefixReader(client, prefix, PARTITIONS)
        key = PartitionKeys.of(prefix, number, "router").ledgers
        await client.hset(key, "acme.com", encode_ledger([]))  # type: ignore[misc]
        code, output = await resegment(stack, tmp_path, prefix, "verify", "--json")
        assert (code, [orjson.loads(one)["what"] for one in output.splitlines()]) == (
            1,
            ["touches", "outcomes"],
        )
        code, output = await resegment(
            stack, tmp_path, prefix, "rebuild", "--partition", str(number), "--replace"
        )
        assert code == 0, output
        assert (await read_dataset(reader)).outcomes.equals(before.outcomes)


async def resegment(stack: Stack, folder: Path, prefix: str, *arguments: str) -> tuple[int | None, str]:
    """Run the command line as a user does; return the exit code and what it printed."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("RESEGMENT_")}
    env |= {
        "RESEGMENT_REDIS": stack.redis_url,
        "RESEGMENT_PREFIX": prefix,
        "RESEGMENT_KAFKA": stack.bootstrap,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "resegment", *arguments),
        env=env,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()
