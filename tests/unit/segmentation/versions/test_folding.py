"""Facts are whole at a switch: kept for both versions, or folded in from the log, they count as if all had been kept."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter

import pytest

from resegment.schemas.fact import Fact
from resegment.schemas.logs.state_log import decode_state
from resegment.schemas.state import AccountState, Entry
from resegment.segmentation.evaluation.account import Account
from resegment.segmentation.evaluation.engine import Engine
from resegment.segmentation.evaluation.program import Limits, Program
from resegment.segmentation.evaluation.retention import Retention
from resegment.segmentation.inspection.backtest import by_account, order_of_delivery
from resegment.segmentation.versions.era import ALWAYS, Era
from resegment.segmentation.versions.folding import conform, join_entries
from resegment.segmentation.versions.timeline import Timeline, fold_into
from tests.builders import definition_of, facts_of
from tests.oracle.cases import day, funding, segments, snapshot
from tests.oracle.generate import generate
from tests.oracle.generate.switches import next_file

DAY = 86_400_000
SEEDS = 12

Groups = list[tuple[int, list[Fact]]]


def groups_of(facts: Sequence[Fact]) -> Groups:
    return [(at, list(one)) for at, one in groupby(facts, key=attrgetter("recorded"))]


def learn(engine: Engine, account: Account, groups: Groups) -> Account:
    for at, facts in groups:
        engine.fold_facts(account, facts, at)
    return account


def whole(old: Program, new: Program, groups: Groups, cut: int) -> Account:
    """All facts, folded by the new program alone."""
    engine = Engine(new)
    return learn(engine, engine.open("acme.com"), groups)


def union(old: Program, new: Program, groups: Groups, cut: int) -> Account:
    """Facts folded by the old program, which keeps what the new one needs too; and then the switch."""
    before, engine = Engine(old, Retention(old, new)), Engine(new)
    account = learn(before, before.open("acme.com"), groups)
    conform(account.state.entries, engine.retention)
    engine.reopen(account)
    return account


def folded_in(old: Program, new: Program, groups: Groups, cut: int) -> Account:
    """Facts of which the old program kept its own, those before `cut` folded in from the log; and then the switch."""
    before, kept, engine = Engine(old), Engine(old, Retention(old, new)), Engine(new)
    account = learn(before, before.open("acme.com"), groups[:cut])
    kept.reopen(account)
    learn(kept, account, groups[cut:])
    side = fold_into(engine, "acme.com", None, groups[:cut])
    side = decode_state(engine.encode(engine.open("acme.com", side)))
    account.state.entries = join_entries(account.state.entries, side.entries)
    conform(account.state.entries, engine.retention)
    engine.reopen(account)
    return account


@pytest.mark.parametrize("way", [union, folded_in])
def test_every_test_has_the_value_that_it_had_if_the_new_version_had_seen_all_facts(
    way: Callable[[Program, Program, Groups, int], Account],
) -> None:
    for seed in range(SEEDS):
        draw = random.Random(seed)
        file, events, files = generate(seed, extended=True)
        old = Program(definition_of(file, files))
        new = Program(definition_of(next_file(draw, file, events), files))
        for name, facts in by_account(order_of_delivery(facts_of(events))).items():
            groups = groups_of(facts)
            cut = draw.randint(0, len(groups))
            expected, found = whole(old, new, groups, cut), way(old, new, groups, cut)
            engine = Engine(new)
            for after in (0, 1, DAY // 2, DAY, 3 * DAY, 9 * DAY):
                at = groups[-1][0] + after
                engine.evaluate(expected, at)
                engine.evaluate(found, at)
                assert (seed, name, after, found.values) == (seed, name, after, expected.values)
            known = [(one.source, one.id, one.known) for one in found.state.entries]
            assert known == sorted(known, key=lambda one: one[2])


def entry(fact_id: str, known: int, **given: object) -> Entry:
    return Entry(0, 0, known, known, "/s", fact_id, **given)  # type: ignore[arg-type]


def test_a_fact_of_both_has_the_fields_of_both() -> None:
    (joined,) = join_entries([entry("a", 1, data={"x": 1})], [entry("a", 1, data={"y": 2})])

    assert joined.data == {"x": 1, "y": 2}


def test_the_newer_revision_counts_and_remembers_the_ids_of_the_older() -> None:
    live = entry("b", 5, record="a", data={"x": 2})
    folded = entry("a", 1, data={"x": 1}, older=["z"])
    folded.time = 9

    (joined,) = join_entries([live], [folded])

    assert (joined.id, joined.data, joined.older, joined.latest) == ("b", {"x": 2}, ["z", "a"], 9)


def test_a_second_delivery_that_the_account_took_for_a_new_fact_does_not_count() -> None:
    live, folded = entry("a", 9, data={"x": 2}), entry("a", 1, data={"x": 1})

    (joined,) = join_entries([live], [folded])

    assert (joined.known, joined.data) == (1, {"x": 1})


def test_facts_stay_in_the_order_in_which_they_became_known() -> None:
    joined = join_entries([entry("b", 2), entry("d", 4)], [entry("c", 3), entry("a", 1)])

    assert [one.id for one in joined] == ["a", "b", "c", "d"]


def test_facts_that_were_folded_in_count_from_the_switch_on() -> None:
    old = Engine(Program(definition_of(segments(in_={"event": "funding", "within": "2d"}))))
    wanted = {"event": "funding", "where": {"amount_usd": {"gte": 5}}}
    new = Engine(Program(definition_of(segments(large=wanted, in_={"employees": {"gte": 5}}))))
    facts = facts_of([funding(day(0), amount_usd=9), snapshot(day(1), employees=7)])
    first = Timeline([Era(1, ALWAYS, old)])
    account = first.open("acme.com")
    for fact in facts:
        first.apply_facts(account, [fact], fact.recorded)
    folded = fold_into(new, "acme.com", None, [(fact.recorded, [fact]) for fact in facts])
    second = first.extend(Era(2, day(5), new))
    stored = second.encode(account)

    again = second.load("acme.com", stored)
    second.join_folded(again, folded)

    assert [one.change.to for one in second.advance(again, day(5)) if one.change] == ["out", "large"]
    assert [one.data for one in again.state.entries] == [{"amount_usd": 9}, {"employees": 7}]
    assert again.folded is None


def test_facts_that_were_folded_in_are_bounded_as_any_others() -> None:
    def engine(when: object) -> Engine:
        return Engine(Program(definition_of(segments(in_=when)), Limits(facts=40)))

    old, new = (
        engine({"event": "funding", "within": "9d"}),
        engine({"event": "funding", "count": {"gte": 41}}),
    )
    facts = facts_of([funding(day(0) + number, id=f"{number:03}") for number in range(200)])
    timeline = Timeline([Era(1, ALWAYS, old), Era(2, day(5), new)])
    account = timeline.open("acme.com")
    for fact in facts[:100]:
        timeline.apply_facts(account, [fact], fact.recorded)
    timeline.join_folded(account, fold_into(new, "acme.com", None, [(one.recorded, [one]) for one in facts]))

    timeline.advance(account, day(5))

    assert account.state.membership.segment == "out"
    assert [one.id for one in account.state.entries] == [f"{number:03}" for number in range(160, 200)]


def test_an_account_that_is_not_touched_keeps_what_was_folded_in_for_it() -> None:
    engine = Engine(Program(definition_of(segments(in_={"event": "funding"}))))
    timeline = Timeline([Era(1, ALWAYS, engine), Era(2, day(5), engine)])
    account = timeline.open("acme.com")
    timeline.join_folded(account, AccountState([entry("a", 1)]))

    timeline.advance(account, day(4))

    assert account.folded is not None
