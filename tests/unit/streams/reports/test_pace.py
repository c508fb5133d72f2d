"""What workers report of their pace, and what is made of it: backlog by partition and over time, and the time of stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest
from msgspec import to_builtins

from resegment.console.operations.status import render
from resegment.console.terminal import screen
from resegment.metrics import Metrics
from resegment.streams.heartbeat import WorkerLook, look_at_worker
from resegment.streams.operations.dead_letters import DeadLetterCount
from resegment.streams.operations.overview import Overview, describe_overview
from resegment.streams.reports.pace import (
    HistogramDelays,
    Pace,
    find_quantile,
    look_at_backlog,
    look_at_stages,
    read_pace,
)

START = 1_800_000_000.0


class Clock:
    """Time that a test moves, and the delays that it counts."""

    def __init__(self) -> None:
        self.now = START
        self.counts: dict[str, list[int]] = {}

    def read(self) -> tuple[Sequence[float], Mapping[str, Sequence[int]]]:
        return [0.1, 1.0, 10.0], {stage: list(one) for stage, one in self.counts.items()}


def make(clock: Clock) -> Pace:
    return Pace(clock, lambda: clock.now)


def report(pace: Pace, lag: Mapping[str, int], name: str = "w1") -> WorkerLook:
    entry = {"at": START, "partitions": [0], "lag": lag, "pace": to_builtins(pace.note(lag))}
    return look_at_worker(name, orjson.loads(orjson.dumps(entry)), START)


def test_the_backlog_of_each_partition_is_compared_with_that_of_ten_minutes_before() -> None:
    clock = Clock()
    pace = make(clock)
    for minute in range(31):
        clock.now = START + minute * 60
        worker = report(pace, {"p.signals:0": minute * 10, "p.signals:1": 0, "p.segment-changes:0": 5})
    found = look_at_backlog([worker])
    assert [(one.topic, one.partition, one.waiting, one.change) for one in found.places] == [
        ("p.segment-changes", 0, 5, 0),
        ("p.signals", 0, 300, 100),
        ("p.signals", 1, 0, 0),
    ]
    assert (found.waiting, found.before, found.trend) == (305, 205, "growing")
    assert found.of(["p.segment-changes"]).trend == "steady"
    assert found.since == START * 1000
    assert found.compared == (START + 20 * 60) * 1000
    assert [waiting for _, waiting in found.series] == [5 + minute * 10 for minute in range(31)]


def test_only_minutes_that_every_worker_knows_of_are_in_the_series() -> None:
    clock = Clock()
    old, young = make(clock), make(clock)
    first = report(old, {"signals:0": 50})
    clock.now += 300
    report(old, {"signals:0": 40})
    report(young, {"signals:1": 9}, "w2")
    clock.now += 60
    first, second = report(old, {"signals:0": 10}), report(young, {"signals:1": 1}, "w2")
    found = look_at_backlog([first, second])
    assert found.series == [((START + 300) * 1000, 49), ((START + 360) * 1000, 11)]
    assert found.since == (START + 300) * 1000
    assert (found.before, found.trend) == (59, "shrinking")


def test_figures_begin_again_where_partitions_come_from_another_worker() -> None:
    clock = Clock()
    pace = make(clock)
    report(pace, {"signals:0": 50})
    clock.now += 600
    found = look_at_backlog([report(pace, {"signals:0": 50, "signals:1": 7})])
    assert found.since == (START + 600) * 1000
    assert (found.before, found.trend) == (57, "steady")


def test_a_worker_of_an_earlier_release_has_a_backlog_and_no_past() -> None:
    worker = look_at_worker("w1", {"at": START, "partitions": [0], "lag": {"signals:0": 3}}, START)
    found = look_at_backlog([worker])
    assert (found.waiting, found.before, found.trend, found.since) == (3, None, None, None)
    assert look_at_stages([worker]).stages == ()


def test_nothing_that_waits_has_no_trend() -> None:
    assert look_at_backlog([report(make(Clock()), {"signals:0": 0})]).trend == "none"


def test_stages_are_those_of_the_last_hour_of_all_workers() -> None:
    clock = Clock()
    one, other = make(clock), make(clock)
    clock.counts = {"segmenter": [100, 0, 0, 0]}
    report(one, {})
    report(other, {})
    clock.now += 120
    clock.counts = {"segmenter": [190, 0, 10, 0], "intake": [1, 0, 0, 0], "deadlines": [0, 0, 0, 0]}
    found = look_at_stages([report(one, {}), report(other, {}, "w2")])
    assert [(stage.name, stage.batches) for stage in found.stages] == [("intake", 2), ("segmenter", 200)]
    assert found.slowest is not None
    assert found.slowest.name == "segmenter"
    assert found.slowest.median == 56
    assert found.slowest.p95 == 5500
    assert found.since == START * 1000
    clock.now += 3_700
    report(one, {})
    clock.now += 3_700
    assert not look_at_stages([report(one, {})]).stages


def test_what_a_worker_reports_stays_small() -> None:
    clock = Clock()
    pace = make(clock)
    lag = {f"prefix.topic-{topic}:{partition}": 99_999 for topic in range(8) for partition in range(16)}
    clock.counts = {f"stage-{number}": [10**6] * 4 for number in range(6)}
    for minute in range(200):
        clock.now = START + minute * 60
        told = pace.note(lag)
    assert len(told.minutes) == 61
    assert len(orjson.dumps(to_builtins(told))) < 10_000


@pytest.mark.parametrize(
    "damage",
    [
        {"minutes": [1, 2]},
        {"since": "yesterday"},
        {"stages": {"since": 1, "bounds": [1.0], "counts": {"segmenter": [1]}}},
        {"before": None},
    ],
)
def test_what_another_release_reports_otherwise_is_left_out(damage: Mapping[str, Any]) -> None:
    told = to_builtins(make(Clock()).note({"signals:0": 3}))
    assert read_pace(told) is not None
    assert read_pace({**told, "later": 1}) is not None
    assert read_pace({**told, **damage}) is None


def test_a_length_beyond_the_last_bucket_is_not_made_up() -> None:
    assert find_quantile(0.95, [1.0, 2.0], [0, 0, 5]) is None
    assert find_quantile(0.5, [1.0, 2.0], [0, 10, 0]) == 1500
    assert find_quantile(0.5, [1.0], [0, 0]) is None


def test_delays_are_read_from_the_histogram_of_the_metrics() -> None:
    metrics = Metrics()
    metrics.stage_delay.labels("segmenter").observe(0.02)
    metrics.stage_delay.labels("segmenter").observe(4_000)
    bounds, counts = HistogramDelays(metrics.stage_delay).read()
    assert sum(counts["segmenter"]) == 2
    assert (counts["segmenter"][-1], bounds[-1]) == (1, 1800.0)
    assert counts["segmenter"][list(bounds).index(0.025)] == 1


def test_status_says_whether_the_backlog_grows_and_which_stage_is_slow() -> None:
    clock = Clock()
    pace = make(clock)
    report(pace, {"signals:0": 10})
    clock.counts = {"segmenter": [0, 9, 0, 0]}
    clock.now += 600
    worker = report(pace, {"signals:0": 40})
    look = Overview("p", "wall", "abc", int(clock.now * 1000), [worker], [], DeadLetterCount())
    console = screen()
    with console.capture() as captured:
        console.print(render(look))
    text = captured.get()
    assert "Lag of 40 records is growing: 10 at Jan 15, 2027, 8:00 AM UTC." in text
    assert "Slowest stage of the last hour: segmenter, 95 % within 0.955 s." in text
    told = describe_overview(look)
    assert (told["backlog"]["trend"], told["stages"]["slowest"]) == ("growing", "segmenter")
