"""Accounts that nobody could take: each is offered again as soon as somebody may take it."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.agents.router import handle_events
from resegment.schemas.routing import GatesChanged, Offered, RoutedOutcome
from resegment.schemas.times import format_instant, parse_instant
from tests.builders import Routing, definition_of
from tests.unit.agents.test_router import DAY, HOUR, NOON, Account, Json, file, said, to
from tests.unit.routing.test_switching import Rig

SATURDAY = parse_instant("2026-03-07T20:00:00Z")
MONDAY = parse_instant("2026-03-09T00:00:00Z")


async def of(at: int = NOON, members: list[Any] | None = None, **given: Any) -> Routing:
    team = {"members": members or ["ann"], "fallback": "pool", **given}
    routing = Routing(
        definition_of(file(teams={"sales": team}, qualifications={"fast": {"sla": "4h"}})), now=at
    )
    await routing.take()
    return routing


def reassigned(commands: list[Json]) -> list[tuple[str, str]]:
    assert {one["action"] for one in commands} <= {"reassign"}
    return [(one["account"], one["owner"]) for one in commands]


async def enter(routing: Routing, *names: str, qualification: str | None = None, **given: Any) -> list[str]:
    """Enroll accounts, and return their owners."""
    assert routing.now is not None
    way = to("hot-flow", qualification=qualification)
    made = [Account(name).moves("hot", way, at=routing.now, **given) for name in names]
    return [one["owner"] for one in await routing.follow(*made)]


async def test_who_comes_on_saturday_goes_to_a_member_when_their_monday_begins() -> None:
    weekdays = [{"name": "ann", "days": ["mon", "tue", "wed", "thu", "fri"]}]
    there = {"timezone": "America/New_York", "hours": "mon-fri 09:00-17:00"}
    routing = await of(SATURDAY, weekdays, **there)
    assert await enter(routing, "acme.com", qualification="fast") == ["pool"]
    first = routing.state("acme.com").enrollment
    assert first is not None
    routing.now = MONDAY
    assert await routing.offer() == []
    routing.now = MONDAY + 4 * HOUR  # midnight there
    (made,) = await routing.offer()
    assert (made["action"], made["owner"], made["workflow"]) == ("reassign", "ann", "hot-flow")
    assert made["idempotency_key"] != first.key
    assert made["reason"] == "taken from pool"
    assert made["accept_by"] == format_instant(MONDAY + 17 * HOUR)
    assert await routing.offer() == []
    assert (await routing.owners.look()).members["ann"].open == 1


async def test_a_shift_that_begins_takes_what_came_at_night() -> None:
    routing = await of(NOON, [{"name": "ann", "hours": "mon-fri 14:00-18:00"}])
    assert await enter(routing, "acme.com") == ["pool"]
    routing.now = NOON + 2 * HOUR - 1
    assert await routing.offer() == []
    routing.now += 1
    assert reassigned(await routing.offer()) == [("acme.com", "ann")]


@pytest.mark.parametrize("how", ["won", "lost", "rejected", "stop"])
async def test_room_that_is_free_again_goes_to_the_longest_in_the_queue(how: str) -> None:
    routing = await of(members=[{"name": "ann", "capacity": 1}])
    assert await enter(routing, "first.com") == ["ann"]
    for name in ("z.com", "a.com"):
        routing.now = (routing.now or 0) + 1
        assert await enter(routing, name) == ["pool"]
    assert await routing.offer() == []
    enrollment = routing.state("first.com").enrollment
    assert enrollment is not None
    if how == "stop":
        leaving = Account("first.com")
        leaving.number = 1
        await routing.follow(leaving.moves("out", None, at=NOON + HOUR))
    else:
        action: Any = how
        await routing.tell(
            RoutedOutcome(account="first.com", at=NOON + HOUR, action=action, key=enrollment.key)
        )
    assert reassigned(await routing.offer()) == [("z.com", "ann")]
    routing.now = NOON + DAY
    assert await routing.offer() == []
    assert (await routing.owners.look()).members["ann"].open == 1


async def test_a_member_who_returns_takes_what_is_in_the_queue() -> None:
    routing = await of()
    await routing.owners.leave("ann")
    assert await enter(routing, "a.com", "b.com") == ["pool", "pool"]
    assert await routing.offer() == []
    await routing.owners.come_back("ann")
    assert reassigned(await routing.offer()) == [("a.com", "ann"), ("b.com", "ann")]


async def test_an_absence_that_ends_takes_what_is_in_the_queue() -> None:
    away = {"name": "ann", "absences": [{"from": "2024-01-01", "to": "2024-01-02"}]}
    routing = await of(members=[away])
    assert await enter(routing, "a.com") == ["pool"]
    routing.now = parse_instant("2024-01-02T23:59:59Z")
    assert await routing.offer() == []
    routing.now += 1000
    assert reassigned(await routing.offer()) == [("a.com", "ann")]


async def test_a_territory_that_becomes_known_takes_the_account_out_of_the_queue_at_once() -> None:
    routing = await of(members=[{"name": "eve", "territory": {"region": "emea"}}])
    assert await enter(routing, "a.com", standing=[]) == ["pool"]
    told = GatesChanged(account="a.com", at=NOON + 1000, active_gates=("territory:sales/eve",), sequence=1)
    assert reassigned(await routing.tell(told)) == [("a.com", "eve")]


async def test_a_territory_that_becomes_known_while_its_member_is_away_is_offered_when_they_are_back() -> (
    None
):
    routing = await of(SATURDAY, [{"name": "eve", "days": ["mon"], "territory": {"region": "emea"}}])
    assert await enter(routing, "a.com", standing=[]) == ["pool"]
    told = GatesChanged(account="a.com", at=SATURDAY + 1, active_gates=("territory:sales/eve",), sequence=1)
    assert await routing.tell(told) == []
    routing.now = MONDAY
    assert reassigned(await routing.offer()) == [("a.com", "eve")]


async def test_a_territory_that_a_move_within_the_workflow_makes_known_counts_too() -> None:
    routing, acme = await of(members=[{"name": "eve", "territory": {"region": "emea"}}]), Account()
    await routing.follow(acme.moves("cold", to("hot-flow"), standing=[]))
    made = await routing.follow(
        acme.moves("hot", to("hot-flow"), at=NOON + 1, standing=["territory:sales/eve"])
    )
    assert [(one["action"], one["owner"]) for one in made] == [("enroll", "pool"), ("reassign", "eve")]


async def test_a_new_version_with_somebody_who_may_take_them_takes_what_is_in_the_queue() -> None:
    def team(capacity: int) -> Json:
        return {"sales": {"members": [{"name": "ann", "capacity": capacity}], "fallback": "pool"}}

    routing = Rig(
        file(teams=team(1)), file(teams=team(1), limits={"enrollments": 9, "per": "1d"}), file(teams=team(2))
    )
    await routing.take()
    assert await enter(routing, "a.com") == ["ann"]
    for name in ("c.com", "b.com"):
        routing.now = (routing.now or 0) + HOUR
        assert await enter(routing, name) == ["pool"]
    for version in (2, 3):
        routing.now += HOUR
        assert await routing.switch(version) == []
        taken = reassigned(await routing.offer())
    assert taken == [("c.com", "ann")]  # the longest in the queue
    assert (await routing.owners.look()).members["ann"].open == 2


async def test_what_somebody_accepted_in_the_queue_stays_there_and_is_offered_once() -> None:
    routing = await of(members=[{"name": "ann", "capacity": 1}])
    await enter(routing, "first.com", "a.com")
    enrollment = routing.state("a.com").enrollment
    assert enrollment is not None
    await routing.tell(RoutedOutcome(account="a.com", at=NOON, action="accepted", key=enrollment.key))
    await routing.tell(RoutedOutcome(account="first.com", at=NOON + 1, action="won"))
    for later in range(3):
        routing.now = NOON + later * HOUR
        assert await routing.offer() == []
    assert routing.owners.owners.queues == {("sales", ("ann",)): {}}


async def test_an_offer_that_comes_twice_or_late_does_nothing_again() -> None:
    routing = await of(members=[{"name": "ann", "capacity": 1}])
    await enter(routing, "first.com", "a.com", "b.com")
    enrollment = routing.state("a.com").enrollment
    assert enrollment is not None
    offered = Offered(account="a.com", at=NOON, key=enrollment.key)
    assert await routing.tell(offered) == []  # there is no room
    await routing.tell(RoutedOutcome(account="first.com", at=NOON + 1, action="won"))
    assert len(await routing.tell(offered, offered)) == 1
    await routing.tell(RoutedOutcome(account="a.com", at=NOON + 2, action="won"))
    assert await routing.tell(offered) == []


async def test_on_the_clock_of_the_facts_a_queue_is_offered_as_time_passes_with_them() -> None:
    team = {"sales": {"members": [{"name": "ann", "days": ["tue"]}], "fallback": "pool"}}
    routing = Routing(definition_of(file(teams=team)), now=None)
    await routing.take()
    made = await routing.follow(Account("a.com").moves("hot"))
    assert said(made) == [("enroll", "hot-flow", "hot")]
    await routing.follow(Account("b.com").moves("out", None, at=NOON + DAY))
    offers = [one.value for one in routing.published.to("routing-events")]
    assert len(offers) == 1
    taken = await routing._done(
        handle_events(routing.batch("routing-events", offers), routing.owned, routing.router)
    )
    assert reassigned(taken) == [("a.com", "ann")]
