"""`resegment owners`, as somebody at a shell meets it: a worker routes, one member leaves and comes back."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from resegment.embedded.servers import embedded
from resegment.schemas.assignment import Assign, Candidate, Join, Rank, Release
from resegment.schemas.partitioning import partition_of
from resegment.schemas.routing import RoutedState, decode_routed, encode_routed
from resegment.schemas.times import parse_instant
from resegment.settings import Settings
from resegment.sources.segments import load_definition
from resegment.state.redis.keys import PartitionKeys
from resegment.state.redis.owners import OwnerStore
from resegment.streams.kafka.admin import create_topics
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topics import Topics
from resegment.streams.operations.ingest import send_replay
from resegment.streams.prefix import agree, set_routing
from resegment.streams.worker.worker import Worker
from tests.events import read_fact

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 120.0
PARTITIONS = 2
PREFIX = "owned"
END = parse_instant("2026-03-03T12:00:00Z")
SEGMENTS = """
version: 1
segments:
  - name: hiring-now
    when: {event: hiring, where: {change: opened}, within: 90d}
    play: talk
    route: {workflow: hiring, team: sales}
fallback: {name: not-now, play: talk}
plays:
  talk:
    message: {pain: a, value_prop: b, proof_points: [c]}
    channels: {primary: email}
teams:
  sales: {members: [ann, {name: bob, capacity: 50, days: [mon]}, cat]}
"""


def event(number: int) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "/test",
        "type": "gtm.hiring.v1",
        "subject": f"company{number}.com",
        "time": "2026-03-02T00:00:00Z",  # a Monday
        "data": {"change": "opened"},
    }


@dataclass
class Running:
    """A prefix, and a shell beside it."""

    client: Redis
    store: OwnerStore
    environment: dict[str, str]

    async def run(self, *arguments: str, **environment: str) -> tuple[int | None, str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RESEGMENT_")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from resegment.cli import main; main()", "owners", *arguments),
            env=inherited | self.environment | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, error = await asyncio.wait_for(process.communicate(), PATIENCE)
        return process.returncode, output.decode(), error.decode()

    async def rows(self) -> list[dict[str, Any]]:
        code, output, error = await self.run("list", "--json")
        assert code == 0, error
        return [json.loads(line) for line in output.splitlines()]

    async def owned(self) -> Counter[str]:
        """How many accounts each owns, as the router's states say."""
        counts: Counter[str] = Counter()
        for number in range(PARTITIONS):
            key = PartitionKeys.of(PREFIX, number, "router").accounts
            answer: Any = self.client.hvals(key)
            enrollments = [decode_routed(value).enrollment for value in await answer]
            counts.update(one.owner for one in enrollments if one is not None and one.owner is not None)
        return counts

    async def state(self, account: str, prefix: str = PREFIX) -> RoutedState | None:
        answer: Any = self.client.hget(_accounts(account, prefix), account)
        value = await answer
        return None if value is None else decode_routed(value)

    async def put(self, account: str, state: RoutedState, prefix: str = PREFIX) -> None:
        """Keep a state, as a worker does that commits."""
        accounts = _accounts(account, prefix)
        answer: Any = self.client.hset(accounts, account, encode_routed(state))
        await answer
        answer = self.client.hdel(accounts.removesuffix("accounts") + "meta", "kept")  # it counts accounts
        await answer

    async def owned_by(self, owner: str) -> RoutedState:
        """A state of an account that somebody owns, with keys of its own."""
        for number in range(12):
            state = await self.state(f"company{number}.com")
            if state is not None and state.enrollment is not None and state.target is not None:
                state.enrollment = msgspec.structs.replace(state.enrollment, owner=owner, assignment="put")
                state.target = msgspec.structs.replace(state.target, change="put")
                return state
        raise AssertionError("nobody is enrolled")

    async def open(self) -> dict[str, int]:
        return {name: one.open for name, one in (await self.store.look()).members.items() if one.open}


def _accounts(account: str, prefix: str) -> str:
    return PartitionKeys.of(prefix, partition_of(account.encode(), PARTITIONS), "router").accounts


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("owners")
    (folder / "segments.yaml").write_text(SEGMENTS)
    async with embedded(folder / "servers") as servers:
        settings = Settings(prefix=PREFIX, partitions=PARTITIONS, clock="facts", chunk=1)
        definition = load_definition(str(folder / "segments.yaml"))
        worker = Worker(settings, definition, bootstrap=servers.bootstrap, redis_url=servers.redis_url)
        environment = {
            "RESEGMENT_KAFKA": servers.bootstrap,
            "RESEGMENT_REDIS": servers.redis_url,
            "RESEGMENT_PREFIX": PREFIX,
            "RESEGMENT_SEGMENTS": str(folder / "segments.yaml"),
            "COLUMNS": "200",
        }
        client = Redis.from_url(servers.redis_url)
        try:
            await set_routing(client, PREFIX, "all")
            async with worker.running(), KafkaPublisher(servers.bootstrap) as publisher:
                pairs = [(read_fact(one), orjson.dumps(one)) for one in map(event, range(12))]
                await send_replay(pairs, publisher, worker.topics, partitions=PARTITIONS, until=END)
                assert await worker.drain(PATIENCE)
                here = Running(client, OwnerStore(client, PREFIX), environment)
                async with asyncio.timeout(PATIENCE):
                    while (await here.owned()).total() < 12:
                        await asyncio.sleep(0.05)
                yield here
        finally:
            await client.aclose()


