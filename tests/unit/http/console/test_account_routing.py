"""What an account's page says of workflows: what keeps it out and until when, and how it was at a past time."""

from __future__ import annotations

from typing import Any, Literal

import httpx
import msgspec
from fastapi import FastAPI

from resegment.http.console.app import PATH, build_console
from resegment.outcomes.dataset import Dataset
from resegment.routing.staffing.lines import Turn
from resegment.schemas.logs.decision_log import MOST, LoggedDecision
from resegment.schemas.outcomes.facts import OutcomeFact
from resegment.schemas.outcomes.touch import Touch
from resegment.schemas.routing import RoutedState
from resegment.schemas.times import format_instant, parse_instant
from resegment.segmentation.definition import read_definition
from tests.builders import facts_of
from tests.console import PrefixInMemory
from tests.unit.http.console.conftest import FILE, NOW, event

ACME = "/accounts/acme.com"
DAY = 86_400_000


async def read(http: httpx.AsyncClient, path: str) -> str:
    response = await http.get(path)
    assert response.status_code == 200, response.text
    return response.text


async def ask(http: httpx.AsyncClient, path: str) -> dict[str, object]:
    found: dict[str, object] = (await http.get(f"{path}{'&' if '?' in path else '?'}format=json")).json()
    return found


def put(prefix: PrefixInMemory, decision: str, why: str = "", **given: object) -> None:
    """Let the router have decided something else about acme.com."""
    routed = prefix._routed("acme.com")
    assert routed is not None
    changed = msgspec.structs.replace(
        routed, **{"enrollment": None, "decision": decision, "why": why, **given}
    )
    prefix.routed["acme.com"] = changed


