"""Two workers beside one, each on a core of its own."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import msgspec

from resegment.benchmarks.events import make_events
from resegment.benchmarks.loading import clear, make_prefix, make_signals, publish_all
from resegment.benchmarks.participant import Report
from resegment.benchmarks.run import (
    END,
    PARTITIONS,
    Bench,
    await_ready,
    started,
)
from resegment.identity.resolution import resolve_event
from resegment.schemas.cloudevents.decoding import decode_event
from resegment.schemas.fact import Fact
from resegment.state.redis.keys import PartitionKeys


@dataclass(frozen=True, slots=True)
class Run:
    """So many workers at once."""

    workers: int
    per_second: float
    cpu: float
    """CPU seconds of all workers per million events."""
    peaks: Sequence[float]
    """Of each, millions of bytes."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """Both."""

    one: Run
    two: Run


async def scale(bench: Bench) -> Scaled:
    """Drain the same signals with one worker, then with two. Raises ParticipantFailed."""
    facts = [
        resolve_event(decode_event(event.value))
        for event in make_events(bench.plan.accounts, bench.plan.triggers)
    ]
    return Scaled(await _with(1, bench, facts), await _with(2, bench, facts))


async def _with(workers: int, bench: Bench, facts: list[Fact]) -> Run:
    """Measure workers: they take their partitions, then the signals come, and time counts once all are there."""
    bench.say(f"{workers} at once")
    prefix, servers = f"{bench.prefix}-scale-{workers}", bench.servers
    topics = await make_prefix(servers.bootstrap, bench.redis, prefix, partitions=PARTITIONS, clock="facts")
    share = PARTITIONS // workers
    task = bench.task(prefix, topics.signals.name, None, agents=("segmenter",), share=share)
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    total = len(facts) + PARTITIONS
    try:
        signals = list(make_signals(topics.signals.name, facts, PARTITIONS, END))
        async with AsyncExitStack() as stack:
            tasks = [
                msgspec.structs.replace(task, core=cores[number % len(cores)]) for number in range(workers)
            ]
            both = [await stack.enter_async_context(started("worker", "drain", one)) for one in tasks]
            for one in both:
                await await_ready(one)
            await publish_all(servers.bootstrap, signals)
            begun, begin = await _done(bench, prefix), time.perf_counter()
            while await _done(bench, prefix) < total:  # noqa: ASYNC110  # Redis has no event for it
                await asyncio.sleep(0.02)
            seconds = time.perf_counter() - begin
            reports = []
            for one in both:
                one.terminate()
                out, _ = await one.communicate()
                reports.append(msgspec.json.decode(out.splitlines()[-1], type=Report))
    finally:
        await clear(servers.bootstrap, bench.redis, prefix)
    cpu = sum(one.cpu for one in reports)
    return Run(workers, (total - begun) / seconds, cpu / total * 1e6, [one.peak_mb for one in reports])


async def _done(bench: Bench, prefix: str) -> int:
    pipe = bench.redis.pipeline(transaction=False)
    for number in range(PARTITIONS):
        pipe.hget(PartitionKeys.of(prefix, number).meta, "offset")
    return sum(int(one or 0) for one in await pipe.execute())
