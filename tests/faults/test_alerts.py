"""Real faults, seen by a real Prometheus that scrapes a real worker: the alert fires, and goes out after the fault."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
import yaml
from aiokafka.admin import NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from msgspec.structs import replace
from redis.asyncio import Redis

from resegment.agents.batch import Message
from resegment.benchmarks.servers.debian import SystemRedis
from resegment.schemas.logs.state_log import decode_state, encode_state
from resegment.schemas.partitioning import partition_of
from resegment.state.redis.keys import PartitionKeys
from resegment.streams.kafka.publisher import KafkaPublisher
from resegment.streams.operations.ingest import send_replay
from tests import companies
from tests.faults.conftest import Arena
from tests.faults.scenario import COMMAND, PARTITIONS, ROOT, Scenario
from tests.faults.test_records import administration, end
from tests.integration.conftest import require_redis
from tests.integration.test_kubernetes import answered, free_port
from tests.promtool import require
from tests.servers.receiver import receiving

pytestmark = pytest.mark.asyncio(loop_scope="session")

HASTE = 60
"""How much less long each alert has to hold here."""
BALLAST = 48 << 20
"""How much more than it uses Redis may use, bytes."""


class Alerts:
    """What a running Prometheus says of its alerts."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=5)

    async def firing(self) -> set[str]:
        with suppress(httpx.TransportError):
            answer = await self._http.get("/api/v1/alerts")
            if answer.status_code == 200:
                found = answer.json()["data"]["alerts"]
                return {one["labels"]["alertname"] for one in found if one["state"] == "firing"}
        return set()

    async def fires(self, name: str) -> None:
        await self._until(name, is_firing=True)

    async def goes_out(self, name: str) -> None:
        await self._until(name, is_firing=False)

    async def _until(self, name: str, *, is_firing: bool) -> None:
        found: set[str] = set()
        try:
            async with asyncio.timeout(90):
                while (name in (found := await self.firing())) is not is_firing:
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"{name}: firing are {found or 'none'}") from None


LOWER = {
    "ResegmentLag": {"> 1000": "> 20", "offset 10m": "offset 5s"},
    "ResegmentNotFresh": {"> 300": "> 3"},
    "ResegmentOutboxOld": {"> 60": "> 3"},
}
"""What stands in the place of limits that would take minutes to reach."""


def hasty_rules(folder: Path) -> Path:
    """Write the rules as they are shipped, with shorter holds and lower limits."""
    shipped: Mapping[str, Any] = yaml.safe_load(
        (ROOT / "ops" / "prometheus" / "alerts.yml").read_text("utf-8")
    )
    for rule in shipped["groups"][0]["rules"]:
        if "for" in rule:
            rule["for"] = f"{max(1, int(rule['for'].rstrip('s')) // HASTE)}s"
        for limit, lower in LOWER.get(rule["alert"], {}).items():
            assert limit in rule["expr"]
            rule["expr"] = rule["expr"].replace(limit, lower)
    path = folder / "alerts.yml"
    path.write_text(yaml.safe_dump(dict(shipped)))
    return path


