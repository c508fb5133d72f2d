"""The application of the console: its pages, its static files, and its errors as pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from resegment.console.dates import reading_in
from resegment.errors import ResegmentError, TransientError, UserError
from resegment.http.access.entrance import Entrance
from resegment.http.access.guard import Guard
from resegment.http.access.login import build_login
from resegment.http.access.users import MayNotAct
from resegment.http.console.access import current_user
from resegment.http.console.commands import linking_by
from resegment.http.console.forms import WrongForm
from resegment.http.console.pages import (
    accounts,
    applying,
    audit,
    changes,
    dead_letters,
    outcomes,
    overview,
    segments,
    shadow,
    sources,
    versions,
    workflows,
)
from resegment.http.console.pages.operations import delivery, pipeline
from resegment.http.console.pages.segments import NoSuchSegment
from resegment.http.console.prefix import ConsolePrefix
from resegment.http.console.rendering import STATIC, Theme
from resegment.http.console.table import TableRequest
from resegment.http.console.times import NoInstant, NoZone
from resegment.http.console.viewing import Console, Viewing
from resegment.http.operations.endpoints import NoSuchEndpoint
from resegment.http.operations.letters import NoSuchLetter, NotEditable, RetryUnderWay
from resegment.http.operations.operations import Operations
from resegment.http.operations.owners import NoSuchMember
from resegment.http.operations.versions import Busy, NoSuchPlan
from resegment.localization import US, Locale
from resegment.segmentation.planning.refusals import (
    BaseDiffers,
    HashDiffers,
    InForce,
    NeverInForce,
    NothingBefore,
    PlanStale,
    PlanUsed,
)
from resegment.streams.audit.trail import NotRecorded, OnlyLooks
from resegment.streams.definitions.history import NoSuchVersion
from resegment.streams.live.account import UnknownAccount
from resegment.streams.operations.shadow import NoShadow

PATH: Final = "/console"
"""Where the console is on its server."""

PAGES: Final[tuple[APIRouter, ...]] = (
    overview.router,
    segments.router,
    accounts.router,
    changes.router,
    applying.router,
    versions.router,
    shadow.router,
    outcomes.router,
    pipeline.router,
    sources.router,
    dead_letters.router,
    workflows.router,
    delivery.router,
    audit.router,
)
"""The routes of each page. To add a page: its module, its routes here, and its entry in `navigation`."""


REFUSALS: Final = (BaseDiffers, InForce, NeverInForce, NothingBefore, PlanStale, PlanUsed)
"""Why a plan or a rollback is not carried out: the prefix is not as it was thought to be."""
STATUSES: Final[tuple[tuple[type[ResegmentError], int], ...]] = (
    (MayNotAct, 403),
    (OnlyLooks, 403),
    (WrongForm, 400),
    (NoInstant, 400),
    (NoZone, 400),
    (NotEditable, 400),
    (RetryUnderWay, 409),
    (Busy, 409),
    (HashDiffers, 409),
    *((kind, 409) for kind in REFUSALS),
    (NotRecorded, 503),
    (UserError, 404),
    (TransientError, 503),
)
"""The status of an error's page, by the first kind that it is of; 500 for others."""


LEADS: Final[tuple[tuple[type[ResegmentError], str, str], ...]] = (
    (NoSuchSegment, "/segments", "All segments"),
    (NoSuchVersion, "/versions", "All versions"),
    (NoSuchPlan, "/versions", "Versions"),
    *((kind, "/versions", "Versions") for kind in (HashDiffers, Busy, *REFUSALS)),
    (NoSuchLetter, "/dead-letters", "All dead letters"),
    (NotEditable, "/dead-letters", "All dead letters"),
    (RetryUnderWay, "/dead-letters", "All dead letters"),
    (NoSuchMember, "/workflows", "Workflows and owners"),
    (NoSuchEndpoint, "/delivery", "Webhooks and sinks"),
    (NoShadow, "/versions", "All versions"),
)
"""Where an error's page leads: a path of the console for each kind, and what the link says."""


def build_console(
    prefix: ConsolePrefix, operations: Operations | None = None, *, locale: Locale = US
) -> FastAPI:
    """Return the console of a prefix, to be mounted at `PATH`. `locale` says how dates are written, in which time zone."""
    app = FastAPI(title="Resegment console", docs_url=None, redoc_url=None)
    app.state.console = Console(prefix, Theme(locale), operations)
    for router in PAGES:
        app.include_router(router)
    app.mount("/static", _Immutable(StaticFiles(directory=STATIC)), name="static")
    app.add_exception_handler(ResegmentError, _show_error)
    app.add_exception_handler(HTTPException, _show_status)
    return app


def mount_console(
    app: FastAPI,
    prefix: ConsolePrefix,
    entrance: Entrance,
    operations: Operations | None = None,
    *,
    locale: Locale = US,
) -> None:
    """Add the console to an application, at `PATH`, behind its guard; the address of the server leads there."""
    console = build_console(prefix, operations, locale=locale)
    console.include_router(build_login(entrance))

    @app.get("/", include_in_schema=False)
    async def home() -> Response:
        return RedirectResponse(f"{PATH}/")

    app.mount(PATH, Guard(console, entrance), name="console")


class _Immutable:
    """Lets browsers keep static files: their addresses have a hash of their content."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            named = scope.get("query_string", b"").startswith(b"v=")
            if named and message["type"] == "http.response.start" and message["status"] == 200:
                kept = (b"cache-control", b"public, max-age=31536000, immutable")
                message["headers"] = [*message["headers"], kept]
            await send(message)

        await self._app(scope, receive, answer)


async def _show_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ResegmentError)
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
    if isinstance(error, UnknownAccount) and error.at is not None and not error.forgotten:
        about: dict[str, Any] = {"account": error.account, "at": error.at}
        return _problem(request, status, error.message, error.remedy, "unknown_account.html", **about)
    links = [(words, path) for kind, path, words in LEADS if isinstance(error, kind)]
    if isinstance(error, UnknownAccount):
        links = [("Accounts with that in their name", f"/accounts?{urlencode({'q': error.account[:200]})}")]
    return _problem(request, status, error.message, error.remedy, links=links)


async def _show_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    is_unknown = error.status_code == 404
    remedy = "The navigation leads to every page." if is_unknown else None
    links = [("The first page", "/")] if is_unknown else []
    response = _problem(request, error.status_code, str(error.detail), remedy, links=links)
    response.headers.update(error.headers or {})
    return response


def _problem(
    request: Request,
    status: int,
    message: str,
    remedy: str | None,
    template: str = "error.html",
    links: Sequence[tuple[str, str]] = (),
    **about: Any,
) -> Response:
    query = TableRequest(request.url.path, dict(request.query_params))
    if query.form != "html":
        described = orjson.dumps({"error": message, "remedy": remedy})
        return Response(described, status, media_type="application/json")
    view = Viewing(request, request.app.state.console, current_user(request), query)
    with reading_in(view.locale), linking_by(view.url):
        shown = {"message": message, "remedy": remedy, "links": links, **about}
        return view.respond(template, title=message, status=status, **shown)
