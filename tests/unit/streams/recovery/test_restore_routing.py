"""The router's accounts from what was said of them, where their store was lost."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest

from resegment.routing.change import decode_change
from resegment.routing.policy import OnePolicy, Policy
from resegment.routing.restore import PublishedCommandEvent, Trail, decode_published_command, restore
from resegment.schemas.routing import (
    GatesChanged,
    Reassign,
    Review,
    RoutedState,
    encode_routed,
)
from resegment.state.partition_store import Position
from tests.builders import Routing, definition_of
from tests.unit.agents.test_router import DAY, HOUR, NOON, QUALIFIED, SUPPRESSED, TEAM, Account, file, rig, to

SAID = msgspec.json.Decoder(PublishedCommandEvent)


def restored(
    routing: Routing, *changes: bytes, now: int = NOON, standing: tuple[str, ...] | None = None
) -> RoutedState:
    """What comes back of the account, of all that the router has published."""
    said = [SAID.decode(one.value or b"").data for one in routing.published.to("workflow-commands")]
    policy, trail = Policy(routing.policy.definition), Trail()
    for change in changes:
        trail.take(decode_change(change))
    return restore(trail, said, OnePolicy(policy), policy, now, standing)


async def after(state: RoutedState, **given: Any) -> Routing:
    """A router that has the account as it came back."""
    routing = rig(**given)
    routing.memory.accounts["acme.com"] = encode_routed(state)
    if state.deadline is not None:
        routing.memory.deadlines["acme.com"] = state.deadline
    routing.memory.position = Position(log="log")
    await routing.take()
    return routing


async def test_an_enrollment_comes_back_with_owner_keys_and_promise_and_goes_on() -> None:
    routing, acme = rig(**QUALIFIED), Account()
    await routing.take()
    await routing.follow(acme.moves("cold"))
    change = acme.moves("hot", to("hot-flow", qualification="fast", on_exit="finish"))
    await routing.follow(change)
    before, state = routing.state("acme.com"), restored(routing, change)
    assert before.enrollment is not None
    assert state.enrollment is not None
    assert state.enrollment == msgspec.structs.replace(before.enrollment, on_exit=state.enrollment.on_exit)
    assert (state.decision, state.deadline, state.owners) == ("enrolled", before.deadline, before.owners)
    assert state.left.keys() == before.left.keys() == {"cold-flow"}
    again = await after(state, **QUALIFIED)
    assert [one["action"] for one in await again.wait_until(NOON + 4 * HOUR)] == ["escalate"]


async def test_what_should_have_been_accepted_by_now_is_not_escalated_by_a_rebuild() -> None:
    routing, acme = rig(**QUALIFIED), Account()
    await routing.take()
    change = acme.moves("hot", to("hot-flow", qualification="fast"))
    await routing.follow(change)
    again = await after(restored(routing, change, now=NOON + DAY), **QUALIFIED)
    assert await again.wait_until(NOON + 2 * DAY) == []


async def test_no_key_is_used_twice_after_a_rebuild() -> None:
    routing, acme = rig(**SUPPRESSED), Account()
    await routing.take()
    change = acme.moves("hot")
    made = await routing.follow(change)
    for n in (1, 2):
        held = ("suppress:customers",) if n == 1 else ()
        made += await routing.tell(GatesChanged(account="acme.com", at=NOON + n, active_gates=held))
    again = await after(restored(routing, change), **SUPPRESSED)
    more = await again.tell(
        GatesChanged(account="acme.com", at=NOON + 3, active_gates=("suppress:customers",), sequence=1)
    )
    assert [one["action"] for one in more] == ["stop"]
    assert not {one["idempotency_key"] for one in more} & {one["idempotency_key"] for one in made}


async def test_who_is_suppressed_now_is_not_enrolled_on_request_after_a_rebuild() -> None:
    routing, acme = rig(**SUPPRESSED), Account()
    await routing.take()
    change = acme.moves("hot")
    await routing.follow(change)
    await routing.tell(GatesChanged(account="acme.com", at=NOON + 1, active_gates=("suppress:customers",)))
    state = restored(routing, change, standing=("suppress:customers",))
    assert (state.decision, state.enrollment) == ("quiet", None)
    again = await after(state, **SUPPRESSED)
    assert await again.tell(Review(account="acme.com", at=NOON, forced=True)) == []


async def test_a_command_whose_change_is_not_kept_any_more_is_left_with_the_next_change() -> None:
    routing, acme = rig(teams=TEAM), Account()
    await routing.take()
    await routing.follow(acme.moves("cold"))
    said = [SAID.decode(one.value or b"").data for one in routing.published.to("workflow-commands")]
    policy = Policy(definition_of(file(teams=TEAM)))
    state = restore(Trail(), said, OnePolicy(policy), policy, NOON)
    again = await after(state, teams=TEAM)
    made = await again.follow(acme.moves("hot", at=NOON + 1))
    assert [(one["action"], one["workflow"]) for one in made] == [
        ("stop", "cold-flow"),
        ("enroll", "hot-flow"),
    ]
    assert orjson.loads(again.published.messages[0].value or b"")["data"]["account"] == "acme.com"


@pytest.mark.parametrize("on_exit", ["stop", "finish", "pause"])
async def test_an_account_leaves_a_restored_workflow_the_way_its_own_segment_says(on_exit: str) -> None:
    hot, cold = file()["segments"]
    given = {
        "segments": [
            {**hot, "route": {**hot["route"], "on_exit": on_exit}},
            {**cold, "route": {**cold["route"], "on_exit": "pause" if on_exit == "finish" else "finish"}},
        ]
    }
    routing, acme = rig(**given), Account()
    await routing.take()
    change = acme.moves("hot")
    await routing.follow(change)
    again = await after(restored(routing, change), **given)
    left, _ = await again.follow(acme.moves("cold", at=NOON + 1))
    assert (left["action"], left["workflow"]) == (on_exit, "hot-flow")


async def test_an_account_that_was_reassigned_comes_back_with_its_last_owner() -> None:
    routing, acme = rig(teams=TEAM), Account()
    await routing.take()
    change = acme.moves("hot")
    (made,) = await routing.follow(change)
    await routing.owners.leave(made["owner"])
    (given_on,) = await routing.tell(Reassign(account="acme.com", at=NOON, owner=made["owner"]))
    state = restored(routing, change)
    assert state.enrollment is not None
    assert (state.enrollment.owner, state.why) == (given_on["owner"], given_on["owner"])
    assert state.enrollment.assignment == given_on["idempotency_key"]
    assert state.owners == {"sales": given_on["owner"]}


async def test_what_only_looks_like_a_command_is_no_command_for_a_restore() -> None:
    routing, acme = rig(), Account()
    await routing.take()
    await routing.follow(acme.moves("hot"))
    (good,) = routing.published.to("workflow-commands")
    event = orjson.loads(good.value or b"")
    assert decode_published_command(good.value or b"").account == "acme.com"
    cause = event["data"]["cause"]
    broken = [
        *(
            {**event, "data": {**event["data"], "cause": one}}
            for one in ({}, {**cause, "sequence_number": "1"})
        ),
        *(
            {**event, "data": {**event["data"], "cause": {**cause, "effective_at": one}}}
            for one in (None, 7, "soon", "2026-13-01T00:00:00Z")
        ),
        *(
            {**event, "data": {**event["data"], name: value}}
            for name, value in (("accept_by", "soon"), ("account", 7))
        ),
    ]
    for one in (b"", b"nonsense", b"[]", *map(orjson.dumps, broken)):
        with pytest.raises(ValueError, match=r"\w"):
            decode_published_command(one)


async def test_a_rollback_after_a_rebuild_enrolls_again_what_the_version_took_out() -> None:
    routing, acme = rig(teams=TEAM), Account()
    await routing.take()
    by_two = {"cause": {"definition": 2}, "apply_route": "none", "at": NOON + 1}
    changes = [acme.moves("hot"), acme.moves("cold", **by_two)]
    first, _ = await routing.follow(*changes)
    again = await after(restored(routing, *changes), teams=TEAM)
    back = acme.moves("hot", **{**by_two, "cause": {"definition": 3}, "rollback_of": 2})
    (made,) = await again.follow(back)
    assert (made["action"], made["workflow"], made["owner"]) == ("enroll", "hot-flow", first["owner"])
    assert again.state("acme.com").left == {}


async def test_a_rebuild_knows_what_touched_an_account_and_that_a_version_left_it_out() -> None:
    routing, acme = rig(teams=TEAM), Account()
    await routing.take()
    by_two = {"cause": {"definition": 2}, "apply_route": "new-only", "at": NOON + 2}
    changes = [acme.moves("hot"), acme.moves("cold", None, at=NOON + 1), acme.moves("hot", **by_two)]
    assert [one["action"] for one in await routing.follow(*changes)] == ["enroll", "stop"]
    state = restored(routing, *changes)
    assert state.touched == routing.state("acme.com").touched
    again = await after(state, teams=TEAM)
    assert await again.tell(Review(account="acme.com", at=NOON + 3)) == []
    later = acme.moves("hot", **{**by_two, "cause": {"definition": 4}, "at": NOON + 4})
    assert await again.follow(later) == []


async def test_a_renamed_segment_keeps_its_enrollment_through_a_rebuild() -> None:
    routing, acme = rig(teams=TEAM), Account()
    await routing.take()
    renamed = {"cause": {"definition": 2}, "apply_route": "none", "moved": True, "at": NOON + 1}
    changes = [acme.moves("hot"), acme.moves("warm", to("hot-flow"), **renamed)]
    await routing.follow(*changes)
    again = await after(restored(routing, *changes), teams=TEAM)
    (left,) = await again.follow(acme.moves("out", None, at=NOON + 2))
    assert (left["action"], left["workflow"], left["segment"]) == ("stop", "hot-flow", "warm")


async def test_an_account_that_waited_in_its_old_workflow_waits_again_after_a_rebuild() -> None:
    teams = {"sales": {"members": ["ann"]}, "new": {"members": ["eve"], "per_day": 1, "settle": "0s"}}
    routing, acme = rig(teams=teams), Account()
    await routing.take()
    await routing.follow(acme.moves("cold", to("old-flow")))
    await routing.follow(Account("first.com").moves("hot", to("new-flow", team="new")))
    change = acme.moves("hot", to("new-flow", team="new"), at=NOON + 1)
    await routing.follow(change)
    assert routing.state("acme.com").decision == "waiting"
    routing.published.messages = [one for one in routing.published.messages if one.key == b"acme.com"]
    again = await after(restored(routing, change), teams=teams)
    made = await again.wait_until(NOON + 1)
    assert [(one["action"], one["workflow"]) for one in made] == [
        ("stop", "old-flow"),
        ("enroll", "new-flow"),
    ]


async def test_enrollments_before_a_rebuild_count_for_the_limit_over_all_workflows() -> None:
    limits = {"limits": {"enrollments": 2, "per": "30d"}}
    routing, acme = rig(**limits), Account()
    await routing.take()
    await routing.follow(acme.moves("cold", to("a")), acme.moves("warm", to("a"), at=NOON + 1))
    change = acme.moves("hot", to("b"), at=NOON + 2)
    await routing.follow(change)
    again = await after(restored(routing, change), **limits)
    assert again.state("acme.com").enrolled == (NOON, NOON + 2)
    await again.follow(acme.moves("out", to("c"), at=NOON + 3))
    assert again.state("acme.com").decision == "capped"
