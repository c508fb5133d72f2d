"""A console over a prefix in memory, asked without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from resegment.http.console.app import PATH, build_console
from resegment.schemas.times import parse_instant
from resegment.segmentation.definition import read_definition
from tests.builders import facts_of
from tests.console import PrefixInMemory

NOW = parse_instant("2026-03-31T12:00:00Z")

FILE = """
version: 1
segments:
  - name: hiring-now
    hypothesis: A company that hires has a budget.
    when:  # both
      all:
        - {status: active}
        - {event: hiring, where: {change: opened}, within: 90d}
    hold: {min_dwell: 7d}
    play: grow
    route: {workflow: hiring}

  # those that need it anyway
  - name: established
    when: {employees: {gte: 50}}
    target: 5
    play: grow
    route: {workflow: established}
  - name: some-day
    status: draft
    when: {employees: {lt: 5}}
    play: grow
    route: {workflow: hiring}
fallback: {name: not-now, play: grow}
plays:
  grow:
    message: {pain: It takes long., value_prop: It is fast., proof_points: [Tried]}
    channels: {primary: email}
"""

NEXT = FILE.replace("gte: 50", "gte: 40")
"""A version that is not in force."""


def event(account: str, kind: str, time: str, number: int, **data: Any) -> Any:
    return {
        "specversion": "1.0",
        "id": f"{account}-{number}",
        "source": "/try",
        "type": f"gtm.{kind}.v1",
        "subject": account,
        "time": time,
        "recordedtime": time,
        "data": data,
    }


EVENTS = [
    event("acme.com", "firmographic", "2026-03-01T00:00:00Z", 1, name="Acme Corp", status="active", employees=12),
    event("acme.com", "hiring", "2026-03-20T09:30:00Z", 2, change="opened", title="Account Executive"),
    event("globex.com", "firmographic", "2026-03-02T00:00:00Z", 1, name="Globex", status="active", employees=80),
    event("initech.com", "firmographic", "2026-03-03T00:00:00Z", 1, name="Initech", status="inactive", employees=7),
]  # fmt: skip


@pytest.fixture
async def prefix() -> AsyncIterator[PrefixInMemory]:
    made = PrefixInMemory(*(read_definition([("segments.yaml", one)]) for one in (FILE, NEXT)), now=NOW)
    await made.add(facts_of(EVENTS))
    yield made
    await made.close()


@pytest.fixture
async def http(prefix: PrefixInMemory) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.mount(PATH, build_console(prefix))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost/console") as client:
        yield client
