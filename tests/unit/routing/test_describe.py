"""What people are told of routing: of one account, and of all."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import orjson
import pytest
from rich.console import RenderableType

from resegment.cli.operations.routing import Decision as DecisionOption
from resegment.cli.operations.routing import arrange
from resegment.cli.options import RouteMode
from resegment.console.operations.routing import render, render_accounts
from resegment.console.operations.status import render as render_status
from resegment.console.terminal import screen
from resegment.routing.decisions import place_again, tell_place
from resegment.routing.describe import (
    DECISIONS,
    ENDS,
    MEANINGS,
    MODES,
    advise,
    describe_queue,
    describe_routing,
    find_stop,
    tell_end,
    words_of,
)
from resegment.routing.staffing.lines import Turn
from resegment.schemas.routing import Enrollment, Mode, RoutedState, RouteSnapshot, RoutingDecision, Target
from resegment.schemas.times import parse_instant
from resegment.state.partition_store import Position
from resegment.state.redis.reader import PartitionLook
from resegment.streams.operations.dead_letters import DeadLetterCount
from resegment.streams.operations.overview import (
    Overview,
    WorkerLook,
    describe_overview,
    find_notes,
    find_problems,
)
from resegment.streams.operations.routing_status import RoutingLook, TeamLook

SINCE = parse_instant("2026-03-02T08:00:00.123Z")
NOON = parse_instant("2026-03-02T12:00:00Z")
SECOND = 1_000


def target(segment: str = "hot", workflow: str | None = "calls", *, is_first: bool = True) -> Target:
    way = None if workflow is None else RouteSnapshot(workflow, team="sales")
    return Target(
        change="c1",
        sequence=1,
        effective_at=SINCE,
        segment=segment,
        is_first=is_first,
        route=way,
        play=None,
        holdout=False,
    )


def state(decision: RoutingDecision, why: str = "", **given: Any) -> RoutedState:
    return RoutedState(**{"target": target(), "decision": decision, "why": why, "since": SINCE, **given})


def enrollment(**given: Any) -> Enrollment:
    plain: dict[str, Any] = {"team": "sales", "owner": "ann"}
    return Enrollment("k1", "calls", "hot", 1, SINCE, "stop", **{**plain, **given})


@pytest.mark.parametrize(
    ("routed", "words"),
    [
        (RoutedState(), "not enrolled: it is in no segment yet"),
        (
            state("no-route", target=target("cold", None)),
            "not enrolled: cold has no route, since 2026-03-02T08:00:00Z",
        ),
        (
            state("suppressed", "customers"),
            "not enrolled: suppressed (customers), since 2026-03-02T08:00:00Z",
        ),
        (state("holdout"), "not enrolled: held out of hot as a comparison group, since 2026-03-02T08:00:00Z"),
        (
            state("quiet", "routing is none"),
            "not enrolled: routing was none when it entered hot, since 2026-03-02T08:00:00Z",
        ),
        (
            state("quiet", "routing is changed"),
            "not enrolled: hot is its first segment and routing was changed, since 2026-03-02T08:00:00Z",
        ),
        (
            state("never-again", "it has been in calls"),
            "not enrolled: it has been in calls before, which never enrolls an account twice, since 2026-03-02T08:00:00Z",
        ),
        (
            state("cooldown", "until 2026-04-01T08:00:00Z"),
            (
                "not enrolled: in cooldown until 2026-04-01T08:00:00Z after leaving calls, "
                "since 2026-03-02T08:00:00Z"
            ),
        ),
        (
            state("waiting", "sales is full for today; 3 ahead of it"),
            (
                "not enrolled yet: waiting for calls since 2026-03-02T08:00:00Z "
                "(sales is full for today; 3 ahead of it)"
            ),
        ),
        (state("rejected", "ann"), "not enrolled: rejected by ann, since 2026-03-02T08:00:00Z"),
        (
            state("enrolled", "ann", enrollment=enrollment()),
            "enrolled in calls since 2026-03-02T08:00:00Z, owner ann of sales",
        ),
        (
            state("enrolled", "ann", enrollment=enrollment(accept_by=NOON)),
            "enrolled in calls since 2026-03-02T08:00:00Z, owner ann of sales, accept by 2026-03-02T12:00:00Z",
        ),
        (
            state("enrolled", "ann", enrollment=enrollment(accept_by=NOON, answer="accepted")),
            "enrolled in calls since 2026-03-02T08:00:00Z, owner ann of sales, accepted",
        ),
        (
            state("enrolled", "ann", enrollment=enrollment(accept_by=NOON, answer="escalated")),
            (
                "enrolled in calls since 2026-03-02T08:00:00Z, owner ann of sales, "
                "not accepted by 2026-03-02T12:00:00Z: escalated"
            ),
        ),
        (
            state("enrolled", "sales", enrollment=enrollment(owner="sales")),
            "enrolled in calls since 2026-03-02T08:00:00Z, owner sales",
        ),
        (
            state("enrolled", enrollment=enrollment(owner=None, team=None)),
            "enrolled in calls since 2026-03-02T08:00:00Z",
        ),
    ],
)
def test_how_an_account_is_routed_is_one_sentence(routed: RoutedState, words: str) -> None:
    assert words_of(routed) == words
    assert describe_routing(routed)["text"] == words


def test_an_account_that_waits_says_what_it_is_in_meanwhile() -> None:
    running = msgspec.structs.replace(enrollment(), workflow="emails")
    waits = state("waiting", "1 of 2 waiting for sales; 1 a day", enrollment=running)
    assert words_of(waits).startswith("not enrolled yet: waiting for calls since 2026-03-02")
    assert "; meanwhile enrolled in emails since" in words_of(waits)


def test_the_place_of_an_account_that_waits_is_told_again() -> None:
    why = tell_place(6, 9, "outbound", 2)
    assert why == "7 of 9 waiting for outbound; 2 a day"
    assert place_again(why, 2, 7) == "3 of 7 waiting for outbound; 2 a day"
    assert place_again("restored", 2, 7) == "restored"


def test_every_decision_and_mode_has_words_and_can_be_asked_for() -> None:
    assert set(MEANINGS) == set(get_args(RoutingDecision))
    assert set(MODES) == {one.value for one in RouteMode} == set(get_args(Mode))
    assert {one.value for one in DecisionOption} == set(DECISIONS)
    for decision in DECISIONS:
        assert "since 2026-03-02" in words_of(state(decision))


def test_an_account_is_described_by_where_it_is_or_else_by_where_it_is_to_go() -> None:
    described = describe_routing(state("enrolled", "ann", enrollment=enrollment(accept_by=NOON)))
    described.pop("text")
    assert described == {
        "decision": "enrolled",
        "why": "ann",
        "because": None,
        "since": "2026-03-02T08:00:00.123Z",
        "segment": "hot",
        "workflow": "calls",
        "team": "sales",
        "owner": "ann",
        "accept_by": "2026-03-02T12:00:00Z",
        "answer": None,
        "stopped_by": None,
    }
    waits = describe_routing(state("waiting"))
    assert (waits["workflow"], waits["team"], waits["owner"]) == ("calls", "sales", None)
    assert describe_routing(RoutedState())["since"] is None


def test_accounts_are_listed_with_the_newest_decision_first() -> None:
    old, new = state("quiet", since=SINCE - SECOND), state("quiet")
    rows = [("b.com", old), ("c.com", new), ("a.com", old)]
    assert [name for name, _ in arrange(rows, None)] == ["c.com", "a.com", "b.com"]
    assert [name for name, _ in arrange(rows, 2)] == ["c.com", "a.com"]


def shown(renderable: RenderableType) -> str:
    console = screen()
    console.width = 150
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_a_listed_account_has_its_workflow_and_owner_or_why_it_has_none() -> None:
    rows = [
        ("a.com", state("enrolled", "ann", enrollment=enrollment())),
        ("b.com", state("suppressed", "[customers]")),
    ]
    _, _, first, second = shown(render_accounts(rows)).splitlines()
    assert first.split() == ["a.com", "enrolled", "Mar", "2,", "2026", "calls", "ann"]
    assert second.split() == ["b.com", "suppressed", "Mar", "2,", "2026", "calls", "[customers]"]


def router(number: int, **given: Any) -> PartitionLook:
    plain = {
        "position": Position(offset=5, clock=NOON, commit=3),
        "accounts": 10,
        "sizes": {"quiet": 4, "enrolled": 6, "waiting": 0},
        "outbox": 0,
        "waiting_since": None,
        "deadlines": 0,
        "due": 0,
        "next_deadline": None,
    }
    return PartitionLook(number=number, **{**plain, **given})


def overview(*partitions: PartitionLook, mode: Mode = "changed", clock: str = "wall") -> Overview:
    return Overview(
        prefix="p",
        clock=clock,
        definition="abc",
        now=NOON,
        workers=[WorkerLook("w1", (0, 1), {}, SECOND)],
        partitions=[],
        letters=DeadLetterCount(),
        routing=RoutingLook(mode, partitions, {"sales": TeamLook(1_234, 50)}),
    )


def test_accounts_by_decision_are_those_of_all_partitions() -> None:
    assert overview(router(0), router(1)).routing.decisions == {"enrolled": 12, "quiet": 8}


def test_where_nobody_is_enrolled_by_the_mode_it_is_said_how_that_ends() -> None:
    assert advise("changed", 0) is None
    assert advise("none", 0) == (
        "no account is enrolled yet: once your accounts are loaded, run `resegment routing set changed`"
    )
    assert advise("none", 5) == "no more accounts are enrolled: `resegment routing set changed` resumes"


def test_a_mode_of_none_is_a_note_and_no_problem() -> None:
    quiet = overview(router(0), mode="none")
    assert find_problems(quiet) == []
    assert len(find_notes(quiet)) == 1
    assert find_notes(overview(router(0))) == []
    assert "! no more accounts are enrolled" in shown(render_status(quiet))


def test_the_routers_outbox_and_lateness_are_problems_as_the_segmenters_are() -> None:
    stuck = router(0, outbox=1, waiting_since=NOON - 42 * SECOND)
    late = router(1, due=2, next_deadline=NOON - 180 * SECOND)
    assert find_problems(overview(stuck, late)) == [
        "the router's outbox of partition 0 is not emptying: 1 commit waits to be published, the oldest for 42 s",
        "the router of partition 1 decides late: 2 accounts are due, the first for 3 min",
    ]
    assert find_problems(overview(late, clock="facts")) == []


def test_status_has_the_mode_the_decisions_and_what_waits() -> None:
    one = overview(router(0), router(1))
    output = shown(render_status(one))
    for part in ("Routing changed: only a move from one segment", "enrolled", "sales", "1,234"):
        assert part in output
    described = orjson.loads(orjson.dumps(describe_overview(one)))
    assert described["notes"] == []
    routing = described["routing"]
    assert (routing["mode"], routing["accounts"]) == ("changed", {"enrolled": 12, "quiet": 8})
    assert routing["teams"] == [{"team": "sales", "waiting": 1_234, "granted_today": 50}]
    assert [one["partition"] for one in routing["partitions"]] == [0, 1]


def test_what_is_shown_of_routing_says_what_each_decision_means() -> None:
    output = shown(render(overview(router(0), mode="none").routing))
    assert "Routing none: no account is enrolled" in output
    assert MEANINGS["quiet"] in output


@pytest.mark.parametrize(
    ("routed", "text", "until"),
    [
        (state("suppressed", "customers"), "the suppression customers holds for it", None),
        (state("holdout"), "it was drawn for the comparison group of hot, which no workflow gets", None),
        (
            state("cooldown", "until 2026-03-09T08:00:00Z"),
            "it left calls a short time ago",
            "2026-03-09T08:00:00Z",
        ),
        (
            state("cooldown", "until 2026-03-09T08:00:00Z after a lost deal"),
            "a deal was lost a short time ago",
            "2026-03-09T08:00:00Z",
        ),
        (
            state("capped", "at most 2 in 30d until 2026-03-09T08:00:00Z"),
            "it was enrolled often enough for now: at most 2 in 30d until 2026-03-09T08:00:00Z",
            "2026-03-09T08:00:00Z",
        ),
        (
            state("waiting", "3 of 9 waiting for sales; 2 a day", deadline=NOON),
            "it waits for calls: 3 of 9 waiting for sales; 2 a day",
            None,
        ),
        (state("quiet", "routing is none"), "routing was none when it entered hot", None),
        (
            state("never-again", "it has been in calls"),
            "it has been in calls before, and that workflow takes an account only once",
            None,
        ),
        (state("rejected", "ann"), "ann rejected it", None),
        (state("no-route", target=target("cold", None)), "cold routes to no workflow", None),
        (state("held", "/jobs is silent"), "/jobs is silent", None),
    ],
)
def test_what_keeps_an_account_out_is_told_with_its_end(
    routed: RoutedState, text: str, until: str | None
) -> None:
    stop = find_stop(routed)
    assert stop is not None
    assert stop.describe() == {
        "decision": routed.decision,
        "text": text,
        "until": until,
        "ends": ENDS[routed.decision],
        "estimated": False,
    }


def test_an_account_in_a_line_waits_until_its_turn_and_not_until_it_asks_again() -> None:
    waits = state("waiting", "3 of 9 waiting for sales; 2 a day", deadline=NOON)
    stop = find_stop(waits, Turn("sales", 20, 45, 2, 10, NOON + 10 * 86_400_000))
    assert stop is not None
    assert stop.describe()["until"] == "2026-03-12T12:00:00Z"
    assert stop.estimated
    assert stop.ends == ENDS["waiting"]
    settles = find_stop(waits, Turn("sales", 0, 2, 2, 0, NOON))
    assert settles is not None
    assert (settles.until, settles.ends) == (NOON, ENDS["settling"])
    about = describe_routing(waits, Turn("sales", 0, 2, 2, 0, NOON))["stopped_by"]
    assert about == settles.describe()
    assert tell_end(waits, Turn("sales", 0, 2, 2, 0, NOON)) == f"; ends {ENDS['settling']}"


def test_the_terminal_says_what_ends_it() -> None:
    assert tell_end(state("suppressed", "customers")) == "; ends when the suppression no longer holds"
    assert tell_end(state("holdout")) == "; not while it is in this segment"
    assert tell_end(state("enrolled", enrollment=enrollment())) == ""


def test_nothing_keeps_out_an_account_that_is_in_a_workflow_or_undecided() -> None:
    assert find_stop(RoutedState()) is None
    assert find_stop(state("enrolled", enrollment=enrollment())) is None
    queued = describe_queue(state("enrolled", enrollment=enrollment(owner="sales queue")))
    assert queued.text == "it is in the queue sales queue: no owner has taken it"
    assert set(ENDS) == {*DECISIONS, "queue", "settling"} - {"enrolled"}


def test_a_queue_is_named_as_a_queue_and_not_as_an_owner() -> None:
    queued = state("enrolled", enrollment=enrollment(owner="sales-queue"))
    assert ", in the queue sales-queue of sales" in words_of(queued, describe_queue(queued))
    assert ", owner sales-queue of sales" in words_of(queued)
