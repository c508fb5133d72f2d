"""The limit per day: who gets in, what happens while the others wait, and that a grant is given once."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.agents.router import route
from resegment.routing.describe import words_of
from resegment.schemas.assignment import Join, Rank, Waiting
from resegment.schemas.routing import GatesChanged, Review, RoutedOutcome
from resegment.schemas.times import parse_instant
from resegment.state.partition_store import StoreUnavailable
from tests.builders import Routing, definition_of
from tests.oracle.cases import day
from tests.unit.agents.test_router import (
    DAY,
    HOUR,
    NOON,
    SUPPRESSED,
    Account,
    Json,
    file,
    said,
    taken,
    to,
)
from tests.unit.routing.test_switching import Rig

MINUTE = 60_000
RAISED: Json = {"sales": {"members": ["ann"], "per_day": 2, "order": {"highest": "raised"}}}


def accounts_of(commands: list[Json]) -> list[str]:
    return [one["account"] for one in commands]


def rising(amounts: tuple[int, ...] = (1, 2, 3, 4, 60, 90)) -> list[bytes]:
    return [
        Account(f"raised-{one}m.com").moves("hot", at=NOON, values={"raised": one * 10**6}) for one in amounts
    ]


async def test_the_two_accounts_that_raised_the_most_are_enrolled_not_the_first_two() -> None:
    routing = await taken(teams=RAISED)
    assert await routing.follow(*rising()) == []
    assert await routing.wait_until(NOON + MINUTE - 1) == []
    assert accounts_of(await routing.wait_until(NOON + MINUTE)) == ["raised-60m.com", "raised-90m.com"]
    assert routing.memory.sizes == {"enrolled": 2, "waiting": 4}
    third = routing.state("raised-4m.com")
    assert third.why == "1 of 4 waiting for sales; 2 a day"
    assert words_of(third).startswith("not enrolled yet: waiting for hot-flow since 2")
    assert accounts_of(await routing.wait_until(day(1))) == ["raised-3m.com", "raised-4m.com"]
    assert accounts_of(await routing.wait_until(day(2))) == ["raised-1m.com", "raised-2m.com"]


@pytest.mark.parametrize("now", [NOON, None])
async def test_a_first_load_and_a_request_for_all_settle_first_on_either_clock(now: int | None) -> None:
    routing = Routing(definition_of(file(teams=RAISED)), mode="none", now=now)
    await routing.take()
    await routing.follow(*rising())
    names = [f"raised-{one}m.com" for one in (1, 2, 3, 4, 60, 90)]
    assert await routing.tell(*(Review(account=name, at=NOON, forced=True) for name in names)) == []
    if now is None:
        made = await routing.follow(Account("later.com").moves("cold", None, at=NOON + HOUR))
        made += await routing.settle()
    else:
        made = await routing.wait_until(NOON + HOUR)
    assert sorted(accounts_of(made)) == ["raised-60m.com", "raised-90m.com"]


async def test_who_comes_later_and_is_better_goes_before_those_who_wait() -> None:
    routing = await taken(teams=RAISED)
    await routing.follow(*rising((5, 6, 7)))
    assert accounts_of(await routing.wait_until(NOON + HOUR)) == ["raised-6m.com", "raised-7m.com"]
    await routing.follow(*rising((8,)))
    assert routing.state("raised-8m.com").why == "1 of 2 waiting for sales; 2 a day"
    await routing.follow(*rising((9,)))
    assert accounts_of(await routing.wait_until(day(1))) == ["raised-8m.com", "raised-9m.com"]


async def test_the_day_of_a_team_turns_at_its_own_midnight() -> None:
    team = {"sales": {**RAISED["sales"], "per_day": 1, "timezone": "America/Los_Angeles"}}
    routing = await taken(teams=team)
    await routing.follow(*rising((1, 2)))
    assert len(await routing.wait_until(NOON + HOUR)) == 1
    assert await routing.wait_until(day(1)) == []
    midnight = day(1) + 8 * HOUR  # in winter
    assert await routing.wait_until(midnight - 1) == []
    assert accounts_of(await routing.wait_until(midnight)) == ["raised-1m.com"]


# While an account waits


async def waiting_in_a_workflow(**given: Any) -> tuple[Routing, Account]:
    """An account that is in `old-flow` and waits for a team with a limit of one a day, which is used up."""
    teams = {"sales": {"members": ["ann"]}, "new": {"members": ["eve"], "per_day": 1, "settle": "0s"}}
    routing, acme = await taken(teams=teams, **SUPPRESSED, **given), Account()
    await routing.follow(acme.moves("cold", to("old-flow", on_exit="finish", qualification="fast")))
    await routing.follow(Account("first.com").moves("hot", to("new-flow", team="new")))
    assert await routing.follow(acme.moves("hot", to("new-flow", team="new"), at=NOON + 1)) == []
    state = routing.state("acme.com")
    assert state.decision == "waiting"
    assert state.enrollment is not None
    assert state.enrollment.workflow == "old-flow"
    assert (await routing.owners.look()).members["ann"].open == 1
    return routing, acme


async def test_an_account_stays_in_its_workflow_until_it_is_granted() -> None:
    routing, _ = await waiting_in_a_workflow()
    assert said(await routing.wait_until(day(1))) == [
        ("finish", "old-flow", "cold"),
        ("enroll", "new-flow", "hot"),
    ]
    look = await routing.owners.look()
    assert (look.members["ann"].open, look.members["eve"].open) == (0, 2)


async def test_a_suppression_stops_what_a_waiting_account_is_in_at_once() -> None:
    routing, _ = await waiting_in_a_workflow()
    told = GatesChanged(account="acme.com", at=NOON + 2, active_gates=("suppress:customers",), sequence=2)
    assert said(await routing.tell(told)) == [("stop", "old-flow", "cold")]
    assert routing.state("acme.com").decision == "suppressed"
    look = await routing.owners.look()
    assert (look.members["ann"].open, look.teams["new"].waiting) == (0, 0)


@pytest.mark.parametrize("way", [None, to("third-flow", cooldown="9d"), to("third-flow", team=None)])
async def test_a_waiting_account_that_moves_on_leaves_its_workflow_at_once(way: Json | None) -> None:
    routing, acme = await waiting_in_a_workflow()
    made = await routing.follow(acme.moves("out", way, at=NOON + 2))
    assert said(made)[0] == ("finish", "old-flow", "cold")
    assert [one["workflow"] for one in made[1:]] == ([] if way is None else ["third-flow"])
    assert (await routing.owners.look()).teams["new"].waiting == 0


async def test_a_waiting_account_that_moves_back_continues_with_the_new_play() -> None:
    routing, acme = await waiting_in_a_workflow()
    (made,) = await routing.follow(acme.moves("warm", to("old-flow"), at=NOON + 2))
    assert (made["action"], made["workflow"], made["segment"]) == ("enroll", "old-flow", "warm")
    assert await routing.wait_until(day(1)) == []


async def test_a_waiting_account_whose_move_is_void_continues_as_if_it_had_not_moved() -> None:
    routing, acme = await waiting_in_a_workflow()
    void = {"supersedes": "acme.com-2", "supersedes_to": "hot", "from": "cold"}
    made = await routing.follow(acme.moves("cold", to("old-flow", on_exit="finish"), **void))
    assert said(made) == [("enroll", "old-flow", "cold")]
    assert await routing.wait_until(day(1)) == []
    assert (await routing.owners.look()).members["ann"].open == 1


async def test_an_account_whose_move_is_void_is_back_at_once_and_takes_no_room_of_the_day() -> None:
    teams = {"new": {"members": ["ann"], "per_day": 1}, "old": {"members": ["bob"]}}
    routing = Routing(definition_of(file(teams=teams, limits={"enrollments": 2, "per": "30d"})), now=NOON)
    await routing.take()
    acme = Account()
    await routing.follow(acme.moves("hot", to("new-flow", team="new")))
    await routing.wait_until(NOON + 60_000)
    await routing.wait_until(NOON + HOUR)
    await routing.follow(acme.moves("cold", to("old-flow", team="old"), at=NOON + 1))
    void = {"supersedes": "acme.com-2", "supersedes_to": "cold", "from": "hot"}
    made = await routing.follow(acme.moves("hot", to("new-flow", team="new"), at=NOON + 1, **void))
    assert said(made) == [("stop", "old-flow", "cold"), ("enroll", "new-flow", "hot")]
    assert made[1]["owner"] == "ann"
    assert sum((await routing.owners.look()).teams["new"].granted.values()) == 1
    assert routing.state("acme.com").enrolled == (NOON + 60_000,)


async def test_a_waiting_account_that_is_rejected_where_it_is_waits_on() -> None:
    routing, _ = await waiting_in_a_workflow()
    key = routing.state("acme.com").enrollment.key  # type: ignore[union-attr]
    answer = RoutedOutcome(account="acme.com", at=NOON + 2, action="rejected", key=key)
    assert await routing.tell(answer) == []
    assert routing.state("acme.com").decision == "waiting"
    assert said(await routing.wait_until(day(1))) == [("enroll", "new-flow", "hot")]


async def test_a_late_answer_is_escalated_while_the_account_waits_for_another_workflow() -> None:
    routing, _ = await waiting_in_a_workflow(qualifications={"fast": {"sla": "1h"}})
    made = await routing.wait_until(NOON + HOUR)
    assert [(one["action"], one["workflow"]) for one in made] == [("escalate", "old-flow")]
    assert routing.state("acme.com").decision == "waiting"
    assert [one["action"] for one in await routing.wait_until(day(1))] == ["finish", "enroll"]


async def test_a_rollback_puts_a_waiting_account_back_into_its_workflow_and_the_line() -> None:
    teams = {"sales": {"members": ["ann"]}, "new": {"members": ["eve"], "per_day": 1, "settle": "0s"}}
    routing, acme = Rig(*[file(teams=teams)] * 3), Account()
    await routing.take()
    await routing.follow(acme.moves("cold", to("old-flow")))
    await routing.follow(Account("first.com").moves("hot", to("new-flow", team="new")))
    await routing.follow(acme.moves("hot", to("new-flow", team="new"), at=NOON + 1))
    by = {"cause": {"definition": 2}, "apply_route": "none", "at": NOON + 2}
    assert said(await routing.follow(acme.moves("out", None, **by))) == [("stop", "old-flow", "cold")]
    back = {"cause": {"definition": 3}, "apply_route": "none", "at": NOON + 3, "rollback_of": 2}
    made = await routing.follow(acme.moves("hot", to("new-flow", team="new"), **back))
    assert [(one["action"], one["workflow"]) for one in made] == [("enroll", "old-flow")]
    assert routing.state("acme.com").decision == "waiting"
    assert [one["action"] for one in await routing.wait_until(day(1))] == ["stop", "enroll"]


# Grants


async def test_a_worker_that_dies_before_its_commit_leaves_the_grant_to_the_next() -> None:
    routing = await taken(teams={"sales": {"members": ["ann"], "per_day": 1, "settle": "0s"}})
    batch = routing.batch("segment-changes", [Account("a.com").moves("hot")])
    commit = routing.owned.store.commit

    async def failing(_: Any) -> Any:
        raise StoreUnavailable("away")

    routing.owned.store.commit = failing  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await route(batch, routing.owned, routing.router)
    routing.owned.store.commit = commit  # type: ignore[method-assign]
    await routing.take()
    rank = Rank(-1.0, 0, 0, "b.com")
    other = Join(key="b", account="b.com", team="sales", per_day=1, day="2024-01-01", rank=rank)
    assert await routing.owners.settle([other]) == [Waiting(0, 1)]
    made = await routing._done(route(batch, routing.owned, routing.router))
    assert accounts_of(made) == ["a.com"]
    assert (await routing.owners.look()).teams["sales"].granted["2024-01-01"] == 1


async def test_a_grant_whose_account_has_moved_on_goes_to_the_next_in_line() -> None:
    routing = await taken(teams=RAISED)
    await routing.follow(*rising((1, 2, 3)))
    shifts = routing.policy.shifts(NOON + MINUTE)
    routing.now = NOON + MINUTE
    assert await routing.owners.offer(shifts) == []  # the line is granted: 3 and 2
    moved = Account("raised-3m.com")
    moved.number = 1
    routing.now = NOON + MINUTE - 1  # its partition is a little behind
    assert await routing.follow(moved.moves("out", None, at=NOON + MINUTE - 1)) == []
    made = await routing.wait_until(NOON + MINUTE)
    routing.now = NOON + 2 * MINUTE
    made += await routing.offer()
    routing.now += MINUTE
    made += await routing.offer()
    assert sorted(accounts_of(made)) == ["raised-1m.com", "raised-2m.com"]


async def test_an_instant_of_another_zone_is_of_the_day_there() -> None:
    at = parse_instant("2026-03-08T07:30:00Z")  # 23:30 on March 7 in Los Angeles
    team = {"sales": {"members": ["ann"], "per_day": 1, "settle": "0s", "timezone": "America/Los_Angeles"}}
    routing = Routing(definition_of(file(teams=team)), now=at)
    await routing.take()
    await routing.follow(*(Account(f"{one}.com").moves("hot", at=at) for one in "abc"))
    assert (await routing.owners.look()).teams["sales"].granted == {"2026-03-07": 1}
    assert len(await routing.wait_until(at + 30 * MINUTE)) == 1
    nights = parse_instant("2026-03-09T07:00:00Z")  # the day of March 8 has 23 hours there
    assert await routing.wait_until(nights - 1) == []
    assert len(await routing.wait_until(nights)) == 1
    assert nights - (at + 30 * MINUTE) == DAY - HOUR
