"""The application of the console: its pages, its static files, and its errors as pages."""

from __future__ import annotations

from typing import Final

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
from resegment.http.console.pages import overview
from resegment.http.console.prefix import ConsolePrefix
from resegment.http.console.rendering import STATIC, Theme
from resegment.http.console.table import TableRequest
from resegment.http.console.viewing import Console, Viewing
from resegment.localization import US, Locale

PATH: Final = "/console"
"""Where the console is on its server."""

PAGES: Final[tuple[APIRouter, ...]] = (overview.router,)
"""The routes of each page. To add a page: its module, its routes here, and its entry in `navigation`."""


def build_console(prefix: ConsolePrefix, *, locale: Locale = US) -> FastAPI:
    """Return the console of a prefix, to be mounted at `PATH`. `locale` says how dates are written, in which time zone."""
    app = FastAPI(title="Resegment console", docs_url=None, redoc_url=None)
    app.state.console = Console(prefix, Theme(locale))
    for router in PAGES:
        app.include_router(router)
    app.mount("/static", _Immutable(StaticFiles(directory=STATIC)), name="static")
    app.add_exception_handler(ResegmentError, _show_error)
    app.add_exception_handler(HTTPException, _show_status)
    return app


def mount_console(app: FastAPI, prefix: ConsolePrefix, entrance: Entrance, *, locale: Locale = US) -> None:
    """Add the console to an application, at `PATH`, behind its guard; the address of the server leads there."""
    console = build_console(prefix, locale=locale)
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
    status = 404 if isinstance(error, UserError) else 503 if isinstance(error, TransientError) else 500
    if isinstance(error, MayNotAct):
        status = 403
    return _problem(request, status, error.message, error.remedy)


async def _show_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    remedy = "The navigation leads to every page." if error.status_code == 404 else None
    response = _problem(request, error.status_code, str(error.detail), remedy)
    response.headers.update(error.headers or {})
    return response


def _problem(request: Request, status: int, message: str, remedy: str | None) -> Response:
    query = TableRequest(request.url.path, dict(request.query_params))
    if query.form != "html":
        described = orjson.dumps({"error": message, "remedy": remedy})
        return Response(described, status, media_type="application/json")
    view = Viewing(request, request.app.state.console, current_user(request), query)
    with reading_in(view.console.theme.locale):
        return view.respond("error.html", title=message, status=status, message=message, remedy=remedy)
