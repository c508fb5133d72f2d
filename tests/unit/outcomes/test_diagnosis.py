"""What a report says about the file, on data made so that the answer is known."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import msgspec
import polars as pl
import pytest

from resegment.outcomes.advising import WrongReport, decode_report, expect, lint_outcomes, warn_of
from resegment.outcomes.dataset import Dataset
from resegment.outcomes.measuring.measure import measure
from resegment.outcomes.measuring.names import By
from resegment.outcomes.measuring.options import MeasureOptions
from resegment.outcomes.measuring.report import Finding, Report
from resegment.segmentation.definition import read_definition
from resegment.segmentation.planning.plan import PlannedFlow
from tests.outcome_frames import at, make_dataset

DAY = 86_400_000
NOW = 1_767_225_600_000
AGE = 300

Rates = dict[str, tuple[int, float, float]]
"""By group: touches, share with a reply, share with a win."""


def make(groups: Rates, **more: dict[str, float]) -> Dataset:
    """Make exact shares: the first touches of a group reply, the last win. `more` has other actions by group."""
    rows: list[dict[str, Any]] = []
    came: list[dict[str, Any]] = []
    for name, (count, reply, win) in groups.items():
        own = [
            {
                "touch": f"{name}-{number}",
                "account": f"{name}-{number}.example",
                "at": NOW - AGE * DAY,
                "segment": name,
                "play": f"play-{name}",
                "arm": "enrolled",
            }
            for number in range(count)
        ]
        rows += own
        came += _outcomes(own[: round(count * reply)], "replied")
        came += _outcomes(own[count - round(count * win) :], "won")
        for action, shares in more.items():
            came += _outcomes(own[: round(count * shares.get(name, 0))], action)
    return make_dataset(rows, came)


def _outcomes(touches: Iterable[dict[str, Any]], action: str) -> list[dict[str, Any]]:
    return [
        {
            "account": one["account"],
            "touch": one["touch"],
            "at": one["at"] + 3 * DAY,
            "action": action,
            "record": f"{action} {one['touch']}",
        }
        for one in touches
    ]


def report(data: Dataset, features: pl.DataFrame | None = None, **options: Any) -> Report:
    return measure(data, MeasureOptions(until=at(NOW), **options), features)


def of_kind(made: Report, kind: str) -> list[Finding]:
    return [one for one in made.findings if one.kind == kind]


def test_high_reply_with_low_win_is_targeting_and_the_other_way_around_is_messaging() -> None:
    made = report(make({"chatty": (900, 0.4, 0.01), "quiet": (900, 0.05, 0.2), "usual": (3000, 0.2, 0.08)}))
    assert [one.subjects for one in of_kind(made, "targeting")] == [["chatty"]]
    assert [one.subjects for one in of_kind(made, "messaging")] == [["quiet"]]
    (found,) = of_kind(made, "targeting")
    assert "360/900 (40.0%)" in found.evidence[0]
    assert "points" in found.evidence[1]
    assert found.p is not None
    assert found.p < 0.05
    assert found.tried == 3


def test_small_groups_are_diagnosed_with_nothing() -> None:
    made = report(make({"chatty": (25, 0.6, 0.0), "usual": (3000, 0.2, 0.08)}))
    assert made.findings == []


def test_groups_merge_only_where_they_are_shown_to_be_equivalent() -> None:
    large = report(make({"a": (9000, 0.1, 0.02), "b": (9000, 0.1, 0.02), "c": (9000, 0.3, 0.02)}))
    assert [one.subjects for one in of_kind(large, "merge")] == [["a", "b"]]
    assert "within ±3" in of_kind(large, "merge")[0].evidence[0]
    small = report(make({"a": (200, 0.1, 0.02), "b": (200, 0.1, 0.02)}))
    assert of_kind(small, "merge") == []


def test_a_group_like_all_the_others_predicts_nothing() -> None:
    made = report(make({"same": (9000, 0.1, 0.02), "low": (9000, 0.05, 0.015), "high": (9000, 0.15, 0.025)}))
    assert [one.subjects for one in of_kind(made, "predicts-nothing")] == [["same"]]


def test_a_play_that_drives_people_away_hurts() -> None:
    groups = {"good": (2000, 0.2, 0.05), "bad": (2000, 0.2, 0.05)}
    made = report(make(groups, unsubscribed={"bad": 0.05, "good": 0.01}), by=By.play)
    (found,) = of_kind(made, "hurts")
    assert found.subjects == ["play-bad"]
    assert "unsubscribes more" in found.message


def test_outreach_that_costs_wins_hurts() -> None:
    data = make({"a": (4000, 0.1, 0.02)})
    held = make({"held": (1000, 0.0, 0.1)})
    touches = held.touches.with_columns(segment=pl.lit("a"), arm=pl.lit("holdout"))
    both = Dataset(data.touches.vstack(touches), data.outcomes.vstack(held.outcomes))
    (found,) = of_kind(report(both, shares={"a": 0.2}), "hurts")
    assert "Outreach hurts in a" in found.message
    assert "enrolled 80/4,000 (2.0%), held out 100/1,000 (10.0%)" in found.evidence[0]


def featured(data: Dataset, **columns: list[Any]) -> pl.DataFrame:
    return data.touches.select("touch").with_columns(
        **{name: pl.Series(name, one) for name, one in columns.items()}
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (lambda number: number < 500, "true 400/500 (80.0%)"),
        (lambda number: 10 if number < 500 else 90, "below 90 400/500"),
        (lambda number: "saas" if number < 500 else "retail", "saas 400/500"),
        (
            lambda number: ("saas", "retail", "health")[number // 500] if number < 1500 else None,
            "health 0/500",
        ),
    ],
)
def test_an_attribute_that_separates_outcomes_splits_a_group(values: Any, words: str) -> None:
    data = make({"a": (2000, 0.2, 0.1)})
    noise = random.Random(3)
    features = featured(
        data,
        separates=[values(int(one.split("-")[1])) for one in data.touches["touch"]],
        noise=[noise.random() < 0.5 for _ in range(2000)],
    )
    made = report(data, features)
    found = of_kind(made, "split")
    assert [one.subjects for one in found] == [["a", "separates"]]
    assert words in found[0].evidence[0]
    assert found[0].tried == 4


def test_noise_splits_nothing() -> None:
    data = make({"a": (1000, 0.2, 0.1), "b": (1000, 0.1, 0.05)})
    noise = random.Random(5)
    columns = {f"noise {number}": [noise.random() < 0.5 for _ in range(2000)] for number in range(20)}
    assert of_kind(report(data, featured(data, **columns)), "split") == []


def test_a_test_whose_outcomes_are_the_same_either_way_carries_nothing() -> None:
    data = make({"a": (20_000, 0.2, 0.1)})
    features = featured(
        data,
        even=[number % 2 == 0 for number in range(20_000)],
        rare=[number < 40 for number in range(20_000)],
        size=[float(number) for number in range(20_000)],
    )
    # touches are sorted by name: every second one is true, whatever came of it
    made = report(data, features)
    assert [one.subjects for one in of_kind(made, "carries-nothing")] == [["even"]]


FILE = """
version: 1
segments:
  - {name: a, when: {employees: {gte: 100}}, play: p, route: {workflow: w}}
  - {name: b, when: {employees: {gte: 10}}, play: p, route: {workflow: v}}
