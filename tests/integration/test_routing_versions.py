"""Workflows of a running prefix while its segments file changes: on the clock of the facts, from signals to commands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from resegment.agents.batch import Message
from resegment.schemas.definitions.in_force import decode_in_force
from resegment.schemas.routing import RoutedState
from resegment.segmentation.definition import Definition
from resegment.settings import Settings
from resegment.state.redis.owners import OwnerStore
from resegment.state.redis.reader import PrefixReader
from resegment.streams.definitions.applying.apply import apply_version
from resegment.streams.definitions.applying.requests import ApplyConnection, ApplyRequest
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.worker.worker import Worker
from tests.integration.conftest import Stack
from tests.unit.routing.test_go_to_market_case import EVENTS, MOVED, NEW, OLD, SHORT_HOLD, STOPPED, versions

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBERS = count()
PARTITIONS = 3
FIRST_90 = "exec-first-90"


@dataclass
class Running:
    """A prefix with one worker, and what its topics say."""

    stack: Stack
    worker: Worker
    source: KafkaPublisher
    client: Redis

    async def send(self) -> None:
        topic = self.worker.topics.replay.name
        await self.source.publish([Message(topic, None, orjson.dumps(one)) for one in EVENTS])
        assert await self.worker.drain(120.0)

    async def apply(self, definition: Definition, **asked: Any) -> int:
        """Switch to a version; return its number."""
        connection = ApplyConnection(
            self.client, self.source, self.stack.bootstrap, self.worker.topics, {}, PARTITIONS, "facts"
        )
        done = await apply_version(connection, ApplyRequest(definition, **asked))
        assert await self.worker.drain(120.0)
        return done.version

    async def commands(self) -> list[dict[str, Any]]:
        """All commands, each key once."""
        found: dict[str, dict[str, Any]] = {}
        async with reading(self.stack.bootstrap, self.worker.topics.workflow_commands.name) as reader:
            async for records in reader.to_end():
                for record in records:
                    data = orjson.loads(record.value)["data"]
                    found.setdefault(data["idempotency_key"], data)
        return list(found.values())

    @property
    def reader(self) -> PrefixReader:
        return PrefixReader(self.client, self.worker.topics.prefix, PARTITIONS)

    async def states(self, names: list[str]) -> dict[str, RoutedState | None]:
        return dict(zip(names, await self.reader.routed(names), strict=True))

    async def held(self) -> dict[str, int]:
        """The open accounts of each owner."""
        look = await OwnerStore(self.client, self.worker.topics.prefix).look()
        return {name: one.open for name, one in look.members.items() if one.open}

    async def versions_told(self) -> set[int]:
        """The versions that the partitions of the router know to be in force."""
        positions = [await self.reader.position(number, "router") for number in range(PARTITIONS)]
        return {decode_in_force(one.definition).number for one in positions if one is not None}


@asynccontextmanager
async def running(stack: Stack, definition: Definition) -> AsyncIterator[Running]:
    kafka = {} if stack.name == "embedded" else {"kafka": stack.bootstrap}
    settings = Settings(
        prefix=f"versions{next(NUMBERS)}{stack.name}",
        partitions=PARTITIONS,
        route="all",
        clock="facts",
        **kafka,  # type: ignore[arg-type]
    )
    worker = Worker(settings, definition, bootstrap=stack.bootstrap, redis_url=stack.redis_url)
    client = Redis.from_url(stack.redis_url)
    async with (
        KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as source,
        worker.running(),
    ):
        try:
            yield Running(stack, worker, source, client)
        finally:
            await client.aclose()


def running_after(commands: list[dict[str, Any]]) -> dict[str, str]:
    """The workflow of each account, as a sequencer has it: no account is enrolled while it is in one."""
    found: dict[str, str] = {}
    for one in commands:
        if one["action"] == "enroll":
            assert found.get(one["account"]) is None, one
            found[one["account"]] = one["workflow"]
        elif one["action"] in ("stop", "finish", "pause"):
            assert found.pop(one["account"]) == one["workflow"]
    return found


def since(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The commands that came about since, without those that time brings on the clock of the facts."""
    known = {one["idempotency_key"] for one in before}
    return [one for one in after if one["idempotency_key"] not in known and one["action"] != "escalate"]


async def test_a_changed_threshold_stops_accounts_enrolls_nobody_and_its_rollback_puts_them_back(
    stack: Stack,
) -> None:
    old, new, _ = versions(*(text.replace(*SHORT_HOLD) for text in (OLD, NEW, OLD)))
    async with running(stack, old) as prefix:
        await prefix.send()
        before = await prefix.commands()
        at_first = running_after(before)
        owners = {
            one["account"]: one["owner"]
            for one in before
            if one["workflow"] == FIRST_90 and one["action"] != "escalate"
        }
        held = await prefix.held()

        assert await prefix.apply(new) == 2
        made = since(before, await prefix.commands())
        assert sorted(one["account"] for one in made) == STOPPED
        assert {(one["action"], one["workflow"]) for one in made} == {("finish", FIRST_90)}
        states = await prefix.states(MOVED)
        assert {name: one and one.decision for name, one in states.items()} == {
            **dict.fromkeys(STOPPED, "quiet"),
            "finbarrow.io": "suppressed",
            "quotewise.com": "quiet",
        }
        assert await prefix.versions_told() == {2}

        assert await prefix.apply(old, rollback_of=2) == 3
        commands = await prefix.commands()
        back = since([*before, *made], commands)
        assert {one["account"]: one["owner"] for one in back} == {name: owners[name] for name in STOPPED}
        assert {(one["action"], one["workflow"]) for one in back} == {("enroll", FIRST_90)}
        assert running_after(commands) == at_first
        assert await prefix.held() == held
