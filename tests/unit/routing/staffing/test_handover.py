"""A member leaves and comes back: what becomes of their accounts is shown before, and can be taken back after."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from resegment.console.operations.owners import render_handover
from resegment.routing.staffing.handover import find_new_owner, foresee_leave
from resegment.routing.staffing.past import PastDecision, find_gaps, received_since, tell_history, tell_now
from resegment.schemas.routing import GatesChanged, Reassign, RoutedOutcome, RoutedState
from resegment.state.owner_store import MemberLoad
from tests.builders import Routing, definition_of
from tests.unit.console.test_narrow_terminals import shown

START = 1_772_600_000_000
FILE: dict[str, Any] = {
    "version": 1,
    "suppression": ["customers"],
    "segments": [
        {
            "name": "hot",
            "when": {"employees": {"gte": 50}},
            "play": "talk",
            "route": {"workflow": "exec", "team": "sales"},
        }
    ],
    "fallback": {"name": "rest", "play": "talk"},
    "teams": {"sales": {"members": ["Ann", {"name": "Bo", "capacity": 2}], "fallback": "queue"}},
    "plays": {
        "talk": {
            "message": {"pain": "p", "value_prop": "v", "proof_points": ["x"]},
            "channels": {"primary": "email"},
        }
    },
}
EVIDENCE = [{"test": "employees >= 50", "value": 60}]


def change(account: str, number: int = 1, to: str = "hot") -> bytes:
    route = {"workflow": "exec", "team": "sales"} if to == "hot" else None
    data = {
        "account": account,
        "sequence_number": number,
        "from": None,
        "to": to,
        "effective_at": "2026-03-04T00:00:00Z",
        "play": "talk",
        "route": route,
        "from_route": {"workflow": "exec", "team": "sales"} if to != "hot" else None,
        "reason": {"holds": EVIDENCE},
    }
    return orjson.dumps({"id": f"{account}-{number}", "data": data})


async def working(accounts: int) -> Routing:
    """Accounts of Ann; Bo has room for two."""
    routing = Routing(definition_of(FILE), now=START)
    await routing.take()
    await routing.owners.leave("Bo")
    if accounts:
        await routing.follow(*(change(f"a{number}.com") for number in range(accounts)))
    await routing.owners.come_back("Bo")
    return routing


def states(routing: Routing) -> list[tuple[str, RoutedState]]:
    return [(name, routing.state(name)) for name in sorted(routing.memory.accounts)]


def owners(routing: Routing) -> dict[str, str | None]:
    return {name: None if one.enrollment is None else one.enrollment.owner for name, one in states(routing)}


async def leave(routing: Routing, member: str = "Ann") -> None:
    await routing.owners.leave(member)
    at = routing.now or 0
    await routing.tell(*(Reassign(account=name, at=at, owner=member) for name in owners(routing)))


async def give_back(routing: Routing, member: str = "Ann") -> list[Any]:
    await routing.owners.come_back(member)
    found = [(name, find_new_owner(member, state)) for name, state in states(routing)]
    at = routing.now or 0
    events = [Reassign(account=name, at=at, owner=one, to=member) for name, one in found if one is not None]
    return await routing.tell(*events) if events else []


async def test_a_leave_is_foreseen_as_it_happens() -> None:
    routing = await working(5)
    teams = routing.policy.definition.teams
    loads = (await routing.owners.look()).members
    held = {name: one.open for name, one in loads.items()}
    (found,) = foresee_leave("Ann", states(routing), teams, held, (), START)
    assert (found.team, found.accounts, found.to, found.queued, found.queue) == (
        "sales",
        5,
        ("Bo",),
        3,
        "queue",
    )
    await leave(routing)
    assert sorted(map(str, owners(routing).values())) == ["Bo", "Bo", "queue", "queue", "queue"]
    text = shown(render_handover("Ann", [found]))
    assert "Ann owns 5 accounts" in text
    assert "2 to Bo" in text
    assert "3 in queue" in text


def test_who_owns_nothing_leaves_nothing() -> None:
    assert foresee_leave("Ann", [("a.com", RoutedState())], {}, {}, (), START) == []
    assert "owns no accounts" in shown(render_handover("Ann", []))


async def test_who_returns_gets_back_what_the_leave_moved() -> None:
    routing = await working(5)
    before = owners(routing)
    assert set(before.values()) == {"Ann"}
    await leave(routing)
    commands = await give_back(routing)
    assert owners(routing) == before
    assert [(one["action"], one["owner"], one["reason"]) for one in commands] == [
        ("reassign", "Ann", "Ann is back")
    ] * 5
    loads = (await routing.owners.look()).members
    assert (loads["Ann"].open, loads.get("Bo", MemberLoad()).open) == (5, 0)


@pytest.mark.parametrize("moved", ["left", "suppressed", "rejected", "reassigned"])
async def test_what_something_else_moved_since_stays_where_it_is(moved: str) -> None:
    routing = await working(1)
    await leave(routing)
    routing.now = START + 1_000
    state = routing.state("a0.com")
    assert state.enrollment is not None
    if moved == "left":
        await routing.follow(change("a0.com", 2, "rest"), change("a0.com", 3))
    elif moved == "suppressed":
        for gates in (("suppress:customers",), ()):
            routing.now += 1_000
            await routing.tell(GatesChanged(account="a0.com", at=routing.now, active_gates=gates, sequence=1))
    elif moved == "rejected":
        await routing.tell(
            RoutedOutcome(account="a0.com", at=routing.now, action="rejected", key=state.enrollment.keys[-1])
        )
    else:
        await leave(routing, "Bo")
    before = owners(routing)
    assert await give_back(routing) == []
    assert owners(routing) == before


async def test_who_has_no_room_gets_nothing_back() -> None:
    routing = await working(0)
    await routing.owners.leave("Ann")
    await routing.follow(change("a0.com"), change("a1.com"))
    await routing.owners.come_back("Ann")
    await leave(routing, "Bo")
    assert owners(routing) == {"a0.com": "Ann", "a1.com": "Ann"}
    await routing.owners.come_back("Bo")
    await routing.follow(change("b0.com"), change("b1.com"), change("b2.com"), change("b3.com"))
    assert list(owners(routing).values()).count("Bo") == 2
    assert await give_back(routing, "Bo") == []
    assert (await routing.owners.look()).members["Bo"].open == 2


async def test_what_an_owner_got_since_a_day_is_told_with_the_why_also_where_it_is_gone() -> None:
    routing = await working(2)
    routing.now = START + 1_000
    await routing.follow(change("a0.com", 2, "rest"))
    found = received_since(states(routing), "Ann", START)
    assert [(name, one.what, one.segment, tell_now("Ann", state)) for name, one, state in found] == [
        ("a0.com", "enrolled", "hot", "no-route"),
        ("a1.com", "enrolled", "hot", "theirs"),
    ]
    assert found[1][1].why == "employees >= 50"
    assert received_since(states(routing), "Ann", START + 1) == []
    await leave(routing)
    (bo,) = received_since(states(routing), "Bo", START)
    assert (bo[0], bo[1].what, bo[1].why) == ("a1.com", "reassign", "Ann has left; employees >= 50")


async def test_a_history_has_every_decision_also_those_that_sent_no_command() -> None:
    routing = await working(1)
    for number, gates in enumerate((("suppress:customers",), ()), 1):
        routing.now = START + number
        await routing.tell(GatesChanged(account="a0.com", at=routing.now, active_gates=gates, sequence=1))
    routing.now = START + 9
    await routing.follow(change("a0.com", 2, "rest"))
    state = routing.state("a0.com")
    told = [(one.at - START, one.what, one.why) for one in tell_history(state, [])]
    assert told == [
        (0, "enrolled", ""),
        (1, "stop", "suppressed: customers"),
        (1, "suppressed", "customers"),
        (2, "enrolled", ""),
        (9, "stop", ""),
        (9, "no-route", "its segment has no route"),
    ]
    owner = state.log[0].owner
    sent = [
        PastDecision(START + 60, "enrolled", "hot", "exec", owner, "first reason"),
        PastDecision(START + 5_000_000, "enrolled", "hot", "exec", owner, "of another day"),
        PastDecision(START + 1, "enrolled", "cold", "exec", owner, "another segment"),
    ]
    assert [one.why for one in tell_history(state, sent) if one.what == "enrolled"] == ["first reason"] * 2
    assert [one.why for one in tell_history(state, sent[1:]) if one.what == "enrolled"] == ["", ""]
    assert find_gaps(state, 7) == []
    assert "since this release" in find_gaps(RoutedState(), 7)[0]
