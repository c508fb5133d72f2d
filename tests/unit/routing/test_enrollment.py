"""What an account carries from one enrollment to the next."""

from __future__ import annotations

from resegment.schemas.outgoing import identify_command
from resegment.schemas.routing import Reassign, Review, RoutedOutcome
from tests.unit.agents.test_router import DAY, ENROLL, NOON, QUALIFIED, TEAM, Account, owners, said, taken, to


async def test_an_owner_of_another_team_takes_over_within_one_workflow() -> None:
    partners = {"members": ["pat"]}
    routing, acme = await taken(teams={**TEAM, "partners": partners}), Account()
    (first,) = await routing.follow(acme.moves("cold", to("flow")))
    (second,) = await routing.follow(acme.moves("hot", to("flow", team="partners"), at=NOON + 1))
    assert (first["owner"] in ("ann", "bob"), second["owner"]) == (True, "pat")
    assert (await routing.owners.look()).members[first["owner"]].open == 0


async def test_an_account_that_waits_and_moves_on_leaves_its_place_and_gets_a_key_of_its_own() -> None:
    routing = await taken(teams={"sales": {"members": ["ann"], "per_day": 1, "settle": "0s"}})
    first, second = Account("first.com"), Account("second.com")
    await routing.follow(first.moves("hot"), second.moves("hot"))
    assert routing.state("second.com").decision == "waiting"
    (made,) = await routing.follow(second.moves("cold", to("cold-flow", team="nobody"), at=NOON + 1))
    assert made["idempotency_key"] == identify_command("second.com-2", "enroll", "cold-flow")
    assert (await routing.owners.look()).teams["sales"].waiting == 0


async def test_a_deal_that_is_won_is_not_escalated_though_nobody_accepted_it() -> None:
    routing, acme = await taken(**QUALIFIED), Account()
    (made,) = await routing.follow(acme.moves("hot", to("hot-flow", qualification="fast")))
    key = made["idempotency_key"]
    await routing.tell(RoutedOutcome(account="acme.com", at=NOON, action="won", key=key))
    assert await routing.wait_until(NOON + DAY) == []


async def test_a_rejected_account_has_been_in_its_workflow() -> None:
    routing, acme = await taken(teams=TEAM), Account()
    once = to("hot-flow", reentry="never")
    (made,) = await routing.follow(acme.moves("hot", once))
    key = made["idempotency_key"]
    await routing.tell(RoutedOutcome(account="acme.com", at=NOON, action="rejected", key=key))
    await routing.follow(acme.moves("out", None, at=NOON + 1))
    assert await routing.follow(acme.moves("hot", once, at=NOON + 2)) == []
    assert routing.state("acme.com").decision == "never-again"


async def test_an_account_that_was_reassigned_comes_back_to_its_last_owner() -> None:
    routing, acme = await taken(teams={"sales": {"members": ["ann", "bob", "cat"]}}), Account()
    (made,) = await routing.follow(acme.moves("hot"))
    await routing.owners.leave(made["owner"])
    (given_on,) = await routing.tell(Reassign(account="acme.com", at=NOON, owner=made["owner"]))
    assert routing.state("acme.com").why == given_on["owner"] != made["owner"]
    for number in range(4):
        await routing.follow(acme.moves("out", None, at=NOON + 2 * number + 1))
        again = await routing.follow(acme.moves("hot", at=NOON + 2 * number + 2))
        assert owners(again) == [given_on["owner"]]


async def test_each_reassignment_has_a_key_and_an_owner_of_its_own() -> None:
    routing, acme = await taken(teams={"sales": {"members": ["ann", "bob", "cat"]}}), Account()
    made = await routing.follow(acme.moves("hot"))
    for _ in range(2):
        await routing.owners.leave(made[-1]["owner"])
        made += await routing.tell(Reassign(account="acme.com", at=NOON, owner=made[-1]["owner"]))
    assert {one["owner"] for one in made} == {"ann", "bob", "cat"}
    assert len({one["idempotency_key"] for one in made}) == 3


async def test_a_deal_that_is_won_after_its_escalation_stays_escalated() -> None:
    routing, acme = await taken(**QUALIFIED), Account()
    (made,) = await routing.follow(acme.moves("hot", to("hot-flow", qualification="fast")))
    await routing.wait_until(NOON + DAY)
    key = made["idempotency_key"]
    await routing.tell(RoutedOutcome(account="acme.com", at=NOON + DAY, action="won", key=key))
    enrollment = routing.state("acme.com").enrollment
    assert enrollment is not None
    assert (enrollment.answer, enrollment.assignment) == ("escalated", None)


async def test_a_team_without_members_can_have_a_limit() -> None:
    routing = await taken(teams={"sales": {"per_day": 1, "settle": "0s"}})
    made = await routing.follow(Account("a.com").moves("hot"), Account("b.com").moves("hot"))
    assert owners(made) == ["sales"]
    assert routing.state("b.com").decision == "waiting"


async def test_an_event_beside_changes_is_committed_with_its_offset() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("hot"))
    review = Review(account="acme.com", at=NOON)
    await routing.tell(review, review)
    assert routing.owned.position.side == 2


async def test_an_enrolled_account_keeps_no_text_of_its_play() -> None:
    routing, acme = await taken(), Account()
    assert said(await routing.follow(acme.moves("hot"))) == [ENROLL]
    target = routing.state("acme.com").target
    assert target is not None
    assert target.message is None
