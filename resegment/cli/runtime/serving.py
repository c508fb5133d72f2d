"""Run a worker and its HTTP server until a stop or a failure: shared by `up` and `worker`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

from fastapi import FastAPI

from resegment.cli.runtime.signals import Stop, ending, first_of
from resegment.cli.runtime.stack import Stack
from resegment.errors import ResegmentError
from resegment.http.server import build, health_of, serving
from resegment.redaction import tell_error
from resegment.segmentation.definition import Definition
from resegment.settings import Settings
from resegment.streams.shutdown import Stopping
from resegment.streams.worker.worker import Worker

T = TypeVar("T")

JOIN_PATIENCE = 90.0
"""Seconds that a single worker may need to get all partitions."""


class WorkerEnded(ResegmentError):
    """The worker stopped because of an error; `cause` is the error."""

    def __init__(self, cause: BaseException) -> None:
        known = isinstance(cause, ResegmentError)
        what = cause.message if isinstance(cause, ResegmentError) else tell_error(cause)
        remedy = cause.remedy if isinstance(cause, ResegmentError) else None
        super().__init__(
            f"the worker stopped: {what}",
            remedy=remedy or ("Start it again." if known else "See the log above, then start it again."),
        )
        self.cause = cause


class NotJoined(ResegmentError):
    """The broker did not give the worker all partitions in time."""

    def __init__(self, taken: int, wanted: int) -> None:
        super().__init__(
            f"the worker got only {taken} of {wanted} partitions within {JOIN_PATIENCE:.0f} s",
            remedy="The machine may be too busy: try again. The log above may have details.",
        )
        self.taken = taken
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class Serving:
    """A running worker, its servers and the URL of its HTTP server."""

    worker: Worker
    servers: Stack
    http_url: str

    async def joined(self) -> None:
        """Wait until the worker has every partition. Raises as `during`, and NotJoined."""
        try:
            await self.during(asyncio.wait_for(self._all_taken(), JOIN_PATIENCE))
        except TimeoutError:
            raise NotJoined(len(self.worker.owned), self.worker.settings.partitions) from None

    async def until_stopped(self, stop: Stop) -> None:
        """Wait for a stop. Raises as `during`."""
        await self.during(stop.asked.wait())

    async def during(self, work: Awaitable[T]) -> T:
        """Do the work unless the worker or an embedded server ends first. Raises WorkerEnded or ServerDied then."""
        worker, failed = self.worker, self.servers.failed
        task = asyncio.ensure_future(work)
        with ending():
            await first_of(task, worker.ended(), asyncio.shield(failed))
            if failed.done():
                raise failed.result()
            if worker.failure is not None:
                raise WorkerEnded(worker.failure) from worker.failure
            return task.result()

    async def _all_taken(self) -> None:
        worker = self.worker
        wanted = worker.settings.partitions
        while sum(one.fence is not None for one in worker.owned) < wanted:  # noqa: ASYNC110  # no event says so
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(
    settings: Settings,
    definition: Definition | None,
    servers: Stack,
    *,
    stopping: Stopping | None = None,
    extend: Callable[[FastAPI, Worker], None] | None = None,
) -> AsyncIterator[Serving]:
    """Run a worker with its HTTP server; stop both cleanly at the end of the block, by one deadline.

    `extend` may add routes to the server.
    """
    stopping = stopping or Stopping()
    worker = Worker(
        settings,
        definition,
        bootstrap=servers.bootstrap,
        redis_url=servers.redis_url,
        stopping=stopping,
    )
    app = build(lambda: health_of(worker), worker.metrics.registry, docs=extend is not None)
    if extend is not None:
        extend(app, worker)
    http = serving(app, settings.http_host, settings.http_port, names=settings.http_names, stopping=stopping)
    async with http as url, worker.running(), _archiving(worker, settings, servers):
        yield Serving(worker, servers, url)


def _archiving(worker: Worker, settings: Settings, servers: Stack) -> AbstractAsyncContextManager[None]:
    if settings.archive is None:
        return nullcontext()
    from resegment.cli.archiving import archiving  # noqa: PLC0415  # few processes archive

    return archiving(
        settings,
        settings.archive,
        bootstrap=servers.bootstrap,
        redis_url=servers.redis_url,
        metrics=worker.metrics,
    )