fallback: {name: c, play: p, route: {workflow: u}}
plays: {p: {message: {pain: x, value_prop: y, proof_points: [z]}, channels: {primary: email}}}
"""


def test_lint_says_at_its_line_what_outcomes_say_of_a_segment() -> None:
    definition = read_definition([("segments.yaml", FILE)])
    made = report(make({"a": (9000, 0.1, 0.02), "b": (9000, 0.1, 0.02), "gone": (9000, 0.3, 0.02)}))
    found = list(lint_outcomes(definition, made))
    assert [(one.code, one.severity, one.place.line) for one in found] == [("merge", "warning", 5)]
    assert "a 900/9,000 (10.0%)" in found[0].message


def test_a_plan_expects_outcomes_at_the_rates_of_both_segments() -> None:
    made = report(make({"a": (1000, 0.3, 0.1), "b": (1000, 0.1, 0.02)}))
    flows = [
        PlannedFlow(from_="a", to="b", accounts=50),
        PlannedFlow(from_="a", to="new", accounts=10),
        PlannedFlow(from_="b", to="b2", accounts=10, renamed=True),
    ]
    expected = expect(flows, made)
    assert {(one.from_, one.to, one.metric) for one in expected} == {
        ("a", to, metric) for to in ("b", "new") for metric in ("reply", "meeting", "win")
    }
    reply = next(one for one in expected if one.metric == "reply" and one.to == "b")
    assert reply.before is not None
    assert reply.after is not None
    assert reply.before.expected == pytest.approx(15, abs=0.2)
    assert reply.after.low < reply.after.expected < reply.after.high
    assert next(one for one in expected if one.to == "new").after is None


def test_what_a_plan_expects_is_no_surer_than_the_rate_of_all_where_groups_do_not_differ() -> None:
    made = report(make(dict.fromkeys(("a", "b", "c"), (400, 0.1, 0.05))))
    (total,) = (one for one in made.total.rates if one.metric == "win")
    flow = PlannedFlow(from_="a", to="b", accounts=50)
    (one,) = (one for one in expect([flow], made) if one.metric == "win")
    assert one.after is not None
    assert one.after.high - one.after.low >= 0.9 * 50 * (total.interval.high - total.interval.low)


def test_a_new_file_is_warned_of_segments_that_predict_nothing() -> None:
    made = report(make({"a": (9000, 0.1, 0.02), "b": (9000, 0.05, 0.015), "c": (9000, 0.15, 0.025)}))
    assert len(warn_of(["a", "b", "c"], made)) == 1
    assert warn_of(["b", "c"], made) == []


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[1]", b"\xff", b"[" * 100_000, msgspec.json.encode({"by": "segment"})],
)
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(WrongReport, match=r"x\.json is no report") as raised:
        decode_report("x.json", data)
    assert "metrics --json" in (raised.value.remedy or "")


def test_a_report_by_play_is_no_advice_on_segments() -> None:
    made = report(make({"a": (100, 0.1, 0.1)}), by=By.play)
    with pytest.raises(WrongReport, match="by play"):
        decode_report("x.json", msgspec.json.encode(made))
