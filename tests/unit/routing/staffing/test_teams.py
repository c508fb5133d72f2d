"""Who may take an account, who comes first, and that turns are fair."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.console.operations.owners import describe_owners, render_owners
from resegment.console.terminal import screen
from resegment.routing.staffing.teams import candidates, members, preferred, rank
from resegment.schemas.assignment import Assign, Assigned, Candidate
from resegment.schemas.segments import Member, Order, Team
from resegment.schemas.times import parse_instant
from resegment.schemas.written import Absence
from resegment.segmentation.language.gates import territory_gate
from resegment.state.memory.owners import OwnerStore
from resegment.state.owner_store import MemberLoad, OwnerLoads, QueueLoad, TeamLoad
from resegment.state.weighted_round_robin import FORGOTTEN, WeightedRoundRobin

MONDAY = parse_instant("2026-03-02T00:00:00Z")
DAY = 86_400_000
INSTANTS = st.integers(0, 4_000_000_000_000)


def member(name: str, **given: Any) -> Member:
    return Member.model_validate({"name": name, **given})


def names(team: Team, at: int, *standing: str) -> list[str]:
    return [one.name for one in candidates("sales", team, standing, at)]


def test_a_member_given_by_name_alone_is_made_once() -> None:
    first, second = (members(Team(members=["ann"])) for _ in range(2))
    assert first[0] is second[0]


def test_a_member_given_by_name_alone_takes_any_account_on_any_day() -> None:
    team = Team(members=["ann", "bob"])
    assert candidates("sales", team, (), MONDAY) == (Candidate("ann"), Candidate("bob"))


def test_weight_and_capacity_are_those_of_the_file() -> None:
    team = Team(members=[member("ann", weight=3, capacity=40)])
    assert candidates("sales", team, (), MONDAY) == (Candidate("ann", 3, 40),)


def test_a_member_takes_accounts_on_their_days_only() -> None:
    team = Team(members=[member("ann", days=["mon", "fri"]), "bob"])
    days = [names(team, MONDAY + number * DAY) for number in range(7)]
    assert [number for number, found in enumerate(days) if "ann" in found] == [0, 4]
    assert all("bob" in found for found in days)


def test_a_day_ends_at_midnight_utc() -> None:
    team = Team(members=[member("ann", days=["mon"])])
    assert names(team, MONDAY - 1) == []
    assert names(team, MONDAY) == ["ann"]
    assert names(team, MONDAY + DAY - 1) == ["ann"]
    assert names(team, MONDAY + DAY) == []


def test_an_absence_includes_both_its_days() -> None:
    absence = Absence.model_validate({"from": "2026-03-03", "to": "2026-03-05"})
    team = Team(members=[member("ann", absences=[absence])])
    away = [number for number in range(-1, 6) if not names(team, MONDAY + number * DAY)]
    assert away == [1, 2, 3]


def test_a_member_with_a_territory_takes_accounts_that_lie_in_it() -> None:
    team = Team(members=[member("ann", territory={"country": "de"}), "bob"])
    assert names(team, MONDAY) == ["bob"]
    assert names(team, MONDAY, territory_gate("partners", "ann")) == ["bob"]
    assert names(team, MONDAY, territory_gate("sales", "ann")) == ["ann", "bob"]


def test_whom_an_account_is_named_for_comes_before_who_had_it_last() -> None:
    team = Team(members=["ann", "bob"], accounts={"acme.com": "ann"})
    assert preferred(team, "acme.com", "bob") == ("ann", "bob")
    assert preferred(team, "acme.com", "ann") == ("ann",)
    assert preferred(team, "acme.com", None) == ("ann",)
    assert preferred(team, "other.com", "bob") == ("bob",)
    assert preferred(team, "other.com", None) == ()


def test_in_a_team_that_is_not_sticky_nobody_has_an_account_again_for_having_had_it() -> None:
    assert preferred(Team(members=["ann"], sticky=False), "acme.com", "ann") == ()


@given(st.tuples(st.integers(0, 2_000), INSTANTS), st.tuples(st.integers(0, 2_000), INSTANTS))
def test_by_priority_the_higher_segment_comes_first_and_in_it_the_oldest(
    one: tuple[int, int], two: tuple[int, int]
) -> None:
    first, second = (rank(Team(), "acme.com", *each, {}) for each in (one, two))
    assert (first < second, first == second) == (one < two, one == two)


@given(INSTANTS, INSTANTS)
def test_by_age_the_oldest_or_the_newest_comes_first(one: int, two: int) -> None:
    def before(order: Any) -> bool:
        return rank(Team(order=order), "a.com", 3, one, {}) < rank(Team(order=order), "b.com", 1, two, {})

    assert before("oldest") is (one < two)
    assert before("newest") is (one > two)


def test_ties_are_broken_by_the_segment_then_by_the_time_of_entry_then_by_the_name() -> None:
    team = Team(order=Order(highest="score"))
    places = [(0, 7, "b.com"), (0, 8, "a.com"), (1, 5, "a.com"), (1, 5, "b.com")]
    ranks = [rank(team, name, segment, at, {"score": 1}) for segment, at, name in places]
    assert sorted(ranks) == ranks
    assert sorted(one.tie for one in ranks) == [one.tie for one in ranks]


NUMBERS = st.one_of(st.integers(-(10**12), 10**12), st.floats(allow_nan=False, allow_infinity=False))


def value_of(team: Team, score: Any) -> float:
    return rank(team, "acme.com", 0, 0, {"score": score}).value


NO_NUMBERS: list[Any] = [None, "12", True, [1], math.nan]


@given(NUMBERS, NUMBERS)
def test_by_a_value_the_highest_or_the_lowest_comes_first(one: float, two: float) -> None:
    def before(**order: str) -> bool:
        team = Team(order=Order(**order))
        return value_of(team, one) < value_of(team, two)

    assert before(highest="score") is (float(one) > float(two))
    assert before(lowest="score") is (float(one) < float(two))


@pytest.mark.parametrize("order", [{"highest": "score"}, {"lowest": "score"}])
@given(value=NUMBERS)
def test_what_is_no_number_comes_last(order: dict[str, str], value: float) -> None:
    team = Team(order=Order(**order))
    last = {value_of(team, wrong) for wrong in NO_NUMBERS} | {rank(team, "a.com", 0, 0, {"other": 1}).value}
    assert last == {math.inf}
    assert value_of(team, value) < math.inf


def test_a_number_too_large_for_a_float_comes_where_it_belongs() -> None:
    team = Team(order=Order(highest="score"))
    assert value_of(team, 10**400) == -math.inf
    assert value_of(team, -(10**400)) == math.inf


# Weighted round robin


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.one_of(st.integers(1, 5), st.integers(1, 1_000)), min_size=1, max_size=20),
    st.integers(1, 2_000),
)
def test_everybodys_count_stays_within_one_of_their_exact_share(weights: list[int], draws: int) -> None:
    group = tuple(Candidate(f"m{number}", weight) for number, weight in enumerate(weights))
    asks = [
        Assign(key=str(number), account="acme.com", team="sales", candidates=group, fallback="queue")
        for number in range(draws)
    ]
    total, counts = sum(weights), Counter[str]()
    bound = 1 - 1 / max(2 * len(weights) - 2, 1) if len(weights) > 1 else 0
    for number, answer in enumerate(asyncio.run(OwnerStore().settle(asks)), start=1):
        assert isinstance(answer, Assigned)
        counts[answer.owner] += 1
        for one in group:
            assert abs(counts[one.name] - number * one.weight / total) <= bound + 1e-6


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 100), min_size=2, max_size=8),
    st.lists(st.tuples(st.integers(1, 255), st.integers(1, 60)), min_size=1, max_size=30),
)
def test_whoever_is_there_when_nobody_is_left_far_behind(
    weights: list[int], spells: list[tuple[int, int]]
) -> None:
    turns, counts, shares = WeightedRoundRobin(), Counter[str](), Counter[str]()
    for mask, draws in spells:
        there = [(f"m{n}", weight) for n, weight in enumerate(weights) if mask >> n & 1]
        total = sum(weight for _, weight in there)
        for _ in range(draws if there else 0):
            counts[turns.draw(there)] += 1
            for name, weight in there:
                shares[name] += weight / total  # type: ignore[assignment]
            assert all(abs(counts[name] - shares[name]) < 2.5 for name in shares)


def test_members_who_are_there_no_more_are_forgotten_and_their_dues_are_the_others() -> None:
    turns = WeightedRoundRobin()
    for _ in range(5):
        turns.draw([("ann", 1), ("bob", 2), ("cat", 4)])
    for _ in range(FORGOTTEN + 1):
        turns.draw([("ann", 1), ("bob", 2)])
    assert turns.due.keys() == turns.seen.keys() == {"ann", "bob"}
    assert sum(turns.due.values()) == pytest.approx(0)
    assert all(abs(due) < 1 for due in turns.due.values())


def test_equal_weights_take_turns() -> None:
    turns = WeightedRoundRobin()
    drawn = [turns.draw([(name, 5) for name in ("ann", "bob", "cat")]) for _ in range(9)]
    rounds = [drawn[start : start + 3] for start in range(0, 9, 3)]
    assert all(sorted(one) == ["ann", "bob", "cat"] for one in rounds)
    assert all(one != two for one, two in pairwise(drawn))


# What `resegment owners list` shows

TEAMS = {
    "sales": Team(members=[member("ann", capacity=20, days=["tue"]), "bob"], per_day=5),
    "unused": Team(),
}
LOOK = OwnerLoads(
    {"ann": MemberLoad(1_200, 1_300), "bob": MemberLoad(2, 4, gone=True), "old": MemberLoad(3, 3)},
    {"sales": TeamLoad({"2026-03-01": 5, "2026-03-02": 4}, 7), "dropped": TeamLoad({}, 2)},
    [QueueLoad("sales", ("ann", "bob"), 3), QueueLoad("sales", ("bob",), 1)],
)


def test_owners_are_told_by_team_and_those_of_none_at_the_end() -> None:
    sales, dropped, others = describe_owners(TEAMS, LOOK, MONDAY)
    assert (sales.team, sales.waiting, sales.granted_today, sales.per_day) == ("sales", 7, 4, 5)
    assert (sales.queued, [one.queued for one in sales.members]) == (4, [3, 4])
    assert [(one.name, one.open, one.away_today, one.gone) for one in sales.members] == [
        ("ann", 1_200, True, False),
        ("bob", 2, False, True),
    ]
    assert (dropped.team, dropped.waiting, list(dropped.members)) == ("dropped", 2, [])
    assert (others.team, [one.name for one in others.members]) == (None, ["old"])


def test_the_table_of_owners_has_every_name_and_figure() -> None:
    console = screen()
    with console.capture() as captured:
        console.print(render_owners(describe_owners(TEAMS, LOOK, MONDAY)))
    text = " ".join(captured.get().split())
    for part in (
        "sales",
        "ann",
        "1,200",
        "away today",
        "left",
        "4 of 5 today, wait: in a queue 4, limit of the day 7",
        "dropped",
        "in no team",
    ):
        assert part in text
