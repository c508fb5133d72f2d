"""The drill of docs/operations.md: a backup of Redis, and topics from an archive, with `verify` after each."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from resegment.benchmarks.servers.debian import SystemRedis
from resegment.benchmarks.servers.debian import program as redis_program
from tests.faults.conftest import Arena
from tests.faults.scenario import ROOT, Scenario
from tests.integration.conftest import require_redis

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPT = ROOT / "docs" / "operations" / "restore_topics.py"


@pytest_asyncio.fixture(loop_scope="session")
async def own_redis(tmp_path: Path) -> AsyncIterator[SystemRedis]:
    require_redis()
    server = SystemRedis(tmp_path / "own")
    await server.start()
    yield server
    await server.stop()


async def finished(client: Redis, field: str) -> None:
    """Wait until Redis has written a file."""
    async with asyncio.timeout(30):
        while (await client.info("persistence"))[field]:
            await asyncio.sleep(0.05)


async def convert(data: Path) -> None:
    """Have Redis load the snapshot and make an append-only file of it, as the page says."""
    socket = data.parent / "convert.sock"
    program = redis_program()
    assert program is not None
    server = await asyncio.create_subprocess_exec(
        *(program, "--dir", str(data), "--appendonly", "no", "--save", "", "--port", "0"),
        *("--unixsocket", str(socket)),
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(30):
        while not socket.exists():
            await asyncio.sleep(0.02)
    async with Redis(unix_socket_path=str(socket)) as client:
        await client.config_set("appendonly", "yes")
        for field in ("aof_rewrite_scheduled", "aof_rewrite_in_progress"):
            await finished(client, field)
        await client.shutdown(nosave=True)
    await server.wait()


@pytest.mark.faults
async def test_redis_is_restored_from_a_snapshot_and_catches_up(arena: Arena, own_redis: SystemRedis) -> None:
    data = own_redis.folder / "redis"
    kept = data.with_name("backup.rdb")

    async def harm(run: Scenario) -> int:
        await run.reached(300)
        async with Redis.from_url(own_redis.url) as client:
            await client.bgsave()
            await finished(client, "rdb_bgsave_in_progress")
        shutil.copy(data / "dump.rdb", kept)
        await run.reached(600)  # what comes after the backup
        for worker in list(run.live):
            await run.stop(worker)
        await own_redis.kill()
        shutil.rmtree(data)
        data.mkdir(mode=0o700)
        shutil.copy(kept, data / "dump.rdb")
        await convert(data)
        await own_redis.start()
        await run.client.connection_pool.disconnect()  # to the server that was
        assert 0 < await run.done() < 600, "the backup is older, and not empty"
        await run.start()
        await run.drained()
        await run.command("verify")  # it fails where anything differs
        return 1

    await Arena(arena.kafka, own_redis.url, arena.folder).play("Redis restored from a snapshot", harm)


@pytest.mark.faults
async def test_lost_topics_are_restored_from_the_archive(arena: Arena) -> None:
    async def harm(run: Scenario) -> int:
        await run.drained()
        for worker in list(run.live):
            await run.stop(worker)
        path = str(run.folder / "archive")
        await run.command("archive", path, "--once")
        before = await run.records(run.topics.signals.name)
        await run.clear()
        said = await restore(run, path)
        assert "another offset" not in said, said
        after = await run.records(run.topics.signals.name)
        assert sorted(map(told, after)) == sorted(map(told, before))
        await run.start()
        await run.command("verify")  # it fails where anything differs
        assert run.said("is read from its beginning") == 0, "the log counted as a new one"
        return len(after)

    await arena.play("all topics lost, restored from the archive", harm, least=100)


def told(record: Any) -> tuple[int, int, int, bytes, bytes]:
    """Return what a record says of itself; partitions are read in any order."""
    return record.partition, record.offset, record.timestamp, record.key or b"", record.value or b""


async def restore(run: Scenario, path: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", str(SCRIPT), path),
        env=os.environ | {"RESEGMENT_KAFKA": run.kafka},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, output.decode()
    return output.decode()
