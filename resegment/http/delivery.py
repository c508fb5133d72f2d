"""What delivery to webhooks says of itself over HTTP: /healthz, /readyz and /metrics."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from resegment.streams.delivery.service import Deliveries


class Health(BaseModel):
    """How delivery is. An endpoint that fails makes it no less healthy: to start it anew would not mend that."""

    status: Literal["ok"]
    reachable: bool
    endpoints: dict[str, dict[str, Any]]


def health_of(deliveries: Deliveries) -> Health:
    """Look at the endpoints."""
    served = all(outlet.failure is None for outlet in deliveries.outlets.values())
    return Health(status="ok", reachable=deliveries.reachable and served, endpoints=deliveries.describe())


def build(deliveries: Deliveries) -> FastAPI:
    """Make the application."""
    app = FastAPI(title="Resegment webhooks", docs_url=None, redoc_url=None)

    @app.get("/healthz")
    async def healthz() -> Health:
        """Whether the process works, and how each endpoint is."""
        return health_of(deliveries)

    @app.get("/readyz", responses={503: {"model": Health}})
    async def readyz(response: Response) -> Health:
        """Whether Redis answers and every endpoint's commands can be read: 200, or 503."""
        found = health_of(deliveries)
        response.status_code = 200 if found.reachable else 503
        return found

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """All metrics, as Prometheus reads them."""
        return Response(generate_latest(deliveries.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app
