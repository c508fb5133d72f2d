"""Real servers for faults, and the table of what they came to."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from resegment.benchmarks.servers import apache, debian
from tests.faults.scenario import WORKER, Figures, Scenario
from tests.integration.conftest import require_apache

HEADS = ["lost", "wrong state", "missing", "unexpected", "doubled", "gaps", "outbox", "lag"]
SEED = int(os.environ.get("FAULTS_SEED", "1"))


@dataclass
class Row:
    """One line of the table."""

    fault: str
    least: int
    fired: int = 0
    runs: int = 0
    seconds: float = 0.0
    figures: Figures = field(default_factory=Figures)
    remark: str = ""


class Table:
    """Rows in the order in which they were asked for."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def row(self, fault: str, *, least: int) -> Row:
        return self.rows.setdefault(fault, Row(fault, least))

    def lines(self) -> list[str]:
        heads = ["fault", "runs", "fired", *HEADS, "s", "remark"]
        lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
        for row in self.rows.values():
            cells = [row.fault, row.runs, row.fired, *row.figures.counts, round(row.seconds), row.remark]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
        return lines


TABLE = Table()
DETAILS: list[str] = []
"""Lines that belong under the table."""


class Arena:
    """Where scenarios are run: servers, a folder, and the table."""

    def __init__(self, kafka: str, redis: str, folder: Path) -> None:
        self.kafka, self.redis, self.folder = kafka, redis, folder

    async def play(
        self,
        fault: str,
        during: Callable[[Scenario], Coroutine[Any, Any, int]],
        *,
        least: int = 1,
        oracle: str = "backtest",
        one_in: int = 20,
        send: Callable[[Scenario], Coroutine[Any, Any, None]] | None = None,
        first: str = "",
        worker: Sequence[str] = WORKER,
        tree: Path | None = None,
        **settings: object,
    ) -> Row:
        """Send everything while `during` does its harm and returns how often; then judge."""
        row = TABLE.row(fault, least=least)
        began = time.monotonic()
        scenario = Scenario(
            self.kafka, self.redis, self.folder, settings, one_in=one_in, worker=worker, tree=tree
        )
        try:
            await scenario.start(first)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(send(scenario) if send else scenario.send())
                harm = tasks.create_task(during(scenario))
            await scenario.drained()
            await scenario.finish()
            figures = await scenario.judge(oracle=oracle)
        finally:
            for one in scenario.live:
                one.kill()
                await one.wait()
            await scenario.client.aclose()
            await scenario.clear()
        row.runs += 1
        row.fired += harm.result()
        row.seconds += time.monotonic() - began
        row.figures.add(figures)
        assert harm.result() >= least, f"{fault}: fired {harm.result()} times, not {least}"
        assert not any(figures.counts), (
            f"{fault}: {dict(zip(HEADS, figures.counts, strict=True))}\n" + "\n".join(figures.examples)
        )
        return row


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[apache.Kafka]:
    require_apache()
    async with apache.cluster(tmp_path_factory.mktemp("kafka")) as (kafka,):
        yield kafka


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def redis(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[debian.SystemRedis]:
    server = debian.SystemRedis(tmp_path_factory.mktemp("redis"))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def arena(broker: apache.Kafka, redis: debian.SystemRedis, tmp_path: Path) -> Arena:
    return Arena(broker.bootstrap, redis.url, tmp_path)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.full)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if TABLE.rows:
        lines = [*TABLE.lines(), "", *DETAILS]
        terminalreporter.section(f"faults, seed {SEED}")
        for line in lines:
            terminalreporter.line(line)
        if place := os.environ.get("FAULTS_TABLE"):
            Path(place).write_text("\n".join(lines) + "\n")
