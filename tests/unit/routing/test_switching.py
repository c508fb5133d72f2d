"""Accounts that a new version of the definition moves, suppresses or releases, and what a rollback puts back."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from resegment.agents.router import has_to_look, look_again, route
from resegment.errors import RefusedEvent, TransientError
from resegment.routing.describe import words_of
from resegment.routing.policy import Policy, RoutingControls
from resegment.schemas.routing import (
    DefinitionSwitched,
    GatesChanged,
    Review,
    RoutedOutcome,
    Switch,
    decode_routing_event,
)
from resegment.segmentation.definition import Definition
from resegment.state.partition_store import StoreUnavailable
from tests.builders import Routing, definition_of
from tests.unit.agents.test_router import (
    DAY,
    ENROLL,
    HOUR,
    NOON,
    PLAY,
    SUPPRESSED,
    TEAM,
    Account,
    Json,
    file,
    owners,
    said,
    to,
)

T = NOON + HOUR


class Versions:
    """The policies of some versions of a file, numbered from 1."""

    def __init__(self, *files: Json | Definition) -> None:
        self.controls = RoutingControls(mode="all")
        definitions = [one if isinstance(one, Definition) else definition_of(one) for one in files]
        self.policies = [Policy(one, self.controls) for one in definitions]

    def of(self, fingerprint: str) -> Policy:
        return next((one for one in self.policies if one.version == fingerprint), self.policies[0])

    def at(self, number: int) -> Policy:
        return self.policies[min(max(number, 1), len(self.policies)) - 1]  # later ones are as the last

    def fingerprint(self, number: int) -> str:
        return self.at(number).version


class Rig(Routing):
    """A router whose prefix has had these versions."""

    def __init__(self, *files: Json | Definition) -> None:
        self.versions = Versions(*(files or [file(teams=TEAM, **SUPPRESSED)] * 3))
        super().__init__(self.versions.policies[0].definition, now=NOON, policies=self.versions)

    async def switch(self, number: int, **given: Any) -> list[Json]:
        """Tell the partition of a version, and look at the accounts that it concerns."""
        fingerprint = self.versions.fingerprint(number)
        made = await self.tell(DefinitionSwitched(at=T, version=number, fingerprint=fingerprint, **given))
        return made + await self.look()

    async def look(self) -> list[Json]:
        """Look at the accounts that a switch, or a source that is back, concerns."""
        made: list[Json] = []
        while has_to_look(self.owned.position):
            made += await self._done(look_again(self.owned, self.router))
        return made


async def rig(*files: Json) -> Rig:
    made = Rig(*files)
    await made.take()
    return made


def by(number: int, route: str = "none", **given: Any) -> Json:
    """What the change of a switch to a version carries."""
    return {"cause": {"definition": number}, "apply_route": route, "at": T, **given}


GATED = ("suppress:customers",)


def gates(held: tuple[str, ...], number: int | None = None, at: int = T, **given: Any) -> GatesChanged:
    switch = None if number is None else Switch(number, **given)
    return GatesChanged(account="acme.com", at=at, active_gates=held, sequence=1, switch=switch)


# Who is enrolled


async def test_an_account_that_a_definition_moves_leaves_as_its_route_says_and_is_not_enrolled() -> None:
    routing, acme = await rig(), Account()
    await routing.follow(acme.moves("cold", to("cold-flow", on_exit="finish")))
    assert said(await routing.follow(acme.moves("hot", **by(2)))) == [("finish", "cold-flow", "cold")]
    state = routing.state("acme.com")
    assert (state.decision, state.why) == ("quiet", "version 2 enrolls none of the accounts that it moves")
    assert words_of(state).startswith("not enrolled: version 2 enrolls none")
    assert (await routing.owners.look()).members["ann"].open == 0


async def test_an_account_that_a_definition_left_out_is_enrolled_on_request_and_by_its_next_own_move() -> (
    None
):
    routing, acme, zeta = await rig(), Account(), Account("zeta.io")
    await routing.follow(acme.moves("hot", **by(2)), zeta.moves("hot", **by(2)))
    requested = await routing.tell(review_of("acme.com", "acme.com-1"))
    assert said(requested) == [ENROLL]
    assert said(await routing.follow(zeta.moves("cold", at=T + 1))) == [("enroll", "cold-flow", "cold")]


def review_of(account: str, change: str) -> Any:
    return Review(account=account, at=T, forced=True, change=change)


async def test_a_definition_that_enrolls_all_works_like_any_move() -> None:
    routing, acme = await rig(), Account()
    await routing.follow(acme.moves("cold"))
    assert said(await routing.follow(acme.moves("hot", **by(2, "all")))) == [
        ("stop", "cold-flow", "cold"),
        ENROLL,
    ]


@pytest.mark.parametrize("route", ["none", "new-only"])
async def test_an_account_that_a_definition_moves_within_its_workflow_stays_there_without_a_command(
    route: str,
) -> None:
    routing, acme = await rig(), Account()
    (made,) = await routing.follow(acme.moves("cold", to("hot-flow")))
    assert await routing.follow(acme.moves("hot", **by(2, route))) == []
    state = routing.state("acme.com")
    assert state.enrollment is not None
    assert (state.decision, state.enrollment.key) == ("enrolled", made["idempotency_key"])
    assert said(await routing.follow(acme.moves("out", None, at=T + 1))) == [("stop", "hot-flow", "cold")]


async def test_new_only_enrolls_no_account_that_the_workflow_or_the_play_has_touched() -> None:
    routing = await rig()
    workflow, play, fresh = Account("workflow.com"), Account("play.com"), Account("fresh.com")
    await routing.follow(
        workflow.moves("hot", play="other-play"),
        play.moves("warm", play="hot-play"),
        fresh.moves("warm"),
    )
    await routing.follow(*(one.moves("cold", at=NOON + 1) for one in (workflow, play, fresh)))
    made = await routing.follow(*(one.moves("hot", **by(2, "new-only")) for one in (workflow, play, fresh)))
    assert [one["account"] for one in made if one["action"] == "enroll"] == ["fresh.com"]
    assert routing.state("play.com").decision == "quiet"


async def test_new_only_is_about_what_touched_the_account_before_the_switch() -> None:
    routing, acme = await rig(), Account()
    await routing.follow(acme.moves("hot", **by(2, "new-only")))
    await routing.tell(gates(GATED, at=T + 1))
    assert said(await routing.tell(gates((), at=T + 2))) == [ENROLL]


# Names


async def test_an_account_whose_segment_has_another_name_goes_on_as_it_was() -> None:
    routing, acme = await rig(*[file(teams=TEAM, qualifications={"fast": {"sla": "4h"}})] * 2), Account()
    (made,) = await routing.follow(acme.moves("hot", to("hot-flow", qualification="fast")))
    assert await routing.follow(acme.moves("warm", to("hot-flow"), **by(2, moved=True))) == []
    enrollment = routing.state("acme.com").enrollment
    assert enrollment is not None
    assert (enrollment.segment, enrollment.key) == ("warm", made["idempotency_key"])
    await routing.tell(
        RoutedOutcome(account="acme.com", at=T, action="accepted", key=made["idempotency_key"])
    )
    assert await routing.wait_until(T + DAY) == []
    assert said(await routing.follow(acme.moves("out", None, at=T + DAY))) == [("stop", "hot-flow", "warm")]


async def test_an_enrollment_keeps_its_workflow_if_its_renamed_segment_has_another() -> None:
    routing, acme = await rig(), Account()
    await routing.follow(acme.moves("hot"))
    assert await routing.follow(acme.moves("warm", to("other-flow"), **by(2, moved=True))) == []
    assert said(await routing.follow(acme.moves("out", None, at=T + 1))) == [("stop", "hot-flow", "warm")]


async def test_a_request_for_an_account_whose_segment_got_another_name_still_counts() -> None:
    routing, acme = await rig(), Account()
    routing.versions.controls.mode = "none"
    await routing.follow(acme.moves("hot"))
    await routing.follow(acme.moves("warm", to("hot-flow"), **by(2, moved=True)))
    assert routing.state("acme.com").decision == "quiet"
    assert said(await routing.tell(review_of("acme.com", "acme.com-2"))) == [("enroll", "hot-flow", "warm")]


async def test_an_account_that_waits_keeps_its_place_under_the_new_name() -> None:
    teams = {"sales": {"members": ["ann"], "per_day": 1, "settle": "0s"}}
    routing, acme = await rig(file(teams=teams), file(teams=teams)), Account()
    await routing.follow(Account("first.com").moves("hot"), acme.moves("hot"))
    await routing.follow(acme.moves("warm", to("hot-flow"), **by(2, moved=True)))
    assert routing.state("acme.com").decision == "waiting"
    assert (await routing.owners.look()).teams["sales"].waiting == 1
    assert said(await routing.wait_until(NOON + DAY)) == [("enroll", "hot-flow", "warm")]


# Suppressions


async def test_an_account_that_a_definition_suppresses_is_stopped_and_a_rollback_enrolls_it_again() -> None:
    routing, acme = await rig(), Account()
    (first,) = await routing.follow(acme.moves("hot", to("hot-flow", cooldown="90d", reentry="never")))
    (stop,) = await routing.tell(gates(GATED, 2))
    assert (stop["action"], stop["reason"]) == ("stop", "suppressed: customers")
    (again,) = await routing.tell(gates((), 3, at=T + 1, rollback_of=2))
    assert (again["action"], again["workflow"], again["owner"]) == ("enroll", "hot-flow", first["owner"])
    assert routing.state("acme.com").left == {}


async def test_an_account_that_a_definition_no_longer_suppresses_is_enrolled_only_if_its_route_says_so() -> (
    None
):
    routing, acme, zeta = await rig(), Account(), Account("zeta.io")
    await routing.tell(gates(GATED, at=NOON), GatesChanged(account="zeta.io", at=NOON, active_gates=GATED))
    await routing.follow(acme.moves("hot", standing=GATED), zeta.moves("hot", standing=GATED))
    assert await routing.tell(gates((), 2)) == []
    assert routing.state("acme.com").decision == "quiet"
    all_of_them = GatesChanged(account="zeta.io", at=T, active_gates=(), sequence=1, switch=Switch(2, "all"))
    assert said(await routing.tell(all_of_them)) == [ENROLL]


async def test_a_rollback_ends_the_silence_that_the_lifted_suppression_began() -> None:
    routing, acme = await rig(), Account()
    await routing.follow(acme.moves("hot", standing=GATED))
    await routing.tell(gates((), 2))
    await routing.tell(gates(GATED, 3, at=T + 1, rollback_of=2))
    assert routing.state("acme.com").decision == "suppressed"
    assert said(await routing.tell(gates((), at=T + 2))) == [ENROLL]


async def test_relatives_of_an_account_that_a_version_suppresses_are_stopped_and_put_back_with_it() -> None:
    families = [file(teams=TEAM, suppression=[{"customers": {"family": True}}])] * 3
    routing, parent, child = await rig(*families), Account(), Account("acme.de")
    await routing.follow(parent.moves("hot", standing=()))
    way = to("hot-flow", reentry="never")
    (first,) = await routing.follow(child.moves("hot", way, standing=(), parent="acme.com"))

    async def settle(*events: Any) -> list[Json]:
        made: list[Json] = []
        waiting, seen = list(events), len(routing.published.to("routing-events"))
        while waiting:
            made += await routing.tell(waiting.pop(0))
            told = routing.published.to("routing-events")
            waiting += [decode_routing_event(one.value or b"") for one in told[seen:]]
            seen = len(told)
        return made

    known = [decode_routing_event(one.value or b"") for one in routing.published.to("routing-events")]
    assert await settle(*known) == []
    assert [one["account"] for one in await settle(gates(GATED, 2))] == ["acme.com", "acme.de"]
    back = await settle(gates((), 3, at=T + 1, rollback_of=2))
    assert [(one["action"], one["account"]) for one in back] == [
        ("enroll", "acme.com"),
        ("enroll", "acme.de"),
    ]
    assert back[1]["owner"] == first["owner"]


async def test_relatives_hear_of_a_gate_that_a_version_lets_count_for_the_family() -> None:
    customers = {"customers": {"family": True}}
    own = file(teams=TEAM, suppression=[customers, "open-opportunities"])
    shared = file(teams=TEAM, suppression=[customers, {"open-opportunities": {"family": True}}])
    routing, parent, child = await rig(own, shared, own), Account(), Account("acme.de")
    other = Account("acme.fr")
    open_deal = ("suppress:open-opportunities",)
    await routing.follow(parent.moves("hot", standing=open_deal))
    await routing.follow(child.moves("hot", standing=(), parent="acme.com"))
    await routing.follow(other.moves("hot", standing=open_deal, parent="acme.com"))

    heard = 0

    async def settle(made: list[Json]) -> list[Json]:
        nonlocal heard
        while heard < len(told := routing.published.to("routing-events")):
            event = decode_routing_event(told[heard].value or b"")
            heard += 1
            made += await routing.tell(event)
        return made

    assert await settle([]) == []
    stopped = await settle(await routing.switch(2))
    assert [(one["action"], one["account"]) for one in stopped] == [("stop", "acme.de")]
    assert routing.state("acme.de").why == "open-opportunities (family)"
    back = await settle(await routing.switch(3, rollback_of=2))
    assert [(one["action"], one["account"]) for one in back] == [("enroll", "acme.de")]


# Rollback


async def test_a_rollback_enrolls_again_as_if_the_account_had_never_left() -> None:
    teams = {"sales": {"members": ["ann", "bob"], "per_day": 2, "settle": "0s", "sticky": False}}
    routing, acme = await rig(*[file(teams=teams)] * 3), Account()
    way = to("hot-flow", cooldown="90d", reentry="never")
    (first,) = await routing.follow(acme.moves("hot", way))
    await routing.follow(Account("second.com").moves("hot"))
    assert said(await routing.follow(acme.moves("cold", **by(2)))) == [("stop", "hot-flow", "hot")]
    (again,) = await routing.follow(acme.moves("hot", way, **by(3, at=T + 1, rollback_of=2)))
    assert (again["action"], again["owner"]) == ("enroll", first["owner"])
    assert again["idempotency_key"] != first["idempotency_key"]
    assert routing.state("acme.com").left == {}
    assert (await routing.owners.look()).members[first["owner"]].open == 1
    key = again["idempotency_key"]
    await routing.tell(RoutedOutcome(account="acme.com", at=T + 2, action="accepted", key=key))
    enrollment = routing.state("acme.com").enrollment
    assert enrollment is not None
    assert (enrollment.at, enrollment.answer) == (NOON, "accepted")


async def test_a_rollback_leaves_alone_an_account_that_has_moved_by_itself_since() -> None:
    routing, acme = await rig(), Account()
    await routing.follow(acme.moves("hot"))
    await routing.follow(acme.moves("cold", None, **by(2)))
    await routing.follow(acme.moves("warm", None, at=T + 1))
    assert await routing.follow(acme.moves("hot", **by(3, at=T + 2, rollback_of=2))) == []
    assert routing.state("acme.com").decision == "quiet"


async def test_a_rollback_takes_back_all_versions_since() -> None:
    routing, acme = await rig(), Account()
    (first,) = await routing.follow(acme.moves("hot"))
    await routing.follow(acme.moves("cold", **by(2, "all")))
    await routing.follow(acme.moves("warm", **by(3, at=T + 1)))
    (again,) = await routing.follow(acme.moves("hot", **by(4, at=T + 2, rollback_of=2)))
    assert (again["action"], again["workflow"], again["owner"]) == ("enroll", "hot-flow", first["owner"])


async def test_a_rollback_of_a_rollback_puts_back_what_that_one_took_out() -> None:
    routing, acme = await rig(), Account()
    await routing.follow(acme.moves("hot"))
    await routing.follow(acme.moves("cold", **by(2, "all")))
    await routing.follow(acme.moves("hot", **by(3, at=T + 1, rollback_of=2)))
    made = await routing.follow(acme.moves("cold", **by(4, at=T + 2, rollback_of=3)))
    assert said(made) == [("stop", "hot-flow", "hot"), ("enroll", "cold-flow", "cold")]


async def test_an_answer_that_comes_while_the_account_is_out_counts_after_the_rollback() -> None:
    routing = await rig(*[file(teams=TEAM, qualifications={"fast": {"sla": "4h"}})] * 3)
    way = to("hot-flow", qualification="fast")
    keys = {}
    people = {name: Account(f"{name}.com") for name in ("accepted", "rejected", "won")}
    for action, one in people.items():
        (made,) = await routing.follow(one.moves("hot", way))
        keys[action] = made["idempotency_key"]
        await routing.follow(one.moves("cold", None, **by(2)))
    for action, one in people.items():
        await routing.tell(RoutedOutcome(account=one.name, at=T, action=action, key=keys[action]))  # type: ignore[arg-type]
    made = [
        command
        for one in people.values()
        for command in await routing.follow(one.moves("hot", way, **by(3, at=T + 1, rollback_of=2)))
    ]
    assert [one["account"] for one in made] == ["accepted.com", "won.com"]
    assert routing.state("rejected.com").decision == "rejected"
    assert await routing.wait_until(T + DAY) == []
    assert sum(one.open for one in (await routing.owners.look()).members.values()) == 1


async def test_an_account_that_waited_waits_again_after_a_rollback() -> None:
    teams = {"sales": {"members": ["ann"], "per_day": 1, "settle": "0s"}}
    routing, acme = await rig(*[file(teams=teams)] * 3), Account()
    await routing.follow(Account("first.com").moves("hot"), acme.moves("hot"))
    await routing.follow(acme.moves("cold", None, **by(2)))
    assert (await routing.owners.look()).teams["sales"].waiting == 0
    await routing.follow(acme.moves("hot", **by(3, at=T + 1, rollback_of=2)))
    assert routing.state("acme.com").decision == "waiting"
    assert said(await routing.wait_until(NOON + DAY)) == [ENROLL]


async def test_the_same_owner_comes_back_although_away() -> None:
    away = {"name": "ann", "capacity": 1, "absences": [{"from": "2024-01-01", "to": "2025-01-01"}]}
    before = {"sales": {"members": [{"name": "ann", "capacity": 1}, "bob"], "accounts": {"acme.com": "ann"}}}
    after = {"sales": {"members": [away, "bob"]}}
    routing, acme = await rig(file(teams=before), file(teams=after), file(teams=after)), Account()
    assert owners(await routing.follow(acme.moves("hot"))) == ["ann"]
    await routing.follow(acme.moves("cold", None, **by(2)))
    back = acme.moves(
        "hot", **by(3, at=T + 1, rollback_of=2), definition_version=routing.versions.fingerprint(3)
    )
    assert owners(await routing.follow(back)) == ["ann"]


async def test_a_rollback_enrolls_nobody_who_is_suppressed_by_now() -> None:
    routing, acme = await rig(), Account()
    await routing.follow(acme.moves("hot"))
    await routing.follow(acme.moves("cold", None, **by(2)))
    back = acme.moves("hot", **by(3, at=T + 1, rollback_of=2, standing=GATED))
    assert await routing.follow(back) == []
    assert routing.state("acme.com").decision == "suppressed"
    assert said(await routing.tell(gates((), at=T + 2))) == [ENROLL]


# Facts of the instant that come later


async def test_an_account_that_turns_out_not_to_move_at_the_instant_is_where_it_was() -> None:
    routing, acme = await rig(), Account()
    (first,) = await routing.follow(acme.moves("hot", to("hot-flow", reentry="never")))
    await routing.follow(acme.moves("cold", **by(2)))
    void = {"supersedes": "acme.com-2", "supersedes_to": "cold", **by(2)}
    (again,) = await routing.follow(acme.moves("hot", to("hot-flow", reentry="never"), **void))
    assert (again["action"], again["owner"]) == ("enroll", first["owner"])
    state = routing.state("acme.com")
    assert (state.left, state.displaced) == ({}, ())


async def test_an_account_that_turns_out_to_stay_in_its_workflow_is_enrolled_there_again() -> None:
    routing, acme = await rig(), Account()
    (first,) = await routing.follow(acme.moves("hot"))
    await routing.follow(acme.moves("cold", **by(2)))
    void = {"supersedes": "acme.com-2", "supersedes_to": "cold", **by(2)}
    (again,) = await routing.follow(acme.moves("warm", to("hot-flow"), **void))
    assert (again["action"], again["segment"], again["owner"]) == ("enroll", "warm", first["owner"])


async def test_an_account_that_turns_out_to_have_only_another_name_goes_on() -> None:
    routing, acme = await rig(), Account()
    await routing.follow(acme.moves("hot"))
    await routing.follow(acme.moves("cold", **by(2)))
    void = {"supersedes": "acme.com-2", "supersedes_to": "cold", "moved": True, **by(2)}
    (again,) = await routing.follow(acme.moves("warm", to("hot-flow"), **void))
    assert (again["action"], again["workflow"], again["segment"]) == ("enroll", "hot-flow", "warm")
    assert routing.state("acme.com").decision == "enrolled"


# By which version


async def test_a_change_is_routed_by_the_version_that_decided_it_and_time_by_the_one_in_force() -> None:
    fast = {"teams": TEAM, "qualifications": {"fast": {"sla": "4h", "escalate_to": "old boss"}}}
    slow = {**fast, "qualifications": {"fast": {"sla": "8h", "escalate_to": "new boss"}}, "retain": "900d"}
    routing, acme, zeta = await rig(file(**fast), file(**slow)), Account(), Account("zeta.io")
    way, newer = to("hot-flow", qualification="fast"), {"definition_version": routing.versions.fingerprint(2)}
    older = {"definition_version": routing.versions.fingerprint(1)}
    (second,) = await routing.follow(zeta.moves("hot", way, **newer))
    await routing.switch(2)
    (first,) = await routing.follow(acme.moves("hot", way, **older))
    assert [one["accept_by"][11:16] for one in (first, second)] == ["16:00", "20:00"]
    (told,) = await routing.wait_until(NOON + 5 * HOUR)
    assert (told["account"], told["owner"]) == ("acme.com", "new boss")


async def test_a_version_told_again_or_late_changes_nothing() -> None:
    routing = await rig()
    await routing.switch(3)
    position = routing.owned.position.definition
    await routing.switch(2)
    assert routing.owned.position.definition == position


async def test_a_later_enrollment_carries_the_route_and_texts_of_the_version_in_force() -> None:
    def written(workflow: str, pain: str) -> Json:
        plain = deepcopy(file(teams={"sales": {"members": ["ann"], "per_day": 1, "settle": "0s"}}))
        play = {**PLAY, "message": {**PLAY["message"], "pain": pain}}
        hot = next(one for one in plain["segments"] if one["name"] == "hot")
        hot |= {"play": "hot-play", "route": {"workflow": workflow, "team": "sales"}}
        return {**plain, "plays": {**plain["plays"], "hot-play": play}}

    routing, acme = await rig(written("hot-flow", "old"), written("new-flow", "new")), Account()
    older = {"definition_version": routing.versions.fingerprint(1)}
    await routing.follow(Account("first.com").moves("hot", **older), acme.moves("hot", **older))
    assert await routing.switch(2) == []
    (made,) = await routing.wait_until(NOON + DAY)
    assert (made["account"], made["workflow"], made["message"]["message"]["pain"]) == (
        "acme.com",
        "new-flow",
        "new",
    )


async def test_accounts_that_wait_are_looked_at_when_a_version_gives_their_team_more_room() -> None:
    few, more = ({"sales": {"members": ["ann"], "per_day": number, "settle": "0s"}} for number in (1, 2))
    routing = await rig(file(teams=few), file(teams=more))
    await routing.follow(*(Account(f"{name}.com").moves("hot") for name in "abc"))
    assert said(await routing.switch(2)) == [ENROLL]
    assert await routing.switch(2) == []


async def test_a_list_that_a_version_adds_stops_its_accounts_and_a_rollback_enrolls_them_again() -> None:
    listed = {"suppression": ["customers", {"name": "board", "file": "board.txt"}]}
    routing, acme = await rig(file(teams=TEAM), file(teams=TEAM, **listed), file(teams=TEAM)), Account()
    routing.versions.controls.lists = {"board": {"acme.com"}}
    (first,) = await routing.follow(acme.moves("hot"))
    assert said(await routing.switch(2)) == [("stop", "hot-flow", "hot")]
    (again,) = await routing.switch(3, rollback_of=2)
    assert (again["action"], again["owner"]) == ("enroll", first["owner"])


async def test_an_account_on_a_list_that_a_version_drops_stays_out_unless_the_route_says_all() -> None:
    listed = file(teams=TEAM, suppression=[{"name": "board", "file": "board.txt"}])
    routing, acme = await rig(listed, file(teams=TEAM)), Account()
    routing.versions.controls.lists = {"board": {"acme.com"}}
    await routing.follow(acme.moves("hot"))
    assert await routing.switch(2, route=("warm",)) == []
    assert routing.state("acme.com").decision == "quiet"


async def test_an_account_on_a_list_that_a_version_drops_stays_out_though_it_is_reviewed_at_once() -> None:
    listed = file(teams=TEAM, suppression=[{"name": "board", "file": "board.txt"}])
    routing, acme = await rig(listed, file(teams=TEAM)), Account()
    routing.versions.controls.lists = {"board": {"acme.com"}}
    await routing.follow(acme.moves("hot"))
    told = DefinitionSwitched(at=T, version=2, fingerprint=routing.versions.fingerprint(2))
    assert await routing.tell(told, Review(account="acme.com", at=T)) == []
    assert routing.state("acme.com").decision == "quiet"
    assert said(await routing.tell(review_of("acme.com", "acme.com-1"))) == [ENROLL]


async def test_a_change_of_a_version_that_is_not_read_yet_is_routed_once_it_is() -> None:
    routing, acme = await rig(file(teams=TEAM), file(teams=TEAM, retain="900d")), Account()
    find, unread = routing.versions.of, TransientError("not read yet")
    batch = routing.batch(
        "segment-changes", [acme.moves("hot", definition_version=routing.versions.fingerprint(2))]
    )

    def fail(_: str) -> Policy:
        raise unread

    routing.versions.of = fail  # type: ignore[method-assign]
    with pytest.raises(TransientError):
        await route(batch, routing.owned, routing.router)
    assert routing.memory.accounts == {}
    routing.versions.of = find  # type: ignore[method-assign]
    assert said(await routing._done(route(batch, routing.owned, routing.router))) == [ENROLL]


async def test_a_switch_to_a_version_that_cannot_be_is_set_aside() -> None:
    routing, acme = await rig(), Account()
    find = routing.versions.at

    def refuse(number: int) -> Policy:
        if number > 3:
            raise RefusedEvent("not-a-routing-event", "the prefix has no such version")
        return find(number)

    routing.versions.at = refuse  # type: ignore[method-assign]
    told = DefinitionSwitched(at=T, version=10**9, fingerprint="f")
    news = gates((), number=10**9)
    assert await routing.tell(told, news) == []
    assert [one.topic for one in routing.published.messages] == ["dead-letters"] * 2
    assert said(await routing.follow(acme.moves("hot"))) == [ENROLL]


async def test_a_deal_that_is_won_meanwhile_frees_the_owner_for_good() -> None:
    routing, acme = await rig(), Account()
    await routing.follow(acme.moves("hot"))
    await routing.follow(acme.moves("cold", None, **by(2)))
    await routing.tell(RoutedOutcome(account="acme.com", at=T + 1, action="won"))
    back = acme.moves("hot", **by(3, at=T + 2, rollback_of=2))
    assert said(await routing.follow(back)) == [ENROLL]
    assert sum(one.open for one in (await routing.owners.look()).members.values()) == 0


async def test_a_rollback_that_was_not_committed_takes_no_room_if_a_suppression_comes_first() -> None:
    routing, acme = await rig(), Account()
    await routing.follow(acme.moves("hot"))
    await routing.follow(acme.moves("cold", None, **by(2)))
    batch = routing.batch("segment-changes", [acme.moves("hot", **by(3, at=T + 1, rollback_of=2))])
    commit = routing.owned.store.commit

    async def away(_: Any) -> Any:
        raise StoreUnavailable("away")

    routing.owned.store.commit = away  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await route(batch, routing.owned, routing.router)
    routing.owned.store.commit = commit  # type: ignore[method-assign]
    await routing.take()
    await routing.tell(gates(GATED, at=T + 2))
    assert await routing._done(route(batch, routing.owned, routing.router)) == []
    assert routing.state("acme.com").decision == "suppressed"
    assert sum(one.open for one in (await routing.owners.look()).members.values()) == 0
