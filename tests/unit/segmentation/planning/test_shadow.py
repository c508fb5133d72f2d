"""A shadow beside the version in force: which accounts it has elsewhere, and why."""

from __future__ import annotations

from resegment.schemas.logs.state_log import decode_state
from resegment.segmentation.planning.shadow import ShadowComparison, ShadowReport
from tests.unit.segmentation.planning.test_planner import (
    BIG,
    DAY,
    MIDDLE,
    T,
    World,
    fact,
    file_of,
    growing,
    random_world,
)


def report_of(world: World, since: int, at: int = T) -> ShadowReport:
    """The shadow of the world's new version, which began at `since`."""
    shadow = world.planned(since)
    renamed = {old: new for new, old in world.moved.items()}
    comparison = ShadowComparison((world.present, shadow), (world.old, world.new), renamed)
    comparison.begin(at)
    for name, facts in world.facts.items():
        account = shadow.open(name)
        for one in facts:
            shadow.advance(account, one.recorded - 1)
            shadow.apply_facts(account, [one], one.recorded)
        comparison.take(name, world.states[name], shadow.encode(account))
    return comparison.finish(version=2, base=1, since=since, differences=())


def test_accounts_that_both_have_in_one_segment_are_not_listed() -> None:
    world = World(file_of(BIG, MIDDLE), file_of(BIG, MIDDLE), growing({"a.com": 200, "b.com": 60}))
    report = report_of(world, T - DAY)
    assert (report.accounts, report.differ, report.elsewhere) == (2, 0, ())


def test_an_account_that_the_shadow_has_elsewhere_is_explained_by_both() -> None:
    new = file_of(("big", {"employees": {"gte": 150}}), MIDDLE)
    report = report_of(World(file_of(BIG, MIDDLE), new, growing({"a.com": 200, "b.com": 120})), T - DAY)
    assert [(one.account, one.from_, one.to) for one in report.elsewhere] == [("b.com", "big", "middle")]
    (sample,) = report.flows[0].samples
    assert sample.before == "big, because employees >= 100 (is 120); middle is below big"
    assert sample.after == "middle, because employees >= 50 (is 120); big needs employees >= 150 (is 120)"


def test_a_shadow_remembers_its_own_exits() -> None:
    hiring = {"event": "hiring", "within": "10d"}
    cooling = ("hot", hiring, {"cooldown": "90d"})
    facts = [fact("a.com", "hiring", T - 40 * DAY, "h1"), fact("a.com", "hiring", T - 5 * DAY, "h2")]
    world = World(file_of(("hot", hiring)), file_of(cooling), facts)
    # It left at T - 30 d by both. The shadow, which began before that, does not take it back for 90 days.
    assert [(one.from_, one.to) for one in report_of(world, T - 35 * DAY).elsewhere] == [("hot", "rest")]


def test_a_shadow_that_begins_now_is_what_a_plan_says() -> None:
    for seed in range(20):
        world = random_world(seed)
        planner = world.planner()
        planner.switch = planner.switch._replace(renamed={old: new for new, old in world.moved.items()})
        for name, value in world.states.items():
            planner.take(name, value)
        plan, report = planner.finish(), report_of(world, T)
        renamed = {(one.from_, one.to) for one in plan.flows if one.renamed}
        moves = [(one.account, one.from_, one.to) for one in plan.moves]
        assert [one for one in moves if one[1:] not in renamed] == [
            (one.account, one.from_, one.to) for one in report.elsewhere
        ]
        assert (report.sizes, report.differ) == (plan.sizes, plan.moved)


def test_stored_states_stay_as_they_are() -> None:
    world = random_world(3)
    before = {name: decode_state(value) for name, value in world.states.items()}
    report_of(world, T - DAY)
    assert {name: decode_state(value) for name, value in world.states.items()} == before


def test_members_of_a_renamed_segment_are_not_elsewhere() -> None:
    new = file_of(("large", {"employees": {"gte": 100}}), MIDDLE)
    world = World(file_of(BIG, MIDDLE), new, growing({"a.com": 200, "b.com": 60}), {"large": "big"})
    report = report_of(world, T - DAY)
    assert (report.differ, report.elsewhere) == (0, ())
    assert [(one.from_, one.to, one.renamed) for one in report.flows] == [("big", "large", True)]
