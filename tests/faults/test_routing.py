"""The router and the webhooks under fire: many changes, owners with weights and little room, and kills."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook

from resegment.agents.batch import Message
from resegment.schemas.partitioning import partition_of
from resegment.schemas.routing import decode_routed
from resegment.schemas.times import format_instant
from resegment.state.redis.keys import PartitionKeys
from resegment.state.redis.owners import OwnerStore
from resegment.streams.kafka.admin import create_topics
from resegment.streams.kafka.publisher import KafkaPublisher
from tests.builders import Routing, definition_of
from tests.faults.conftest import DETAILS, SEED, TABLE, Arena
from tests.faults.scenario import PARTITIONS, Figures, Scenario
from tests.oracle.cases import day, segments
from tests.servers.receiver import Receiver, receiving

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(1800)]

SECRET = "whsec_c2VjcmV0LW9mLXRoZS1yb3V0aW5nLWZhdWx0cw=="  # noqa: S105  # of this test alone
WEIGHTS = {"ann": 3, "bob": 2, "eve": 1}
ROOM = 40
DELIVERING = 900.0
"""Seconds in which everything must have come to the webhook: a sink sends a few hundred a second."""
SEGMENTS = {
    "shared": {"workflow": "w-shared", "team": "shared", "on_exit": "stop"},
    "narrow": {"workflow": "w-narrow", "team": "narrow", "on_exit": "finish", "cooldown": "1s"},
    "plain": {"workflow": "w-plain", "on_exit": "pause"},
    "none": None,
}
FILE: dict[str, Any] = {
    **segments(shared={"event": "funding"}, narrow={"event": "hiring"}, plain={"event": "tech"}),
    "suppression": ["customers"],
    "teams": {
        "shared": {
            "sticky": False,
            "members": [{"name": name, "weight": weight} for name, weight in WEIGHTS.items()],
        },
        "narrow": {
            "strategy": "least-loaded",
            "fallback": "pool",
            "members": [{"name": name, "capacity": ROOM} for name in ("kim", "lou")],
        },
    },
}


def change(account: str, number: int, came: str | None, to: str, at: int, suppressed: bool) -> bytes:
    data = {
        "account": account, "sequence_number": number, "from": came, "to": to, "effective_at": format_instant(at),
        "decided_at": format_instant(at), "supersedes": None, "play": None, "message": None,
        "route": SEGMENTS[to], "standing": ["suppress:customers"] if suppressed else [],
    }  # fmt: skip
    return orjson.dumps({"id": f"{account}-{number}", "data": data})


def history(accounts: int, each: int, seed: int) -> list[tuple[str, bytes]]:
    """Changes of accounts, each account's in order, those of all mixed; a tenth of the accounts is suppressed."""
    draw = random.Random(seed)
    came: dict[str, str | None] = {}
    made: list[tuple[str, bytes]] = []
    for number in range(1, each + 1):
        for index in draw.sample(range(accounts), accounts):
            name = f"a{index}.com"
            to = draw.choice([one for one in SEGMENTS if one != came.get(name)])
            at = day(number) + index
            made.append((name, change(name, number, came.get(name), to, at, index % 10 == 0)))
            came[name] = to
    return made


async def expected(changes: Sequence[tuple[str, bytes]]) -> dict[str, list[str]]:
    """The keys of each account's commands in their order, by the router alone, without a fault."""
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for number in range(PARTITIONS):
        rig = Routing(definition_of(FILE), now=None)
        await rig.take()
        values = [value for name, value in changes if partition_of(name.encode(), PARTITIONS) == number]
        made = [
            one
            for start in range(0, len(values), 1000)
            for one in await rig.follow(*values[start : start + 1000])
        ]
        made += await rig.settle()
        for one in made:
            keys[one["account"]].append(one["idempotency_key"])
    return keys


