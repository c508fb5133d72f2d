"""The HTTP endpoints of a delivery process: /healthz, /readyz and /metrics."""

from __future__ import annotations

import time
from typing import Any, Final, Literal

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from resegment.http.exposition import expose
from resegment.sinks.health import find_sink_trouble
from resegment.sinks.webhook.health import find_trouble
from resegment.streams.delivery.service import DeliveryService
from resegment.streams.sending.service import SendingService


class Health(BaseModel):
    """The health of delivery. A failing endpoint does not make it unhealthy: a restart would not fix the endpoint."""

    status: Literal["ok"]
    reachable: bool
    endpoints: dict[str, dict[str, Any]]
    sinks: dict[str, dict[str, Any]] = {}
    in_trouble: list[str]


class Readiness(BaseModel):
    """Whether delivery is ready; `status` agrees with the HTTP status."""

    status: Literal["ready", "not-ready"]
    reason: str | None = None


_SHOWN: Final = ("state", "lag", "failing_since", "undelivered")
"""What HTTP tells of an endpoint. Its problem may name hosts and addresses: `resegment webhooks list` shows it."""


def health_of(deliveries: DeliveryService, sinks: SendingService | None = None) -> Health:
    """Return the health of delivery, with the state of each endpoint and sink."""
    served = all(one.failure is None for one in deliveries.consumers.values())
    vendors = {} if sinks is None else sinks.describe()
    if sinks is not None:
        served = served and sinks.served and sinks.reachable
    reports = deliveries.describe()
    endpoints = {name: {key: one[key] for key in _SHOWN if key in one} for name, one in reports.items()}
    now = time.time()
    return Health(
        status="ok",
        reachable=deliveries.reachable and served,
        endpoints=endpoints,
        sinks={name: {key: one[key] for key in _SHOWN if key in one} for name, one in vendors.items()},
        in_trouble=[
            *(
                name
                for name, one in reports.items()
                if one["state"] == "disabled" or find_trouble(one, now) is not None
            ),
            *(name for name, one in vendors.items() if find_sink_trouble(one, now) is not None),
        ],
    )


def readiness_of(health: Health) -> Readiness:
    """Return whether delivery of that health is ready."""
    if health.reachable:
        return Readiness(status="ready")
    return Readiness(
        status="not-ready", reason="Redis does not answer, or commands cannot be read from Kafka"
    )


def build(deliveries: DeliveryService, sinks: SendingService | None = None) -> FastAPI:
    """Return the application."""
    app = FastAPI(title="Resegment webhooks", docs_url=None, redoc_url=None)

    @app.get("/healthz")
    async def healthz() -> Health:
        """Report that the process works, and the state of each endpoint."""
        return health_of(deliveries, sinks)

    @app.get("/readyz", responses={503: {"model": Readiness}})
    async def readyz(response: Response) -> Readiness:
        """Report whether Redis answers and every endpoint's commands can be read: 200 or 503."""
        found = readiness_of(health_of(deliveries, sinks))
        response.status_code = 200 if found.status == "ready" else 503
        return found

    @app.get("/metrics", response_class=Response)
    async def metrics(request: Request) -> Response:
        """Return all metrics in the format of Prometheus, or in OpenMetrics with exemplars if the request prefers it."""
        return expose(deliveries.metrics.registry, request.headers.get("accept"))

    return app
