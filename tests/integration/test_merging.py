"""Merge accounts of a running prefix, and undo it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from redis.asyncio import Redis

from resegment.schemas.identities.records import Alias, Merge, Unmerge
from resegment.settings import Settings
from resegment.streams.identities.log import read_identities
from resegment.streams.identities.requests import Connection, MergeRefused, request, resolve_name
from resegment.streams.identities.waiting import list_waiting
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.worker.worker import Worker
from tests.builders import definition_of
from tests.integration.conftest import Stack
from tests.integration.test_applying import PARTITIONS, Prefix
from tests.oracle.cases import segments

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBERS = count()
FILE = {
    **segments(
        both={"all": [{"event": "funding"}, {"event": "hiring"}]},
        funded={"event": "funding"},
        hiring={"event": "hiring"},
    ),
}
WORKFLOWS = {"both": "visits", "funded": "calls", "hiring": "mails"}


def definition() -> Any:
    """The definition of a file in which the team `sales` calls and visits."""
    routed = [
        {**one, "route": {"workflow": WORKFLOWS[one["name"]], "team": "sales", "on_exit": "finish"}}
        for one in FILE["segments"]
    ]
    teams = {"sales": {"members": [{"name": "ann"}, {"name": "bob"}]}}
    return definition_of({**FILE, "segments": routed, "teams": teams})


@asynccontextmanager
async def running(stack: Stack, name: str = "merge") -> AsyncIterator[Prefix]:
    kafka = {} if stack.name == "embedded" else {"kafka": stack.bootstrap}
    settings = Settings(
        prefix=f"{name}{next(NUMBERS)}{stack.name}", partitions=PARTITIONS, route="all", **kafka
    )  # type: ignore[arg-type]
    worker = Worker(settings, definition(), bootstrap=stack.bootstrap, redis_url=stack.redis_url)
    client = Redis.from_url(stack.redis_url)
    async with (
        KafkaPublisher(stack.bootstrap, idempotent=stack.name != "embedded") as source,
        worker.running(),
    ):
        try:
            yield Prefix(stack, worker, source, client)
        finally:
            await client.aclose()


async def ask(prefix: Prefix, wish: Merge | Unmerge) -> str:
    connection = Connection(prefix.source, prefix.stack.bootstrap, prefix.topics, {})
    done = await request(connection, wish, patience=120.0)
    assert await prefix.worker.drain(120.0)
    return done.outcome


async def where(prefix: Prefix, *accounts: str) -> list[str | None]:
    states = await prefix.reader.states(accounts)
    return [None if one is None else one.membership.segment for one in states]


async def test_a_merge_moves_facts_segment_and_owner_and_an_unmerge_gives_the_facts_back(
    stack: Stack,
) -> None:
    async with running(stack) as prefix:
        await prefix.send(
            ("funding", {"account": "acme.io"}), ("hiring", {"account": "acme.com", "change": "opened"})
        )
        assert await where(prefix, "acme.io", "acme.com") == ["funded", "hiring"]
        assert await prefix.commands() == {("enroll", "calls"): 1, ("enroll", "mails"): 1}
        now = time.time_ns() // 1_000_000
        assert await ask(prefix, Merge(alias="acme.io", account="acme.com", at=now)) == "done"
        assert await where(prefix, "acme.io", "acme.com") == [None, "both"]
        made = [one["data"] for one in await prefix.read(prefix.topics.workflow_commands.name)]
        assert sorted((one["account"], one["action"], one["workflow"]) for one in made) == [
            ("acme.com", "enroll", "mails"), ("acme.com", "enroll", "visits"), ("acme.com", "finish", "mails"),
            ("acme.io", "enroll", "calls"), ("acme.io", "stop", "calls"),
        ]  # fmt: skip
        ended = [one for one in await prefix.changes() if one["account"] == "acme.io"][-1]
        assert (ended["to"], ended["cause"]["merged"]) == (None, "acme.com")
        assert await ask(prefix, Merge(alias="acme.io", account="acme.com", at=now)) == "nothing"
        with pytest.raises(MergeRefused, match="circle"):
            await ask(prefix, Merge(alias="acme.com", account="acme.io", at=now))
        await prefix.send(("hiring", {"account": "acme.io", "change": "opened"}))
        assert await prefix.verify() == []

        assert await ask(prefix, Unmerge(alias="acme.io", at=time.time_ns() // 1_000_000)) == "done"
        assert await where(prefix, "acme.io", "acme.com") == ["both", "hiring"]
        assert await prefix.verify() == []


async def test_events_about_a_name_wait_until_it_is_resolved_and_then_count_once(stack: Stack) -> None:
    async with running(stack) as prefix:
        named = ("funding", {"account": "Acme Incorporated"})
        await prefix.send(named, ("hiring", {"account": "hubspot:77", "change": "opened"}))
        known = await read_identities(stack.bootstrap, prefix.topics)
        waiting = await list_waiting(stack.bootstrap, prefix.topics, known)
        assert [(one.name, one.events) for one in waiting] == [
            ("hubspot:77", 1),
            ("name:acme incorporated", 1),
        ]
        connection = Connection(prefix.source, stack.bootstrap, prefix.topics, {})
        for name in ("name:acme incorporated", "hubspot:77"):
            wish = Alias(name=name, account="acme.com", at=time.time_ns() // 1_000_000)
            for _ in range(2):  # said twice, it has the effect of once
                _, settle = await resolve_name(connection, wish)
                assert await settle(120.0)
        assert await prefix.worker.drain(120.0)
        assert await where(prefix, "acme.com") == ["both"]
        await prefix.send(("hiring", {"account": "hubspot:77", "change": "opened"}))
        (state,) = await prefix.reader.states(["acme.com"])
        assert state is not None
        assert len(state.entries) == 3
        known = await read_identities(stack.bootstrap, prefix.topics)
        assert await list_waiting(stack.bootstrap, prefix.topics, known) == []
        assert await prefix.verify() == []
