"""`resegment demo`, as a newcomer runs it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

DEADLINE = 280.0


async def start(folder: Path, *options: str) -> Process:
    # servers that the environment names are none of the demo's business
    environment = os.environ | {"COLUMNS": "100", "RESEGMENT_KAFKA": "127.0.0.1:1"}
    program = (sys.executable, "-c", "from resegment.cli import main; main()")
    return await asyncio.create_subprocess_exec(
        *program, "demo", "--folder", str(folder), *options, stdout=PIPE, stderr=PIPE, env=environment
    )


def children(pid: int) -> list[str]:
    listing = Path(f"/proc/{pid}/task")
    return [child for task in listing.iterdir() for child in (task / "children").read_text().split()]


def runs(pid: str) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_the_demo_replays_everything_and_agrees_with_a_backtest(tmp_path: Path) -> None:
    process = await start(tmp_path / "demo")
    output, error = (text.decode() for text in await asyncio.wait_for(process.communicate(), DEADLINE))
    assert process.returncode == 0, error
    assert "0 differences in 8,396 changes and 6,268 accounts" in output
    assert "The longest journeys" in output
    assert "first seen" in output
    assert error == ""


async def test_the_figures_of_the_demo_are_there_for_programs(tmp_path: Path) -> None:
    process = await start(tmp_path / "demo", "--json")
    output, error = (text.decode() for text in await asyncio.wait_for(process.communicate(), DEADLINE))
    assert process.returncode == 0, error
    assert "0 differences in 8,396 changes" in error
    found = json.loads(output)
    assert (found["events"], found["accounts"], found["changes"]) == (23_314, 6_268, 8_396)
    assert found["summary"]["accounts"] == 6_268
    assert found["directory"]["companies"] == 5_238
    assert len(found["journeys"]) == 3
    assert sum(one.get("enroll", 0) for one in found["commands"].values()) > 1_000


@pytest.mark.faults
async def test_the_demo_of_real_rounds_agrees_with_a_backtest_too(tmp_path: Path) -> None:
    events = tmp_path / "rounds.jsonl"
    process = await start(tmp_path / "demo", "--data", "crunchbase-2013", "--events", str(events))
    output, error = (text.decode() for text in await asyncio.wait_for(process.communicate(), DEADLINE))
    assert process.returncode == 0, error
    assert "0 differences" in output
    assert "CrunchBase" in output
    assert len(events.read_text().splitlines()) > 50_000


async def test_a_demo_that_is_stopped_leaves_no_server_behind(tmp_path: Path) -> None:
    process = await start(tmp_path / "demo")
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        while "a broker started" not in (await process.stdout.readline()).decode():
            pass
    servers = children(process.pid)
    assert len(servers) == 2
    process.send_signal(signal.SIGINT)
    _, error = await asyncio.wait_for(process.communicate(), DEADLINE)
    assert process.returncode == 130, error.decode()
    assert "Traceback" not in error.decode()
    assert not [pid for pid in servers if runs(pid)]