async def test_the_list_has_every_member_and_what_they_own(running: Running) -> None:
    code, output, error = await running.run("list")
    assert (code, error) == (0, "")
    for part in ("sales", "ann", "bob", "cat", "away today"):
        assert part in output
    (sales,) = await running.rows()
    assert sum(one["open"] for one in sales["members"]) == 12
    assert [one["away_today"] for one in sales["members"]] == [False, True, False]


async def test_a_slip_in_a_name_marks_nobody_as_gone(running: Running) -> None:
    code, _, error = await running.run("leave", "an")
    assert code == 1
    assert "Did you mean 'ann'?" in error
    assert not any(one.gone for one in (await running.store.look()).members.values())


async def test_who_leaves_owns_nothing_in_the_end_and_who_returns_may_again(running: Running) -> None:
    had = (await running.owned())["ann"]
    assert had
    code, _, error = await running.run("leave", "ann")
    assert code == 2
    assert f"ann owns {had} account" in error
    assert "Pass --yes. Nothing was changed." in error
    assert (await running.owned())["ann"] == had
    code, _, error = await running.run("leave", "ann", "--yes")
    assert code == 0, error
    assert f"{had} of their accounts" in error
    owned = await running.owned()
    assert (owned["ann"], owned.total()) == (0, 12)
    (sales,) = await running.rows()
    assert sales["members"][0]["name"] == "ann"
    assert (sales["members"][0]["open"], sales["members"][0]["gone"]) == (0, True)
    assert await running.open() == await running.owned()
    code, _, error = await running.run("return", "ann", "--accounts")
    assert code == 0, error
    assert f"give back {had} account" in error
    assert not (await running.store.look()).members["ann"].gone
    async with asyncio.timeout(PATIENCE):
        while (await running.owned())["ann"] != had:
            await asyncio.sleep(0.05)


async def test_a_recount_takes_loads_that_no_account_has(running: Running) -> None:
    lost = [
        Assign(
            key=f"lost{number}",
            account="lost.com",
            team="sales",
            candidates=(Candidate("bob"),),
            fallback="q",
        )
        for number in range(3)
    ]
    await running.store.settle(lost)
    assert await running.open() != await running.owned()
    code, output, error = await running.run("recount", "--json")
    assert code == 0, error
    assert json.loads(output) == {"open": 12, "waiting": 0}
    assert await running.open() == await running.owned()


def join(key: str, team: str, value: float) -> Join:
    rank = Rank(value, 0, 0, "lost.com")
    return Join(key=key, account="lost.com", team=team, per_day=1, day="2026-03-03", rank=rank)


async def test_a_recount_takes_those_out_of_the_queue_whom_no_account_has(running: Running) -> None:
    asks = [join(f"phantom{number}", "resale", number) for number in range(3)]
    await running.store.settle([*asks, Release(key="phantom0")])
    assert (await running.store.look()).teams["resale"].waiting == 2
    code, _, error = await running.run("recount")
    assert code == 0, error
    assert (await running.store.look()).teams["resale"].waiting == 0


async def test_accounts_that_wait_are_counted_by_team(running: Running) -> None:
    asks = [join(f"waits{number}", "partners", number) for number in range(4)]
    await running.store.settle(asks)
    partners = next(row for row in await running.rows() if row["team"] == "partners")
    assert partners["waiting"] == 3


async def test_without_a_worker_the_router_is_told_and_nobody_waited_for(running: Running) -> None:
    bootstrap = running.environment["RESEGMENT_KAFKA"]
    await agree(running.client, "idle", partitions=PARTITIONS, clock="wall")
    await asyncio.to_thread(create_topics, bootstrap, Topics("idle"), partitions=PARTITIONS)
    await running.put("idle.com", await running.owned_by("cat"), "idle")
    code, output, error = await running.run("leave", "cat", "--yes", "--json", RESEGMENT_PREFIX="idle")
    assert code == 0, error
    assert json.loads(output) == {"member": "cat", "reassigned": 1, "left": 1}


async def test_an_account_kept_after_the_look_is_given_away_and_what_stays_is_said(running: Running) -> None:
    """The first account is none that the router can give away: the command looks until its patience ends."""
    state = await running.owned_by("bob")
    await running.put("stays.com", msgspec.structs.replace(state, target=None))
    had = (await running.owned())["bob"]
    leaving = asyncio.create_task(running.run("leave", "bob", "--yes", "--json"))
    async with asyncio.timeout(PATIENCE):
        while (await running.owned())["bob"] == had:  # until it has looked for the first time
            await asyncio.sleep(0.02)
    await running.put("late.com", state)
    code, output, error = await leaving
    assert code == 1
    assert json.loads(output) == {"member": "bob", "reassigned": had + 1, "left": 1}
    assert "1 account is not reassigned yet: run the command again" in error
    late = await running.state("late.com")
    assert late is not None
    assert late.enrollment is not None
    assert late.enrollment.owner != "bob"