async def test_the_page_says_what_stopped_an_enrollment_and_until_when(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    assert "What stops it" not in await read(http, ACME), "it is enrolled"
    put(prefix, "cooldown", "until 2026-04-03T08:00:00Z")
    page = await read(http, f"{ACME}?tz=Europe/Berlin")
    assert "<dt>What stops it</dt><dd>It left hiring a short time ago</dd>" in page
    assert ">Apr 3, 2026, 10:00 AM</time></dd><dt>Ends</dt><dd>when the cooldown is over</dd>" in page
    put(prefix, "holdout")
    page = await read(http, ACME)
    assert "It was drawn for the comparison group of hiring-now, which no workflow gets" in page
    assert "<dt>Until</dt><dd>no time ends it</dd>" in page
    assert "not while it is in this segment" in page


async def test_an_account_in_a_line_is_told_its_turn_by_place_and_limit_and_not_the_next_day(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    put(prefix, "waiting", "21 of 45 waiting for sales; 2 a day", deadline=NOW + DAY // 2)
    page = await read(http, ACME)
    assert "<dt>Until</dt><dd>its turn, whose time is not known</dd>" in page
    prefix.turns["acme.com"] = turn = Turn("sales", 20, 45, 2, 10, parse_instant("2026-04-10T00:00:00Z"))
    put(prefix, "waiting", turn.tell())
    page = await read(http, ACME)
    assert "21 of 45 waiting for sales; 2 a day, so its turn is in about 10 days</dd>" in page
    assert "<dd>about <time" in page
    assert ">Apr 10, 2026, 12:00 AM</time>, if no better account joins the line</dd>" in page
    prefix.turns["acme.com"] = Turn("sales", 0, 2, 2, 0, NOW + 60_000)
    page = await read(http, ACME)
    assert "when the line has settled, if no better accounts take the room of today" in page


SUPPRESSED = (
    FILE
    + """
suppression:
  - {name: visited, when: {event: engagement, where: {action: page_view}, within: 30d}}
"""
)


async def test_a_suppression_that_time_ends_says_when() -> None:
    prefix = PrefixInMemory(read_definition([("segments.yaml", SUPPRESSED)]), now=NOW)
    await prefix.add(
        facts_of(
            [
                event("acme.com", "firmographic", "2026-03-01T00:00:00Z", 1, status="active", employees=80),
                event("acme.com", "engagement", "2026-03-30T09:00:00Z", 2, action="page_view"),
            ]
        )
    )
    put(prefix, "suppressed", "visited")
    app = FastAPI()
    app.mount(PATH, build_console(prefix))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost/console") as http:
        assert (await ask(http, ACME))["stopped_by"] == {
            "decision": "suppressed",
            "text": "the suppression visited holds for it",
            "until": "2026-04-29T09:00:00Z",
            "ends": "when the suppression no longer holds",
            "estimated": False,
        }
    await prefix.close()


async def test_a_past_time_has_the_owner_workflow_and_decision_of_then(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    log = (
        LoggedDecision(NOW - 9 * DAY, "enrolled", "", "hiring-now", "hiring", "Ann Lee"),
        LoggedDecision(NOW - 6 * DAY, "reassign", "", "hiring-now", "hiring", "Bo"),
        LoggedDecision(NOW - 3 * DAY, "stop", "left hiring-now", "hiring-now", "hiring", "Bo"),
        LoggedDecision(NOW - 3 * DAY, "cooldown", "until 2026-05-01T00:00:00Z", "hiring-now", "hiring", None),
    )
    put(prefix, "cooldown", "until 2026-05-01T00:00:00Z", log=log)
    told = {
        "2026-03-24T12:00:00Z": ("hiring", "Ann Lee", "enrolled"),
        "2026-03-26T12:00:00Z": ("hiring", "Bo", "reassign"),
        "2026-03-29T12:00:00Z": (None, None, "cooldown"),
    }
    for at, wanted in told.items():
        found = await ask(http, f"{ACME}?at={at}")
        then = found["routing_then"]
        assert isinstance(then, dict)
        assert (then["workflow"], then["owner"], then["decision"]["what"]) == wanted
        assert found["routing"] is None
    page = await read(http, f"{ACME}?at=2026-03-24T12:00:00Z")
    assert "At that time: enrolled in hiring since Mar 22, 2026, 12:00 PM UTC, owner Ann Lee." in page
    page = await read(http, f"{ACME}?at=2026-03-29T12:00:00Z")
    assert (
        "At that time: not enrolled: cooldown (until May 1, 2026), since Mar 28, 2026, 12:00 PM UTC." in page
    )


async def test_what_is_not_known_of_a_past_time_is_said(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    full = tuple(
        LoggedDecision(NOW - DAY + place, "cooldown", str(place), "hiring-now", "hiring")
        for place in range(MOST)
    )
    put(prefix, "cooldown", "until 2026-05-01T00:00:00Z", log=full)
    page = await read(http, f"{ACME}?at=2026-03-26T12:00:00Z")
    assert "only commands are known" in page
    prefix.routed["acme.com"] = RoutedState()
    page = await read(http, f"{ACME}?at=2026-03-10T12:00:00Z")
    assert "At that time: no decision of the router is known." in page


async def test_credit_at_a_past_time_is_that_of_then(http: httpx.AsyncClient, prefix: PrefixInMemory) -> None:
    def touch(name: str, at: int) -> Touch:
        return Touch(
            touch=name, account="acme.com", at=at, segment="hiring-now", workflow="hiring", change=name
        )

    def outcome(number: str, at: int, recorded: int, **given: object) -> OutcomeFact:
        plain = {
            "account": "acme.com",
            "source": "/crm",
            "record": "r",
            "id": number,
            "at": at,
            "recorded": recorded,
        }
        return OutcomeFact(**{**plain, "action": "replied", **given})  # type: ignore[arg-type]

    prefix.ledger = [
        touch("t1", NOW - 9 * DAY),
        outcome("o1", NOW - 7 * DAY, NOW - 6 * DAY),
        touch("t2", NOW - 5 * DAY),
        outcome("o1-again", NOW - 4 * DAY, NOW - 3 * DAY),
        outcome("o1-not", NOW - 4 * DAY, NOW - 1 * DAY, retracted=True),
    ]
    prefix.dataset = Dataset.of(prefix.ledger)
    told = []
    for days in (8, 6, 2, 1):
        at = NOW - days * DAY
        found = (await http.get(ACME, params={"at": format_instant(at), "format": "json"})).json()
        outcomes = [one["text"] for one in found["tables"]["timeline"]["rows"] if one["what"] == "outcome"]
        told.append((found["credit"]["touches"], found["credit"]["credited"], outcomes))
    assert told == [
        (1, 0, []),
        (1, 1, ["replied; credited to touch 1 by last-touch"]),
        (2, 1, ["replied; credited to touch 2 by last-touch"]),
        (2, 0, []),
    ]
    page = await read(http, f"{ACME}?at={format_instant(NOW - 6 * DAY)}")
    assert (
        "Touched 1 time, the last time on Mar 22, 2026, 12:00 PM UTC from hiring-now; 1 outcome, 1 credited to a touch."
        in page
    )
    assert "As it was known then." in page


async def test_an_account_that_was_held_out_was_not_touched(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    def touch(name: str, at: int, arm: Literal["enrolled", "holdout"]) -> Touch:
        given: dict[str, Any] = {"segment": "hiring-now", "workflow": "hiring", "change": name, "arm": arm}
        return Touch(touch=name, account="acme.com", at=at, **given)

    prefix.dataset = Dataset.of([touch("t1", NOW - 9 * DAY, "holdout")])
    page = await read(http, ACME)
    assert (
        "Never touched; held out once as a comparison, on Mar 22, 2026, 12:00 PM UTC from hiring-now: no workflow got it then; "
        "no outcome is known." in page
    )
    found = await ask(http, ACME)
    credit = found["credit"]
    assert isinstance(credit, dict)
    assert (credit["touches"], credit["last_touch"], credit["held_out"]) == (0, None, 1)
    rows = (await http.get(f"{ACME}?what=held+out&format=json&table=timeline")).json()["rows"]
    assert [one["text"] for one in rows] == ["held out of hiring-now, hiring"]
    prefix.dataset = Dataset.of(
        [
            touch("t1", NOW - 9 * DAY, "holdout"),
            touch("t2", NOW - 5 * DAY, "enrolled"),
            touch("t3", NOW - 2 * DAY, "holdout"),
        ]
    )
    page = await read(http, ACME)
    assert (
        "Touched 1 time, the last time on Mar 26, 2026, 12:00 PM UTC from hiring-now; held out 2 times"
        in page
    )
    prefix.dataset = Dataset.of([])
    assert "Never touched, and no outcome is known." in await read(http, ACME)


async def test_the_page_says_by_which_change_the_account_came_with_every_test(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    page = await read(http, f"{ACME}?tz=Europe/Berlin")
    assert "<p>It came from not-now on <time" in page
    assert "hiring (change = opened) within 90d: opened on Mar 20, 2026; status = active: active</p>" in page
    first = await read(http, "/accounts/globex.com")
    assert "<p>It came when it was first seen, on <time" in first
    later = await read(http, f"{ACME}?at=2026-09-01T00:00:00Z")
    assert "It came " not in later, "no change is known that put it where it will be"


async def test_a_past_time_says_which_tests_say_something_else_now_and_on_what_they_rested(
    http: httpx.AsyncClient, prefix: PrefixInMemory
) -> None:
    prefix.at = NOW + 90 * DAY
    found = (await http.get(f"{ACME}?at=2026-03-25T00:00:00Z&format=json&table=since")).json()["rows"]
    assert found == [
        {
            "test": "hiring (change = opened) within 90d",
            "then": "true",
            "now": "false",
            "facts": "hiring of 2026-03-20T09:30:00Z from /try, id acme.com-2",
            "segments": ["hiring-now"],
        }
    ]
    page = await read(http, f"{ACME}?at=2026-03-25T00:00:00Z")
    assert "What says something else now" in page
    assert "What says something else now" not in await read(http, ACME)


async def test_a_time_to_come_shows_the_routing_of_now(http: httpx.AsyncClient) -> None:
    page = await read(http, f"{ACME}?at=2026-05-01T00:00:00Z")
    assert "As of now: enrolled in hiring since" in page
