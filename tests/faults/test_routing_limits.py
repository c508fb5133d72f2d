"""Limits per day, limits over all workflows, queues and shifts, while routers are killed."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import time
from collections import Counter, defaultdict
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from resegment.agents.batch import Message
from resegment.schemas.routing import RoutedState, decode_routed
from resegment.schemas.times import format_instant
from resegment.state.redis.keys import PartitionKeys
from resegment.state.redis.owners import OwnerStore
from resegment.streams.kafka.admin import create_topics
from resegment.streams.kafka.publisher import KafkaPublisher
from tests.faults.conftest import DETAILS, SEED, TABLE, Arena
from tests.faults.scenario import PARTITIONS, Figures, Scenario
from tests.oracle.cases import segments

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(1800), pytest.mark.faults]

ACCOUNTS = 2_000
PER_DAY = 150
ROOM = 60
MOST = 3
"""The limit of enrollments over all workflows."""
SETTLES = 90
"""Seconds, longer than a killed router is away."""
GRANTING = 900.0
"""Seconds in which all changes are routed and the line has settled."""
ROUTES: dict[str, dict[str, Any] | None] = {
    "daily": {"workflow": "w-daily", "team": "daily", "on_exit": "stop"},
    "narrow": {"workflow": "w-narrow", "team": "narrow", "on_exit": "finish"},
    "plain": {"workflow": "w-plain", "on_exit": "pause"},
    "none": None,
}
ZONES = ("Asia/Kathmandu", "America/New_York", "Europe/Berlin", "Pacific/Auckland", "America/Los_Angeles")


def daytime() -> str:
    """A time zone where it is far from midnight."""

    def distance(zone: str) -> float:
        here = dt.datetime.now(ZoneInfo(zone))
        return abs(here.hour + here.minute / 60 - 12)

    return min(ZONES, key=distance)


def file_of(zone: str) -> dict[str, Any]:
    today = dt.datetime.now(ZoneInfo(zone)).strftime("%a").lower()
    others = [day for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun") if day != today]
    return {
        **segments(daily={"event": "funding"}, narrow={"event": "hiring"}, plain={"event": "tech"}),
        "limits": {"enrollments": MOST, "per": "30d"},
        "teams": {
            "daily": {
                "members": ["ann", "bob"],
                "timezone": zone,
                "per_day": PER_DAY,
                "settle": f"{SETTLES}s",
                "order": {"highest": "score"},
            },
            "narrow": {
                "timezone": zone,
                "hours": "mon-sun 00:00-24:00",
                "fallback": "pool",
                "members": [
                    {"name": "kim", "capacity": ROOM, "hours": f"{today} 00:00-24:00"},
                    {"name": "lou", "capacity": ROOM, "days": others},
                ],
            },
        },
    }


def history(draw: random.Random) -> tuple[list[tuple[str, bytes]], set[str]]:
    """Changes of all accounts, the last of which leads each into the line; and those that the limit lets wait there."""
    made: list[tuple[str, bytes]] = []
    came: dict[str, str | None] = {}
    running: dict[str, str | None] = {}
    enrolled: Counter[str] = Counter()
    for number in range(1, 6):
        for index in draw.sample(range(ACCOUNTS), ACCOUNTS):
            name = f"a{index}.com"
            choices = [one for one in ("narrow", "plain", "none") if one != came.get(name)]
            to = "daily" if number == 5 else draw.choice(choices)
            at = format_instant(1_700_000_000_000 + number * 86_400_000 + index)
            data = {
                "account": name, "sequence_number": number, "from": came.get(name), "to": to, "effective_at": at,
                "decided_at": at, "supersedes": None, "play": None, "message": None, "route": ROUTES[to],
                "standing": [], "values": {"score": index},
            }  # fmt: skip
            made.append((name, orjson.dumps({"id": f"{name}-{number}", "data": data})))
            came[name] = to
            if to == "daily":
                continue
            goal = ROUTES[to]
            workflow = None if goal is None else goal["workflow"]
            if workflow is not None and workflow != running.get(name):
                if enrolled[name] == MOST:
                    workflow = None
                else:
                    enrolled[name] += 1
            running[name] = workflow
    return made, {name for name in came if enrolled[name] < MOST}


async def states_of(run: Scenario) -> dict[str, RoutedState]:
    found = {}
    for number in range(PARTITIONS):
        accounts = PartitionKeys.of(run.prefix, number, "router").accounts
        for name, value in (await run.client.hgetall(accounts)).items():  # type: ignore[misc]
            found[name.decode()] = decode_routed(value)
    return found


async def test_lines_limits_and_queues_hold_through_killed_routers(arena: Arena) -> None:
    draw, zone = random.Random(SEED), daytime()
    changes, candidates = history(draw)
    best = set(sorted(candidates, key=lambda name: -int(name[1:-4]))[:PER_DAY])
    kills = 4
    row = TABLE.row(
        f"kill -9: limits per day and over all, queues, shifts, {len(changes):,} changes, 3 workers",
        least=kills,
    )
    began = time.monotonic()
    segments_file = arena.folder / "limits.json"
    segments_file.write_bytes(orjson.dumps(file_of(zone)))
    settings = {"segments": segments_file, "chunk": 200, "session_timeout": 6, "clock": "wall"}
    run = Scenario(arena.kafka, arena.redis, arena.folder, settings)
    await asyncio.to_thread(create_topics, run.kafka, run.topics, partitions=PARTITIONS)
    figures, owners = Figures(), OwnerStore(run.client, run.prefix)
    try:
        async with KafkaPublisher(run.kafka) as publisher:
            topic = run.topics.segment_changes.name
            messages = [Message(topic, name.encode(), value) for name, value in changes]
            before, last = messages[:-ACCOUNTS], messages[-ACCOUNTS:]
            await publisher.publish(before)
            for _ in range(3):
                await run.start()
            for number in range(1, kills):
                await _committed(run, number * len(before) // kills)
                await run.kill(draw.choice(run.live))
                await run.start(wait=False)
                row.fired += 1
            await _committed(run, len(before))
            await publisher.publish(last)
            await _committed(run, len(before) + ACCOUNTS // 4)
            await run.kill(draw.choice(run.live))  # while accounts join the line
            await run.start(wait=False)
            row.fired += 1

        async def granted() -> bool:
            await asyncio.sleep(0.5)
            states = await states_of(run)
            in_line = [
                one
                for one in states.values()
                if one.enrollment is not None and one.enrollment.workflow == "w-daily"
            ]
            return len(in_line) >= len(best) and await run.lag() == 0 and await run.routing_outbox() == 0

        await run.until(granted, GRANTING)
        await run.finish()
        states, look = await states_of(run), await owners.look()
        await judge(run, states, best, candidates, figures)
        judge_owners(states, look, figures)
    finally:
        for one in run.live:
            one.kill()
            await one.wait()
        await run.client.aclose()
    row.runs += 1
    row.seconds += time.monotonic() - began
    row.figures.add(figures)
    waiting = sum(one.decision == "waiting" for one in states.values())
    capped = sum(one.decision == "capped" for one in states.values())
    DETAILS.append(
        f"limits in {zone}: {len(candidates):,} of {ACCOUNTS:,} accounts wanted in, {PER_DAY} a day were granted, "
        f"{waiting:,} wait, {capped:,} are capped"
    )
    assert not any(figures.counts), "\n".join(figures.examples)


async def _committed(run: Scenario, number: int) -> None:
    async def enough() -> bool:
        looks = [
            await run.client.hget(PartitionKeys.of(run.prefix, one, "router").meta, "offset")  # type: ignore[misc]
            for one in range(PARTITIONS)
        ]
        return sum(int(one or 0) for one in looks) >= number

    await run.until(enough)


async def judge(
    run: Scenario, states: dict[str, RoutedState], best: set[str], candidates: set[str], figures: Figures
) -> None:
    """What was commanded: each key once, one workflow at a time, no more than the limits, and the best of the line."""
    bodies: dict[str, bytes] = {}
    running: dict[str, str] = {}
    begun: Counter[str] = Counter()
    daily: defaultdict[str, int] = defaultdict(int)
    for record in await run.records(run.topics.workflow_commands.name):
        data = orjson.loads(record.value)["data"]
        key, name, workflow = data["idempotency_key"], data["account"], data["workflow"]
        if key in bodies:
            if bodies[key] != record.value:
                figures.note("doubled", [("one key, two commands", bodies[key], record.value)])
            continue
        bodies[key] = record.value
        if data["action"] == "enroll":
            if running.get(name) != workflow:
                begun[name] += 1
                daily[name] += workflow == "w-daily"
                if name in running:
                    figures.note("wrong_state", [("in two workflows", name, running[name], workflow)])
            running[name] = workflow
        elif data["action"] in ("stop", "finish", "pause") and running.pop(name, None) != workflow:
            figures.note("wrong_state", [("left what it was not in", name, workflow)])
    figures.note("wrong_state", [(name, count) for name, count in begun.items() if count > MOST])
    granted = {name for name, count in daily.items() if count}
    figures.note("missing", best - granted)
    figures.note("unexpected", granted - best)
    figures.note(
        "wrong_state",
        [
            (name, state.decision)
            for name, state in states.items()
            if state.decision
            != ("enrolled" if name in best else "waiting" if name in candidates else "capped")
        ],
    )
    figures.note(
        "wrong_state",
        [
            (name, state.decision, running.get(name))
            for name, state in states.items()
            if running.get(name) != (None if state.enrollment is None else state.enrollment.workflow)
        ],
    )
    figures.outbox = await run.routing_outbox()
    figures.lag = await run.lag()


def judge_owners(states: dict[str, RoutedState], look: Any, figures: Figures) -> None:
    """The rooms: as the accounts have them, nobody over capacity or off shift, and nobody forgotten in a queue."""
    held: Counter[str] = Counter()
    for state in states.values():
        one = state.enrollment
        if one is not None and one.assignment is not None:
            held[one.owner or ""] += 1
    queued = held.pop("pool", 0)
    opened = Counter({name: one.open for name, one in look.members.items() if one.open})
    if opened != held:
        figures.note("wrong_state", [("room taken, and enrollments", opened, held)])
    if held["kim"] > ROOM or held["lou"]:
        figures.note("wrong_state", [("over capacity or off shift", dict(held))])
    if queued and held["kim"] < ROOM:
        figures.note("wrong_state", [("forgotten in the queue", queued, held["kim"])])
    granted = look.teams["daily"].granted
    if len(granted) != 1 or sum(granted.values()) != PER_DAY:
        figures.note("wrong_state", [("granted", granted)])
