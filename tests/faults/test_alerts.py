"""Real faults, seen by a real Prometheus that scrapes a real worker: the alert fires, and goes out after the fault."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
import yaml
from redis.asyncio import Redis

from resegment.agents.batch import Message
from resegment.benchmarks.servers.debian import SystemRedis
from resegment.state.redis.keys import PartitionKeys
from tests.faults.conftest import Arena
from tests.faults.scenario import COMMAND, ROOT, Scenario
from tests.integration.conftest import require_redis
from tests.integration.test_kubernetes import free_port
from tests.promtool import require
from tests.servers.receiver import receiving

pytestmark = pytest.mark.asyncio(loop_scope="session")

HASTE = 60
"""How much less long each alert has to hold here."""


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


def hasty_rules(folder: Path) -> Path:
    """Write the rules as they are shipped, with shorter holds."""
    shipped: Mapping[str, Any] = yaml.safe_load(
        (ROOT / "ops" / "prometheus" / "alerts.yml").read_text("utf-8")
    )
    for rule in shipped["groups"][0]["rules"]:
        if "for" in rule:
            rule["for"] = f"{max(1, int(rule['for'].rstrip('s')) // HASTE)}s"
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

    async def harm(run: Scenario) -> int:
        async with prometheus(arena.folder / "prometheus", targets) as alerts, receiving() as crm:
            deliver = await start_delivery(run, crm.port, delivery)
            try:
                await crm.until(lambda: len(crm.taken) > 0)
                await alerts.goes_out("ResegmentWorkerDown")
                done = [
                    await kill_the_worker(run, alerts),
                    await fill_redis(own_redis, alerts),
                    await lose_a_partition(run, alerts),
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
            tasks.create_task(scenario.send())
            fired = tasks.create_task(harm(scenario))
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
    async with Redis.from_url(server.url) as client:
        used = (await client.info("memory"))["used_memory"]
        await client.config_set("maxmemory", int(used * 1.15))
        await alerts.fires("ResegmentRedisMemory")
        await client.config_set("maxmemory", 0)
    await alerts.goes_out("ResegmentRedisMemory")
    return 1


async def lose_a_partition(run: Scenario, alerts: Alerts) -> int:
    await run.client.delete(PartitionKeys.of(run.prefix, 1).accounts)
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
