"""How many accounts an apply moved, on the page of versions and in the audit log."""

from __future__ import annotations

import json
from typing import Any

import httpx

from resegment.schemas.definitions.records import (
    Applied,
    Apply,
    DefinitionRecord,
    Prepare,
    Stands,
    encode_definition_record,
)
from resegment.schemas.times import format_instant
from resegment.segmentation.planning.outcome import Outcome
from resegment.streams.definitions.applying.requests import Applied as Done
from resegment.streams.operations.switching.carrying import describe_result
from tests.console import PrefixInMemory
from tests.unit.http.console.conftest import NOW

HOUR = 3_600_000


def switch(name: str, to: int, at: int, **given: Any) -> list[DefinitionRecord]:
    claim = Prepare(apply=name, version=to, base=1, at=at)
    wish = Apply(id=name, version=to, base=1, at=at, author="ann", **given)
    return [claim, wish, Stands(apply=name), Applied(apply=name)]


def apply(prefix: PrefixInMemory, *records: DefinitionRecord) -> None:
    for one in records:
        prefix._registry.definitions.take(encode_definition_record(one))


def change(account: str, number: int, from_: str, to: str, at: int, version: int) -> bytes:
    times = dict.fromkeys(("effective_at", "decided_at"), format_instant(at))
    data = {"account": account, "sequence_number": number, "from": from_, "to": to, "reason": {"holds": []}}
    event = {"id": f"{account}-{number}", "data": {**data, **times, "cause": {"definition": version}}}
    return json.dumps(event).encode()


async def applied(http: httpx.AsyncClient) -> list[tuple[int, str, int | None]]:
    rows = (await http.get("/versions?format=json")).json()["tables"]["applies"]["rows"]
    return [(row["version"], row["kind"], row["moved"]) for row in rows]


async def test_an_apply_says_how_many_accounts_it_moved(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    at = NOW - 4 * HOUR
    apply(
        prefix, *switch("a", 2, at), *switch("b", 1, at + HOUR, rollback_of=2), *switch("c", 2, at + 2 * HOUR)
    )
    await prefix.publish(
        change("acme.com", 50, "hiring-now", "established", at, 2),
        change("globex.com", 50, "established", "not-now", at, 2),
        change("initech.com", 50, "not-now", "not-now", at, 2),  # only the name of its segment
        change("acme.com", 51, "established", "hiring-now", at + HOUR, 1),
        change("acme.com", 52, "hiring-now", "established", at + 2 * HOUR, 2),
    )
    assert await applied(http) == [(2, "switch", 1), (1, "rollback", 1), (2, "switch", 2)]
    assert "Accounts moved" in (await http.get("/versions")).text


async def test_what_an_apply_moved_before_changes_are_known_is_not_made_up(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    apply(prefix, *switch("a", 2, NOW - 400 * 24 * HOUR))
    assert await applied(http) == [(2, "switch", None)]


def test_the_audit_log_has_how_many_accounts_an_apply_moved() -> None:
    done = Done(3, "x", NOW)
    told = describe_result(done, Outcome(moved=7, planned=8, as_planned=6))
    assert (told["version"], told["moved"], told["as_planned"]) == (3, 7, 6)
    assert "moved" not in describe_result(done, None)


def test_the_audit_log_calls_a_shadow_a_shadow() -> None:
    assert describe_result(Done(3, "x", NOW), None, shadow=True) == {"version": 3, "shadow": True}


async def test_a_version_that_runs_as_a_shadow_says_so(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    async def state() -> str:
        rows = (await http.get("/versions?format=json")).json()["tables"]["versions"]["rows"]
        found: str = next(row["state"] for row in rows if row["number"] == 2)
        return found

    assert await state() == "never in force"
    prefix.begin_shadow(2, NOW)
    assert await state() == "shadow"
    prefix.end_shadow(NOW + HOUR)
    assert await state() == f"shadow, discarded at {format_instant(NOW + HOUR)}"
    page = " ".join((await http.get("/versions/2")).text.split())
    assert "never: shadow, discarded at" in page
