"""The benchmark's events: a snapshot of each account, then triggers over 120 days. The same numbers give the same events."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

INDUSTRIES: Final = (
    *("software", "fintech", "healthtech", "manufacturing", "retail", "education"),
    *("government", "media", "logistics", "energy", "insurance", "travel"),
)
COUNTRIES: Final = ("US", "GB", "DE", "FR", "CA", "NL", "SE", "AU")
TECHNOLOGIES: Final = (
    *("salesforce", "hubspot", "snowflake", "outreach", "salesloft", "gong"),
    *(f"tech{number:02d}" for number in range(34)),
)
ROUNDS: Final = ("seed", "series_a", "series_b", "series_c", "series_d", "grant")
ROUND_WEIGHTS: Final = (35, 25, 15, 10, 5, 10)
FUNCTIONS: Final = ("sales", "engineering", "marketing", "finance", "support")
FUNCTION_WEIGHTS: Final = (30, 35, 15, 10, 10)
ROLES: Final = ("cro", "vp_sales", "cfo", "cto", "cmo", "vp_marketing", "ceo")
ROLE_WEIGHTS: Final = (10, 15, 15, 20, 15, 15, 10)
KINDS: Final = ("funding", "hiring", "leadership", "tech")
KIND_WEIGHTS: Final = (10, 40, 15, 35)

BEGIN: Final = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
SPAN: Final = 120 * 86_400_000
SNAPSHOTS: Final = 100_000
"""How long the snapshots take, ms: one each ms, more where there are more accounts."""


class Event(NamedTuple):
    """One event: its account, when it happened (ms), and its JSON."""

    account: str
    time: int
    value: bytes


def make_events(accounts: int, triggers: int) -> Iterator[Event]:
    """Return a snapshot of each account, then the triggers, in the order of their times."""
    pick = random.Random(20260101)  # noqa: S311  # the same events each time are what is wanted
    for number in range(accounts):
        at = number * SNAPSHOTS // max(accounts, SNAPSHOTS)
        yield _event(pick, number, number, "firmographic", at, _snapshot(pick, number))
    for number in range(triggers):
        at = SNAPSHOTS + (SPAN - SNAPSHOTS) * number // triggers
        # few accounts have much news, most have little
        account = int(accounts * pick.random() ** 1.5)
        kind = pick.choices(KINDS, KIND_WEIGHTS)[0]
        yield _event(pick, accounts + number, account, kind, at, _trigger(pick, kind))


def _event(
    pick: random.Random, sequence: int, account: int, kind: str, at: int, data: dict[str, Any]
) -> Event:
    name = f"acct-{account:05d}.example"
    time = BEGIN + at
    value = orjson.dumps(
        {
            "specversion": "1.0",
            "id": f"ev-{sequence:08d}-{pick.getrandbits(32):08x}",
            "type": f"gtm.{kind}.v1",
            "source": f"/signals/feed-{sequence % 7}",
            "subject": name,
            "time": datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
            + f"{time % 1000:03d}Z",
            "datacontenttype": "application/json",
            "data": data,
        }
    )
    return Event(name, time, value)


def _snapshot(pick: random.Random, number: int) -> dict[str, Any]:
    return {
        "name": f"Account {number:05d} Incorporated",
        "industry": pick.choice(INDUSTRIES),
        "employees": max(1, int(pick.lognormvariate(5.5, 1.5))),
        "country": pick.choice(COUNTRIES),
        "hq": f"{pick.randrange(1, 999)} Market Street",
        "technologies": sorted(pick.sample(TECHNOLOGIES, pick.randrange(2, 9))),
    }


def _trigger(pick: random.Random, kind: str) -> dict[str, Any]:
    url = f"https://news.example.org/{kind}/{pick.getrandbits(48):012x}"
    if kind == "funding":
        return {
            "round": pick.choices(ROUNDS, ROUND_WEIGHTS)[0],
            "amount_usd": pick.randrange(1, 400) * 250_000,
            "currency": "USD",
            "investors": [f"Fund {pick.randrange(400):03d} Capital" for _ in range(2)],
            "url": url,
        }
    if kind == "hiring":
        function = pick.choices(FUNCTIONS, FUNCTION_WEIGHTS)[0]
        return {
            "change": "opened",
            "function": function,
            "title": f"Senior {function.title()} Specialist",
            "openings": pick.randrange(1, 5),
            "location": f"{pick.choice(COUNTRIES)}-remote-{pick.randrange(999):03d}",
            "url": url,
        }
    if kind == "leadership":
        return {
            "change": "joined",
            "role": pick.choices(ROLES, ROLE_WEIGHTS)[0],
            "person": f"Person {pick.randrange(10**6):06d} Lastname",
            "previous": f"Person {pick.randrange(10**6):06d} Lastname",
            "url": url,
        }
    return {
        "technology": pick.choice(TECHNOLOGIES),
        "change": "added" if pick.random() < 0.85 else "removed",
        "score": round(pick.random(), 3),
        "category": "sales-and-marketing",
        "url": url,
    }