async def deliver(run: Scenario, file: Path) -> asyncio.subprocess.Process:
    """A process that delivers."""
    given = {
        "RESEGMENT_KAFKA": run.kafka, "RESEGMENT_REDIS": run.redis, "RESEGMENT_PREFIX": run.prefix,
        "RESEGMENT_WEBHOOKS": str(file), "RESEGMENT_SESSION_TIMEOUT": "6", "SECRET": SECRET,
    }  # fmt: skip
    with (run.folder / "deliver.log").open("ab") as out:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "resegment", "deliver", "--http-port", "0"),
            stdout=out,
            stderr=out,
            env=os.environ | given,
            cwd=run.folder,
        )


async def never_too_full(owners: OwnerStore, seen: Counter[str]) -> None:
    """Look at the owners all the time; keep the most that each ever had."""
    while True:
        for name, one in (await owners.look()).members.items():
            seen[name] = max(seen[name], one.open)
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("accounts", "kills"),
    [pytest.param(500, 2), pytest.param(10_000, 6, marks=pytest.mark.faults)],
)
async def test_changes_through_killed_routers_and_sinks_come_out_once_in_order_and_shared_out_fairly(
    arena: Arena, accounts: int, kills: int
) -> None:
    each = 5
    changes = history(accounts, each, SEED)
    wanted = await expected(changes)
    row = TABLE.row(
        f"kill -9: routers and a webhook sink, {accounts * each:,} changes, 3 workers", least=kills
    )
    began = time.monotonic()
    segments_file = arena.folder / "routing.json"
    segments_file.write_bytes(orjson.dumps(FILE))
    run = Scenario(
        arena.kafka,
        arena.redis,
        arena.folder,
        {"segments": segments_file, "chunk": 200, "session_timeout": 6},
    )
    await asyncio.to_thread(create_topics, run.kafka, run.topics, partitions=PARTITIONS)
    figures, draw, most = Figures(), random.Random(SEED), Counter[str]()
    owners = OwnerStore(run.client, run.prefix)
    watching: asyncio.Task[None] | None = None
    sink: asyncio.subprocess.Process | None = None
    async with receiving() as receiver:
        file = arena.folder / "webhooks.yaml"
        endpoint = {
            "url": f"http://127.0.0.1:{receiver.port}/", "secrets": [{"env": "SECRET"}], "start": "earliest",
            "concurrency": 32,
        }  # fmt: skip
        file.write_bytes(orjson.dumps({"endpoints": {"crm": endpoint}, "allow_networks": ["127.0.0.0/8"]}))
        try:
            async with KafkaPublisher(run.kafka) as publisher:
                topic = run.topics.segment_changes.name
                for start in range(0, len(changes), 5000):
                    part = changes[start : start + 5000]
                    await publisher.publish([Message(topic, name.encode(), value) for name, value in part])
            for _ in range(3):
                await run.start()
            sink = await deliver(run, file)
            watching = asyncio.create_task(never_too_full(owners, most))
            total = sum(map(len, wanted.values()))
            for number in range(1, kills + 1):
                await _sent(run, number * total // (kills + 2))
                await run.kill(draw.choice(run.live))
                assert sink.returncode is None, (run.folder / "deliver.log").read_text()[-2000:]
                sink.kill()
                await sink.wait()
                await run.start(wait=False)
                sink = await deliver(run, file)
                row.fired += 1
            await run.until(lambda: _routed(run))
            keys = {key for listed in wanted.values() for key in listed}
            await run.until(lambda: _arrived(receiver, keys), DELIVERING)
            watching.cancel()
            await run.finish()
            await judge(run, receiver, wanted, figures)
            await judge_owners(run, owners, most, figures)
        finally:
            if watching is not None:
                watching.cancel()
            if sink is not None and sink.returncode is None:
                sink.kill()
                await sink.wait()
            for one in run.live:
                one.kill()
                await one.wait()
            await run.client.aclose()
    row.runs += 1
    row.seconds += time.monotonic() - began
    row.figures.add(figures)
    DETAILS.append(
        f"{len(changes):,} changes gave {total:,} commands; the most that anybody had open: {dict(most)}, "
        f"with room for {ROOM} in the narrow team; {len(receiver.taken):,} deliveries of {len(keys):,} keys"
    )
    assert not any(figures.counts), "\n".join(figures.examples)


async def _arrived(receiver: Receiver, keys: set[str]) -> bool:
    await asyncio.sleep(0.5)  # to look at so many takes a while
    return len(receiver.received) >= len(keys) and {one.id for one in receiver.taken} >= keys


async def _sent(run: Scenario, number: int) -> None:
    async def enough() -> bool:
        looks = [
            await run.client.hget(PartitionKeys.of(run.prefix, one, "router").meta, "offset")  # type: ignore[misc]
            for one in range(PARTITIONS)
        ]
        return sum(int(one or 0) for one in looks) >= number

    await run.until(enough)


async def _routed(run: Scenario) -> bool:
    return await run.lag() == 0 and await run.routing_outbox() == 0


async def judge(run: Scenario, receiver: Receiver, wanted: dict[str, list[str]], figures: Figures) -> None:
    """Commands against the oracle: each, once by key, in order; the same at the webhook, with good signatures.

    Which accounts an owner takes out of the queue depends on who had room when, so the oracle does not know of them.
    """
    bodies: dict[str, bytes] = {}
    taken: set[str] = set()
    order: defaultdict[str, list[str]] = defaultdict(list)
    for record in await run.records(run.topics.workflow_commands.name):
        data = orjson.loads(record.value)["data"]
        key = data["idempotency_key"]
        if key in bodies:
            if bodies[key] != record.value:
                figures.note("doubled", [("one key, two commands", bodies[key], record.value)])
            continue
        bodies[key] = record.value
        if data["action"] == "reassign" and data["reason"] == "taken from pool":
            taken.add(key)
            continue
        order[data["account"]].append(key)
        if data["action"] == "enroll" and int(data["account"][1:-4]) % 10 == 0:
            figures.note("wrong_state", [("suppressed, but enrolled", data["account"])])
    all_wanted = {key for listed in wanted.values() for key in listed}
    figures.note("missing", all_wanted - bodies.keys())
    figures.note("unexpected", bodies.keys() - all_wanted - taken)
    figures.note("gaps", [name for name, keys in wanted.items() if keys != order[name]])
    arrived: defaultdict[str, dict[str, None]] = defaultdict(dict)
    webhook = Webhook(SECRET)
    for one in receiver.taken:
        webhook.verify(one.body, dict(one.headers))
        if one.id not in taken:
            arrived[one.account][one.id] = None
        if one.body != bodies.get(one.id):
            figures.note("unexpected", [("delivered, but never commanded", one.id)])
    figures.note("lost", [name for name, keys in wanted.items() if list(arrived[name]) != keys])
    figures.outbox = await run.routing_outbox()
    figures.lag = await run.lag()


async def judge_owners(run: Scenario, owners: OwnerStore, most: Counter[str], figures: Figures) -> None:
    """The owners' room against the enrollments, and their turns against their weights."""
    look = await owners.look()
    held = Counter[str]()
    for number in range(PARTITIONS):
        accounts = PartitionKeys.of(run.prefix, number, "router").accounts
        for value in (await run.client.hgetall(accounts)).values():  # type: ignore[misc]
            enrollment = decode_routed(value).enrollment
            if enrollment is not None and enrollment.assignment is not None and enrollment.owner != "pool":
                held[enrollment.owner or ""] += 1
    opened = {name: one.open for name, one in look.members.items() if one.open}
    if opened != held:
        figures.note("wrong_state", [("room taken, and enrollments", opened, dict(held))])
    figures.note(
        "wrong_state",
        [(name, count) for name, count in most.items() if name in ("kim", "lou") and count > ROOM],
    )
    drawn = {name: look.members[name].drawn for name in WEIGHTS}
    whole, parts = sum(drawn.values()), sum(WEIGHTS.values())
    unfair = [
        (name, drawn) for name, weight in WEIGHTS.items() if abs(drawn[name] - whole * weight / parts) > 1
    ]
    figures.note("wrong_state", unfair)
