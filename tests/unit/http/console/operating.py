"""A console with fakes of what operators do, behind its guard."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
from fastapi import FastAPI

from resegment.agents.dead_letters import PREFIX, read_dead_letter
from resegment.http.console.app import mount_console
from resegment.http.console.prefix import ConsolePrefix
from resegment.http.operations.letters import Sent
from resegment.http.operations.operations import Operations
from resegment.streams.operations.dead_letters import DeadLetter, DeadLetters
from tests.unit.http.access.world import PAGE, World, make_world, read_csrf

NOON = 1_790_000_000_000
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{7*7}}${7*7}",
    "\u202egnp.exe\x1b[2J\x00",
    '=HYPERLINK("http://evil.example")',
    "</textarea><script>alert(1)</script>",
    "' onmouseover='alert(1)",
)
"""What a producer may write into any field."""


@dataclass(frozen=True)
class Kept:
    """A record of the topic of dead letters."""

    headers: Sequence[tuple[str, bytes]]
    value: bytes | None
    key: bytes | None = None
    offset: int = 0
    timestamp: int = NOON


def letter(number: int, value: bytes | None = b"{}", **about: str) -> DeadLetter:
    told = {
        "reason": "not-json",
        "field": "",
        "message": "wrong",
        "topic": "demo.triggers.funding",
        "partition": "0",
        "offset": str(number),
        "timestamp": "2026-11-26T00:00:00Z",
    } | about
    headers = [(PREFIX + name, text.encode("utf-8", "replace")) for name, text in told.items()]
    record = Kept(
        [*headers, ("ce_source", b"/crm")], value, about.get("key", "acme.com").encode("utf-8", "replace")
    )
    found = read_dead_letter(record.headers, record.key, value)
    return DeadLetter(
        found["id"], found, value, NOON + number, cast("Any", record), retried=about.get("retried")
    )


@dataclass
class FakeLetters:
    """Dead letters that are sent nowhere."""

    held: dict[str, DeadLetter] = field(default_factory=dict)
    older: int = 0
    sent: list[tuple[str, list[str], dict[str, bytes]]] = field(default_factory=list)

    def add(self, *letters: DeadLetter) -> None:
        self.held |= {one.id: one for one in letters}

    async def look(self) -> DeadLetters:
        return DeadLetters(self.held, self.older)

    def is_editable(self, letter: DeadLetter) -> bool:
        return letter.is_whole

    async def retry(self, actor: str, ids: Sequence[str], edited: Mapping[str, bytes]) -> Sent:
        self.sent.append((actor, list(ids), dict(edited)))
        return Sent(len(ids))


class NoPrefix:
    """A prefix of which no page of a test asks more than its name."""

    name = "demo"


@dataclass
class Operated:
    """A console on loopback, its users, and what operators did in it."""

    world: World
    letters: FakeLetters
    app: FastAPI

    def browser(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 5))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost:8300/console", headers=PAGE)

    async def sign_in(
        self, browser: httpx.AsyncClient, name: str = "ann", role: str = "operator", **given: Any
    ) -> str:
        """Log in, and return what forms send along."""
        token = await self.world.token(name, role, **given)
        csrf = await read_csrf(browser)
        await browser.post("/login", data={"token": token, "csrf": csrf})
        return await read_csrf(browser)


def make_operated(prefix: Any = None, **policy: Any) -> Operated:
    world, letters, app = make_world(**policy), FakeLetters(), FastAPI()
    found = cast("ConsolePrefix", prefix or NoPrefix())
    mount_console(app, found, world.entrance, Operations(letters, *cast("Any", [None] * 5)))
    return Operated(world, letters, app)


def ids_in(page: str) -> list[str]:
    return re.findall(r'<input type="checkbox" name="id" value="([^"]*)"', page)
