"""The HTTP endpoints of a delivery process: /healthz, /readyz and /metrics."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from resegment.streams.delivery.service import Deliveries


class Health(BaseModel):
    """The health of delivery. A failing endpoint does not make it unhealthy: a restart would not fix the endpoint."""

    status: Literal["ok"]
    reachable: bool
    endpoints: dict[str, dict[str, Any]]


def health_of(deliveries: Deliveries) -> Health:
    """Return the health of delivery, with the state of each endpoint."""
    served = all(outlet.failure is None for outlet in deliveries.outlets.values())
    return Health(status="ok", reachable=deliveries.reachable and served, endpoints=deliveries.describe())


def build(deliveries: Deliveries) -> FastAPI:
    """Return the application."""
    app = FastAPI(title="Resegment webhooks", docs_url=None, redoc_url=None)

    @app.get("/healthz")
    async def healthz() -> Health:
        """Report that the process works, and the state of each endpoint."""
        return health_of(deliveries)

    @app.get("/readyz", responses={503: {"model": Health}})
    async def readyz(response: Response) -> Health:
        """Report whether Redis answers and every endpoint's commands can be read: 200 or 503."""
        found = health_of(deliveries)
        response.status_code = 200 if found.reachable else 503
        return found

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Return all metrics in the format of Prometheus."""
        return Response(generate_latest(deliveries.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app
