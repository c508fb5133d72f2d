"""Plans: what they count, and that they count what a switch then does."""

from __future__ import annotations

import pickle
import random
from collections import Counter
from typing import Any

import pytest

from resegment.schemas.fact import Fact
from resegment.segmentation.evaluation.engine import Engine, changes_in
from resegment.segmentation.evaluation.program import Program
from resegment.segmentation.evaluation.retention import Retention
from resegment.segmentation.planning.plan import Plan, VersionName
from resegment.segmentation.planning.planner import PlannedSwitch, Planner
from resegment.segmentation.versions.era import ALWAYS, Era
from resegment.segmentation.versions.timeline import Timeline
from tests.builders import definition_of

DAY = 86_400_000
T = 1_790_000_000_000
PLAYS = {
    "p": {
        "message": {"pain": "a", "value_prop": "b", "proof_points": ["c"]},
        "channels": {"primary": "email"},
    }
}


def file_of(*segments: tuple[str, Any], fallback: str = "rest", **more: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "segments": [
            {"name": name, "when": when, "play": "p", "route": {"workflow": f"w-{name}"}, **hold}
            for name, when, *holds in segments
            for hold in [{"hold": holds[0]} if holds else {}]
        ],
        "fallback": {"name": fallback, "play": "p", "route": {"workflow": f"w-{fallback}"}},
        "plays": PLAYS,
        **more,
    }


def fact(account: str, kind: str, at: int, name: str, **data: Any) -> Fact:
    return Fact(
        account=account, kind=kind, id=name, source="/test", record=name, time=at, recorded=at, data=data
    )


class World:
    """Accounts by an old version, and the plan of a switch to a new one at T."""

    def __init__(
        self, old: dict[str, Any], new: dict[str, Any], facts: list[Fact], moved: dict[str, str] | None = None
    ) -> None:
        self.old, self.new = (Engine(Program(definition_of(one))) for one in (old, new))
        self.moved = moved or {}
        self.present = Timeline([Era(1, ALWAYS, self.old)]).retaining(Retention(self.new.program))
        self.states: dict[str, bytes] = {}
        self.facts: dict[str, list[Fact]] = {}
        for one in sorted(facts, key=lambda one: one.recorded):
            self.facts.setdefault(one.account, []).append(one)
        for name, known in self.facts.items():
            account = self.present.open(name)
            for one in known:
                self.present.advance(account, one.recorded - 1)
                self.present.apply_facts(account, [one], one.recorded)
            self.states[name] = self.present.encode(account)

    def planned(self, at: int) -> Timeline:
        return self.present.extend(Era(2, at, self.new, self.moved))

    def planner(self, at: int = T) -> Planner:
        names = VersionName(number=1, fingerprint="a"), VersionName(number=None, fingerprint="b")
        planner = Planner(
            PlannedSwitch(*names, "segments", ()),
            present=self.present,
            planned=self.planned,
            engines=(self.old, self.new),
        )
        planner.begin(0, at)
        return planner

    def plan(self, at: int = T) -> Plan:
        planner = self.planner(at)
        for name, value in self.states.items():
            planner.take(name, value)
        return planner.finish()

    def apply(self, at: int = T) -> dict[str, tuple[str, str]]:
        """What the switch itself does to each account that it moves."""
        timeline, found = self.planned(at), {}
        for name, value in self.states.items():
            account = timeline.load(name, value)
            timeline.advance(account, at - 1)
            before = account.state.membership.segment
            changes = changes_in(timeline.advance(account, at))
            after = account.state.membership.segment
            if changes and before != after:
                assert before is not None
                assert after is not None
                found[name] = (before, after)
        return found


def growing(numbers: dict[str, int]) -> list[Fact]:
    return [
        fact(name, "firmographic", T - 50 * DAY, f"{name}-size", employees=size)
        for name, size in numbers.items()
    ]


BIG = ("big", {"employees": {"gte": 100}})
MIDDLE = ("middle", {"employees": {"gte": 50}})


def test_a_raised_threshold_moves_those_between_the_two() -> None:
    accounts = growing({"a.com": 200, "b.com": 120, "c.com": 60, "d.com": 5})
    plan = World(file_of(BIG, MIDDLE), file_of(("big", {"employees": {"gte": 150}}), MIDDLE), accounts).plan()
    assert [(one.account, one.from_, one.to) for one in plan.moves] == [("b.com", "big", "middle")]
    assert {one.name: (one.before, one.after) for one in plan.sizes} == {
        "big": (2, 1),
        "middle": (1, 2),
        "rest": (1, 1),
    }
    assert (plan.accounts, plan.moved, plan.renamed) == (4, 1, 0)


