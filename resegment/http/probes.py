"""The probes of a process that has no health of its own beyond running and reaching its servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from resegment.errors import ResegmentError
from resegment.http.exposition import expose


class Probe(BaseModel):
    """What a probe is answered; it agrees with the HTTP status."""

    status: Literal["ok", "ready", "not-ready"]


def add_probes(app: FastAPI, look: Callable[[], Awaitable[object]], registry: CollectorRegistry) -> None:
    """Add /healthz, /readyz and /metrics. `look` asks a server, and raises a ResegmentError if it does not answer."""

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Probe:
        """Report that the process runs."""
        return Probe(status="ok")

    @app.get("/readyz", include_in_schema=False)
    async def readyz(response: Response) -> Probe:
        """Report whether its server answers: 200 or 503."""
        try:
            await look()
        except ResegmentError:
            response.status_code = 503
            return Probe(status="not-ready")
        return Probe(status="ready")

    @app.get("/metrics", include_in_schema=False, response_class=Response)
    async def metrics(request: Request) -> Response:
        """Return all metrics in the format of Prometheus, or in OpenMetrics with exemplars if the request prefers it."""
        return expose(registry, request.headers.get("accept"))
