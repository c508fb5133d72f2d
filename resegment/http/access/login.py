"""The pages of login: by a token, or by the provider of OpenID Connect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import structlog
from fastapi import APIRouter, Form, Request
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.responses import HTMLResponse, RedirectResponse, Response

from resegment.http.access.answers import Refusal, answer, render
from resegment.http.access.entrance import Entrance, TooManyFailures, address_of
from resegment.http.access.oidc import Begun, LoginRefused, ProviderAway
from resegment.http.access.places import check_next
from resegment.http.access.users import User

log = structlog.get_logger(__name__)

PATIENCE: Final = 600
"""Seconds that a login at the provider may take."""
_SALT: Final = "resegment login"


def build_login(entrance: Entrance) -> APIRouter:
    """Return the routes of login: /login, /login/oidc, /login/callback and /logout."""
    router = APIRouter(include_in_schema=False)
    router.get("/login")(_Pages(entrance).show)
    router.post("/login")(_Pages(entrance).take_token)
    router.post("/logout")(_Pages(entrance).leave)
    if entrance.provider is not None:
        flow = _Flow(entrance)
        router.get("/login/oidc")(flow.begin)
        router.get("/login/callback")(flow.finish)
    return router


class _Pages:
    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    async def show(self, request: Request, next: str | None = None) -> Response:  # noqa: A002  # the name in the URL
        """Show the form of login."""
        return self._form(request, _place(request, next))

    async def take_token(
        self,
        request: Request,
        token: Annotated[str, Form()] = "",
        next: Annotated[str | None, Form()] = None,  # noqa: A002  # the name in the form
    ) -> Response:
        """Begin a session with a token."""
        entrance, place = self._entrance, _place(request, next)
        try:
            found = await entrance.check_token(token, address_of(request.scope))
        except TooManyFailures as error:
            wait = max(1, round(error.wait))
            refused = Refusal(429, "Too many failed logins", f"Try again in {wait} seconds.")
            return self._form(request, place, refused, {"Retry-After": str(wait)})
        if found is None:
            log.warning("a login failed", address=address_of(request.scope))
            refused = Refusal(
                401,
                "That token is not accepted",
                "It may be misspelled, revoked, or have ended. `resegment tokens create NAME` makes a token.",
            )
            return self._form(request, place, refused)
        digest, user = found
        return await enter(entrance, request, user, place, digest)

    async def leave(self, request: Request) -> Response:
        """End the session."""
        await self._entrance.sessions.end(request.state.sid)
        left = RedirectResponse(request.scope.get("root_path", "") + "/login", 303)
        left.headers["Set-Cookie"] = f"{self._entrance.set_cookie('')}; Max-Age=0"
        return left

    def _form(
        self,
        request: Request,
        place: str,
        refused: Refusal | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        page = render(
            "login.html",
            request.scope,
            style=self._entrance.style,
            csrf=request.state.csrf,
            place=place,
            oidc=f"/login/oidc?{urlencode({'next': place})}" if self._entrance.provider else None,
            refused=refused,
            prefix=self._entrance.prefix,
        )
        return HTMLResponse(page, 200 if refused is None else refused.status, headers=headers)


class _Flow:
    """The way to the provider and back. What is kept meanwhile is in a signed cookie of the browser that began."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    @property
    def _cookie(self) -> str:
        return f"{self._entrance.cookie}-login"

    async def begin(self, request: Request, next: str | None = None) -> Response:  # noqa: A002  # the name in the URL
        """Send the browser to the provider."""
        provider = self._entrance.provider
        assert provider is not None
        try:
            begun = await provider.begin(self._redirect_uri(request))
        except ProviderAway as error:
            log.warning("the provider of logins does not answer", error=error.message)
            return answer(request.scope, Refusal(502, "The login does not work now", error.remedy or ""))
        kept = (await self._signer()).dumps([*begun[1:], _place(request, next)])
        sent = RedirectResponse(begun.url, 303)
        self._set(sent, str(kept), PATIENCE)
        return sent

    async def finish(self, request: Request) -> Response:
        """Begin a session with who comes back from the provider."""
        entrance, query = self._entrance, request.query_params
        assert entrance.provider is not None
        try:
            begun, place = await self._recall(request)
            user = await entrance.provider.finish(_read_code(query), self._redirect_uri(request), begun)
        except LoginRefused as error:
            cause = type(error.__cause__).__name__ if error.__cause__ else None
            log.warning("a login failed", error=error.message, cause=cause, address=address_of(request.scope))
            refused = Refusal(403, f"No login: {error.message}", error.remedy or "")
            return self._forget(answer(request.scope, refused))
        except ProviderAway as error:
            log.warning("the provider of logins does not answer", error=error.message)
            refused = Refusal(502, "The login does not work now", error.remedy or "")
            return self._forget(answer(request.scope, refused))
        return self._forget(await enter(entrance, request, user, place))

    async def _recall(self, request: Request) -> tuple[Begun, str]:
        """Return the login that this browser began. Raises LoginRefused where it began none, or another."""
        try:
            kept: Any = (await self._signer()).loads(request.cookies.get(self._cookie, ""), max_age=PATIENCE)
            state, nonce, verifier, place = map(str, kept)
        except (BadData, ValueError, TypeError) as error:
            raise LoginRefused("this browser has not begun a login", remedy="Sign in again.") from error
        if request.query_params.get("state") != state:
            raise LoginRefused("the answer is for another login", remedy="Sign in again.")
        return Begun("", state, nonce, verifier), place

    async def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(await self._entrance.store.read_secret(), salt=_SALT)

    def _redirect_uri(self, request: Request) -> str:
        root = request.scope.get("root_path", "")
        url = self._entrance.policy.url
        base = url.rstrip("/") if url is not None else f"{request.url.scheme}://{request.url.netloc}"
        return f"{base}{root}/login/callback"

    def _set(self, response: Response, value: str, seconds: int) -> None:
        secure = "; Secure" if self._entrance.policy.secure else ""
        response.headers.append(
            "Set-Cookie", f"{self._cookie}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}"
        )

    def _forget(self, response: Response) -> Response:
        self._set(response, "", 0)
        return response


def _read_code(query: Mapping[str, str]) -> str:
    """Return the code of the provider. Raises LoginRefused where it says that somebody may not log in."""
    if "error" in query or not query.get("code"):
        raise LoginRefused("the provider did not let you in", remedy="Sign in again.")
    return query["code"]


def _place(request: Request, given: str | None) -> str:
    return check_next(given, request.scope.get("root_path", "") + "/")


async def enter(
    entrance: Entrance, request: Request, user: User, place: str, token: str | None = None
) -> Response:
    """Begin a session, under an id that nobody knew before, and show the page that was asked for."""
    await entrance.sessions.end(request.state.sid)
    sid = await entrance.sessions.begin(user, token)
    log.info("signed in", user=user.name, role=user.role, by="token" if token else "oidc")
    entered = RedirectResponse(place, 303)
    entered.headers.append("Set-Cookie", entrance.set_cookie(sid))
    return entered
