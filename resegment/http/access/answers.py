"""Answer a request that is not let through: a page for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Scope

_PAGES: Final = Environment(
    loader=PackageLoader("resegment.http.access"), autoescape=True, undefined=StrictUndefined
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused, and what to do about it."""

    status: int
    title: str
    remedy: str
    headers: Mapping[str, str] = field(default_factory=dict)


STYLE: Final = "/static/console.css"
"""The style sheet of pages that stand by themselves."""


def wants_page(scope: Scope) -> bool:
    """Return whether a person waits for the answer in a browser."""
    return "text/html" in Headers(scope=scope).get("accept", "")


def answer(scope: Scope, refusal: Refusal) -> Response:
    """Return the answer that refuses a request."""
    headers = dict(refusal.headers)
    if wants_page(scope):
        page = render("refused.html", scope, refusal=refusal)
        return HTMLResponse(page, refusal.status, headers=headers)
    body = {"error": refusal.title, "remedy": refusal.remedy}
    return JSONResponse(body, refusal.status, headers=headers)


def render(template: str, scope: Scope, *, style: str = STYLE, **context: Any) -> str:
    """Return a page that stands by itself: it needs no login, and no server but this one."""
    return _PAGES.get_template(template).render(root=scope.get("root_path", ""), style=style, **context)