def test_a_sample_says_why_by_both_versions() -> None:
    accounts = growing({"b.com": 120})
    plan = World(file_of(BIG, MIDDLE), file_of(("big", {"employees": {"gte": 150}}), MIDDLE), accounts).plan()
    (sample,) = plan.flows[0].samples
    assert sample.account == "b.com"
    assert sample.before == "big, because employees >= 100 (is 120); middle is below big"
    assert sample.after == "middle, because employees >= 50 (is 120); big needs employees >= 150 (is 120)"


def test_a_file_against_itself_moves_nobody() -> None:
    accounts = growing({f"a{size}.com": size for size in range(0, 200, 7)})
    plan = World(file_of(BIG, MIDDLE), file_of(BIG, MIDDLE), accounts).plan()
    assert not plan.moves
    assert all(one.before == one.after for one in plan.sizes)


def test_members_of_a_renamed_segment_are_counted_apart_from_moves() -> None:
    accounts = growing({"a.com": 200, "b.com": 60})
    new = file_of(("large", {"employees": {"gte": 100}}), MIDDLE)
    plan = World(file_of(BIG, MIDDLE), new, accounts, {"large": "big"}).plan()
    assert (plan.moved, plan.renamed) == (0, 1)
    assert [(one.from_, one.to, one.renamed) for one in plan.flows] == [("big", "large", True)]
    assert plan.flows[0].samples == ()


def test_what_is_due_before_the_switch_is_decided_by_the_old_version() -> None:
    hiring = {"event": "hiring", "within": "10d"}
    facts = [fact("a.com", "hiring", T - 10 * DAY - 5, "h1")]
    world = World(file_of(("hot", hiring)), file_of(("hot", {"event": "hiring", "within": "20d"})), facts)
    # It left at T - 5 by the old version, and comes back at T by the new one.
    assert [(one.account, one.from_, one.to) for one in world.plan().moves] == [("a.com", "rest", "hot")]


def test_moves_that_are_due_by_time_alone_are_foreseen() -> None:
    hiring = {"event": "hiring", "within": "10d"}
    ends = {"soon.com": 1_800_000, "today.com": 12 * 3_600_000, "week.com": 5 * DAY, "later.com": 8 * DAY}
    facts = [fact(name, "hiring", T - 10 * DAY + left, f"{name}-h") for name, left in ends.items()]
    plan = World(file_of(("hot", hiring)), file_of(("hot", hiring)), facts).plan()
    assert [(one.within, one.accounts) for one in plan.due] == [("1h", 1), ("24h", 2), ("7d", 3)]


def test_a_segment_behind_another_is_named_with_those_who_take_its_accounts() -> None:
    accounts = growing({"a.com": 200, "b.com": 120})
    new = file_of(MIDDLE, BIG)
    plan = World(file_of(BIG, MIDDLE), new, accounts).plan()
    (shadowed,) = plan.shadowed
    assert (shadowed.segment, shadowed.qualify, shadowed.taken_by) == ("big", 2, {"middle": 2})
    assert plan.warnings == ("big takes no account: all that qualify are elsewhere (2 in middle)",)
    assert [(one.segment, one.also, one.accounts) for one in plan.overlaps] == [("middle", "big", 2)]


def test_a_segment_that_nobody_qualifies_for_is_a_warning() -> None:
    accounts = growing({"a.com": 200})
    plan = World(file_of(BIG), file_of(("huge", {"employees": {"gte": 5000}}), BIG), accounts).plan()
    assert plan.warnings == ("huge takes no account: none meets its condition",)


def test_accounts_without_a_value_are_counted_for_the_test_that_reads_it() -> None:
    facts = [*growing({"a.com": 200}), fact("b.com", "hiring", T - DAY, "h")]
    plan = World(file_of(BIG), file_of(BIG, ("rich", {"revenue_usd": {"gte": 1}})), facts).plan()
    assert [(one.segment, one.test, one.accounts) for one in plan.unjudged] == [
        ("big", "employees >= 100", 1),
        ("rich", "revenue_usd >= 1", 2),
    ]


def test_an_account_that_hold_keeps_stays() -> None:
    hold = {"min_dwell": "60d"}
    accounts = growing({"b.com": 120})
    new = file_of(("big", {"employees": {"gte": 150}}, hold))
    assert not World(file_of(BIG), new, accounts).plan().moves


def random_world(seed: int) -> World:
    r = random.Random(seed)
    kinds = ["hiring", "funding", "intent", "leadership"]

    def when() -> dict[str, Any]:
        tests = [
            {"employees": {r.choice(["gte", "lt"]): r.randrange(10, 200, 10)}},
            {"event": r.choice(kinds), "within": f"{r.randrange(1, 60)}d"},
        ]
        return {r.choice(["all", "any"]): tests} if r.random() < 0.7 else r.choice(tests)

    def file(names: list[str]) -> dict[str, Any]:
        holds: list[dict[str, str]] = [{}, {"min_dwell": f"{r.randrange(1, 30)}d"}, {"cooldown": "9d"}]
        segments = [(name, when(), *([hold] if (hold := r.choice(holds)) else [])) for name in names]
        return file_of(*segments, fallback=r.choice(["rest", "others"]))

    facts = []
    for number in range(40):
        name = f"a{number}.com"
        for one in range(r.randrange(1, 8)):
            at = T - r.randrange(0, 70 * DAY)
            kind = r.choice(["firmographic", *kinds])
            data = {"employees": r.randrange(1, 250)} if kind == "firmographic" else {}
            facts.append(fact(name, kind, at - 1, f"{name}-{one}", **data))
    old, new = ["s1", "s2", "s3"], r.sample(["s1", "s2", "s3", "s4"], 3)
    moved = {"s4": "s1"} if "s4" in new and "s1" not in new else {}
    return World(file(old), file(new), facts, moved)


