"""Small data sets whose figures anybody can count."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from io import StringIO
from typing import Any

import jsonschema
import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from resegment.console.outcomes.terminal_view import render
from resegment.outcomes.dataset import Dataset
from resegment.outcomes.measuring.measure import measure
from resegment.outcomes.measuring.names import By
from resegment.outcomes.measuring.options import WINDOWS, MeasureOptions
from resegment.outcomes.measuring.report import ContactRate, Group, Lift, Rate, Report, metrics_schema
from tests.outcome_frames import at, load_generator, make_dataset

DAY = 86_400_000
NOW = 1_767_225_600_000  # 2026-01-01


def touch(name: str, age: float, segment: str = "a", **more: Any) -> dict[str, Any]:
    given = {"account": f"{name}.example", "arm": "enrolled", "owner": "Ann", "version": 1}
    return {"touch": name, "at": NOW - int(age * DAY), "segment": segment, **given, **more}


def outcome(of: Mapping[str, Any], action: str, after: float, **more: Any) -> dict[str, Any]:
    when = of["at"] + int(after * DAY)
    return {
        "account": of["account"],
        "touch": of["touch"],
        "at": when,
        "action": action,
        "record": f"{of['touch']} {action} {after}",
        **more,
    }


def report(data: Dataset, **options: Any) -> Report:
    return measure(data, MeasureOptions(until=at(NOW), **options))


def rate(group: Group, metric: str) -> Rate:
    return next(one for one in group.rates if one.metric == metric)


def contact_rate(group: Group, metric: str) -> ContactRate:
    return next(one for one in group.contacts if one.metric == metric)


def counts(group: Group, metric: str) -> tuple[int, int, int]:
    found = rate(group, metric)
    return found.k, found.n, found.waiting


def test_a_touch_counts_once_its_window_is_over_and_an_outcome_while_it_lasts() -> None:
    rows = [
        touch("early", 100),
        touch("late", 100),
        touch("edge", 14),
        touch("young", 13.9),
        touch("none", 50),
    ]
    came = [
        outcome(rows[0], "replied", 2),
        outcome(rows[0], "replied", 3),
        outcome(rows[1], "replied", 14.1),
        outcome(rows[2], "replied", 14),
        outcome(rows[3], "replied", 1),
    ]
    made = report(make_dataset(rows, came))
    assert counts(made.groups[0], "reply") == (2, 4, 1)
    assert rate(made.groups[0], "reply").window_days == 14
    assert counts(made.total, "reply") == (2, 4, 1)


def test_a_positive_reply_is_a_reply_and_an_automatic_one_is_none() -> None:
    rows = [touch("yes", 100), touch("auto", 100)]
    came = [outcome(rows[0], "positive_reply", 2), outcome(rows[1], "auto_replied", 1)]
    made = report(make_dataset(rows, came))
    assert counts(made.total, "reply") == (1, 2, 0)
    assert counts(made.total, "positive_reply") == (1, 2, 0)


def test_an_outcome_dated_before_its_touch_counts_and_one_from_the_future_does_not() -> None:
    rows = [touch("skewed", 100), touch("future", 20)]
    came = [outcome(rows[0], "replied", -0.01), outcome(rows[1], "replied", 21)]
    made = report(make_dataset(rows, came), windows={**WINDOWS, "reply": 15})
    assert counts(made.total, "reply") == (1, 2, 0)


def test_mature_measures_every_metric_on_the_same_touches() -> None:
    rows = [touch("old", 200), touch("young", 100)]
    came = [outcome(one, "replied", 1) for one in rows]
    assert counts(report(make_dataset(rows, came)).total, "reply") == (2, 2, 0)
    mature = report(make_dataset(rows, came), mature=True)
    assert {one.metric: one.n for one in mature.total.rates if one.metric != "retention"} == dict.fromkeys(
        ("sent", "reply", "positive_reply", "meeting", "opportunity", "win", "unsubscribe", "bounce"), 1
    )


def test_since_leaves_out_touches_before_it() -> None:
    rows = [touch("old", 200), touch("new", 100)]
    assert report(make_dataset(rows, []), since=at(NOW) - timedelta(days=150)).touches == 1


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (By.segment, ["a", "b"]),
        (By.owner, ["(none)", "Ann"]),
        (By.version, ["f00", "version 1"]),
        (By.channel, ["(none)", "email"]),
        (By.play, ["(none)", "p"]),
    ],
)
def test_touches_are_grouped_by_what_they_were_at_the_time(by: By, names: list[str]) -> None:
    rows = [
        touch("one", 100, channel="email", play="p"),
        touch("other", 100, "b", owner=None, version=None, definition_version="f00"),
    ]
    assert [one.name for one in report(make_dataset(rows, []), by=by).groups] == names


def test_contacts_count_by_account_and_only_those_who_were_written_to() -> None:
    rows = [touch("one", 100), touch("two", 100)]
    came = [
        outcome(rows[0], "sent", 0, person="x"),
        outcome(rows[0], "sent", 0, person="y"),
        outcome(rows[0], "replied", 1, person="x"),
        outcome(rows[0], "replied", 2, person="x"),
        outcome(rows[0], "replied", 2, person="stranger"),
        outcome(rows[1], "sent", 0, person="x"),
    ]
    found = contact_rate(report(make_dataset(rows, came)).total, "reply")
    assert (found.k, found.n, found.accounts) == (1, 3, 2)
    assert found.interval.low <= found.rate <= found.interval.high  # type: ignore[operator]


def test_what_was_held_out_is_in_no_rate() -> None:
    rows = [touch("sent", 100), touch("held", 100, arm="holdout", owner=None)]
    made = report(make_dataset(rows, [outcome(rows[1], "won", 5)]))
    assert counts(made.total, "win") == (0, 0, 1)
    assert (made.touches, made.held_out, made.groups[0].held_out) == (1, 1, 1)


def test_a_deal_ends_as_it_ended_last_and_open_ones_are_censored() -> None:
    rows = [touch(name, 300) for name in ("won", "open", "lost", "unnamed")]
    came = [
        outcome(rows[0], "opportunity_created", 10, deal="d1", opened_at=rows[0]["at"] + 5 * DAY),
        outcome(rows[0], "lost", 20, deal="d1"),
        outcome(rows[0], "won", 45, deal="d1", amount_usd=900.0),
        outcome(rows[1], "opportunity_created", 10, deal="d2"),
        outcome(rows[2], "lost", 100, deal="d3"),
        outcome(rows[3], "opportunity_created", 10),
        outcome(rows[3], "won", 30, amount_usd=None),
    ]
    cycle = report(make_dataset(rows, came)).total.cycle
    assert (cycle.deals, cycle.won, cycle.lost, cycle.open) == (4, 2, 1, 1)
    assert cycle.median_days == 20
    size = report(make_dataset(rows, came)).total.deal_size
    assert (size.n, size.without_amount, size.mean, size.median) == (1, 1, 900, 900)
    assert size.mean_interval is None


def test_retention_is_of_wins_that_are_old_enough() -> None:
    rows = [touch(name, 800) for name in ("kept", "gone", "late", "young")]
    came = [outcome(one, "won", 10) for one in rows[:3]]
    came += [outcome(rows[3], "won", 179), outcome(rows[1], "churned", 200), outcome(rows[2], "churned", 500)]
    rows[3]["at"] = NOW - 300 * DAY
    came[3]["at"] = NOW - 200 * DAY
    assert counts(report(make_dataset(rows, came)).total, "retention") == (2, 3, 1)


def test_a_customer_is_judged_by_the_first_churn_after_the_win() -> None:
    rows = [touch(name, 800, segment=name) for name in ("twice", "before")]
    came = [outcome(one, "won", 10) for one in rows]
    came += [
        outcome(rows[0], "churned", 100),
        outcome(rows[0], "churned", 600),
        outcome(rows[1], "churned", 5),
    ]
    found = {one.name: counts(one, "retention") for one in report(make_dataset(rows, came)).groups}
    assert found == {"twice": (0, 1, 0), "before": (1, 1, 0)}


def test_deals_without_a_name_are_one_until_another_is_created() -> None:
    row = touch("one", 300)
    came = [
        outcome(row, "opportunity_created", 10),
        outcome(row, "lost", 20),
        outcome(row, "opportunity_created", 100),
        outcome(row, "won", 130, amount_usd=900.0),
    ]
    cycle = report(make_dataset([row], came)).total.cycle
    assert (cycle.deals, cycle.won, cycle.lost, cycle.open) == (2, 1, 1, 0)
    assert cycle.median_days == 30
    same = [outcome(row, "won", 10, record="a"), outcome(row, "opportunity_created", 10, record="b")]
    assert report(make_dataset([row], same)).total.cycle.deals == 1


def held_out(enrolled: int, held: int, hits: tuple[int, int]) -> Dataset:
    rows = [touch(f"e{number}", 300) for number in range(enrolled)]
    rows += [touch(f"h{number}", 300, arm="holdout", owner=None) for number in range(held)]
    won = [*rows[: hits[0]], *rows[enrolled : enrolled + hits[1]]]
    return make_dataset(rows, [outcome(one, "won", 9, touch=None, reason="window") for one in won])


def lift(made: Report, metric: str = "win") -> Lift:
    return next(one for one in made.holdouts[0].lifts if one.metric == metric)


def test_lift_counts_what_the_accounts_of_both_arms_came_to_whatever_it_is_credited_to() -> None:
    made = report(held_out(180, 20, (36, 1)), shares={"a": 0.1})
    found = lift(made)
    assert (found.enrolled.k, found.enrolled.n, found.holdout.k, found.holdout.n) == (36, 180, 1, 20)
    assert found.difference == pytest.approx(0.15)
    assert found.extra == pytest.approx(27)
    assert found.label == "thin"
    assert found.interval.low <= found.difference <= found.interval.high
    assert found.always_valid.low <= found.interval.low
    assert rate(made.total, "win").k == 0


@pytest.mark.parametrize(
    ("enrolled", "held", "shares", "words"),
    [
        (180, 20, {}, "not known of a"),
        (180, 60, {"a": 0.1}, "not comparable"),
        (30, 3, {"a": 0.1}, "fewer than 5"),
    ],
)
def test_lift_is_not_shown_where_the_arms_are_not_as_declared(
    enrolled: int, held: int, shares: dict[str, float], words: str
) -> None:
    (found,) = report(held_out(enrolled, held, (3, 1)), shares=shares).holdouts
    assert not found.passes
    assert found.lifts == []
    assert words in (found.reason or "")


def test_by_owner_there_is_no_lift_because_nobody_owns_what_is_held_out() -> None:
    made = report(held_out(180, 20, (36, 1)), shares={"a": 0.1}, by=By.owner)
    assert made.holdouts == []
    assert any("no owner" in one for one in made.notes)


def test_touches_of_a_version_without_a_holdout_were_not_drawn() -> None:
    data = held_out(180, 20, (36, 1))
    old = make_dataset([touch(f"old{number}", 300, definition_version="v1") for number in range(500)], [])
    both = Dataset(
        data.touches.with_columns(definition_version=pl.lit("v2")).vstack(old.touches), data.outcomes
    )
    made = report(both, shares={"a": 0.1}, version_shares={"v1": {}, "v2": {"a": 0.1}})
    assert (lift(made).enrolled.n, lift(made).holdout.n) == (180, 20)


def test_what_an_experiment_holds_out_is_no_holdout_of_the_segment() -> None:
    data = held_out(180, 20, (36, 1))
    aside = make_dataset(
        [touch(f"x{number}", 300, arm="holdout", experiment="e", owner=None) for number in range(20)], []
    )
    both = Dataset(data.touches.vstack(aside.touches), data.outcomes)
    (found,) = report(both, shares={"a": 0.1}).holdouts
    assert (found.enrolled, found.holdout) == (200, 20)
    assert (found.lifts[0].enrolled.n, found.lifts[0].holdout.n) == (180, 20)


def test_an_account_that_was_drawn_twice_is_one_account() -> None:
    data = held_out(90, 10, (9, 1))
    again = make_dataset([touch("again", 200, account="e0.example")], [])
    both = Dataset(data.touches.vstack(again.touches), data.outcomes)
    found = lift(report(both, shares={"a": 0.1}))
    assert (found.enrolled.n, found.holdout.n) == (90, 10)


def test_thin_groups_do_not_differ_however_far_apart_they_are() -> None:
    rows = [touch(f"a{number}", 100) for number in range(20)] + [
        touch(f"b{number}", 100, "b") for number in range(20)
    ]
    made = report(make_dataset(rows, [outcome(one, "replied", 1) for one in rows[:20]]))
    compared = next(one for one in made.comparisons if one.metric == "reply")
    assert compared.differs
    assert [one.verdict for one in compared.pairs] == ["thin"]
    assert rate(made.groups[0], "reply").label == "thin"


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_or_next_to_nothing_makes_a_report_too(count: int) -> None:
    made = report(make_dataset([touch("one", 1)][:count], []))
    assert made.touches == count
    assert [one.n for one in made.total.rates] == [0] * 9
    assert made.comparisons == []
    assert made.rankings == []
    assert made.deal_sizes is None


@pytest.fixture(scope="module")
def year() -> tuple[list[Any], list[Any], dict[str, float], int]:
    generator = load_generator()
    return (*generator.make(3, 1_200), generator.UNTIL)


@settings(max_examples=1, deadline=None)
@given(st.randoms())
def test_the_report_does_not_depend_on_the_order_of_rows(year: Any, shuffler: Any) -> None:
    touches, outcomes, shares, until = year
    options = MeasureOptions(until=at(until), shares=shares)
    first = measure(make_dataset(touches, outcomes), options)
    turned = make_dataset(shuffler.sample(touches, len(touches)), shuffler.sample(outcomes, len(outcomes)))
    assert msgspec.json.encode(measure(turned, options)) == msgspec.json.encode(first)


@pytest.mark.parametrize("by", [By.segment, By.owner])
def test_the_json_of_a_report_follows_its_schema(year: Any, by: By) -> None:
    touches, outcomes, shares, until = year
    made = measure(make_dataset(touches, outcomes), MeasureOptions(until=at(until), shares=shares, by=by))
    encoded = msgspec.json.encode(made)
    jsonschema.validate(msgspec.json.decode(encoded), metrics_schema())
    assert msgspec.json.decode(encoded, type=Report) == made


def test_figures_stand_whole_on_a_narrow_terminal_beside_long_names() -> None:
    names = ("companies-that-just-raised-a-round", "companies-that-hire-in-sales")
    rows = [touch(f"{name}{number}", 300, name) for name in names for number in range(1_200)]
    rows += [touch(f"h{number}", 300, names[0], arm="holdout") for number in range(1_100)]
    came = [
        outcome(one, "won", 40 + index % 9, amount_usd=12_345.0 + index)
        for index, one in enumerate(rows[::3])
    ]
    came += [outcome(one, "sent", 0, person="jo") for one in rows[:2_400]]
    made = report(make_dataset(rows, came), shares={names[0]: 0.478})
    shown = StringIO()
    Console(file=shown, width=80).print(render(made, 80))
    told = [line for line in shown.getvalue().splitlines() if line.startswith("companies-")]
    total = rate(made.total, "win")
    assert f"{total.k:,}/{total.n:,}" in shown.getvalue()
    assert [line for line in told if "…" in line.replace("…", "", 1)] == []
    assert all(len(line) <= 80 for line in shown.getvalue().splitlines())
    for heading in ("won by day 90", "half won in", "median", "held out"):
        assert heading in shown.getvalue()


def test_a_share_of_deals_without_any_win_has_no_interval_on_the_terminal() -> None:
    rows = [touch(str(number), 300) for number in range(3)]
    made = report(make_dataset(rows, [outcome(one, "opportunity_created", 5) for one in rows]))
    shown = StringIO()
    Console(file=shown, width=100).print(render(made, 100))
    assert "(0–0%)" not in shown.getvalue()
    assert next(one for one in made.total.cycle.at if one.day == 90).won == 0
