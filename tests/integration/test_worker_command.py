"""`resegment worker` as an orchestrator runs it: against servers that run elsewhere."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from resegment.embedded.servers import Embedded, embedded
from resegment.settings import Settings
from resegment.sources.segments import load_definition
from resegment.streams.kafka import admin
from resegment.streams.kafka.admin import TopicsUnavailable
from resegment.streams.kafka.topics import Topics
from resegment.streams.worker.worker import Worker

DEADLINE = 120.0
QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart.yaml"


async def start(servers: Embedded, **variables: str) -> Process:
    program = (sys.executable, "-c", "from resegment.cli import main; main()")
    addresses = {"RESEGMENT_KAFKA": servers.bootstrap, "RESEGMENT_REDIS": servers.redis_url}
    return await asyncio.create_subprocess_exec(
        *(*program, "worker", "--segments", str(QUICKSTART), "--http-port", "0"),
        stdout=PIPE,
        stderr=PIPE,
        env=os.environ | addresses | variables,
    )


async def served_at(process: Process) -> str:
    assert process.stderr is not None
    async with asyncio.timeout(DEADLINE):
        while "http://" not in (line := (await process.stderr.readline()).decode()):
            assert line, "it ended before it was served"
    return "http://" + line.partition("http://")[2].partition("/")[0]


async def test_a_worker_is_healthy_and_sigterm_stops_it_cleanly(tmp_path: Path) -> None:
    async with embedded(tmp_path) as servers:
        process = await start(servers)
        async with httpx.AsyncClient(base_url=await served_at(process)) as http:
            async with asyncio.timeout(DEADLINE):
                while len((await http.get("/healthz")).json()["partitions"]) < 8:
                    pass
            assert "resegment_partitions_owned" in (await http.get("/metrics")).text
        process.send_signal(signal.SIGTERM)
        _, error = await asyncio.wait_for(process.communicate(), DEADLINE)
        assert process.returncode == 0, error.decode()
        assert "did not stop within" not in error.decode()


async def test_a_worker_makes_topics_that_keep_records_as_long_as_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, timedelta] = {}

    def create(bootstrap: str, _: Topics, *, retention: dict[str, timedelta], **__: Any) -> None:
        kept.update(retention)
        raise TopicsUnavailable(bootstrap, OSError("that is all"))

    monkeypatch.setattr(admin, "create_topics", create)
    async with embedded(tmp_path) as servers:
        worker = Worker(
            Settings(prefix="kept", retention=timedelta(days=30)),
            load_definition(str(QUICKSTART)),
            bootstrap=servers.bootstrap,
            redis_url=servers.redis_url,
        )
        with pytest.raises(TopicsUnavailable):
            async with worker.running():
                pass
    forever = {
        *("kept.signals", "kept.workflow-commands", "kept.touches"),
        *("kept.definitions", "kept.audit-log", "kept.identities"),
    }
    assert set(kept) == {one.name for one in Topics("kept")} - forever
    assert set(kept.values()) == {timedelta(days=30)}


async def test_a_worker_with_other_partitions_than_its_prefix_is_refused(tmp_path: Path) -> None:
    async with embedded(tmp_path) as servers:
        process = await start(servers)
        await served_at(process)
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), DEADLINE)
        process = await start(servers, RESEGMENT_PARTITIONS="4")
        _, error = await asyncio.wait_for(process.communicate(), DEADLINE)
        assert process.returncode == 1
        assert "this prefix has partitions 8, not 4" in error.decode()
        assert "Traceback" not in error.decode()