@pytest.mark.parametrize("seed", range(60))
def test_a_plan_says_account_by_account_what_the_switch_does(seed: int) -> None:
    world = random_world(seed)
    plan = world.plan()
    assert {one.account: (one.from_, one.to) for one in plan.moves} == world.apply()


@pytest.mark.parametrize("seed", range(60, 90))
def test_flows_lead_from_the_sizes_before_to_the_sizes_after(seed: int) -> None:
    plan = random_world(seed).plan()
    sizes = Counter({one.name: one.before for one in plan.sizes})
    for flow in plan.flows:
        sizes[flow.from_] -= flow.accounts
        sizes[flow.to] += flow.accounts
    assert {name: size for name, size in sizes.items() if size} == {
        one.name: one.after for one in plan.sizes if one.after
    }
    assert sum(one.before for one in plan.sizes) == sum(one.after for one in plan.sizes) == plan.accounts
    assert sum(one.accounts for one in plan.flows) == len(plan.moves) == plan.moved + plan.renamed


def test_the_order_of_accounts_makes_no_difference() -> None:
    world = random_world(7)
    before = world.plan()
    world.states = dict(reversed(world.states.items()))
    assert world.plan() == before


@pytest.mark.parametrize("seed", range(90, 100))
def test_parts_that_several_processes_took_make_the_same_plan(seed: int) -> None:
    world = random_world(seed)
    whole, workers = world.planner(), [world.planner(), world.planner()]
    for number, (name, value) in enumerate(world.states.items()):
        worker = workers[number % 2]
        worker.take(name, value)
        if number % 7 == 0:
            whole.join(pickle.loads(pickle.dumps(worker.split())))  # noqa: S301  # our own
    for worker in workers:
        whole.join(worker.split())
    assert whole.finish() == world.plan()
    alone = world.planner()
    for name, value in world.states.items():
        alone.take(name, value)
    assert whole.digest(0) == alone.digest(0)
    assert sorted(one.account for one in whole.told) == sorted(one.account for one in alone.told)


def test_a_sample_of_a_renamed_segment_is_explained_by_its_name_of_then() -> None:
    new = file_of(("huge", {"employees": {"gte": 150}}), MIDDLE)
    world = World(file_of(BIG, MIDDLE), new, growing({"b.com": 120}), {"huge": "big"})
    planner = world.planner()
    planner.switch = planner.switch._replace(renamed={"big": "huge"})
    for name, value in world.states.items():
        planner.take(name, value)
    plan = planner.finish()
    assert [(one.name, one.old_name, one.before, one.after) for one in plan.sizes[:2]] == [
        ("huge", "big", 1, 0),
        ("middle", None, 0, 1),
    ]
    (sample,) = plan.flows[0].samples
    assert sample.after == "middle, because employees >= 50 (is 120); huge needs employees >= 150 (is 120)"


def test_a_sample_names_what_must_not_be() -> None:
    lapsed = {"all": [{"employees": {"gte": 100}}, {"not": {"event": "hiring", "within": "9d"}}]}
    world = World(
        file_of(("quiet", lapsed)), file_of(("quiet", {"employees": {"gte": 999}})), growing({"b.com": 120})
    )
    (sample,) = world.plan().flows[0].samples
    assert sample.before.startswith("quiet, because employees >= 100 (is 120), not hiring within 9d;")


def test_segments_that_swap_their_names_keep_the_sizes_that_they_had() -> None:
    new = file_of(("middle", {"employees": {"gte": 100}}), ("big", {"employees": {"gte": 50}}))
    swap = {"big": "middle", "middle": "big"}
    world = World(file_of(BIG, MIDDLE), new, growing({"a.com": 200, "b.com": 300, "c.com": 60}), swap)
    planner = world.planner()
    planner.switch = planner.switch._replace(renamed=swap)
    for name, value in world.states.items():
        planner.take(name, value)
    plan = planner.finish()
    assert (plan.moved, plan.renamed) == (0, 3)
    assert [(one.name, one.old_name, one.before, one.after) for one in plan.sizes] == [
        ("middle", "big", 2, 2),
        ("big", "middle", 1, 1),
        ("rest", None, 0, 0),
    ]
