"""Cases that users reported, from their events to the commands: through the segmenter and the router."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.agents.router import handle_events, route
from resegment.schemas.times import parse_instant
from tests.builders import Rig, Routing, data_of, definition_of, facts_of, run, signals
from tests.oracle.cases import day, event
from tests.unit.agents.test_router import DAY, HOUR, PLAY, Json

MINUTE = 60_000
WORKED = {"workflow": "w1", "team": "t"}
FILE: Json = {
    "version": 1,
    "traits": {"raised": {"sum": "funding", "field": "amount_usd"}},
    "segments": [
        {"name": "top", "when": {"raised": {"gte": 50_000_000}}, "play": "p", "route": WORKED, "hypothesis": "x"},
        {"name": "rest", "when": {"raised": {"gt": 0}}, "play": "p", "route": {"workflow": "w2", "team": "t"}, "hypothesis": "x"},
    ],
    "fallback": {"name": "out", "play": "p"},
    "plays": {"p": PLAY},
}  # fmt: skip


async def work(file: Json, *events: Json, until: int, now: int | None = None) -> tuple[Routing, list[Json]]:
    """Segment the events, route what comes of it, and let time pass; on the wall clock if `now` is given."""
    segmented = await run(Rig(file), [signals(facts_of(events))])
    await segmented.deliver()
    routing = Routing(definition_of(file), now=now)
    await routing.take()
    for message in segmented.published.messages:
        topic, value = message.topic, message.value or b""
        if topic == "segment-changes":
            await routing._done(route(routing.batch(topic, [value]), routing.owned, routing.router))
        elif topic == "routing-events":
            await routing._done(handle_events(routing.batch(topic, [value]), routing.owned, routing.router))
        await routing.settle()
    await routing.wait_until(until)
    return routing, [data_of(one) for one in routing.published.to("workflow-commands")]


def raised(*millions: int) -> list[Json]:
    return [
        event(
            "funding", day(1), account=f"c{one}m.com", id=str(one), round="seed", amount_usd=one * 1_000_000
        )
        for one in millions
    ]


@pytest.mark.parametrize("order", [(1, 2, 3, 4, 60, 90), (90, 60, 4, 3, 2, 1), (3, 90, 1, 60, 4, 2)])
async def test_of_six_rounds_a_team_of_two_a_day_takes_the_two_largest(order: tuple[int, ...]) -> None:
    team = {"members": ["ann"], "per_day": 2, "order": {"highest": "raised"}}
    file = {**FILE, "teams": {"t": team}}
    routing, made = await work(file, *raised(*order), until=day(1) + HOUR, now=day(1))
    assert sorted(one["account"] for one in made) == ["c60m.com", "c90m.com"]
    assert routing.state("c4m.com").why == "1 of 4 waiting for t; 2 a day"


async def test_an_account_that_lost_a_deal_does_not_go_back_into_cold_outbound() -> None:
    file = {**FILE, "suppression": ["open-opportunities"], "teams": {"t": {"members": ["ann"]}}}
    story = [
        *raised(2),
        event("outcome", day(2), account="c2m.com", action="opportunity_created"),
        event("outcome", day(9), account="c2m.com", action="lost"),
    ]
    routing, made = await work(file, *story, until=day(9) + 89 * DAY, now=day(1))
    assert [one["action"] for one in made] == ["enroll", "stop"]
    assert routing.state("c2m.com").decision == "cooldown"
    assert [one["action"] for one in await routing.wait_until(day(9) + 90 * DAY)] == ["enroll"]


async def test_an_account_that_waits_for_its_turn_is_in_a_workflow_meanwhile() -> None:
    team = {"members": ["ann"], "per_day": 1, "order": {"highest": "raised"}, "settle": "0s"}
    teams = {"t": team, "s": {"members": ["bob"]}}
    segments = [FILE["segments"][0], {**FILE["segments"][1], "route": {"workflow": "w2", "team": "s"}}]
    file = {**FILE, "segments": segments, "teams": teams}
    later = [
        event("funding", day(2), account=f"c{one}m.com", id=f"b{one}", round="b", amount_usd=70_000_000)
        for one in (1, 2)
    ]
    routing, _ = await work(file, *raised(1, 2), *later, until=day(2) + HOUR, now=day(2))
    states = {name: routing.state(f"{name}.com") for name in ("c1m", "c2m")}
    decisions = {name: one.decision for name, one in states.items()}
    assert sorted(decisions.values()) == ["enrolled", "waiting"]
    waiting = next(one for one in states.values() if one.decision == "waiting")
    assert waiting.enrollment is not None
    assert waiting.enrollment.workflow == "w2"


async def test_three_moves_in_a_day_are_two_enrollments_where_the_file_says_so() -> None:
    file: Any = {
        **FILE,
        "segments": [
            {"name": kind, "when": {"event": kind, "within": "2h"}, "play": "p", "hypothesis": "x",
             "route": {"workflow": kind}}
            for kind in ("funding", "hiring", "tech")
        ],
        "limits": {"enrollments": 2, "per": "30d"},
    }  # fmt: skip
    facts = [
        event("tech", day(1), technology="x", change="added"),
        event("hiring", day(1) + HOUR, title="Engineer", function="engineering"),
        event("funding", day(1) + HOUR + MINUTE, round="seed", amount_usd=1),
    ]
    routing, made = await work(file, *facts, until=day(1) + HOUR + MINUTE, now=day(1))
    assert [one["action"] for one in made if one["action"] == "enroll"] == ["enroll"] * 2
    assert routing.state("acme.com").decision == "capped"


async def test_an_sla_does_not_run_through_the_weekend() -> None:
    friday = parse_instant("2026-03-06T18:00:00Z")
    way = {**WORKED, "qualification": "fast"}
    file = {
        **FILE,
        "segments": [FILE["segments"][0], {**FILE["segments"][1], "route": way}],
        "teams": {"t": {"members": ["ann"], "hours": "mon-fri 09:00-17:00"}},
        "qualifications": {"fast": {"sla": "4h"}},
    }
    story = event("funding", friday, round="seed", amount_usd=1)
    monday = parse_instant("2026-03-09T13:00:00Z")
    routing, made = await work(file, story, until=monday - 1, now=friday)
    assert [one["action"] for one in made] == ["enroll"]
    assert made[0]["accept_by"] == "2026-03-09T13:00:00Z"
    assert [one["action"] for one in await routing.wait_until(monday)] == ["escalate"]
