"""Forget accounts and persons of a running prefix, and undo it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from redis.asyncio import Redis

from resegment.schemas.identities.records import Forget, Lift, Merge
from resegment.schemas.outcomes.ledger import decode_ledger
from resegment.schemas.routing import RoutedState
from resegment.settings import Settings
from resegment.state.sinks.people import PeopleStore, Person
from resegment.streams.forgetting.places import AccountPlaces
from resegment.streams.forgetting.requests import ForgetRefused, request_forget, request_lift
from resegment.streams.forgetting.surveying import survey
from resegment.streams.identities.requests import Connection, request
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.recovery.replay import LogSource
from resegment.streams.recovery.verify import hold_ledgers, verify_ledgers
from resegment.streams.worker.worker import Worker
from tests.integration.conftest import Stack
from tests.integration.test_applying import PARTITIONS, Prefix
from tests.integration.test_merging import definition

pytestmark = pytest.mark.asyncio(loop_scope="session")

NUMBERS = count()


@asynccontextmanager
async def running(stack: Stack) -> AsyncIterator[Prefix]:
    kafka = {} if stack.name == "embedded" else {"kafka": stack.bootstrap}
    settings = Settings(
        prefix=f"forget{next(NUMBERS)}{stack.name}", partitions=PARTITIONS, route="all", **kafka
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


def connection_of(prefix: Prefix) -> Connection:
    return Connection(prefix.source, prefix.stack.bootstrap, prefix.topics, {})


def now() -> int:
    return time.time_ns() // 1_000_000


async def forget(prefix: Prefix, account: str) -> str:
    asked = await request_forget(
        connection_of(prefix), None, Forget(account=account, at=now()), patience=60.0
    )
    assert await prefix.worker.drain(60.0)
    return asked.outcome


async def differences(prefix: Prefix) -> list[Any]:
    """Return where states or ledgers differ from the log."""
    found: list[Any] = [*await prefix.verify()]
    source = LogSource(prefix.stack.bootstrap, prefix.topics, {})
    for number in range(PARTITIONS):
        held = await hold_ledgers(number, prefix.reader, source)
        assert held is not None
        found += await verify_ledgers(number, held, source)
    return found


async def test_a_forgotten_account_is_nowhere_and_stays_away_until_that_is_lifted(stack: Stack) -> None:
    async with running(stack) as prefix:
        outcome = {"account": "acme.com", "action": "lost", "person": "Ann Lee", "deal": "d-1"}
        await prefix.send(
            ("funding", {"account": "acme.com"}),
            ("outcome", outcome),
            ("hiring", {"account": "b.com", "change": "opened"}),
        )
        people = PeopleStore(prefix.client, prefix.topics.prefix)
        await people.keep("acme.com", "ann@acme.com", Person(at=1, email="ann@acme.com", last_name="Lee"))
        places = AccountPlaces(prefix.client, prefix.topics.prefix, PARTITIONS)
        listed = await survey("acme.com", prefix.reader, places, stack.bootstrap, prefix.topics, {})
        assert {
            "facts in the state",
            "workflows",
            "owners",
            "touches and outcomes",
            "persons",
        } <= listed.keys()

        assert await forget(prefix, "acme.com") == "done"
        assert await forget(prefix, "acme.com") == "nothing"
        (state, other), (routed,) = (
            await prefix.reader.states(["acme.com", "b.com"]),
            await prefix.reader.routed(["acme.com"]),
        )
        assert state is not None
        assert other is not None
        assert routed is not None
        assert (state.entries, state.membership.segment, other.membership.segment) == ([], None, "hiring")
        assert routed == RoutedState(forgotten=routed.forgotten, forgets=routed.forgets)
        (ledger,) = await prefix.reader.ledgers_of(["acme.com"])
        assert ledger is not None
        assert decode_ledger(ledger) == []
        assert await people.read("acme.com") == []
        left = await survey("acme.com", prefix.reader, places, stack.bootstrap, prefix.topics, {})
        assert all(name.startswith("records of ") for name in left)
        ended = [one for one in await prefix.changes() if one["account"] == "acme.com"][-1]
        assert (ended["to"], ended["cause"]["forgotten"]) == (None, "account")
        assert (await prefix.commands())["stop", "calls"] == 1
        assert await differences(prefix) == []

        await prefix.send(("funding", {"account": "acme.com"}), ("outcome", outcome))
        (state,) = await prefix.reader.states(["acme.com"])
        assert state is not None
        assert (state.entries, state.membership.segment) == ([], None)
        assert await differences(prefix) == []

        asked = await request_lift(connection_of(prefix), Lift(account="acme.com", at=now()), patience=60.0)
        assert asked.outcome == "done"
        await prefix.send(("hiring", {"account": "acme.com", "change": "opened"}))
        (state,) = await prefix.reader.states(["acme.com"])
        assert state is not None
        assert (len(state.entries), state.membership.segment) == (1, "hiring")
        assert (await prefix.commands())["enroll", "mails"] == 2
        assert await differences(prefix) == []


async def test_aliases_are_forgotten_with_their_account_and_not_alone(stack: Stack) -> None:
    async with running(stack) as prefix:
        await prefix.send(
            ("funding", {"account": "acme.io"}), ("hiring", {"account": "acme.com", "change": "opened"})
        )
        await request(
            connection_of(prefix), Merge(alias="acme.io", account="acme.com", at=now()), patience=60.0
        )
        with pytest.raises(ForgetRefused, match="merged into acme"):
            await forget(prefix, "acme.io")
        assert await forget(prefix, "acme.com") == "done"
        await prefix.send(("funding", {"account": "acme.io"}))
        states = await prefix.reader.states(["acme.io", "acme.com"])
        assert [one is not None and one.entries for one in states] == [[], []]
        assert await differences(prefix) == []
