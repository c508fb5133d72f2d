"""Experiments and learning on a running prefix: from a signal to the read-out, with who looked in the audit log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from redis.asyncio import Redis
from typer.testing import CliRunner

from resegment.cli import build
from resegment.embedded.servers import embedded
from resegment.schemas.times import format_instant, parse_instant
from resegment.settings import Settings
from resegment.sources.segments import load_definition
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.operations.ingest import send_replay
from resegment.streams.prefix import set_routing
from resegment.streams.worker.worker import Worker
from tests.events import read_fact

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 120.0
PARTITIONS = 2
DAY = 86_400_000
START = parse_instant("2026-01-01T00:00:00Z")
ACCOUNTS = [f"company{number}.com" for number in range(300)]
SEGMENTS = """
version: 1
traits:
  fit: {score: [{when: {employees: {gte: 50}}, points: 3}]}
segments:
  - name: hiring-now
    when: {all: [{event: hiring, within: 90d}, {fit: {gte: 0}}]}
    play: talk
    route: {workflow: hiring}
fallback: {name: not-now, play: talk}
plays:
  talk: {message: {pain: a, value_prop: b, proof_points: [c]}, channels: {primary: email}}
experiments:
  does-it-help:
    segment: hiring-now
    holdout: 50%
    metric: opportunity
    horizon: 60d
    baseline: 10%
    difference: 30%
"""


def event(kind: str, name: str, account: str, at: int, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": name,
        "source": "/test",
        "type": f"gtm.{kind}.v1",
        "subject": account,
        "time": format_instant(at),
        "data": data,
    }


def is_large(number: int) -> bool:
    return number % 3 == 0


@dataclass
class Stack:
    """A running prefix, and a shell beside it."""

    worker: Worker
    publisher: KafkaPublisher
    environment: dict[str, str]

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        done = await asyncio.to_thread(CliRunner().invoke, build(), list(arguments), env=self.environment)
        return done.exit_code, done.stdout, done.stderr

    async def show(self, *arguments: str) -> Any:
        code, output, error = await self.run("experiments", "show", "does-it-help", "--json", *arguments)
        assert code == 0, error
        return json.loads(output)

    async def send(self, events: list[dict[str, Any]], until: int) -> None:
        ordered = sorted(events, key=lambda one: str(one["time"]))
        pairs = [(read_fact(one), orjson.dumps(one)) for one in ordered]
        await send_replay(pairs, self.publisher, self.worker.topics, partitions=PARTITIONS, until=until)
        assert await self.worker.drain(PATIENCE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("experiments")
    (folder / "segments.yaml").write_text(SEGMENTS)
    definition = load_definition(str(folder / "segments.yaml"))
    async with embedded(folder / "servers") as servers:
        settings = Settings(prefix="trial", partitions=PARTITIONS, clock="facts")
        worker = Worker(settings, definition, bootstrap=servers.bootstrap, redis_url=servers.redis_url)
        client = Redis.from_url(servers.redis_url)
        await set_routing(client, "trial", "all")
        await client.aclose()
        environment = {
            "RESEGMENT_KAFKA": servers.bootstrap,
            "RESEGMENT_REDIS": servers.redis_url,
            "RESEGMENT_PREFIX": "trial",
            "RESEGMENT_SEGMENTS": str(folder / "segments.yaml"),
            "RESEGMENT_ACTOR": "ann@acme.com",
            "COLUMNS": "120",
        }
        events = []
        draws = definition.draws
        for number, account in enumerate(ACCOUNTS):
            at = START + number * DAY // 4
            large = is_large(number)
            events.append(
                event("firmographic", f"f{number}", account, at - 1000, employees=80 if large else 8)
            )
            events.append(event("hiring", f"h{number}", account, at, change="opened"))
            enrolled = draws.draw("hiring-now", account, at).variant == "enrolled"
            if enrolled and (large or number % 7 == 0):
                opened = at + 20 * DAY
                events.append(
                    event(
                        "outcome",
                        f"o{number}",
                        account,
                        opened,
                        action="opportunity_created",
                        deal=f"d{number}",
                    )
                )
        async with worker.running(), KafkaPublisher(servers.bootstrap) as publisher:
            running = Stack(worker, publisher, environment)
            for end in range(5, 155, 5):  # a touch is made when the router decides: at the end of each part
                first, last = (format_instant(START + (end - back) * DAY) for back in (5, 0))
                part = [one for one in events if (end == 5 or first <= one["time"]) and one["time"] < last]
                await running.send(part, START + end * DAY)
            yield running


async def test_an_early_look_is_recorded_and_warned_of_ever_after(stack: Stack) -> None:
    code, output, error = await stack.run("experiments", "list", "--json", "--at", "2026-02-15")
    assert code == 0, error
    (listed,) = json.loads(output)
    assert (listed["state"], listed["comparison"], listed["looks"]) == ("not-yet", None, [])

    waiting = await stack.show("--at", "2026-03-10")
    assert (waiting["state"], waiting["comparison"]) == ("not-yet", None)
    early = await stack.show("--at", "2026-03-10", "--early")
    assert early["comparison"]["always_valid"]

    read = await stack.show()
    assert read["state"] == "read"
    assert [(one["actor"], one["early"]) for one in read["looks"]] == [
        ("ann@acme.com", False),
        ("ann@acme.com", True),
    ]
    assert any("looked at early 1 time, by ann@acme.com" in one for one in read["warnings"])


async def test_the_touches_of_both_arms_are_compared_as_they_were_drawn(stack: Stack) -> None:
    read = await stack.show()
    held, enrolled = read["variants"]

    assert (held["name"], enrolled["name"]) == ("holdout", "enrolled")
    assert held["touches"] + enrolled["touches"] == read["declared"]["planned"] == read["matured"]
    assert read["ratio_passes"]
    assert held["came"] == 0
    assert read["comparison"]["verdict"] == "better"


async def test_a_score_is_learned_from_the_log(stack: Stack) -> None:
    code, output, error = await stack.run(
        "learn", "--metric", "opportunity", "--horizon", "60d", "--resamples", "40", "--json"
    )
    assert code == 0, error
    learned = json.loads(output)

    assert learned["accounts"] == learned["touches"] > 50
    assert [(one["text"], one["points"]) for one in learned["terms"]] == [("{employees: {gte: 50}}", 10)]
    assert learned["score"] == "fit"


async def test_a_time_that_has_not_come_is_refused(stack: Stack) -> None:
    code, _, error = await stack.run("experiments", "show", "does-it-help", "--at", "2027-01-01")
    assert code == 1
    assert "has not come yet" in error


async def test_an_experiment_that_nobody_declared_is_refused(stack: Stack) -> None:
    code, _, error = await stack.run("experiments", "show", "nosuch")
    assert code == 2
    assert "does-it-help" in error
