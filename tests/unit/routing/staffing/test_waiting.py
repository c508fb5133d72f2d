"""Why accounts wait: counted by team, by workflow and by who may take them."""

from __future__ import annotations

import pytest

from resegment.console.operations.owners import describe_owners, render_owners
from resegment.console.terminal import screen
from resegment.routing.policy import Policy
from resegment.routing.staffing.waiting import KEPT_OUT, REASONS, WORDS, WaitCounts, find_reason
from resegment.schemas.routing import Enrollment, RoutedState, RouteSnapshot, RoutingDecision, Target
from resegment.state.owner_store import OwnerLoads
from tests.builders import definition_of
from tests.oracle.cases import segments

AT = 1_800_000_000_000
TEAMS = {
    "sales": {"members": ["ann", "bob"], "fallback": "round robin", "per_day": 2},
    "alone": {"members": []},
}
DEFINITION = definition_of({**segments(hot={"event": "funding"}), "teams": TEAMS})
POLICY = Policy(DEFINITION)


def waits(decision: RoutingDecision, team: str | None = "sales", workflow: str = "calls") -> RoutedState:
    target = Target("c", 1, AT, "hot", True, RouteSnapshot(workflow, team=team), None, False)
    return RoutedState(target=target, decision=decision, since=AT)


def owned(owner: str, team: str = "sales") -> RoutedState:
    one = Enrollment("k", "calls", "hot", 1, AT, "stop", team, owner, "q1")
    return RoutedState(enrollment=one, decision="enrolled")


STATES = [
    owned("round robin"), owned("ann"), owned("alone", "alone"),
    waits("waiting"), waits("cooldown"), waits("cooldown", workflow="mail"),
    waits("suppressed", None), waits("quiet"), waits("no-route"),
]  # fmt: skip


def counted() -> WaitCounts:
    found = WaitCounts(POLICY)
    for state in STATES:
        found.take(state)
    return found


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (owned("round robin"), "queued"),
        (owned("ann"), None),
        (waits("held"), "held"),
        (waits("no-route"), None),
    ],
)
def test_only_what_may_still_happen_is_waited_for(state: RoutedState, reason: str | None) -> None:
    assert find_reason(state, POLICY) == reason


def test_every_account_that_waits_is_counted_once_with_its_team_and_workflow() -> None:
    found = counted()
    assert found.teams == {
        "sales": {"queued": 1, "waiting": 1, "cooldown": 2, "quiet": 1},
        "alone": {"queued": 1},
        None: {"suppressed": 1},
    }
    assert found.workflows["cooldown"] == {"calls": 1, "mail": 1}
    assert sum(one.total() for one in found.teams.values()) == sum(
        one.total() for one in found.workflows.values()
    )


def test_members_wait_for_accounts_in_queues_and_beyond_the_limit_of_the_day() -> None:
    assert counted().members == {"ann": 2, "bob": 2}


def test_each_team_says_what_waits_and_why_also_accounts_that_no_team_gets() -> None:
    rows = describe_owners(DEFINITION.teams, OwnerLoads({}, {}, []), AT, counted())
    assert {row.team: dict(row.reasons) for row in rows} == {
        "sales": {"queued": 1, "waiting": 1, "cooldown": 2, "quiet": 1},
        "alone": {"queued": 1},
        None: {"suppressed": 1},
    }
    assert [one.wait for one in rows[0].members] == [2, 2]
    console = screen()
    with console.capture() as captured:
        console.print(render_owners(rows))
    text = " ".join(captured.get().split())
    assert "0 of 2 today, wait: in a queue 1, limit of the day 1, cooldown 2" in text
    assert "in no team wait: suppressed 1" in text


def test_every_reason_has_words() -> None:
    assert list(WORDS) == list(REASONS)
    assert set(KEPT_OUT) < set(REASONS)