@asynccontextmanager
async def prometheus(folder: Path, targets: list[str]) -> AsyncIterator[Alerts]:
    program, port = require("prometheus"), free_port()
    hasty_rules(folder)
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [{"job_name": "resegment", "static_configs": [{"targets": targets}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    process = await asyncio.create_subprocess_exec(
        *(program, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"),
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield Alerts(f"http://127.0.0.1:{port}")
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@pytest_asyncio.fixture(loop_scope="session")
async def own_redis(tmp_path: Path) -> AsyncIterator[SystemRedis]:
    require_redis()
    server = SystemRedis(tmp_path / "own")
    await server.start()
    yield server
    await server.stop()


@pytest.mark.faults
async def test_alerts_fire_by_real_faults_and_go_out(arena: Arena, own_redis: SystemRedis) -> None:
    port, delivery = free_port(), free_port()
    targets = [f"127.0.0.1:{port}", f"127.0.0.1:{delivery}"]
    shutil.rmtree(arena.folder / "prometheus", ignore_errors=True)
    (arena.folder / "prometheus").mkdir()

    async def harm(run: Scenario, sending: asyncio.Task[None]) -> int:
        async with prometheus(arena.folder / "prometheus", targets) as alerts, receiving() as crm:
            deliver = await start_delivery(run, crm.port, delivery)
            try:
                await crm.until(lambda: len(crm.taken) > 0)
                await alerts.goes_out("ResegmentWorkerDown")
                done = [
                    await kill_the_worker(run, alerts),
                    await fill_redis(own_redis, alerts),
                    await lose_a_partition(run, alerts, sending),
                    await send_nonsense(run, alerts),
                ]
                crm.answer = 422
                await send_command(run)
                await alerts.fires("ResegmentCommandsBuried")
                crm.answer = 410
                await send_command(run)
                await alerts.fires("ResegmentWebhookDisabled")
                crm.answer = 200
                await run.command("webhooks", "enable", "crm")
                await alerts.goes_out("ResegmentWebhookDisabled")
                await alerts.goes_out("ResegmentCommandsBuried")
                return sum(done) + 2
            finally:
                with suppress(ProcessLookupError):
                    deliver.terminate()
                await deliver.wait()

    target = Arena(arena.kafka, own_redis.url, arena.folder)
    scenario = Scenario(
        target.kafka, target.redis, target.folder, {"http_port": port, "webhooks": arena.folder / "webhooks.yaml"},
        worker=COMMAND,
    )  # fmt: skip
    try:
        await scenario.start()
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(scenario.send())
            fired = tasks.create_task(harm(scenario, sending))
        assert fired.result() == 6
        await scenario.finish()
    finally:
        for one in scenario.live:
            with suppress(ProcessLookupError):
                one.kill()
            await one.wait()
        await scenario.client.aclose()
        await scenario.clear()


async def start_delivery(run: Scenario, receiver: int, port: int) -> asyncio.subprocess.Process:
    os.environ["HOOK"] = "whsec_" + "c2VjcmV0" * 5
    hook = {"url": f"http://127.0.0.1:{receiver}/", "secrets": [{"env": "HOOK"}], "start": "earliest"}
    file = {"endpoints": {"crm": hook}, "allow_networks": ["127.0.0.0/8"]}
    (run.folder / "webhooks.yaml").write_bytes(orjson.dumps(file))
    given = {"kafka": run.kafka, "redis": run.redis, "prefix": run.prefix, "http_port": str(port)}
    given["webhooks"] = str(run.folder / "webhooks.yaml")
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "resegment", "deliver"),
        env=dict(os.environ) | {f"RESEGMENT_{name.upper()}": value for name, value in given.items()},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def kill_the_worker(run: Scenario, alerts: Alerts) -> int:
    (worker,) = run.live
    await run.kill(worker)
    await alerts.fires("ResegmentWorkerDown")
    await alerts.fires("ResegmentNoWorker")
    await run.start()
    await alerts.goes_out("ResegmentWorkerDown")
    await alerts.goes_out("ResegmentNoWorker")
    return 1


async def fill_redis(server: SystemRedis, alerts: Alerts) -> int:
    """Fill most of what Redis may use, then delete that again.

    What fills it is many times the buffers of its clients: they come and go by some 100 kB while a worker starts, which
    is more than a tenth of what so small a Redis uses.
    """
    async with Redis.from_url(server.url) as client:

        async def used() -> int:
            return int((await client.info("memory"))["used_memory"])

        limit = await used() + BALLAST
        await client.config_set("maxmemory", limit)
        names: list[str] = []
        while await used() < 0.9 * limit:
            names.append(f"ballast-{len(names)}")
            await client.set(names[-1], bytes(BALLAST // 64))
        await alerts.fires("ResegmentRedisMemory")
        await client.delete(*names)
        await alerts.goes_out("ResegmentRedisMemory")
        await client.config_set("maxmemory", 0)
    return 1


async def lose_a_partition(run: Scenario, alerts: Alerts, sending: asyncio.Task[None]) -> int:
    """Delete the accounts of a partition. Its next commit notices: of events that its source sends once more."""
    await sending
    await run.client.delete(PartitionKeys.of(run.prefix, 1).accounts)
    again = [
        pair
        for pair in companies.events(run.one_in)
        if partition_of(pair[0].account.encode(), PARTITIONS) == 1
    ]
    async with run.source() as publisher:
        await send_replay(again[:20], publisher, run.topics, partitions=PARTITIONS, until=companies.UNTIL)
    await alerts.fires("ResegmentPartitionsWaiting")
    await run.command("rebuild", "--partition", "1")
    await alerts.goes_out("ResegmentPartitionsWaiting")
    return 1


async def send_nonsense(run: Scenario, alerts: Alerts) -> int:
    async with run.source() as publisher:
        publisher.rate = 1_000
        await publisher.publish([Message(run.topics.replay.name, b"x", b"{", (), 0)] * 400)
        await alerts.fires("ResegmentManyRefused")
    return 1


async def send_command(run: Scenario) -> None:
    """Publish a command of its own, so that there is one to deliver now."""
    number = os.urandom(8).hex()
    data = {
        "action": "enroll",
        "account": "drill.example",
        "workflow": "calls",
        "segment": "hot",
        "idempotency_key": number,
    }
    event = {"id": number, "type": "gtm.workflow-command.v1", "subject": "drill.example", "data": data}
    async with run.source() as publisher:
        await publisher.publish(
            [Message(run.topics.workflow_commands.name, b"drill.example", orjson.dumps(event))]
        )


SEGMENTS = """
version: 1
sources:
  /scrapers/jobs: {every: 10s}
segments:
  - name: hiring-now
    layer: behavioral
    hypothesis: A company that just started hiring has a plan and a budget for it.
    when: {event: hiring, where: {change: opened}, within: 90d}
    play: grow
    route: {workflow: hiring-now}
fallback: {name: not-now, play: grow, route: {workflow: nurture}}
plays:
  grow: {message: {pain: Slow, value_prop: Fast, proof_points: [Soon]}, channels: {primary: email}}
"""


class Pipeline:
    """A prefix on the wall clock, with events of a source that come when they are asked for."""

    def __init__(self, run: Scenario, alerts: Alerts, port: int) -> None:
        self.run, self.alerts, self.port = run, alerts, port
        self._sent = 0

    async def send(self, count: int = 1) -> list[str]:
        """Send an event each of new accounts; return their names."""
        names = [f"c{self._sent + number}.example" for number in range(count)]
        self._sent += count
        now = datetime.now(UTC).isoformat()
        events = [
            {
                "specversion": "1.0",
                "id": name,
                "source": "/scrapers/jobs",
                "type": "gtm.hiring.v1",
                "subject": name,
                "time": now,
                "data": {"change": "opened", "job": name, "title": "Account Executive"},
            }
            for name in names
        ]
        async with KafkaPublisher(self.run.kafka) as publisher:
            await publisher.publish(
                [
                    Message(self.run.topics.hiring.name, one["id"].encode(), orjson.dumps(one))
                    for one in events
                ]
            )
        return names

    async def lose_a_worker_that_is_no_target(self) -> None:
        """A worker is killed of which Prometheus does not know, as where discovery has forgotten it; then another starts."""
        self.run.settings["http_port"] = 0
        await self.alerts.goes_out("ResegmentWorkerDown")
        await self.run.kill(await self.run.start())
        await self.alerts.fires("ResegmentWorkerDown")
        new = await self.run.start()
        await self.alerts.goes_out("ResegmentWorkerDown")
        assert await self.run.stop(new) == 0
        self.run.settings["http_port"] = self.port

    async def silence_a_source(self) -> None:
        """The source has sent, and sends no more; then it is back."""
        await self.send()
        await self.alerts.fires("ResegmentSourceSilent")

        async def keep_sending() -> None:
            while True:
                await self.send()
                await asyncio.sleep(1.0)

        sending = asyncio.create_task(keep_sending())
        try:
            await self.alerts.goes_out("ResegmentSourceSilent")
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    async def damage_an_account(self) -> None:
        """An account is not in Redis as the log gives it; then its partition is taken from the log."""
        (name,) = await self.send()
        number = partition_of(name.encode(), PARTITIONS)
        key = PartitionKeys.of(self.run.prefix, number).accounts

        async def there() -> bool:
            return bool(await self.run.client.hexists(key, name))

        await self.run.until(there)
        state = decode_state(await self.run.client.hget(key, name))
        state.membership = replace(state.membership, segment="elsewhere")
        await self.run.client.hset(key, name, encode_state(state))
        await self.alerts.fires("ResegmentSpotCheckDiffers")
        await self.run.command("rebuild", "--partition", str(number), "--replace")
        await self.alerts.goes_out("ResegmentSpotCheckDiffers")

    async def take_redis_away(self, server: SystemRedis) -> None:
        """Nothing can be decided, and signals wait; then Redis is back."""
        await server.kill()
        await self.send(100)
        await self.alerts.fires("ResegmentServersAway")
        await self.alerts.fires("ResegmentNotFresh")
        await self.alerts.fires("ResegmentLag")
        await server.start()
        await self.run.client.connection_pool.disconnect()  # to the server that was
        await self.alerts.goes_out("ResegmentServersAway")
        await self.alerts.goes_out("ResegmentNotFresh")
        await self.alerts.goes_out("ResegmentLag")

    async def refuse_changes(self) -> None:
        """Kafka refuses what is decided: a topic takes small messages alone; then it takes all."""
        topic = self.run.topics.segment_changes
        async with administration(self.run.kafka) as admin:
            for configs, expected in (
                (topic.configs | {"max.message.bytes": "100"}, True),
                (topic.configs, False),
            ):
                await admin.alter_configs(
                    [ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=configs)]
                )
                if expected:
                    await self.send(5)
                    await self.alerts.fires("ResegmentOutboxOld")
        await self.alerts.goes_out("ResegmentOutboxOld")

    async def set_a_clock_ahead(self) -> None:
        """A partition's clock is ten minutes ahead; then it is repaired as docs/operations.md says."""
        (worker,) = self.run.live
        assert await self.run.stop(worker) == 0
        await self.alerts.fires("ResegmentNoWorker")
        keys = PartitionKeys.of(self.run.prefix, 1)
        clock = int(await self.run.client.hget(keys.meta, "clock"))  # type: ignore[misc]
        await self.run.client.hset(keys.meta, "clock", max(clock, int(time.time() * 1000)) + 600_000)  # type: ignore[misc]
        worker = await self.run.start()
        await self.alerts.fires("ResegmentClockAhead")
        assert await self.run.stop(worker) == 0
        names = [name async for name in self.run.client.scan_iter(f"rs:{{{self.run.prefix}.1}}:*")]
        await self.run.client.delete(*names)
        await self.run.command("rebuild", "--partition", "1")
        await self.run.start()
        await self.alerts.goes_out("ResegmentNoWorker")
        await self.alerts.goes_out("ResegmentClockAhead")
        await self.run.command("verify")

    async def alter_topics(self) -> None:
        """A topic gets more partitions than the prefix; one that nothing is in is made again. `signals` ends the worker."""
        topic, more = self.run.topics.refresh_requests, NewPartitions(2 * PARTITIONS)
        async with administration(self.run.kafka) as admin:
            await admin.create_partitions({topic.name: more})
            await self.alerts.fires("ResegmentPartitionCounts")
            await admin.delete_topics([topic.name])
            await self.alerts.goes_out("ResegmentPartitionCounts")
            (worker,) = self.run.live
            await admin.create_partitions({self.run.topics.signals.name: more})
            assert await asyncio.wait_for(worker.wait(), 60) == 1
            self.run.live.clear()
            await self.alerts.fires("ResegmentPartitionCounts")
            await self.alerts.fires("ResegmentNoWorker")


@pytest.mark.faults
@pytest.mark.timeout(600)
async def test_alerts_of_the_pipeline_fire_by_real_faults_and_go_out(
    arena: Arena, own_redis: SystemRedis
) -> None:
    port, delivery = free_port(), free_port()
    (arena.folder / "prometheus").mkdir()
    segments = arena.folder / "segments.yaml"
    segments.write_text(SEGMENTS)
    settings = {"http_port": port, "clock": "wall", "segments": segments, "spot_check": "4s"}
    run = Scenario(arena.kafka, own_redis.url, arena.folder, settings, worker=COMMAND)
    try:
        await run.start()
        async with receiving() as crm:
            deliver = await start_delivery(run, crm.port, delivery)
            try:
                await answered(f"http://127.0.0.1:{delivery}/readyz", deliver)
                targets = [f"127.0.0.1:{port}", f"127.0.0.1:{delivery}"]
                async with prometheus(arena.folder / "prometheus", targets) as alerts:
                    pipeline = Pipeline(run, alerts, port)
                    await pipeline.lose_a_worker_that_is_no_target()
                    await pipeline.silence_a_source()
                    await pipeline.damage_an_account()
                    await pipeline.take_redis_away(own_redis)
                    await pipeline.refuse_changes()
                    await pipeline.set_a_clock_ahead()
                    await pipeline.alter_topics()
            finally:
                with suppress(ProcessLookupError):
                    deliver.terminate()
                await deliver.wait()
    finally:
        await end(run)
