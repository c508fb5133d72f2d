"""The job by a worker: takes its partitions, works until all is done and published, and tells what that took."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from resegment.benchmarks.participant import Report, Stopwatch, Task, read_task, say_ready, tell
from resegment.settings import Settings
from resegment.sources.segments import load_definition
from resegment.streams.runtime import loop_factory, settle
from resegment.streams.worker.worker import Worker

_LOOK = 0.01


async def run(task: Task) -> Report:
    """Do all events; `task.events` counts the records of `signals`, ticks included."""
    settings = Settings(
        kafka=task.bootstrap,
        redis=task.redis_url,
        prefix=task.prefix,
        partitions=task.partitions,
        route="all",
        clock="facts" if task.clock == "facts" else "wall",
    )
    worker = Worker(
        settings,
        load_definition(task.segments),
        bootstrap=task.bootstrap,
        redis_url=task.redis_url,
        agents=task.agents,
    )
    async with worker.running():
        ended = asyncio.create_task(worker.ended())
        settle()
        await _until(lambda: _owned(worker) == (task.share or task.partitions), ended)
        watch, begun = Stopwatch(), _done(worker)
        say_ready()
        if task.events is None:
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, stop.set)
            await asyncio.wait([ended, loop.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
        else:
            wanted = task.events
            await _until(lambda: _done(worker) >= wanted and _idle(worker), ended)
        return watch.report(_done(worker) - begun)


async def _until(condition: Callable[[], bool], ended: asyncio.Task[BaseException]) -> None:
    while not condition():
        if ended.done():
            raise ended.result()
        await asyncio.sleep(_LOOK)


def _owned(worker: Worker) -> int:
    return sum(one.fence is not None for one in worker.owned)


def _done(worker: Worker) -> int:
    return sum(one.position.offset for one in worker.owned)


def _idle(worker: Worker) -> bool:
    return all(one.is_idle for one in worker.owned)


def main() -> None:
    """Run it, under cProfile where RESEGMENT_BENCH_PROFILE names a file for its figures."""
    task = read_task()
    place = os.environ.get("RESEGMENT_BENCH_PROFILE")
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        if place is None:
            report = runner.run(run(task))
        else:
            import cProfile  # noqa: PLC0415  # seldom wanted

            with cProfile.Profile() as profile:
                report = runner.run(run(task))
            profile.dump_stats(place)
    tell(report)


if __name__ == "__main__":
    main()
