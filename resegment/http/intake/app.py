"""The routes of the HTTP intake, and what they say of themselves in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi import Path as InPath
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from resegment.http.exposition import expose
from resegment.http.intake.bodies import Rejected
from resegment.http.intake.describing import EVENTS_BODY, SECURITY, WEBHOOK_BODY, describe_events
from resegment.http.intake.service import RETRY_AFTER, Intake, Outcome

_ALLOWED: Final = {"webhook-allowed-origin": "*", "allow": "POST, OPTIONS"}


class Item(BaseModel):
    """An event that was refused: its place in the request, and why."""

    index: int
    reason: str
    message: str
    field: str | None = None


class Taken(BaseModel):
    """How many events Kafka has, and those that were refused. `kept` are the dead letters that have the latter."""

    accepted: int
    refused: list[Item] = []
    kept: list[str] = []


class Problem(BaseModel):
    """Why a request was not taken. None of its events is in Kafka."""

    error: str


class Status(BaseModel):
    """Whether the process runs, or is ready."""

    status: str


_WAIT: Final = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}}
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Taken | Problem, "description": "Nothing could be read"},
    401: {"model": Problem, "description": "No key, or a wrong key or signature"},
    403: {"model": Problem, "description": "A key for other sources"},
    408: {"model": Problem, "description": "The body did not arrive in time"},
    413: {"model": Problem, "description": "Too many bytes or events"},
    415: {"model": Problem, "description": "Another content type"},
    429: {"model": Problem, "description": "Too many requests", "headers": _WAIT},
    503: {"model": Problem, "description": "Kafka did not acknowledge", "headers": _WAIT},
}


def add_routes(app: FastAPI, intake: Intake) -> None:
    """Add the routes of the intake to an application."""
    router = APIRouter()

    @app.exception_handler(Rejected)
    async def reject(_: Request, error: Rejected) -> Response:
        headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
        if error.status == 401:
            headers["www-authenticate"] = "Bearer"
        if error.status in (408, 413):
            headers["connection"] = "close"  # the rest of the body is not read
        return JSONResponse({"error": error.message}, error.status, headers)

    @router.post(
        "/events", status_code=202, response_model=Taken, responses=_PROBLEMS, openapi_extra=EVENTS_BODY
    )
    async def events(request: Request) -> Response:
        """Take events: one or a batch of CloudEvents, or JSON lines. The answer comes once Kafka has them."""
        outcome = await intake.take_events(request)
        return _answer(202 if outcome.accepted else 400, outcome)

    @router.post(
        "/sources/{name}",
        status_code=202,
        response_model=Taken,
        responses={**_PROBLEMS, 404: {"model": Problem, "description": "No such source"}},
        openapi_extra=WEBHOOK_BODY,
    )
    async def sources(request: Request, name: Annotated[str, InPath(max_length=100)]) -> Response:
        """Take a webhook of a provider. What cannot be read is kept in the dead letters, so that it need not be sent again."""
        outcome = await intake.take_webhook(request, name)
        return _answer(202, outcome)

    @router.options("/events", include_in_schema=False)
    @router.options("/sources/{name}", include_in_schema=False)
    async def handshake(request: Request) -> Response:
        """Answer the handshake of CloudEvents' webhooks: every origin may send that has a key."""
        rate = request.headers.get("webhook-request-rate")
        return Response(
            status_code=200, headers=_ALLOWED | ({} if rate is None else {"webhook-allowed-rate": "*"})
        )

    app.include_router(router)
    describe_events(app, SECURITY)


def build(intake: Intake) -> FastAPI:
    """Return the application of the intake's own process."""
    app = FastAPI(title="Resegment intake", redoc_url=None)
    add_routes(app, intake)

    @app.get("/healthz")
    async def healthz() -> Status:
        """Report that the process runs."""
        return Status(status="ok")

    @app.get("/readyz", response_model=Status, responses={503: {"model": Problem, "headers": _WAIT}})
    async def readyz() -> Response:
        """Report whether Kafka acknowledged last: 200, or 503."""
        if intake.reachable:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"error": "Kafka does not answer"}, 503, {"retry-after": str(RETRY_AFTER)})

    @app.get("/metrics", response_class=Response, include_in_schema=False)
    async def metrics(request: Request) -> Response:
        """Return all metrics in the format of Prometheus, or in OpenMetrics with exemplars if the request prefers it."""
        return expose(intake.metrics.registry, request.headers.get("accept"))

    return app


def _answer(status: int, outcome: Outcome) -> Response:
    refused = [
        {"index": index, "reason": error.reason, "message": error.message}
        | ({} if error.field is None else {"field": error.field})
        for index, error in outcome.refused
    ]
    kept = {"kept": outcome.kept} if outcome.kept else {}
    return JSONResponse({"accepted": outcome.accepted, "refused": refused, **kept}, status)
