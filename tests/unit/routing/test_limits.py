"""The limit over all workflows: how often an account is enrolled in any time of some length."""

from __future__ import annotations

from typing import Any

import pytest

from resegment.routing.describe import words_of
from resegment.schemas.routing import GatesChanged, Review
from resegment.schemas.times import format_instant
from tests.builders import Routing
from tests.unit.agents.test_router import DAY, HOUR, NOON, SUPPRESSED, TEAM, Account, file, said, taken, to
from tests.unit.routing.test_switching import Rig

TWICE: Any = {"limits": {"enrollments": 2, "per": "30d"}}
SEGMENTS = ("cold", "hot", "warm", "late")


async def moved(routing: Routing, account: Account, *segments: str, start: int = NOON) -> list[str]:
    """Move an account from segment to segment, each with a workflow of its own, an hour apart."""
    actions = []
    for number, segment in enumerate(segments):
        routing.now = start + number * HOUR
        actions += [one["action"] for one in await routing.follow(account.moves(segment, at=routing.now))]
    return actions


async def test_three_moves_in_a_day_enroll_twice_and_again_when_the_first_is_long_enough_ago() -> None:
    routing, acme = await taken(**TWICE), Account()
    assert await moved(routing, acme, *SEGMENTS[:3]) == ["enroll", "stop", "enroll", "stop"]
    state = routing.state("acme.com")
    end = NOON + 30 * DAY
    assert state.decision == "capped"
    assert state.why == f"enrolled 2 times in 30d, over all workflows, until {format_instant(end)}"
    assert words_of(state).startswith("not enrolled: enrolled 2 times in 30d")
    assert await routing.wait_until(end - 1) == []
    assert said(await routing.wait_until(end)) == [("enroll", "warm-flow", "warm")]
    assert await moved(routing, acme, "late", start=end + 1) == ["stop"]
    assert said(await routing.wait_until(end + HOUR)) == [("enroll", "late-flow", "late")]


async def test_a_stop_is_never_capped_and_what_ends_counts_all_the_same() -> None:
    routing, acme = await taken(**TWICE, **SUPPRESSED), Account()
    await moved(routing, acme, "cold", "hot")
    routing.now = NOON + 2 * HOUR
    told = GatesChanged(account="acme.com", at=routing.now, active_gates=("suppress:customers",), sequence=2)
    assert said(await routing.tell(told)) == [("stop", "hot-flow", "hot")]
    freed = GatesChanged(account="acme.com", at=routing.now + 1, active_gates=(), sequence=2)
    assert await routing.tell(freed) == []
    assert routing.state("acme.com").decision == "capped"


async def test_a_move_within_the_workflow_a_void_move_and_a_request_count_once() -> None:
    routing, acme = await taken(**TWICE), Account()
    await routing.follow(acme.moves("cold", to("cold-flow")))
    await routing.follow(acme.moves("hot", to("cold-flow"), at=NOON + 1))
    await routing.follow(acme.moves("warm", at=NOON + 2))
    void = {"supersedes": "acme.com-3", "supersedes_to": "warm", "from": "hot"}
    made = await routing.follow(acme.moves("hot", to("cold-flow"), **void))
    assert said(made) == [("stop", "warm-flow", "warm"), ("enroll", "cold-flow", "hot")]
    assert len(routing.state("acme.com").enrolled) == 1
    assert await routing.tell(Review(account="acme.com", at=NOON + 3, forced=True)) == []
    assert await moved(routing, acme, "late", start=NOON + HOUR) == ["stop", "enroll"]


async def test_a_rollback_does_not_count_twice() -> None:
    files = [file(teams=TEAM, **TWICE)] * 3
    routing, acme = Rig(*files), Account()
    await routing.take()
    await routing.follow(acme.moves("cold"))
    by = {"cause": {"definition": 2}, "apply_route": "none", "at": NOON + 1}
    await routing.follow(acme.moves("hot", **by))
    back = {"cause": {"definition": 3}, "apply_route": "none", "at": NOON + 2, "rollback_of": 2}
    assert said(await routing.follow(acme.moves("cold", **back))) == [("enroll", "cold-flow", "cold")]
    assert routing.state("acme.com").enrolled == (NOON,)


async def test_a_request_for_a_capped_account_waits_for_the_end_too() -> None:
    routing, acme = await taken(**TWICE), Account()
    await moved(routing, acme, *SEGMENTS[:3])
    assert await routing.tell(Review(account="acme.com", at=NOON, forced=True)) == []
    assert routing.state("acme.com").decision == "capped"


@pytest.mark.parametrize(
    ("first", "then"), [(TWICE, {}), (TWICE, {"limits": {"enrollments": 3, "per": "30d"}})]
)
async def test_a_version_without_the_limit_or_with_a_greater_one_enrolls_at_once(
    first: Any, then: Any
) -> None:
    routing, acme = Rig(file(**first), file(**then)), Account()
    await routing.take()
    await moved(routing, acme, *SEGMENTS[:3])
    assert said(await routing.switch(2)) == [("enroll", "warm-flow", "warm")]


async def test_enrollments_before_there_was_a_limit_count() -> None:
    routing, acme = Rig(file(), file(**TWICE)), Account()
    await routing.take()
    assert await moved(routing, acme, "cold", "hot") == ["enroll", "stop", "enroll"]
    await routing.switch(2)
    assert await moved(routing, acme, "warm", start=NOON + 9 * HOUR) == ["stop"]
    assert routing.state("acme.com").decision == "capped"


async def test_only_the_latest_fifty_are_remembered() -> None:
    routing, acme = await taken(), Account()
    for number in range(60):
        routing.now = NOON + number
        await routing.follow(acme.moves(("hot", "cold")[number % 2], at=routing.now))
    assert routing.state("acme.com").enrolled == tuple(range(NOON + 10, NOON + 60))
