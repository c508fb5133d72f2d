"""Enrollments that rest on the absence of events wait while a source of such events is silent."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.agents.router import has_to_look, look_again
from resegment.routing.describe import words_of
from resegment.schemas.definitions.in_force import decode_in_force
from resegment.schemas.routing import Review
from resegment.schemas.sources.silence import Silence, SourceBack, SourceSilent, find_silent, hear
from tests.builders import Routing
from tests.unit.agents.test_router import DAY, ENROLL, NOON, Account, said, taken

BOARD = SourceSilent(source="/greenhouse", at=NOON, since=NOON - DAY, kinds=("hiring",))
BACK = SourceBack(source="/greenhouse", at=NOON + DAY)


async def settle(routing: Routing) -> list[tuple[str, str, str]]:
    """Look at all accounts that have to be looked at; return the commands."""
    before = len(routing.published.messages)
    made: list[Any] = []
    while has_to_look(routing.owned.position):
        made += await routing._done(look_again(routing.owned, routing.router))
    assert len(routing.published.messages) >= before
    return said(made)


async def test_an_account_is_held_until_the_source_is_back() -> None:
    routing, acme = await taken(), Account()
    await routing.tell(BOARD)
    assert await routing.follow(acme.moves("hot", absent=["hiring"])) == []
    state = routing.state("acme.com")
    assert state.decision == "held"
    assert state.why == (
        "it rests on the absence of hiring events, and /greenhouse is silent since 2023-12-31T12:00:00Z"
    )
    assert words_of(state).startswith("not enrolled: it rests on the absence of hiring events")
    assert not has_to_look(routing.owned.position)

    assert await routing.tell(BACK) == []
    assert await settle(routing) == [ENROLL]
    assert routing.state("acme.com").decision == "enrolled"
    assert decode_in_force(routing.owned.position.definition).silent == {}


async def test_an_account_that_rests_on_other_events_or_on_none_is_enrolled() -> None:
    routing = await taken()
    await routing.tell(BOARD)
    first, second = Account("a.com"), Account("b.com")
    assert said(await routing.follow(first.moves("hot", absent=["funding"]))) == [ENROLL]
    assert said(await routing.follow(second.moves("hot"))) == [ENROLL]


async def test_an_account_that_moved_on_meanwhile_is_decided_by_its_latest_change() -> None:
    routing, acme = await taken(), Account()
    await routing.tell(BOARD)
    await routing.follow(acme.moves("hot", absent=["hiring"]))
    assert said(await routing.follow(acme.moves("cold"))) == [("enroll", "cold-flow", "cold")]
    await routing.tell(BACK)
    assert await settle(routing) == []


async def test_it_leaves_the_workflow_of_its_old_segment_all_the_same() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("cold"))
    await routing.tell(BOARD)
    assert said(await routing.follow(acme.moves("hot", absent=["hiring"]))) == [("stop", "cold-flow", "cold")]


async def test_a_suppression_comes_before_it_and_holds_after_it() -> None:
    routing, acme = await taken(suppression=["customers"]), Account()
    await routing.tell(BOARD)
    await routing.follow(acme.moves("hot", absent=["hiring"], standing=["suppress:customers"]))
    assert routing.state("acme.com").decision == "suppressed"
    routing.policy.controls.lists = {}
    await routing.tell(BACK)
    assert await settle(routing) == []
    assert routing.state("acme.com").decision == "suppressed"


async def test_somebody_who_asks_for_it_enrolls_a_held_account() -> None:
    routing, acme = await taken(), Account()
    await routing.tell(BOARD)
    await routing.follow(acme.moves("hot", absent=["hiring"]))
    assert said(await routing.tell(Review(account="acme.com", at=NOON, forced=True))) == [ENROLL]


async def test_two_silent_sources_hold_until_both_are_back() -> None:
    routing, acme = await taken(), Account()
    lever = SourceSilent(source="/lever", at=NOON, since=NOON - 2 * DAY, kinds=("hiring", "tech"))
    await routing.tell(BOARD, lever)
    await routing.follow(acme.moves("hot", absent=["hiring"]))
    await routing.tell(BACK)
    assert await settle(routing) == []
    assert "/lever is silent" in routing.state("acme.com").why
    await routing.tell(SourceBack(source="/lever", at=NOON + DAY))
    assert await settle(routing) == [ENROLL]


async def test_a_worker_that_takes_the_partition_over_knows_which_sources_are_silent() -> None:
    routing, acme = await taken(), Account()
    await routing.tell(BOARD)
    await routing.take()
    assert await routing.follow(acme.moves("hot", absent=["hiring"])) == []
    assert routing.state("acme.com").decision == "held"


async def test_what_arrives_again_or_late_changes_nothing() -> None:
    routing, acme = await taken(), Account()
    await routing.tell(BOARD, BACK, BOARD)
    silent = decode_in_force(routing.owned.position.definition).silent
    assert silent == {"/greenhouse": Silence(BOARD.since, BOARD.kinds, BOARD.at)}
    assert hear(silent, SourceBack(source="/greenhouse", at=BOARD.at - 1)) == silent
    assert hear(silent, BOARD) is silent
    assert hear({}, BACK) == {}
    assert await routing.follow(acme.moves("hot", absent=["hiring"])) == []


def test_of_several_silent_sources_the_one_that_is_silent_for_longest_is_named() -> None:
    silent = {"/a": Silence(5, ("hiring",)), "/b": Silence(3, ("hiring",)), "/c": Silence(1, ("tech",))}
    assert find_silent(silent, ("hiring",)) == ("/b", silent["/b"])
    assert find_silent(silent, ()) is None


ACCOUNTS = ("a.com", "b.com", "c.com")
KINDS = ("hiring", "funding", "tech")


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
async def test_an_account_is_enrolled_at_the_first_instant_at_which_nothing_it_rests_on_is_silent(
    seed: int,
) -> None:
    draw, routing = random.Random(seed), await taken()
    accounts = {name: Account(name) for name in ACCOUNTS}
    silent: dict[str, tuple[str, ...]] = {}
    rests: dict[str, tuple[str, ...]] = {}
    held: set[str] = set()
    for step in range(draw.randint(1, 25)):
        source, now = draw.choice(["/one", "/two"]), NOON + step
        what = draw.random()
        if what < 0.3 and source not in silent:
            silent[source] = tuple(draw.sample(KINDS, k=draw.randint(1, 2)))
            await routing.tell(SourceSilent(source=source, at=now, since=NOON, kinds=silent[source]))
        elif what < 0.5 and source in silent:
            del silent[source]
            await routing.tell(SourceBack(source=source, at=now))
            await settle(routing)
            held = {name for name in held if any({*rests[name]} & {*kinds} for kinds in silent.values())}
        else:
            name = draw.choice(ACCOUNTS)
            rests[name] = tuple(draw.sample(KINDS, k=draw.randint(0, 2)))
            segment = "cold" if accounts[name].segment == "hot" else "hot"
            await routing.follow(accounts[name].moves(segment, absent=rests[name]))
            waits = any({*rests[name]} & {*kinds} for kinds in silent.values())
            held = held | {name} if waits else held - {name}
        decided = {name: routing.state(name).decision for name in rests}
        assert decided == {name: "held" if name in held else "enrolled" for name in rests}
