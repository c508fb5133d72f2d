"""Plan, apply and roll back as somebody at a shell does, while a worker runs on the wall clock."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
import pytest_asyncio

from resegment.agents.batch import Message
from resegment.embedded.servers import embedded
from resegment.settings import Settings
from resegment.sources.segments import load_definition
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.kafka.topic_reader import reading
from resegment.streams.worker.worker import Worker
from tests.integration.test_routing_commands import event

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 120.0
PREFIX = "versioned"
ACCOUNTS = 200
SEGMENTS = """
version: 1
segments:
  - name: large
    when: {employees: {gte: 100}}
    play: talk
    route: {workflow: calls}
  - name: hiring-now
    when: {event: hiring, where: {change: opened}, within: 90d}
    play: talk
    route: {workflow: mail}
fallback: {name: not-now, play: talk}
plays:
  talk:
    message: {pain: a, value_prop: b, proof_points: [c]}
    channels: {primary: email}
"""


def raised(least: int, name: str = "large") -> str:
    text = SEGMENTS.replace("gte: 100", f"gte: {least}").replace("name: large", f"name: {name}")
    return text if name == "large" else f"{text}moved: {{{name}: large}}\n"


@dataclass
class Running:
    """A prefix with a worker, and a shell beside it."""

    worker: Worker
    publisher: KafkaPublisher
    environment: dict[str, str]
    folder: Path

    async def run(self, *arguments: str) -> tuple[int | None, str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RESEGMENT_")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from resegment.cli import main; main()", *arguments),
            env=inherited | self.environment,
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, error = await asyncio.wait_for(process.communicate(), PATIENCE)
        return process.returncode, output.decode(), error.decode()

    async def json(self, *arguments: str, code: int = 0) -> Any:
        found, output, error = await self.run(*arguments, "--json")
        assert found == code, error
        return json.loads(output)

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name

    async def send(self, events: Iterable[dict[str, Any]]) -> None:
        topics = self.worker.topics
        await self.publisher.publish(
            [
                Message(topics.of_kind(one["type"].split(".")[1]).name, None, orjson.dumps(one))
                for one in events
            ]
        )
        assert await self.worker.drain(PATIENCE)

    async def resize(self, sizes: dict[str, int]) -> None:
        """Give accounts another number of employees."""
        found = [event("firmographic", name, employees=size) for name, size in sizes.items()]
        await self.send({**one, "id": f"{one['id']}-{time.time_ns()}"} for one in found)

    async def caused(self, version: int) -> dict[str, tuple[str, str]]:
        """The moves that a version caused, by account, once all are published."""
        assert await self.worker.drain(PATIENCE)
        topics, moves = self.worker.topics, {}
        async with reading(self.environment["RESEGMENT_KAFKA"], topics.segment_changes.name) as log:
            async for records in log.to_end():
                for record in records:
                    data = msgspec.json.decode(record.value)["data"]
                    if data["cause"].get("definition") == version and data["from"] != data["to"]:
                        moves[data["account"]] = (data["from"], data["to"])
        return moves


def size_of(number: int) -> int:
    return number * 2


@pytest_asyncio.fixture(loop_scope="module")
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    (tmp_path / "segments.yaml").write_text(SEGMENTS)
    async with embedded(tmp_path / "servers") as servers:
        settings = Settings(
            kafka=servers.bootstrap,
            redis=servers.redis_url,
            prefix=PREFIX,
            partitions=3,
            segments=tmp_path / "segments.yaml",
            route="all",
        )
        definition = load_definition(str(tmp_path / "segments.yaml"))
        worker = Worker(settings, definition, bootstrap=servers.bootstrap, redis_url=servers.redis_url)
        publisher = KafkaPublisher(servers.bootstrap, idempotent=False)
        async with worker.running(), publisher:
            environment = {
                "RESEGMENT_KAFKA": servers.bootstrap,
                "RESEGMENT_REDIS": servers.redis_url,
                "RESEGMENT_PREFIX": PREFIX,
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            }
            there = Running(worker, publisher, environment, tmp_path)
            await there.send(
                event("firmographic", f"a{number}.com", employees=size_of(number))
                for number in range(ACCOUNTS)
            )
            await there.send(
                event("hiring", f"a{number}.com", change="opened") for number in range(0, 100, 5)
            )
            yield there


def pairs(plan: Any) -> dict[str, tuple[str, str]]:
    return {one["account"]: (one["from"], one["to"]) for one in plan["moves"]}


async def test_a_saved_plan_is_carried_out_as_it_says_and_only_once(running: Running) -> None:
    file = running.write("v2.yaml", raised(200))
    plan = await running.json("plan", file, "--out", "plan.json", code=3)
    assert plan["moved"] == 50
    assert {one["route"]: sum(one["stop"].values()) for one in plan["enrollments"]} == {
        "none": 50,
        "new-only": 50,
        "all": 50,
    }
    applied = await running.json("apply", "plan.json", "--yes", "--message", "raise it")
    assert applied["version"] == 2
    assert applied["outcome"]["as_planned"] == applied["outcome"]["moved"] == 50
    assert await running.caused(2) == pairs(plan)
    code, _, error = await running.run("apply", "plan.json", "--yes")
    assert code == 1
    assert "the plan was applied already, as version 2" in error
    code, output, _ = await running.run("plan", "--show", "plan.json")
    assert code == 3
    assert plan["hash"] in output
    code, output, _ = await running.run("plan", file)
    assert (code, "Nothing changes" in output) == (0, True)


async def test_a_plan_that_the_world_has_left_behind_is_refused_with_names(running: Running) -> None:
    plan = await running.json("plan", running.write("v2.yaml", raised(200)), "--out", "plan.json", code=3)
    gone = sorted(pairs(plan))[:21]
    await running.resize(dict.fromkeys(gone[:20], 500))
    await running.resize({gone[20]: 5})
    code, _, error = await running.run("apply", "plan.json", "--yes")
    assert code == 1
    assert "the plan is stale: 21 of 200 accounts depart from it, and 20 may" in error
    assert "was planned to move from large to not-now, and would not move now" in error
    assert gone[0] in error
    _, history, _ = await running.run("history")
    assert "raise" not in history
    code, _, _ = await running.run("plan", "v2.yaml")
    assert code == 3  # it is still to be applied


async def test_a_plan_whose_base_is_no_longer_in_force_is_refused(running: Running) -> None:
    await running.json("plan", running.write("v2.yaml", raised(200)), "--out", "plan.json", code=3)
    await running.json("apply", running.write("v3.yaml", raised(300)), "--yes")
    code, _, error = await running.run("apply", "plan.json", "--yes")
    assert code == 1
    assert "it was made for version 1, and version 2 is in force" in error


async def test_only_what_a_hash_approves_is_applied(running: Running) -> None:
    plan = await running.json("plan", running.write("v2.yaml", raised(200)), code=3)
    code, _, error = await running.run(
        "apply", running.write("v3.yaml", raised(300)), "--plan-hash", plan["hash"], "--yes"
    )
    assert (code, "approves another plan" in error) == (1, True)
    applied = await running.json("apply", "v2.yaml", "--plan-hash", plan["hash"], "--yes")
    assert (applied["version"], applied["plan"]) == (2, plan["hash"])


async def test_a_rollback_takes_names_back_and_enrolls_again(running: Running) -> None:
    await running.json("apply", running.write("v2.yaml", raised(200, "huge")), "--yes")
    back = await running.json("rollback", "1", "--yes")
    assert back["version"] == 3
    moves = await running.caused(3)
    assert set(moves.values()) <= {("huge", "large"), ("not-now", "large"), ("hiring-now", "large")}
    assert sum(pair[0] != "huge" for pair in moves.values()) == 50
    code, _, error = await running.run("rollback", "3", "--yes")
    assert (code, "version 3 is in force already" in error) == (1, True)


async def test_a_plan_counts_what_the_apply_does_while_signals_arrive(running: Running) -> None:
    done = asyncio.Event()

    async def load() -> None:
        turn = 0
        while not done.is_set():
            # facts that change no segment
            batch = [
                event("intent", f"a{(turn + one) % ACCOUNTS}.com", topic="x", score=1) for one in range(20)
            ]
            topics = running.worker.topics
            await running.publisher.publish(
                [
                    Message(topics.intent.name, None, orjson.dumps({**one, "id": f"i{turn}-{place}"}))
                    for place, one in enumerate(batch)
                ]
            )
            turn += 20
            await asyncio.sleep(0.1)

    loading = asyncio.create_task(load())
    try:
        plan = await running.json("plan", running.write("v2.yaml", raised(200)), "--out", "plan.json", code=3)
        applied = await running.json("apply", "plan.json", "--yes")
    finally:
        done.set()
        await loading
    assert applied["outcome"]["departed"] == []
    assert await running.caused(2) == pairs(plan)


async def test_a_shadow_is_judged_beside_the_version_in_force_and_promoted(running: Running) -> None:
    begun = await running.json("apply", running.write("v2.yaml", raised(200)), "--shadow", "--yes")
    assert (begun["version"], begun["shadow"], begun["applied"]) == (2, True, False)
    assert not await running.caused(2)
    before = await running.json("shadow")
    assert (before["version"], before["base"], before["accounts"], before["differ"]) == (2, 1, ACCOUNTS, 50)
    await running.resize({"a60.com": 500, "a199.com": 150})
    after = await running.json("shadow")
    elsewhere = {one["account"]: (one["from"], one["to"]) for one in after["elsewhere"]}
    assert "a60.com" not in elsewhere
    assert elsewhere["a199.com"] == ("large", "not-now")
    code, _, error = await running.run("apply", "v2.yaml", "--shadow", "--yes")
    assert (code, "is judged as a shadow already" in error) == (2, True)
    promoted = await running.json("promote", "--yes")
    assert await running.caused(promoted["version"]) == elsewhere
    code, _, error = await running.run("discard")
    assert (code, "there is no shadow" in error) == (2, True)
