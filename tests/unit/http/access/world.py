"""A console with pages of a test behind its guard, and browsers of several people."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, StreamingResponse
from starlette.staticfiles import StaticFiles

from resegment.http.access.entrance import Entrance
from resegment.http.access.guard import Guard
from resegment.http.access.login import build_login
from resegment.http.access.policy import Policy
from resegment.http.access.tokens import add_token
from resegment.http.console.access import current_user
from resegment.state.access.records import Session, Token

NOON = 1_790_000_000_000
PAGE = {"accept": "text/html"}


class MemoryAccessStore:
    """What Redis keeps, with a clock of the test."""

    def __init__(self, clock: Clock) -> None:
        self.tokens: dict[str, Token] = {}
        self.sessions: dict[str, tuple[Session, int]] = {}
        self._clock = clock

    async def read_secret(self) -> bytes:
        return b"the secret of a test"

    async def read_tokens(self) -> Mapping[str, Token]:
        return dict(self.tokens)

    async def find_token(self, digest: str) -> Token | None:
        return self.tokens.get(digest)

    async def keep_token(self, digest: str, token: Token) -> None:
        self.tokens[digest] = token

    async def find_session(self, digest: str) -> Session | None:
        session, until = self.sessions.get(digest, (None, 0))
        return session if self._clock.now() < until else None

    async def keep_session(self, digest: str, session: Session, idle: int) -> None:
        self.sessions[digest] = session, self._clock.now() + idle

    async def touch_session(self, digest: str, idle: int) -> None:
        if digest in self.sessions:
            self.sessions[digest] = self.sessions[digest][0], self._clock.now() + idle

    async def end_session(self, digest: str) -> None:
        self.sessions.pop(digest, None)


@dataclass
class Clock:
    """A clock that a test moves."""

    at: int = NOON

    def now(self) -> int:
        return self.at

    def seconds(self) -> float:
        return self.at / 1000

    def advance(self, minutes: float) -> None:
        self.at += int(minutes * 60_000)


@dataclass
class World:
    """A console with one page that anybody may read who is known, and one form."""

    clock: Clock
    store: MemoryAccessStore
    entrance: Entrance
    app: FastAPI
    done: list[str] = field(default_factory=list)

    def browser(self, base: str = "http://localhost:8300", **given: Any) -> httpx.AsyncClient:
        guard = Guard(self.app, self.entrance)
        transport = httpx.ASGITransport(guard, client=(given.pop("address", "127.0.0.1"), 5), **given)
        return httpx.AsyncClient(transport=transport, base_url=base, headers=PAGE)

    async def token(self, name: str = "ann", role: str = "operator", **given: Any) -> str:
        made = {"made": self.clock.now(), "made_by": "root", **given}
        return await add_token(self.store, Token(name=name, role=role, **made))  # type: ignore[arg-type]

    async def sign_in(self, browser: httpx.AsyncClient, token: str, **fields: str) -> httpx.Response:
        csrf = await read_csrf(browser)
        return await browser.post("/login", data={"token": token, "csrf": csrf, **fields})


Make = Callable[..., World]


async def read_csrf(browser: httpx.AsyncClient, path: str = "/login") -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', (await browser.get(path)).text)
    assert found
    return found[1]


def make_world(provider: Any = None, **policy: Any) -> World:
    """A console that listens on all addresses, unless `policy` says otherwise."""
    clock = Clock()
    store = MemoryAccessStore(clock)
    entrance = Entrance(
        "demo",
        store,
        replace(Policy(address="0.0.0.0"), **policy),  # noqa: S104
        provider,
        now=clock.now,
        ticking=clock.seconds,
    )
    return _with_pages(World(clock, store, entrance, FastAPI()))


def _with_pages(world: World) -> World:
    app = world.app

    @app.get("/page")
    async def page(request: Request) -> HTMLResponse:
        user = current_user(request)
        csrf = request.state.csrf if hasattr(request.state, "csrf") else ""
        return HTMLResponse(f'{user.name} {user.role}<input name="csrf" value="{csrf}">')

    @app.post("/act")
    async def act(request: Request) -> HTMLResponse:
        form = await request.form()
        world.done.append(f"{current_user(request).name}: {form.get('what')}")
        return HTMLResponse("done")

    @app.get("/breaks")
    async def breaks() -> None:
        raise RuntimeError("a secret of the code")

    @app.get("/feed")
    async def feed() -> StreamingResponse:
        return StreamingResponse(iter(["data: 1\n\n"]), media_type="text/event-stream")

    app.mount("/static", StaticFiles(packages=[("resegment.http.access", "templates")]), name="static")
    app.include_router(build_login(world.entrance))
    return world
