"""The guard of the console: nothing is answered that it has not let through, also no error."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import structlog
from starlette._utils import get_route_path
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from resegment.http.access.answers import Refusal, answer, wants_page
from resegment.http.access.entrance import Asker, Entrance, TooManyFailures
from resegment.http.access.headers import adding_headers
from resegment.http.access.streams import ending_with_session
from resegment.http.access.users import User
from resegment.state.partition_store import StoreUnavailable

log = structlog.get_logger(__name__)

LOGIN: Final = "/login"
LOGOUT: Final = "/logout"
STATIC: Final = "/static/"
OPEN: Final = frozenset({LOGIN, "/login/oidc", "/login/callback", LOGOUT})
"""Paths that need no login, besides files of the pages."""
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_BODY: Final = 4 * 1024 * 1024
MAX_FIELDS: Final = 1_000
FORM: Final = "application/x-www-form-urlencoded"
FIELD: Final = "csrf"
HEADER: Final = "x-csrf-token"


class Guard:
    """Lets a request through to the application, or answers it.

    Every path needs a login but those that are open. Whatever is no reading is a POST, from a page of this console, by
    an operator. Every answer carries the headers of `headers`, and a stream ends with its session.
    """

    def __init__(self, app: ASGIApp, entrance: Entrance, *, free: Collection[str] = ()) -> None:
        self._app, self._entrance, self._free = app, entrance, OPEN | set(free)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # the console has no websockets
            await send({"type": "websocket.close", "code": 1008})
            return
        path = get_route_path(scope)
        send = adding_headers(send, secure=self._entrance.policy.secure, keeps=path.startswith(STATIC))
        try:
            asker = await self._entrance.identify(scope)
            if not asker.bearer and not path.startswith(STATIC):
                scope.setdefault("state", {})["csrf"] = await self._entrance.sessions.csrf(asker.sid)
        except TooManyFailures as error:
            await answer(scope, _too_many(error))(scope, receive, send)
            return
        except StoreUnavailable as error:
            log.warning("nobody can be identified", error=error.message)
            await answer(scope, Refusal(503, "Redis does not answer", "Try again in a moment."))(
                scope, receive, send
            )
            return
        if asker.new and wants_page(scope) and scope["method"] == "GET":
            send = _giving_cookie(send, self._entrance.set_cookie(asker.sid))
        await self._serve(scope, receive, send, asker, path)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, asker: Asker, path: str) -> None:
        user = asker.user
        scope.setdefault("state", {})["user"] = user
        scope["state"]["sid"] = asker.sid
        is_open = path in self._free or path.startswith(STATIC)
        if user is None and not is_open:
            await self._ask_to_login(scope, path)(scope, receive, send)
            return
        if scope["method"] not in READING:
            try:
                body = await self._check_form(scope, receive, asker)
                if path not in OPEN:
                    _check_operator(user)
            except Refused as error:
                await answer(scope, error.refusal)(scope, receive, send)
                return
            await self._app(scope, _replaying(body, receive), send)
            return
        if user is None or user.how == "local":
            await self._app(scope, receive, send)
            return
        await ending_with_session(self._app, scope, receive, send, lambda: self._is_known(scope))

    async def _is_known(self, scope: Scope) -> bool:
        """Return whether who asked may still read. While Redis is away, they may."""
        with suppress(StoreUnavailable, TooManyFailures):
            return (await self._entrance.identify(scope)).user is not None
        return True

    def _ask_to_login(self, scope: Scope, path: str) -> Response:
        root = scope.get("root_path", "")
        query = scope.get("query_string", b"").decode("latin-1")
        here = root + path + (f"?{query}" if query else "")
        place = f"{root}{LOGIN}?{urlencode({'next': here})}"
        headers = Headers(scope=scope)
        if "hx-request" in headers:
            return Response(status_code=401, headers={"HX-Redirect": f"{root}{LOGIN}"})
        if wants_page(scope) and scope["method"] == "GET":
            return RedirectResponse(place, 303)
        refused = answer(scope, Refusal(401, "Sign in first", "Send a token: Authorization: Bearer rst_..."))
        refused.headers["WWW-Authenticate"] = 'Bearer realm="resegment"'
        return refused

    async def _check_form(self, scope: Scope, receive: Receive, asker: Asker) -> bytes:
        """Return the body of a request that changes something. Raises Refused unless a page of this console sent it."""
        if scope["method"] != "POST":
            raise Refused(
                405, "That method does not exist here", "Pages are read by GET and changed by POST."
            )
        headers = Headers(scope=scope)
        if not asker.bearer:
            self._check_origin(headers)
        body = await _read_body(headers, receive)
        if asker.bearer:
            return body
        expected = scope["state"]["csrf"]
        if not _is_same(expected, headers.get(HEADER) or _find_field(headers, body)):
            raise Refused(
                403,
                "This form is too old",
                "Nothing was changed. Load the page again, and send the form again.",
            )
        return body

    def _check_origin(self, headers: Headers) -> None:
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        host = headers.get("host", "").lower()
        url = self._entrance.policy.url
        own = {host} if url is None else {host, urlsplit(url).netloc.lower()}
        foreign = origin is not None and _host_of(origin) not in own
        if site not in (None, "same-origin", "none") or foreign:
            raise Refused(403, "Another site sent this form", "Nothing was changed.")


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _check_operator(user: User | None) -> None:
    if user is None or not user.is_operator:
        raise Refused(403, "You may only read", "Sign in as an operator to change something.")


class Refused(Exception):
    """A request that is not let through."""

    def __init__(self, status: int, title: str, remedy: str) -> None:
        super().__init__(title)
        self.refusal = Refusal(status, title, remedy)


def _too_many(error: TooManyFailures) -> Refusal:
    wait = max(1, round(error.wait))
    return Refusal(
        429, "Too many failed logins", f"Try again in {wait} seconds.", headers={"Retry-After": str(wait)}
    )


def _is_same(expected: str, given: str | None) -> bool:
    return given is not None and hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))


def _find_field(headers: Headers, body: bytes) -> str | None:
    if headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Refused(415, "That is no form of the console", f"Send {FORM}.")
    try:
        fields = parse_qsl(body.decode("utf-8", "replace"), max_num_fields=MAX_FIELDS, keep_blank_values=True)
    except ValueError:
        raise Refused(413, "The form has too many fields", f"It has at most {MAX_FIELDS:,}.") from None
    return next((value for name, value in fields if name == FIELD), None)


async def _read_body(headers: Headers, receive: Receive) -> bytes:
    announced = headers.get("content-length", "0")
    if announced.isascii() and announced.isdigit() and int(announced) > MAX_BODY:
        raise _TOO_LARGE
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "The form is not complete", "Send it again.")
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            raise _TOO_LARGE
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


_TOO_LARGE: Final = Refused(413, "The form is too large", f"It has at most {MAX_BODY // 1024 // 1024} MB.")


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _giving_cookie(send: Send, cookie: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: list[Any] = list(message.get("headers", []))
            # a login in the same answer has given a better one
            if not any(name.lower() == b"set-cookie" for name, _ in headers):
                headers.append((b"set-cookie", cookie.encode()))
            message = {**message, "headers": headers}
        await send(message)

    return sending
