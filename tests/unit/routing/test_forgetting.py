"""The router forgets accounts, and what may name or quote a person."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from resegment.schemas.identities.forgotten import Forgotten
from resegment.schemas.outcomes.ledger import decode_ledger
from resegment.schemas.outcomes.messages import decode_touch
from resegment.schemas.outcomes.touch import TouchesForgotten
from resegment.schemas.routing import GatesChanged, RoutedState
from tests.unit.agents.test_router import DAY, NOON, TEAM, Account, taken
from tests.unit.routing.test_touches import learned


def forgotten(sequence: int = 1, op: int = 7, **more: Any) -> Forgotten:
    return Forgotten(account="acme.com", at=NOON + DAY, sequence=sequence, op=op, **more)


def ended(acme: Account, at: int = NOON + DAY) -> bytes:
    null: Any = None
    return acme.moves(null, None, at=at, cause={"forgotten": "account"}, play=None, message=None)


async def test_a_forgotten_account_leaves_its_workflow_and_nothing_of_it_stays() -> None:
    routing, acme = await taken(teams=TEAM), Account()
    (entered,) = await routing.follow(acme.moves("hot"))
    await routing.tell(learned())
    (left,) = await routing.tell(forgotten())
    assert (left["action"], left["workflow"], left["reason"]) == ("stop", entered["workflow"], "forgotten")
    assert routing.state("acme.com") == RoutedState(forgotten=1, forgets=7)
    assert decode_ledger(routing.memory.ledgers["acme.com"]) == []
    assert routing.memory.deadlines == {}
    assert isinstance(decode_touch(routing.published.to("touches")[-1].value or b""), TouchesForgotten)


async def test_the_change_to_null_does_the_same_and_either_may_come_first() -> None:
    for first in ("change", "event"):
        routing, acme = await taken(teams=TEAM), Account()
        await routing.follow(acme.moves("hot"))
        null = ended(acme)
        made = await routing.follow(null) if first == "change" else await routing.tell(forgotten(2))
        assert [one["action"] for one in made] == ["stop"]
        made = await routing.tell(forgotten(2)) if first == "change" else await routing.follow(null)
        assert made == []
        assert routing.state("acme.com") == RoutedState(forgotten=2, forgets=7)


async def test_an_older_change_that_comes_after_enrolls_nobody() -> None:
    routing, acme = await taken(teams=TEAM), Account()
    late = acme.moves("hot")
    await routing.tell(forgotten(2))
    assert await routing.follow(late) == []
    assert routing.state("acme.com") == RoutedState(forgotten=2, forgets=7)
    acme.moves("cold")
    assert [one["action"] for one in await routing.follow(acme.moves("hot", at=NOON + 2 * DAY))] == ["enroll"]


async def test_its_owner_has_room_again() -> None:
    routing, acme = await taken(teams=TEAM), Account()
    await routing.follow(acme.moves("hot"))
    await routing.tell(forgotten())
    loads = await routing.owners.look()
    assert {one.open for one in loads.members.values()} == {0}


async def test_outcomes_that_came_before_in_the_same_batch_are_not_kept() -> None:
    routing, acme = await taken(teams=TEAM), Account()
    await routing.follow(acme.moves("hot"))
    await routing.tell(learned("before"), forgotten(), learned("after"))
    assert [one.record for one in decode_ledger(routing.memory.ledgers["acme.com"])] == ["after"]  # type: ignore[union-attr]


async def test_an_unknown_account_is_remembered_as_forgotten() -> None:
    routing = await taken(teams=TEAM)
    assert await routing.tell(forgotten(0)) == []
    assert routing.state("acme.com") == RoutedState(forgotten=0, forgets=7)


async def test_a_forgotten_person_takes_texts_values_and_outcomes_along_and_no_workflow_ends() -> None:
    routing, acme = await taken(teams=TEAM), Account()
    await routing.follow(acme.moves("hot", values={"ceo": "Ann Lee"}))
    await routing.tell(learned("of-ann", person="Ann Lee"), learned("of-bo", person="Bo"))
    assert await routing.tell(forgotten(person=True), learned("of-bo", person="Bo")) == []
    state = routing.state("acme.com")
    assert state.enrollment is not None
    assert state.target is not None
    assert (state.target.values, state.target.message, state.target.evidence) == ({}, None, None)
    kept = decode_ledger(routing.memory.ledgers["acme.com"])
    assert [one.record for one in kept if hasattr(one, "record")] == ["of-bo"]
    assert any(hasattr(one, "touch") for one in kept)


async def test_a_message_that_lost_who_not_to_contact_takes_nobody_off_the_list() -> None:
    routing, acme = await taken(teams=TEAM), Account()
    await routing.follow(acme.moves("hot", standing=[], do_not_contact=["bo ek"]))
    told = GatesChanged(account="acme.com", at=NOON + 1, active_gates=(), sequence=1)
    await routing.tell(replace(told, forgotten=True))
    assert routing.state("acme.com").do_not_contact == ("bo ek",)
    made = await routing.follow(
        acme.moves("cold", at=NOON + DAY, standing=[], do_not_contact=[], forgotten=True)
    )
    assert [one["do_not_contact"] for one in made if one["action"] == "enroll"] == [["bo ek"]]
    await routing.tell(replace(told, at=NOON + 2 * DAY, sequence=2))
    assert routing.state("acme.com").do_not_contact == ()
