"""What an account leaves to the account that it is merged into."""

from __future__ import annotations

from typing import Any

import orjson

from resegment.schemas.routing import Inherit, RoutingEvent, Touched, decode_routing_event
from resegment.schemas.times import format_instant
from tests.builders import Routing, definition_of
from tests.oracle.cases import day, segments

NOON = day(0) + 43_200_000
DAY = 86_400_000
TEAMS = {"sales": {"members": [{"name": "ann"}, {"name": "bob"}]}}


async def routing_of(mode: Any = "all", **given: Any) -> Routing:
    file = {**segments(hot={"event": "funding"}), "teams": TEAMS, **given}
    made = Routing(definition_of(file), mode=mode, now=NOON)
    await made.take()
    return made


def change(account: str, number: int, to: str | None, **given: Any) -> bytes:
    route = {"workflow": "calls", "team": "sales", "on_exit": "finish", **given.pop("way", {})}
    data = {
        "account": account, "sequence_number": number, "from": None if number == 1 else "hot", "to": to,
        "effective_at": format_instant(NOON + number), "decided_at": format_instant(NOON + number),
        "supersedes": None, "supersedes_to": None, "play": None, "message": None,
        "route": None if to is None else route, **given,
    }  # fmt: skip
    return orjson.dumps({"id": f"{account}-{number}", "data": data})


def told(routing: Routing) -> list[RoutingEvent]:
    return [decode_routing_event(one.value or b"") for one in routing.published.to("routing-events")]


async def hand_over(routing: Routing) -> list[dict[str, Any]]:
    """Merge acme.io into acme.com; return the commands that this makes."""
    made = await routing.follow(change("acme.io", 2, None, cause={"merged": "acme.com"}))
    return [*made, *await routing.tell(*told(routing))]


async def test_an_account_that_ends_is_stopped_at_once_and_tells_its_heir_what_it_leaves() -> None:
    routing = await routing_of()
    (enrolled,) = await routing.follow(change("acme.io", 1, "hot"))
    (stopped,) = await hand_over(routing)
    assert (stopped["action"], stopped["workflow"], stopped["owner"]) == ("stop", "calls", enrolled["owner"])
    assert stopped["reason"] == "merged into acme.com"
    (event,) = told(routing)
    assert isinstance(event, Inherit)
    assert (event.account, event.workflow, event.left) == ("acme.com", "calls", {})
    assert (event.owners, event.touched.workflows) == ({"sales": enrolled["owner"]}, ("calls",))


async def test_the_heir_is_enrolled_with_the_owner_of_the_alias_although_first_changes_are_not_routed() -> (
    None
):
    for others in range(2):  # each member is next in line once
        routing = await routing_of()
        for number in range(others):
            await routing.follow(change(f"other-{number}.com", 1, "hot"))
        (enrolled,) = await routing.follow(change("acme.io", 1, "hot"))
        routing.policy.controls.mode = "changed"
        await hand_over(routing)
        made = await routing.follow(change("acme.com", 1, "hot", cause={"merged": "acme.io"}))
        assert [(one["action"], one["owner"]) for one in made] == [("enroll", enrolled["owner"])]
        await routing.follow(change("new.com", 1, "hot"))
        assert routing.state("new.com").decision == "quiet"


async def test_an_heir_in_the_same_workflow_continues() -> None:
    routing = await routing_of()
    await routing.follow(change("acme.io", 1, "hot"), change("acme.com", 1, "hot"))
    made = await hand_over(routing)
    assert [(one["action"], one["account"]) for one in made] == [("stop", "acme.io")]
    state = routing.state("acme.com")
    assert (state.decision, state.heir_of) == ("enrolled", None)


async def test_what_the_alias_left_counts_for_the_cooldown_of_its_heir() -> None:
    routing = await routing_of()
    way = {"cooldown": "30d"}
    await routing.follow(change("acme.io", 1, "hot", way=way))
    await routing.follow(change("acme.io", 2, "out", route=None))
    await routing.follow(change("acme.io", 3, None, cause={"merged": "acme.com"}))
    await routing.tell(told(routing)[-1])
    assert await routing.follow(change("acme.com", 1, "hot", way=way)) == []
    assert routing.state("acme.com").decision == "cooldown"


async def test_an_inheritance_that_arrives_twice_counts_once() -> None:
    routing = await routing_of()
    event = Inherit(
        account="acme.com",
        at=NOON,
        alias="acme.io",
        workflow="calls",
        left={"mails": 5},
        owners={"sales": "bob"},
        touched=Touched(("mails", "calls")),
    )
    await routing.tell(event)
    once = routing.memory.accounts["acme.com"]
    await routing.tell(event)
    assert routing.memory.accounts["acme.com"] == once
