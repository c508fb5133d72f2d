"""Runs the benchmark: loads the events, lets each participant drain them, and gathers what that took."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from resegment.benchmarks.checking import Verdict, compare, expect
from resegment.benchmarks.events import BEGIN, SPAN, make_events
from resegment.benchmarks.loading import clear, load_events, load_signals, make_changes, make_prefix
from resegment.benchmarks.participant import Report, Task, cpu_of
from resegment.errors import ResegmentError
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.fact import Fact
from resegment.sources.segments import load_definition

PARTITIONS: Final = 4
SEGMENTS: Final = str(Path(__file__).with_name("segments.yaml"))
END: Final = BEGIN + SPAN
"""Up to here time passes, ms: all participants that know time see each window that has run out by then."""


class ParticipantFailed(ResegmentError):
    """A process of the benchmark ended by itself; `name` is which."""

    def __init__(self, name: str, code: int, wrote: str) -> None:
        super().__init__(
            f"the benchmark's {name} ended with {code}:\n{wrote[-3000:]}",
            remedy="Do Kafka and Redis answer, and is there room?",
        )
        self.name = name


@dataclass(frozen=True, slots=True)
class Servers:
    """Where they are. `kafka_pid`: the broker's process where it runs on this machine, to measure it."""

    bootstrap: str
    redis_url: str
    kafka_pid: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done."""

    accounts: int
    triggers: int
    stock_events: int = 10_000
    core: int | None = None
    repeat: int = 1
    check: bool = True
    by_hand: bool = True
    flame: Path | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """What one participant took: CPU seconds per million events, of each process apart."""

    name: str
    events: int
    per_second: float
    worker: float
    redis: float
    kafka: float | None
    peak_mb: float
    verdict: Verdict | None = None
    bytes_per_account: float | None = None


@dataclass(slots=True)
class Results:
    """All of it, with what the machine did meanwhile."""

    accounts: int
    events: int
    rows: list[Figures] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    load: float = 0.0
    """The machine's average load over the last minute, at the end."""


