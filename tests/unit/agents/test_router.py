"""The router: which commands a change asks of workflows, and what an account is not enrolled for."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from resegment.agents.batch import PublishFailed
from resegment.agents.partition import OutOfStep
from resegment.agents.router import handle_events, route, route_due
from resegment.schemas.outgoing import WorkflowCommandData
from resegment.schemas.routing import (
    GatesChanged,
    Reassign,
    Review,
    RoutedOutcome,
    RoutingEvent,
    encode_routing_event,
)
from resegment.schemas.times import format_instant, parse_instant
from resegment.state.partition_store import StoreUnavailable
from tests.builders import Rig, Routing, definition_of, facts_of, run, signals
from tests.oracle.cases import day, event, funding, hiring, segments

Json = dict[str, Any]
DAY = 86_400_000
HOUR = 3_600_000
NOON = day(0) + DAY // 2

PLAIN: Json = segments(hot={"event": "funding"}, cold={"event": "hiring"})
PLAY: Json = {
    "message": {"pain": "p", "value_prop": "v", "proof_points": ["x"]},
    "channels": {"primary": "email"},
}


def file(**given: Any) -> Json:
    plays = {**PLAIN["plays"], "hot-play": PLAY}
    return {**PLAIN, "plays": plays, **given}


def rig(mode: Any = "all", **given: Any) -> Routing:
    return Routing(definition_of(file(**given)), mode=mode, now=NOON)


async def taken(mode: Any = "all", **given: Any) -> Routing:
    made = rig(mode, **given)
    await made.take()
    return made


def to(workflow: str | None, **given: Any) -> Json | None:
    return None if workflow is None else {"workflow": workflow, "team": "sales", "on_exit": "stop", **given}


class Account:
    """Makes the changes of one account, as the segmenter would."""

    def __init__(self, name: str = "acme.com") -> None:
        self.name, self.number, self.segment, self.at = name, 0, None, NOON
        self.came: str | None = None
        """From where the latest change came: a change that supersedes it starts from there, too."""

    def moves(
        self, segment: str, way: Json | Any | None = ..., *, at: int | None = None, **given: Any
    ) -> bytes:
        self.number += 1
        if given.get("supersedes") is None:
            self.came = self.segment
        self.segment = segment  # type: ignore[assignment]
        self.at = self.at if at is None else at
        data = {
            "account": self.name, "sequence_number": self.number, "from": self.came, "to": segment,
            "effective_at": format_instant(self.at), "decided_at": format_instant(self.at),
            "supersedes": None, "supersedes_to": None, "play": f"{segment}-play",
            "message": PLAY,
            "route": to(f"{segment}-flow") if way is ... else way, **given,
        }  # fmt: skip
        return orjson.dumps({"id": f"{self.name}-{self.number}", "data": data})


def said(commands: list[Json]) -> list[tuple[str, str, str]]:
    return [(one["action"], one["workflow"], one["segment"]) for one in commands]


ENROLL = ("enroll", "hot-flow", "hot")


# From one workflow to the next


@pytest.mark.parametrize("on_exit", ["stop", "finish", "pause"])
async def test_a_move_leaves_the_old_workflow_as_its_route_says_then_enters_the_new_one(on_exit: str) -> None:
    routing, acme = await taken(), Account()
    assert said(await routing.follow(acme.moves("cold", to("cold-flow", on_exit=on_exit)))) == [
        ("enroll", "cold-flow", "cold")
    ]
    assert said(await routing.follow(acme.moves("hot"))) == [(on_exit, "cold-flow", "cold"), ENROLL]


async def test_between_segments_of_one_workflow_nothing_is_left() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("cold", to("hot-flow")))
    assert said(await routing.follow(acme.moves("hot"))) == [ENROLL]


async def test_a_fallback_without_a_route_is_only_left_or_only_reached() -> None:
    routing, acme = await taken(), Account()
    assert await routing.follow(acme.moves("out", None, play=None, message=None)) == []
    assert said(await routing.follow(acme.moves("hot"))) == [ENROLL]
    assert said(await routing.follow(acme.moves("out", None))) == [("stop", "hot-flow", "hot")]
    assert routing.state("acme.com").decision == "no-route"


async def test_a_change_that_comes_again_or_late_changes_nothing() -> None:
    routing, acme = await taken(), Account()
    first, second = acme.moves("cold"), acme.moves("hot")
    assert len(await routing.follow(first, second)) == 3
    assert await routing.follow(second, first) == []


async def test_a_superseding_change_cancels_what_the_void_one_began_and_leaves_nothing_twice() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("cold"))
    await routing.follow(acme.moves("warm", at=NOON + 1))
    void = {"supersedes": "acme.com-2", "supersedes_to": "warm", "from": "cold"}
    assert said(await routing.follow(acme.moves("hot", **void))) == [("stop", "warm-flow", "warm"), ENROLL]


async def test_a_superseding_change_back_to_where_it_was_enters_that_again() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("cold", to("cold-flow", cooldown="9d", reentry="never")))
    await routing.follow(acme.moves("warm", at=NOON + 1))
    void = {"supersedes": "acme.com-2", "supersedes_to": "warm", "from": "cold"}
    back = acme.moves("cold", to("cold-flow", cooldown="9d", reentry="never"), **void)
    assert said(await routing.follow(back)) == [
        ("stop", "warm-flow", "warm"),
        ("enroll", "cold-flow", "cold"),
    ]


async def test_a_quiet_account_that_has_not_moved_as_it_turns_out_is_suppressed_if_a_suppression_holds() -> (
    None
):
    routing, acme = await taken("none", **SUPPRESSED), Account()
    await routing.follow(acme.moves("cold"))
    await routing.follow(acme.moves("warm", at=NOON + 1))
    void = {"supersedes": "acme.com-2", "supersedes_to": "warm", "from": "cold"}
    await routing.follow(acme.moves("cold", standing=["suppress:customers"], **void))
    assert routing.state("acme.com").decision == "suppressed"


async def test_a_superseding_change_within_one_workflow_cancels_nothing() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("cold"))
    await routing.follow(acme.moves("warm", to("hot-flow"), at=NOON + 1))
    void = {"supersedes": "acme.com-2", "supersedes_to": "warm", "from": "cold"}
    assert said(await routing.follow(acme.moves("hot", **void))) == [ENROLL]


async def test_a_command_carries_what_a_sequencer_needs() -> None:
    routing, acme = await taken(qualifications={"fast-track": {"sla": "4h"}}, teams={"sales": {}}), Account()
    await routing.follow(acme.moves("hot", to("hot-flow", qualification="fast-track")))
    (sent,) = routing.published.to("workflow-commands")
    assert (sent.topic, sent.key) == ("workflow-commands", b"acme.com")
    assert dict(sent.headers)["workflow"] == b"hot-flow"
    envelope = orjson.loads(sent.value or b"")
    data = WorkflowCommandData.model_validate(envelope["data"])
    assert (envelope["id"], envelope["type"]) == (data.idempotency_key, "gtm.workflow-command.v1")
    assert (data.team, data.owner, data.qualification, data.play) == (
        "sales",
        "sales",
        "fast-track",
        "hot-play",
    )
    assert data.accept_by == format_instant(NOON + 4 * HOUR)
    assert data.message is not None
    assert data.message.message.pain == "p"
    assert data.cause.model_dump() == {
        "change": "acme.com-1", "sequence_number": 1, "effective_at": format_instant(NOON),
    }  # fmt: skip


# What is not routed, and why


@pytest.mark.parametrize(("mode", "first", "second"), [("all", 1, 2), ("changed", 0, 1), ("none", 0, 0)])
async def test_the_mode_says_which_changes_are_routed(mode: str, first: int, second: int) -> None:
    routing, acme = await taken(mode), Account()
    assert len(await routing.follow(acme.moves("cold"))) == first
    assert len(await routing.follow(acme.moves("hot"))) == second
    assert routing.state("acme.com").decision == ("quiet" if mode == "none" else "enrolled")


async def test_what_was_enrolled_is_stopped_though_nothing_is_routed_any_more() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("cold"))
    routing.policy.controls.mode = "none"
    assert said(await routing.follow(acme.moves("hot"))) == [("stop", "cold-flow", "cold")]
    assert routing.state("acme.com").why == "routing is none"


async def test_a_quiet_account_is_enrolled_once_somebody_asks_for_it() -> None:
    routing, acme = await taken("none"), Account()
    await routing.follow(acme.moves("hot"))
    assert await routing.tell(Review(account="acme.com", at=NOON)) == []
    asked = Review(account="acme.com", at=NOON, forced=True)
    assert said(await routing.tell(asked)) == [ENROLL]
    assert await routing.tell(asked) == []


async def test_a_request_names_its_change_and_is_kept_until_that_is_there() -> None:
    first, second = Account(), Account()
    requests = [Review(account="acme.com", at=NOON, forced=True, change=f"acme.com-{n}") for n in (1, 2)]
    before = await taken("none")
    await before.follow(first.moves("cold"), first.moves("hot"))
    expected = await before.tell(requests[1])
    assert said(expected) == [ENROLL]
    after = await taken("none")  # as after a rollback: the requests come first
    assert await after.tell(*requests) == []
    assert await after.follow(second.moves("cold")) == []
    assert await after.follow(second.moves("hot")) == expected
    assert await after.tell(*requests) == []


async def test_a_request_for_a_change_that_a_newer_one_has_replaced_enrolls_nobody() -> None:
    routing, acme = await taken("none"), Account()
    await routing.follow(acme.moves("cold"), acme.moves("hot"))
    asked = Review(account="acme.com", at=NOON, forced=True, change="acme.com-1")
    assert await routing.tell(asked) == []
    assert routing.state("acme.com").decision == "quiet"


async def test_a_held_out_account_is_left_alone() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("cold"))
    assert said(await routing.follow(acme.moves("hot", holdout=True))) == [("stop", "cold-flow", "cold")]
    assert routing.state("acme.com").decision == "holdout"
    assert await routing.tell(Review(account="acme.com", at=NOON, forced=True)) == []


SUPPRESSED: Json = {"suppression": ["customers", {"name": "board", "file": "board.txt"}]}


async def test_suppression_wins_stops_what_runs_and_ends_where_it_no_longer_holds() -> None:
    routing, acme = await taken(**SUPPRESSED), Account()
    await routing.follow(acme.moves("hot"))
    told = GatesChanged(account="acme.com", at=NOON + 1, active_gates=("suppress:customers",))
    (stop,) = await routing.tell(told)
    assert (stop["action"], stop["reason"]) == ("stop", "suppressed: customers")
    assert (routing.state("acme.com").decision, routing.state("acme.com").why) == ("suppressed", "customers")
    assert await routing.tell(told) == []
    assert await routing.follow(acme.moves("cold", at=NOON + 2, standing=["suppress:customers"])) == []
    (enroll,) = await routing.tell(GatesChanged(account="acme.com", at=NOON + 3, active_gates=()))
    assert (enroll["action"], enroll["workflow"]) == ("enroll", "cold-flow")
    assert enroll["idempotency_key"] != stop["idempotency_key"]


async def test_the_same_suppression_again_and_again_gives_commands_of_other_keys() -> None:
    routing, acme = await taken(**SUPPRESSED), Account()
    made = await routing.follow(acme.moves("hot"))
    for n in range(1, 6):
        held = ("suppress:customers",) if n % 2 else ()
        made += await routing.tell(GatesChanged(account="acme.com", at=NOON + n, active_gates=held))
    keys = [one["idempotency_key"] for one in made]
    assert [one["action"] for one in made] == ["enroll", "stop"] * 3
    assert len(set(keys)) == len(keys)
    assert all(one["message"] for one in made if one["action"] == "enroll")


async def test_an_older_standing_does_not_undo_a_newer_one() -> None:
    routing, acme = await taken(**SUPPRESSED), Account()
    await routing.follow(acme.moves("hot"))
    await routing.tell(GatesChanged(account="acme.com", at=NOON + 9, active_gates=()))
    assert (
        await routing.tell(
            GatesChanged(account="acme.com", at=NOON + 5, active_gates=("suppress:customers",))
        )
        == []
    )


async def test_a_list_suppresses_and_a_review_stops_what_runs() -> None:
    routing, acme = await taken(**SUPPRESSED), Account()
    await routing.follow(acme.moves("hot"))
    routing.policy.controls.lists = {"board": {"acme.com"}}
    (stop,) = await routing.tell(Review(account="acme.com", at=NOON))
    assert stop["reason"] == "suppressed: board"
    routing.policy.controls.lists = {"board": set()}
    assert said(await routing.tell(Review(account="acme.com", at=NOON))) == [ENROLL]


async def test_nothing_is_kept_of_an_account_that_is_only_listed() -> None:
    routing = await taken(**SUPPRESSED)
    await routing.tell(Review(account="nobody.com", at=NOON))
    assert routing.memory.accounts == {}


async def test_a_workflow_is_entered_again_only_where_its_route_allows_it() -> None:
    routing, acme = await taken(), Account()
    once = to("hot-flow", reentry="never")
    await routing.follow(acme.moves("hot", once))
    await routing.follow(acme.moves("cold"))
    assert said(await routing.follow(acme.moves("hot", once))) == [("stop", "cold-flow", "cold")]
    assert routing.state("acme.com").decision == "never-again"


async def test_an_account_waits_until_its_cooldown_is_over() -> None:
    routing, acme = await taken(), Account()
    cooled = to("hot-flow", cooldown="2d")
    await routing.follow(acme.moves("hot", cooled))
    await routing.follow(acme.moves("cold"))
    await routing.follow(acme.moves("hot", cooled))
    assert routing.state("acme.com").decision == "cooldown"
    assert await routing.wait_until(NOON + 2 * DAY - 1) == []
    assert said(await routing.wait_until(NOON + 2 * DAY)) == [ENROLL]
    assert await routing.wait_until(NOON + 9 * DAY) == []


async def test_an_account_that_moves_on_waits_no_more() -> None:
    routing, acme = await taken(), Account()
    cooled = to("hot-flow", cooldown="2d")
    for segment, way in (("hot", cooled), ("cold", ...), ("hot", cooled), ("cold", ...)):
        await routing.follow(acme.moves(segment, way))
    assert await routing.wait_until(NOON + 9 * DAY) == []


# Owners


TEAM: Json = {"sales": {"members": ["ann", "bob"]}}


def owners(commands: list[Json]) -> list[str]:
    return [one["owner"] for one in commands if one["action"] in ("enroll", "reassign")]


async def test_members_take_turns_and_an_account_that_comes_back_goes_to_who_had_it() -> None:
    routing = await taken(teams=TEAM)
    accounts = [Account(f"a{n}.com") for n in range(6)]
    first = owners(await routing.follow(*(one.moves("hot") for one in accounts)))
    assert sorted(first) == ["ann"] * 3 + ["bob"] * 3
    await routing.follow(*(one.moves("out", None) for one in reversed(accounts)))
    again = owners(await routing.follow(*(one.moves("hot") for one in accounts)))
    assert again == first


async def test_no_one_gets_more_than_fits_and_room_is_free_again_after_exit_win_and_loss() -> None:
    team = {"sales": {"members": [{"name": "ann", "capacity": 2}], "fallback": "pool"}}
    routing = await taken(teams=team)
    names = [Account(f"a{n}.com") for n in range(6)]
    assert owners(await routing.follow(*(one.moves("hot") for one in names[:3]))) == ["ann", "ann", "pool"]
    await routing.follow(names[0].moves("out", None))
    await routing.tell(RoutedOutcome(account="a1.com", at=NOON + 1, action="won"))
    await routing.tell(RoutedOutcome(account="a1.com", at=NOON + 1, action="won"))
    assert owners(await routing.follow(*(one.moves("hot") for one in names[3:]))) == ["ann", "ann", "pool"]
    assert (await routing.owners.look()).members["ann"].open == 2


async def test_a_territory_is_for_the_accounts_that_lie_in_it() -> None:
    team = {"sales": {"members": [{"name": "eve", "territory": {"region": "emea"}}, "bob"], "sticky": False}}
    routing = await taken(teams=team)
    emea = [Account(f"e{n}.com").moves("hot", standing=["territory:sales/eve"]) for n in range(4)]
    others = [Account(f"o{n}.com").moves("hot", standing=[]) for n in range(4)]
    assert "eve" in owners(await routing.follow(*emea))
    assert set(owners(await routing.follow(*others))) == {"bob"}


async def test_a_team_takes_so_many_a_day_and_the_rest_wait_in_the_order_of_its_rule() -> None:
    team = {"sales": {"members": ["ann"], "per_day": 2, "settle": "0s", "order": {"highest": "score"}}}
    routing = await taken(teams=team)
    first = await routing.follow(*(Account(f"a{n}.com").moves("hot", values={"score": n}) for n in range(5)))
    assert [one["account"] for one in first] == ["a0.com", "a1.com"]
    assert routing.state("a4.com").decision == "waiting"
    assert routing.memory.sizes == {"enrolled": 2, "waiting": 3}
    assert await routing.wait_until(NOON + HOUR) == []
    midnight = day(1)
    assert {one["account"] for one in await routing.wait_until(midnight)} == {"a4.com", "a3.com"}
    assert [one["account"] for one in await routing.wait_until(midnight + DAY)] == ["a2.com"]
    assert routing.memory.sizes == {"enrolled": 5, "waiting": 0}


async def test_who_leaves_the_queue_lets_the_next_one_move_up() -> None:
    routing = await taken(
        teams={"sales": {"members": ["ann"], "per_day": 1, "settle": "0s", "order": "oldest"}}
    )
    accounts = [Account(f"a{n}.com") for n in range(3)]
    await routing.follow(*(one.moves("hot", at=NOON + n) for n, one in enumerate(accounts)))
    await routing.follow(accounts[1].moves("out", None))
    assert [one["account"] for one in await routing.wait_until(day(1))] == ["a2.com"]


async def test_accounts_of_somebody_who_left_go_to_others() -> None:
    routing = await taken(teams=TEAM)
    await routing.follow(*(Account(f"a{n}.com").moves("hot") for n in range(4)))
    await routing.owners.leave("ann")
    told = [Reassign(account=f"a{n}.com", at=NOON, owner="ann") for n in range(4)]
    made = await routing.tell(*told)
    assert [(one["action"], one["owner"]) for one in made] == [("reassign", "bob")] * 2
    assert await routing.tell(*told) == []
    look = await routing.owners.look()
    assert (look.members["ann"].open, look.members["bob"].open) == (0, 4)


# Acknowledgement


QUALIFIED: Json = {"teams": TEAM, "qualifications": {"fast": {"sla": "4h", "escalate_to": "boss"}}}


async def test_what_nobody_accepts_in_time_is_escalated_once() -> None:
    routing, acme = await taken(**QUALIFIED), Account()
    await routing.follow(acme.moves("hot", to("hot-flow", qualification="fast")))
    assert await routing.wait_until(NOON + 4 * HOUR - 1) == []
    (told,) = await routing.wait_until(NOON + 4 * HOUR)
    assert (told["action"], told["owner"], told["workflow"]) == ("escalate", "boss", "hot-flow")
    assert await routing.wait_until(NOON + 9 * DAY) == []


async def test_what_is_accepted_is_not_escalated() -> None:
    routing, acme = await taken(**QUALIFIED), Account()
    (made,) = await routing.follow(acme.moves("hot", to("hot-flow", qualification="fast")))
    other = RoutedOutcome(account="acme.com", at=NOON, action="accepted", key="another")
    mine = RoutedOutcome(account="acme.com", at=NOON, action="accepted", key=made["idempotency_key"])
    await routing.tell(other)
    assert routing.state("acme.com").deadline == NOON + 4 * HOUR
    await routing.tell(mine, mine)
    assert routing.state("acme.com").deadline is None
    assert await routing.wait_until(NOON + 9 * DAY) == []


async def test_what_is_rejected_is_over_and_frees_its_owner() -> None:
    routing, acme = await taken(**QUALIFIED), Account()
    (made,) = await routing.follow(acme.moves("hot", to("hot-flow", qualification="fast")))
    answer = RoutedOutcome(account="acme.com", at=NOON, action="rejected", key=made["idempotency_key"])
    assert await routing.tell(answer, answer) == []
    assert routing.state("acme.com").decision == "rejected"
    assert (await routing.owners.look()).members[made["owner"]].open == 0
    assert await routing.wait_until(NOON + 9 * DAY) == []
    assert said(await routing.follow(acme.moves("out", None))) == []


# The way of a batch


GOOD = Account().moves("hot")


def broken(**given: Any) -> bytes:
    whole = orjson.loads(GOOD)
    return orjson.dumps({**whole, "data": {**whole["data"], **given}})


NO_CHANGES = [
    b"", b"x", b"null", b"5", b"[]", b"{}", b'{"id":"1"}', b'{"id":"1","data":null}', b'{"id":"1","data":[]}',
    broken(account=5), broken(route="hot-flow"), broken(route={"workflow": 5}), broken(route={}),
    broken(sequence_number="1"), broken(effective_at="now"), broken(decided_at="x"), broken(to=None),
    broken(route=to("w", cooldown="soon")), broken(route=to("w", on_exit="leave")),
]  # fmt: skip


@pytest.mark.parametrize("value", NO_CHANGES)
async def test_what_is_no_change_is_a_dead_letter_and_the_next_goes_on(value: bytes) -> None:
    routing = await taken()
    assert len(await routing.follow(value, GOOD)) == 1
    (letter,) = routing.published.to("dead-letters")
    assert (letter.key, letter.value) == (b"key", value)
    assert dict(letter.headers)["dl_reason"] == b"not-a-change"


async def test_a_record_that_is_nested_too_deep_is_a_dead_letter_and_the_next_goes_on() -> None:
    routing, deep = await taken(), b'{"x":' * 100_000 + b"1" + b"}" * 100_000
    change, event = GOOD[:-2] + b',"x":' + deep + b"}}", b'{"type":"review","x":' + deep + b"}"
    assert len(await routing.follow(change, GOOD)) == 1
    batch = routing.batch("routing-events", [event])
    assert await routing._done(handle_events(batch, routing.owned, routing.router)) == []
    assert [dict(one.headers)["dl_reason"] for one in routing.published.to("dead-letters")] == [
        b"not-a-change",
        b"not-a-routing-event",
    ]


async def test_what_is_no_routing_event_is_a_dead_letter() -> None:
    routing = await taken()
    broken = b'{"type":"review","account":"\xff","at":1}'
    values = [b"x", b'{"type":"review"}', b'{"type":"no","account":"a"}', broken]
    batch = routing.batch("routing-events", values)
    done = await routing._done(handle_events(batch, routing.owned, routing.router))
    assert done == []
    assert [dict(one.headers)["dl_reason"] for one in routing.published.to("dead-letters")] == [
        b"not-a-routing-event"
    ] * 4


async def test_a_dead_letter_that_is_not_published_holds_the_batch_back() -> None:
    routing = await taken()
    batch = routing.batch("segment-changes", [b"x", GOOD])
    routing.published.failures = 1
    with pytest.raises(PublishFailed):
        await route(batch, routing.owned, routing.router)
    assert routing.memory.accounts == {}
    await routing.take()
    await routing._done(route(batch, routing.owned, routing.router))
    assert len(routing.published.to("workflow-commands")) == 1


async def test_a_batch_that_is_delivered_again_is_not_routed_again() -> None:
    routing = await taken()
    batch = routing.batch("segment-changes", [GOOD])
    assert len(await routing._done(route(batch, routing.owned, routing.router))) == 1
    await routing.take()
    assert await routing._done(route(batch, routing.owned, routing.router)) == []


async def test_time_that_passes_for_a_partition_with_nothing_due_decides_nothing() -> None:
    routing = await taken()
    assert (await route_due(routing.owned, routing.router)).actions == ()


async def test_what_the_segmenter_announces_the_router_follows() -> None:
    definition = segments(hot={"event": "funding", "within": "9d"}, cold={"event": "hiring"})
    made = await run(
        Rig(definition), [signals(facts_of([hiring(day(1)), funding(day(2)), event("hiring", day(20))]))]
    )
    await made.deliver()
    routing = Routing(definition_of(definition), now=None)
    await routing.take()
    commands = await routing.follow(*(one.value or b"" for one in made.published.to("segment-changes")))
    assert [one["action"] for one in commands] == ["enroll", "stop", "enroll", "stop", "enroll"]


# What a fresh look found


async def test_what_was_asked_for_waits_for_its_team_and_is_not_forgotten() -> None:
    routing = await taken("none", teams={"sales": {"members": ["ann"], "per_day": 1, "settle": "0s"}})
    names = [f"a{n}.com" for n in range(3)]
    await routing.follow(*(Account(name).moves("hot") for name in names))
    asked = [Review(account=name, at=NOON, forced=True) for name in names]
    assert len(await routing.tell(*asked)) == 1
    assert await routing.wait_until(NOON + HOUR) == []
    assert len(await routing.wait_until(day(1))) == 1
    assert len(await routing.wait_until(day(2))) == 1


async def test_who_waits_is_not_forgotten_when_first_sights_are_no_longer_routed() -> None:
    routing = await taken("all", teams={"sales": {"members": ["ann"], "per_day": 1, "settle": "0s"}})
    await routing.follow(*(Account(f"a{n}.com").moves("hot") for n in range(2)))
    routing.policy.controls.mode = "changed"
    assert len(await routing.wait_until(day(1))) == 1


async def test_a_try_that_was_not_committed_leaves_nobody_in_the_queue() -> None:
    routing = await taken(**SUPPRESSED, teams={"sales": {"members": ["ann"], "per_day": 1, "settle": "0s"}})
    await routing.follow(Account("first.com").moves("hot"))
    batch = routing.batch("segment-changes", [Account("lost.com").moves("hot", at=NOON - 5)])
    commit = routing.owned.store.commit

    async def failing(_: Any) -> Any:
        raise StoreUnavailable("away")

    routing.owned.store.commit = failing  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await route(batch, routing.owned, routing.router)
    routing.owned.store.commit = commit  # type: ignore[method-assign]
    await routing.take()
    await routing.tell(GatesChanged(account="lost.com", at=NOON, active_gates=("suppress:customers",)))
    await routing._done(route(batch, routing.owned, routing.router))
    assert routing.state("lost.com").decision == "suppressed"
    await routing.follow(Account("next.com").moves("hot", at=NOON + 1))
    assert [one["account"] for one in await routing.wait_until(day(1))] == ["next.com"]


@pytest.mark.parametrize("moved_first", [True, False])
async def test_a_deal_frees_the_room_of_its_own_enrollment_alone(moved_first: bool) -> None:
    routing = await taken(teams={"sales": {"members": [{"name": "ann", "capacity": 1}], "fallback": "pool"}})
    acme = Account()
    await routing.follow(acme.moves("cold"))
    routing.now = NOON + HOUR
    won = RoutedOutcome(account="acme.com", at=NOON + HOUR - 1, action="won")
    move = acme.moves("hot", at=NOON + HOUR)
    if moved_first:
        await routing.follow(move)
        await routing.tell(won)
    else:
        await routing.tell(won)
        await routing.follow(move)
    await routing.tell(won)
    assert (await routing.owners.look()).members["ann"].open == 1


async def test_within_one_workflow_the_owner_and_the_promise_stay() -> None:
    team = {"members": [{"name": "ann", "days": ["mon"]}, {"name": "bob", "days": ["tue"]}], "sticky": False}
    routing = await taken(teams={"sales": team}, qualifications={"fast": {"sla": "4h"}})
    acme, way = Account(), to("hot-flow", qualification="fast")
    (first,) = await routing.follow(acme.moves("cold", way))
    assert first["owner"] == "ann"
    routing.now = NOON + 3 * HOUR
    (again,) = await routing.follow(acme.moves("hot", way, at=NOON + 3 * HOUR))
    assert (again["owner"], again["accept_by"]) == ("ann", first["accept_by"])
    assert again["idempotency_key"] != first["idempotency_key"]
    assert (await routing.owners.look()).members["ann"].open == 1
    assert [one["action"] for one in await routing.wait_until(NOON + 4 * HOUR)] == ["escalate"]
    routing.now = NOON + DAY
    (later,) = await routing.follow(acme.moves("cold", way, at=NOON + DAY))
    assert later["owner"] == "ann"
    await routing.follow(acme.moves("out", None, at=NOON + DAY + 1))
    assert (await routing.owners.look()).members["ann"].open == 0


async def test_the_key_of_the_enrollment_before_within_one_workflow_still_acknowledges() -> None:
    routing, acme = await taken(**QUALIFIED), Account()
    way = to("hot-flow", qualification="fast")
    (first,) = await routing.follow(acme.moves("cold", way))
    await routing.follow(acme.moves("hot", way, at=NOON + 1))
    await routing.tell(
        RoutedOutcome(account="acme.com", at=NOON, action="accepted", key=first["idempotency_key"])
    )
    assert await routing.wait_until(NOON + DAY) == []


async def test_time_that_was_slept_through_enrolls_at_the_present() -> None:
    routing, acme = await taken(**QUALIFIED), Account()
    cooled = to("hot-flow", cooldown="1h", qualification="fast")
    for segment, way in (("hot", cooled), ("cold", ...), ("hot", cooled)):
        await routing.follow(acme.moves(segment, way))
    (enroll,) = await routing.wait_until(NOON + 9 * HOUR)
    assert enroll["accept_by"] == format_instant(NOON + 13 * HOUR)


async def test_a_move_that_comes_to_nothing_leaves_a_quiet_account_quiet() -> None:
    routing, acme = await taken("changed"), Account()
    await routing.follow(acme.moves("cold"))
    await routing.follow(acme.moves("warm", at=NOON + 1))
    void = {"supersedes": "acme.com-2", "supersedes_to": "warm", "from": "cold"}
    assert said(await routing.follow(acme.moves("cold", **void))) == [("stop", "warm-flow", "warm")]
    assert routing.state("acme.com").decision == "quiet"


async def test_a_void_move_costs_no_workflow_though_nothing_is_routed_any_more() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("cold"))
    routing.policy.controls.mode = "none"
    await routing.follow(acme.moves("warm", at=NOON + 1))
    void = {"supersedes": "acme.com-2", "supersedes_to": "warm", "from": "cold"}
    assert said(await routing.follow(acme.moves("cold", **void))) == [("enroll", "cold-flow", "cold")]


async def test_a_void_move_within_a_workflow_does_not_change_how_it_is_left() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("cold", to("x", on_exit="finish")))
    await routing.follow(acme.moves("warm", to("x"), at=NOON + 1))
    void = {"supersedes": "acme.com-2", "supersedes_to": "warm", "from": "cold"}
    made = said(await routing.follow(acme.moves("hot", **void)))
    assert [one[:2] for one in made] == [("finish", "x"), ("enroll", "hot-flow")]


async def test_of_one_instant_the_later_standing_counts_whichever_comes_first() -> None:
    routing, acme = await taken(**SUPPRESSED), Account()
    await routing.follow(acme.moves("hot", standing=["suppress:customers"]))
    assert await routing.tell(GatesChanged(account="acme.com", at=NOON, active_gates=(), sequence=0)) == []
    assert (
        len(await routing.tell(GatesChanged(account="acme.com", at=NOON, active_gates=(), sequence=1))) == 1
    )


async def test_who_gets_an_account_of_somebody_else_has_the_whole_time_to_accept_it() -> None:
    routing, acme = await taken(**QUALIFIED), Account()
    (made,) = await routing.follow(acme.moves("hot", to("hot-flow", qualification="fast")))
    await routing.wait_until(NOON + 5 * HOUR)
    await routing.owners.leave(made["owner"])
    (given_on,) = await routing.tell(Reassign(account="acme.com", at=NOON, owner=made["owner"]))
    assert given_on["accept_by"] == format_instant(NOON + 9 * HOUR)
    late = RoutedOutcome(account="acme.com", at=NOON, action="rejected", key=made["idempotency_key"])
    await routing.tell(late)
    assert routing.state("acme.com").decision == "enrolled"
    assert [one["action"] for one in await routing.wait_until(NOON + 9 * HOUR)] == ["escalate"]


async def test_a_deal_that_is_won_takes_no_room_of_the_next_owner() -> None:
    routing, acme = await taken(teams=TEAM), Account()
    (made,) = await routing.follow(acme.moves("hot"))
    await routing.tell(RoutedOutcome(account="acme.com", at=NOON + 1, action="won"))
    await routing.owners.leave(made["owner"])
    (given_on,) = await routing.tell(Reassign(account="acme.com", at=NOON, owner=made["owner"]))
    look = await routing.owners.look()
    assert look.members[given_on["owner"]].open == 0


async def test_who_rejects_an_account_does_not_get_it_back() -> None:
    routing, acme = await taken(teams=TEAM), Account()
    (made,) = await routing.follow(acme.moves("hot"))
    answer = RoutedOutcome(account="acme.com", at=NOON, action="rejected", key=made["idempotency_key"])
    await routing.tell(answer)
    await routing.tell(GatesChanged(account="acme.com", at=NOON + 1, active_gates=("suppress:x",)))
    (again,) = await routing.follow(acme.moves("cold", at=NOON + 2))
    assert again["owner"] != made["owner"]


async def test_an_account_that_cannot_be_routed_is_set_aside_and_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    routing = await taken()
    cited = routing.policy.suppressed_by

    def broken(account: str, standing: Any) -> str | None:
        if account == "bad.com":
            raise ZeroDivisionError("a bug")
        return cited(account, standing)

    monkeypatch.setattr(routing.policy, "suppressed_by", broken)
    made = await routing.follow(Account("bad.com").moves("hot"), Account().moves("hot"))
    assert [one["account"] for one in made] == ["acme.com"]
    (letter,) = routing.published.to("dead-letters")
    assert dict(letter.headers)["dl_reason"] == b"routing-failed"
    assert "bad.com" not in routing.memory.accounts
    monkeypatch.undo()
    assert said(await routing.follow(letter.value or b"")) == [ENROLL]


async def test_a_number_too_great_for_the_store_is_set_aside_too() -> None:
    routing = await taken()
    big = orjson.loads(Account("bad.com").moves("hot"))
    text = orjson.dumps(big).replace(b'"values":{}', b"")
    value = text[:-2] + b',"values":{"x":36893488147419103232}}}'
    made = await routing.follow(value, Account().moves("hot"))
    assert [one["account"] for one in made] == ["acme.com"]
    assert len(routing.published.to("dead-letters")) == 1


async def test_an_account_that_cannot_be_stored_gives_its_owner_back() -> None:
    routing = await taken(teams=TEAM)
    huge = {"x": 2**65}
    value = (
        Account("bad.com")
        .moves("hot", values={"x": 1})
        .replace(b'{"x":1}', str(huge).replace("'", '"').encode())
    )
    assert await routing.follow(value) == []
    assert len(routing.published.to("dead-letters")) == 1
    assert {one.open for one in (await routing.owners.look()).members.values()} == {0}
    (made,) = await routing.follow(Account().moves("hot"))
    assert (await routing.owners.look()).members[made["owner"]].open == 1


async def test_an_account_that_is_not_known_any_more_leaves_what_its_change_says_it_was_in() -> None:
    routing, acme = await taken(), Account()
    acme.number, acme.segment = 4, "cold"  # type: ignore[assignment]
    moved = acme.moves("hot", from_route=to("cold-flow", on_exit="pause"))
    assert said(await routing.follow(moved)) == [("pause", "cold-flow", "cold"), ENROLL]


async def test_a_quiet_account_is_small_unless_its_play_cites_evidence() -> None:
    routing = await taken("none")
    await routing.follow(Account().moves("hot"))
    assert len(routing.memory.accounts["acme.com"]) < 300
    (made,) = await routing.tell(Review(account="acme.com", at=NOON, forced=True))
    assert made["message"] == PLAY


# Laws


ACCOUNTS = ("a.com", "b.com", "c.com")
SHARED: Json = {
    "teams": {"sales": {"members": [{"name": "ann", "capacity": 1}, "bob"], "per_day": 2, "settle": "0s"}},
    "qualifications": {"fast": {"sla": "4h"}},
    "suppression": ["customers"],
}
WAYS = [
    None, to("x"), to("y", cooldown="1d"), to("z", reentry="never"), to("x", on_exit="finish"),
    to("y", qualification="fast"), to("free", team=None),
]  # fmt: skip

step = st.one_of(
    st.tuples(st.just("move"), st.sampled_from(ACCOUNTS), st.sampled_from(range(len(WAYS))), st.booleans()),
    st.tuples(st.just("stand"), st.sampled_from(ACCOUNTS), st.booleans(), st.none()),
    st.tuples(
        st.just("answer"),
        st.sampled_from(ACCOUNTS),
        st.sampled_from(["accepted", "rejected", "won"]),
        st.none(),
    ),
    st.tuples(st.just("pass"), st.just(""), st.sampled_from([1, HOUR, 5 * HOUR, DAY]), st.none()),
    st.tuples(st.just("review"), st.sampled_from(ACCOUNTS), st.booleans(), st.none()),
    st.tuples(st.just("mode"), st.just(""), st.sampled_from(["all", "changed", "none"]), st.none()),
    st.tuples(st.just("leave"), st.just(""), st.sampled_from(["ann", "bob"]), st.none()),
    st.tuples(st.just("fail"), st.just(""), st.none(), st.none()),
)
steps = st.lists(step, max_size=40)


class Play:
    """Plays steps on a rig, and what a sequencer makes of the commands."""

    def __init__(self) -> None:
        self.routing = rig(**SHARED)
        self.accounts = {name: Account(name) for name in ACCOUNTS}
        self.running: dict[str, dict[str, str]] = {name: {} for name in ACCOUNTS}
        self.keys: list[str] = []
        self.newest: dict[str, str] = {}
        """By account: the key of the command that is to be acknowledged."""
        self.failing = False

    async def follow(self, change: bytes) -> list[Json]:
        """Route a change; where a failure was asked for, the first try is not committed."""
        routing = self.routing
        batch = routing.batch("segment-changes", [change])
        if self.failing:
            self.failing = False
            commit = routing.owned.store.commit

            async def away(_: Any) -> Any:
                raise StoreUnavailable("away")

            routing.owned.store.commit = away  # type: ignore[method-assign]
            with pytest.raises(StoreUnavailable):
                await route(batch, routing.owned, routing.router)
            routing.owned.store.commit = commit  # type: ignore[method-assign]
            await routing.take()
        return await routing._done(route(batch, routing.owned, routing.router))

    async def take(self, step: tuple[str, str, Any, Any]) -> None:
        kind, name, what, more = step
        routing = self.routing
        assert routing.now is not None
        if kind == "pass":
            self.apply(await routing.wait_until(routing.now + what))
            return
        if kind == "mode":
            routing.policy.controls.mode = what
            return
        if kind == "leave":
            await routing.owners.leave(what)
            told = [Reassign(account=one, at=routing.now, owner=what) for one in ACCOUNTS]
            self.apply(await routing.tell(*told))
            await routing.owners.come_back(what)
            return
        if kind == "fail":
            self.failing = True
            return
        if kind == "review":
            self.apply(await self.tell(Review(account=name, at=routing.now, forced=what)))
            return
        account = self.accounts[name]
        if kind == "move":
            void = {}
            if more and account.number:
                void = {"supersedes": f"{name}-{account.number}"}
            else:
                routing.now += 1
            at = account.at if void else routing.now
            self.apply(await self.follow(account.moves(f"s{what}", WAYS[what], at=at, **void)))
        elif kind == "stand":
            routing.now += 1
            held = ("suppress:customers",) if what else ()
            self.apply(await self.tell(GatesChanged(account=name, at=routing.now, active_gates=held)))
        else:
            running, key = self.running[name], self.newest.get(name)
            self.apply(await self.tell(RoutedOutcome(account=name, at=routing.now, action=what, key=key)))
            if what == "rejected":
                running.clear()

    async def tell(self, told: RoutingEvent) -> list[Json]:
        return await self.routing.tell(told)

    def apply(self, commands: list[Json]) -> None:
        for one in commands:
            WorkflowCommandData.model_validate(one)
            self.keys.append(one["idempotency_key"])
            running = self.running[one["account"]]
            if one["action"] in ("enroll", "reassign"):
                self.newest[one["account"]] = one["idempotency_key"]
            if one["action"] == "enroll":
                running[one["workflow"]] = one["idempotency_key"]
            elif one["action"] in ("stop", "finish", "pause"):
                assert one["workflow"] in running
                del running[one["workflow"]]

    async def check(self) -> None:
        held: dict[str, int] = {}
        for name, running in self.running.items():
            if name not in self.routing.memory.accounts:
                assert running == {}
                continue
            state = self.routing.state(name)
            enrollment = state.enrollment
            assert running == ({} if enrollment is None else {enrollment.workflow: enrollment.key})
            if "suppress:customers" in state.active_gates:
                assert enrollment is None
            if enrollment is not None and enrollment.assignment is not None and enrollment.owner != "sales":
                held[enrollment.owner or ""] = held.get(enrollment.owner or "", 0) + 1
        look = await self.routing.owners.look()
        assert {name: one.open for name, one in look.members.items() if one.open} == held
        assert held.get("ann", 0) <= 1
        assert len(set(self.keys)) == len(self.keys)


@settings(deadline=None)
@example(
    [
        ("move", "c.com", 1, False),
        ("answer", "c.com", "rejected", None),
        ("move", "c.com", 2, False),
        ("move", "c.com", 2, True),
    ]
)
@example(
    [
        ("mode", "", "changed", None),
        ("move", "a.com", 1, False),
        ("move", "a.com", 0, False),
        ("move", "a.com", 1, True),
        ("review", "a.com", True, None),
        ("move", "a.com", 1, True),
    ]
)
@given(steps)
async def test_whatever_happens_an_account_is_in_one_workflow_at_most_and_its_owner_knows(
    taken_steps: list[tuple[str, str, Any, Any]],
) -> None:
    play = Play()
    await play.routing.take()
    for step in taken_steps:
        await play.take(step)
        await play.check()


@settings(deadline=None)
@given(steps, st.sets(st.integers(0, 40)))
async def test_a_worker_that_forgets_all_it_had_in_memory_goes_on_as_if_it_had_not(
    taken_steps: list[tuple[str, str, Any, Any]], lost_before: set[int]
) -> None:
    steady, forgetful = Play(), Play()
    await steady.routing.take()
    await forgetful.routing.take()
    for number, step in enumerate(taken_steps):
        if number in lost_before:
            await forgetful.routing.take()
        await steady.take(step)
        await forgetful.take(step)
    assert forgetful.keys == steady.keys
    assert forgetful.routing.memory.accounts == steady.routing.memory.accounts


@settings(deadline=None)
@given(steps, st.lists(st.integers(1, 5)))
async def test_on_the_clock_of_facts_batches_make_no_difference(
    taken_steps: list[tuple[str, str, Any, Any]], sizes: list[int]
) -> None:
    definition = {**SHARED, "teams": {"sales": {"members": ["ann", "bob"], "sticky": False}}}
    accounts, now, changes = {name: Account(name) for name in ACCOUNTS}, NOON, []
    for kind, name, what, _ in taken_steps:
        if kind == "move":
            now += HOUR
            changes.append(accounts[name].moves(f"s{what}", WAYS[what], at=now))
        elif kind == "pass":
            now += what
    made: list[list[tuple[str, str]]] = []
    for lengths in ([1] * len(changes), [len(changes)], [*sizes, len(changes)]):
        routing = Routing(definition_of(file(**definition)), now=None)
        await routing.take()
        left, commands = list(changes), []
        for length in lengths:
            batch, left = left[:length], left[length:]
            if batch:
                commands += await routing.follow(*batch)
                commands += await routing.settle()
        keyed = sorted((one["account"], number) for number, one in enumerate(commands))
        made.append([(name, commands[number]["idempotency_key"]) for name, number in keyed])
    assert made[0] == made[1] == made[2]


# The topic beside the changes


def gates(number: int) -> RoutingEvent:
    return GatesChanged(account=f"a{number}.com", at=NOON, active_gates=("suppress:customers",))


async def test_events_that_are_not_there_any_more_are_noticed() -> None:
    routing = await taken()
    await routing.tell(gates(1))
    routing._offsets["routing-events"] = 500
    await routing.tell(gates(2))
    assert routing.owned.notices.gaps == 1
    assert "offsets 1 to 499 of routing-events" in routing.owned.notices.messages[0]


async def test_a_topic_of_events_that_was_cut_off_is_noticed_and_read_from_its_beginning() -> None:
    routing = await taken()
    await routing.tell(gates(1), gates(2))
    assert (routing.owned.position.side, await routing.take()) == (2, 0)
    routing._offsets["routing-events"] = 0
    with pytest.raises(OutOfStep):
        await routing.tell(gates(3), gates(4), gates(5))
    await routing.take()
    assert routing.owned.position.side == 0
    assert routing.owned.notices.new_logs == 1
    routing._offsets["routing-events"] = 0
    await routing.tell(gates(3), gates(4), gates(5))
    assert sorted(routing.memory.accounts) == [f"a{number}.com" for number in range(1, 6)]


async def test_the_last_event_is_read_again_and_held_against_what_was_committed() -> None:
    routing = await taken()
    batch = routing.batch("routing-events", [encode_routing_event(gates(number)) for number in (1, 2)])
    await handle_events(batch, routing.owned, routing.router)
    await routing.take()
    done = await handle_events(batch, routing.owned, routing.router)
    assert done.events == 0
    assert routing.owned.position.side == 2
    assert not routing.owned.notices.messages


async def test_events_that_waited_while_a_rolled_back_partition_was_taken_again_skip_nothing() -> None:
    routing = await taken()
    await routing.tell(gates(1))
    earlier = deepcopy(vars(routing.memory))
    await routing.tell(gates(2))
    fence = routing.owned.fence
    late = routing.batch("routing-events", [encode_routing_event(gates(3))])
    vars(routing.memory).update(earlier)  # the store is rolled back, and the partition taken again
    await routing.take()
    with pytest.raises(OutOfStep):
        await handle_events(late, routing.owned, routing.router, fence)
    assert routing.owned.position.side == 1


async def test_changes_that_waited_while_a_rolled_back_partition_was_taken_again_skip_nothing() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("cold"))
    earlier = deepcopy(vars(routing.memory))
    await routing.follow(acme.moves("hot"))
    fence = routing.owned.fence
    late = routing.batch("segment-changes", [acme.moves("cold")])
    vars(routing.memory).update(earlier)
    await routing.take()
    with pytest.raises(OutOfStep):
        await route(late, routing.owned, routing.router, fence)
    assert routing.owned.position.offset == 1


async def test_a_change_of_the_future_moves_no_clock_beyond_the_tolerance() -> None:
    routing, acme = await taken(), Account()
    await routing.follow(acme.moves("hot", decided_at="2090-01-01T00:00:00Z"))
    assert routing.owned.position.clock == NOON + routing.router.tolerance


async def test_where_time_passes_with_the_changes_each_moves_the_clock() -> None:
    routing, acme = Routing(definition_of(file()), now=None), Account()
    await routing.take()
    await routing.follow(acme.moves("hot", decided_at="2090-01-01T00:00:00Z"))
    assert routing.owned.position.clock == parse_instant("2090-01-01T00:00:00Z")
