"""The HTTP endpoints of a worker: /healthz, /readyz and /metrics, in the worker's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Literal

import uvicorn
from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from resegment.errors import ResegmentError
from resegment.http.exposition import expose
from resegment.http.heads import HeadAsGet
from resegment.http.hosts import AllowedHosts, HostCheck
from resegment.streams.shutdown import Stopping
from resegment.streams.worker.worker import Worker

STALLED_AFTER = 30.0
"""Seconds with lag and without progress after which a worker reports that it is stalled."""


class AddressTaken(ResegmentError):
    """The address of the HTTP server is not free."""

    def __init__(self, host: str, port: int, cause: OSError) -> None:
        super().__init__(
            f"cannot serve HTTP at {host}:{port}: {cause.strerror or cause}",
            remedy="Choose another port with --http-port; 0 picks a free one.",
        )
        self.host = host
        self.port = port
        self.cause = cause


class Health(BaseModel):
    """The health of a worker; `lag` counts the records of its partitions that it has not processed yet.

    A worker whose servers are away is healthy but not ready: it continues by itself when they are back.
    """

    status: Literal["ok", "stalled", "differs", "ended"]
    partitions: list[int]
    lag: int
    reachable: bool
    reason: str | None = None


class Readiness(BaseModel):
    """Whether a worker is ready; `status` agrees with the HTTP status."""

    status: Literal["ready", "not-ready"]
    partitions: list[int]
    lag: int
    reachable: bool
    reason: str | None = None


def health_of(worker: Worker) -> Health:
    """Return the health of the worker."""
    failure = worker.failure
    stalled = worker.stalled_for
    status: Literal["ok", "stalled", "differs", "ended"] = "ok"
    reason = None
    if failure is not None:
        # the error's own text may name hosts and paths: it is in the log
        status, reason = "ended", f"the worker ended with {type(failure).__name__}; its log says why"
    elif stalled >= min(STALLED_AFTER, worker.settings.stalled_after):
        status, reason = "stalled", f"there is lag, and no progress for {stalled:.0f} s"
    elif worker.differing:
        status = "differs"
        reason = f"of {len(worker.differing):,} accounts, Redis and the log differ: see `resegment status`"
    elif not worker.reachable:
        reason = "Kafka or Redis does not answer; the worker waits for them"
    elif worker.waiting:
        numbers = ", ".join(map(str, worker.waiting))
        reason = f"Redis has lost the state of these partitions, which wait for a rebuild: {numbers}"
    return Health(
        status=status,
        partitions=worker.partitions,
        lag=worker.lag,
        reachable=worker.reachable,
        reason=reason,
    )


def readiness_of(health: Health) -> Readiness:
    """Return whether a worker of that health is ready: it has partitions, reaches its servers and keeps up."""
    reason = health.reason
    if reason is None and not health.partitions:
        reason = "the worker has no partitions yet"
    return Readiness(
        status="ready" if reason is None else "not-ready",
        partitions=health.partitions,
        lag=health.lag,
        reachable=health.reachable,
        reason=reason,
    )


def build(health: Callable[[], Health], registry: CollectorRegistry, *, docs: bool = False) -> FastAPI:
    """Return the application, which reports `health` and the metrics of `registry`. `docs` shows its OpenAPI document."""
    app = FastAPI(title="Resegment", docs_url="/docs" if docs else None, redoc_url=None)

    @app.get("/healthz", responses={503: {"model": Health}})
    async def healthz(response: Response) -> Health:
        """Report whether the worker works: 200, or 503 with the reason."""
        found = health()
        response.status_code = 200 if found.status == "ok" else 503
        return found

    @app.get("/readyz", responses={503: {"model": Readiness}})
    async def readyz(response: Response) -> Readiness:
        """Report whether the worker has partitions, reaches its servers and keeps up: 200, or 503 with the reason."""
        found = readiness_of(health())
        response.status_code = 200 if found.status == "ready" else 503
        return found

    @app.get("/metrics", response_class=Response)
    async def metrics(request: Request) -> Response:
        """Return all metrics in the format of Prometheus, or in OpenMetrics with exemplars if the request prefers it."""
        return expose(registry, request.headers.get("accept"))

    return app


@contextlib.asynccontextmanager
async def serving(
    app: FastAPI, host: str, port: int, *, names: Iterable[str] = (), stopping: Stopping | None = None
) -> AsyncIterator[str]:
    """Serve the application while the block runs; yield its URL. Port 0 picks a free one. Raises AddressTaken.

    HEAD is answered as GET. `names` are hosts under which it may be asked, besides those that `AllowedHosts` allows. Stopping the server is a step
    of `stopping`.
    """
    with _listen(host, port) as listener:
        server = _Server(
            uvicorn.Config(
                HostCheck(HeadAsGet(app), AllowedHosts(host, names)),
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=1,
            )
        )
        task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
        try:
            shown = f"[{host}]" if ":" in host else host
            yield f"http://{shown}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await (stopping or Stopping()).step("HTTP", 1.5, lambda: task)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the owner of the loop."""
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise AddressTaken(host, port, error) from error