@dataclass(slots=True)
class Bench:
    """One run of it on given servers; `say` is told what is going on."""

    servers: Servers
    plan: Plan
    redis: Redis
    say: Callable[[str], None]
    prefix: str = field(default_factory=lambda: f"bench-{uuid.uuid4().hex[:6]}")

    async def run(self) -> Results:
        """Do everything in the plan. Raises ParticipantFailed, and what the servers' clients raise."""
        plan = self.plan
        total = plan.accounts + plan.triggers
        results = Results(plan.accounts, total)
        self.say(f"making {total:,} events")
        events = list(make_events(plan.accounts, plan.triggers))
        facts = [resolve_event(decode_event(event.value)) for event in events]
        definition = load_definition(SEGMENTS)
        expected = expect(definition, facts, END) if plan.check else None
        try:
            self.say("loading them")
            source = f"{self.prefix}-whole"
            whole = await make_prefix(
                self.servers.bootstrap,
                self.redis,
                source,
                partitions=PARTITIONS,
                clock="facts",
            )
            await load_events(self.servers.bootstrap, whole.replay.name, events, PARTITIONS, END)
            del events
            for turn in range(plan.repeat):
                if plan.by_hand:
                    await self._by_hand(turn, whole.replay.name, total, results)
                results.rows.append(await self.drain_signals(turn, facts, expected))
            task = self.task(source, whole.replay.name, total + PARTITIONS, agents=("intake", "segmenter"))
            figures = await self.drain("whole pipeline", "drain", task)
            if expected is not None:
                verdict = await compare(self.servers.bootstrap, self.redis, whole, PARTITIONS, expected)
                figures = replace(figures, verdict=verdict)
            results.rows.append(figures)
            if plan.stock_events:
                task = self.task(f"{self.prefix}-stock", whole.replay.name, min(plan.stock_events, total))
                results.rows.append(await self.drain("stock faust", "peers.stock", task))
        finally:
            self.say("clearing")
            await clear(self.servers.bootstrap, self.redis, self.prefix)
        results.load = os.getloadavg()[0]
        return results

    def has_hand(self) -> bool:
        """Whether the client of the job by hand is installed."""
        return find_spec("confluent_kafka") is not None

    async def _by_hand(self, turn: int, source: str, events: int, results: Results) -> None:
        if not self.has_hand():
            results.skipped.append("by hand: needs confluent-kafka, `pip install resegment[bench]`")
            return
        task = self.task(f"{self.prefix}-hand-{turn}", source, events)
        results.rows.append(await self.drain("by hand", "peers.byhand", task))

    async def drain_signals(self, turn: int, facts: list[Fact], expected: Any) -> Figures:
        """Let a worker's segmenter drain signals, and compare what comes out."""
        prefix = f"{self.prefix}-segmenter-{turn}"
        topics = await make_prefix(
            self.servers.bootstrap,
            self.redis,
            prefix,
            partitions=PARTITIONS,
            clock="facts",
        )
        await load_signals(self.servers.bootstrap, topics.signals.name, facts, PARTITIONS, END)
        task = self.task(prefix, topics.signals.name, len(facts) + PARTITIONS, agents=("segmenter",))
        figures = await self.drain("segmenter", "drain", task)
        verdict = None
        if expected is not None:
            verdict = await compare(self.servers.bootstrap, self.redis, topics, PARTITIONS, expected)
        return replace(figures, verdict=verdict, bytes_per_account=await self._bytes(prefix))

    async def _bytes(self, prefix: str) -> float | None:
        """Return the bytes of an account in Redis, including its entry in the order of deadlines."""
        used = accounts = 0
        async for key in self.redis.scan_iter(match=f"rs:{{{prefix}.*", count=10_000):
            used += int(await self.redis.memory_usage(key, samples=0) or 0)
            if key.endswith(b":accounts"):
                size: Any = self.redis.hlen(key)
                accounts += int(await size)
        return used / accounts if accounts else None

    def task(self, prefix: str, source: str, events: int | None, **more: Any) -> Task:
        """Return a task on these servers, with the benchmark's segments."""
        return Task(
            bootstrap=self.servers.bootstrap,
            redis_url=self.servers.redis_url,
            prefix=prefix,
            source=source,
            events=events,
            partitions=PARTITIONS,
            core=self.plan.core,
            segments=SEGMENTS,
            **more,
        )

    async def drain(
        self, name: str, module: str, task: Task, *, program: tuple[str, ...] | None = None
    ) -> Figures:
        """Let a participant do its task, in a process of its own; `program` starts it if it is none of our modules."""
        if module != "drain":
            await make_changes(self.servers.bootstrap, task.prefix)
        self.say(f"{name} drains")
        flame = self.plan.flame if module == "drain" else None
        before = await self._used()
        report = await take_part(name, module, task, flame, program=program)
        after = await self._used()
        redis, kafka = (
            None if now is None or then is None else now - then
            for then, now in zip(before, after, strict=True)
        )
        million = report.events / 1e6
        return Figures(
            name=name,
            events=report.events,
            per_second=report.events / report.seconds,
            worker=report.cpu / million,
            redis=(redis or 0.0) / million,
            kafka=None if kafka is None else kafka / million,
            peak_mb=report.peak_mb,
        )

    async def _used(self) -> tuple[float | None, float | None]:
        info = await self.redis.info("cpu")
        redis = float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
        kafka = None if self.servers.kafka_pid is None else cpu_of(self.servers.kafka_pid)
        return redis, kafka


@contextlib.asynccontextmanager
async def started(
    name: str, module: str, task: Task, flame: Path | None = None, *, program: tuple[str, ...] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a participant as its own process; kill it at the end of the block if it still runs."""
    start = program or (sys.executable, "-m", f"resegment.benchmarks.{module}")
    own = (*start, msgspec.json.encode(task).decode())
    environment: Mapping[str, str] = os.environ
    sampler = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if flame is not None and sampler is not None:
        place = flame.with_name(f"{flame.stem}-{name.replace(' ', '-')}.svg")
        own = (sampler, "record", "--rate", "250", "--output", str(place), "--", *own)
    elif flame is not None:
        place = flame.with_name(f"{flame.stem}-{name.replace(' ', '-')}.pstats")
        environment = {**os.environ, "RESEGMENT_BENCH_PROFILE": str(place)}
    process = await asyncio.create_subprocess_exec(
        *own, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def await_ready(process: asyncio.subprocess.Process) -> None:
    """Wait until a started worker has its partitions. Raises ParticipantFailed."""
    assert process.stdout is not None
    assert process.stderr is not None
    if not await process.stdout.readline():
        raise ParticipantFailed("worker", 1, (await process.stderr.read()).decode())


async def take_part(
    name: str, module: str, task: Task, flame: Path | None = None, *, program: tuple[str, ...] | None = None
) -> Report:
    """Let a participant do its task to the end. Raises ParticipantFailed."""
    async with started(name, module, task, flame, program=program) as process:
        out, error = await process.communicate()
    for line in out.splitlines():
        if line.startswith(b"{"):
            return msgspec.json.decode(line, type=Report)
    raise ParticipantFailed(name, process.returncode or 0, error.decode(errors="replace"))
