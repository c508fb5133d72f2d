"""When an experiment may be read, on what, and what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from resegment.cli.outcomes.declared import find_declared
from resegment.console.outcomes.experiment_view import tell_comparison
from resegment.outcomes.dataset import Dataset
from resegment.outcomes.experiments.reading import ReadOptions, read_experiment
from resegment.outcomes.experiments.readout import Look, Readout
from resegment.outcomes.frames import OUTCOMES, TOUCHES
from resegment.outcomes.statistics.power import needed
from resegment.schemas.definitions.records import Apply
from resegment.segmentation.definition import read_definition
from resegment.segmentation.plays.experiments import Experiment
from resegment.segmentation.plays.sample_size import plan_touches
from resegment.streams.definitions.history import Definitions
from tests.builders import registry_of
from tests.unit.segmentation.plays.test_experiments import FILE, GOOD, read

DAY = 86_400_000
START = 1_767_225_600_000
NAME = "proof-first"
LINE = (
    f"{NAME}: {{segment: hiring-now, plays: [ramp, proof], {GOOD.replace('3%', '20%').replace('6%', '20%')}}}"
)
EXPERIMENT = read(LINE).experiments[NAME]


def frame(rows: list[dict[str, Any]], columns: Any) -> pl.DataFrame:
    names = list(columns)
    table = pl.DataFrame({name: [row.get(name) for row in rows] for name in names}, strict=False)
    return table.select(
        pl.col(name).cast(pl.Int64).cast(kind) if isinstance(kind, pl.Datetime) else pl.col(name).cast(kind)
        for name, kind in columns.items()
    )


def touch(number: int, variant: str, at: int, **given: Any) -> dict[str, Any]:
    return {
        "touch": f"t{number}",
        "account": f"a{number}.com",
        "at": at,
        "segment": "hiring-now",
        "arm": "enrolled",
        "experiment": NAME,
        "variant": variant,
        "definition_version": "v1",
        **given,
    }


def reply(account: str, at: int, action: str = "replied", **given: Any) -> dict[str, Any]:
    return {"account": account, "at": at, "action": action, "record": f"{account}{at}", **given}


def dataset(touches: list[dict[str, Any]], outcomes: list[dict[str, Any]] | None = None) -> Dataset:
    return Dataset(frame(touches, TOUCHES), frame(outcomes or [], OUTCOMES))


def drawn(count: int, first: int = 0, **given: Any) -> list[dict[str, Any]]:
    """Touches one a day, by turns for each variant."""
    return [
        touch(number, ("ramp", "proof")[number % 2], START + number * DAY, **given)
        for number in range(first, first + count)
    ]


def look(data: Dataset, day: float, experiment: Experiment = EXPERIMENT, **given: Any) -> Readout:
    return read_experiment(experiment, data, ReadOptions(START + round(day * DAY), **given))


PLANNED = EXPERIMENT.touches


def test_the_result_waits_for_the_last_planned_touch_to_be_as_old_as_the_horizon() -> None:
    data = dataset(drawn(PLANNED + 30))
    last = PLANNED - 1 + 21
    before, after = look(data, last - 0.01), look(data, last)

    assert (before.state, before.matured, before.comparison) == ("not-yet", PLANNED - 1, None)
    assert (after.state, after.matured) == ("read", PLANNED)
    assert after.comparison is not None
    assert before.read_on == after.read_on
    assert before.read_on_is_known


def test_later_touches_and_outcomes_change_nothing_about_a_result() -> None:
    replies = [reply(f"a{number}.com", START + (number + 2) * DAY) for number in range(1, PLANNED, 2)]
    late = [reply(f"a{number}.com", START + (number + 22) * DAY) for number in range(0, PLANNED, 2)]
    whole = dataset(drawn(PLANNED + 200), replies + late)
    first, second = (look(whole, day) for day in (PLANNED + 20, PLANNED + 500))

    assert first.comparison == second.comparison
    assert [one.came for one in first.variants] == [0, PLANNED // 2]


def test_before_the_last_touch_is_made_the_day_is_estimated_by_the_pace() -> None:
    readout = look(dataset(drawn(50)), 50)
    assert readout.read_on is not None
    assert not readout.read_on_is_known
    assert look(dataset([]), 50).read_on is None


def test_an_account_counts_once_by_its_first_touch_with_all_outcomes_in_the_horizon() -> None:
    again = [touch(900, "proof", START + 40 * DAY, account="a1.com")]
    replies = [
        reply("a1.com", START + 21 * DAY, touch="t-of-something-else"),
        reply("a3.com", START + 24 * DAY + 1),
        reply("a5.com", START + 4 * DAY),
        reply("a7.com", START + 8 * DAY, "auto_replied"),
    ]
    readout = look(dataset(drawn(PLANNED) + again, replies), PLANNED + 30)

    assert sum(one.touches for one in readout.variants) == PLANNED
    assert readout.variants[1].came == 1


def test_an_outcome_at_the_end_of_the_horizon_counts_as_it_does_in_metrics() -> None:
    readout = look(dataset(drawn(PLANNED), [reply("a3.com", START + 24 * DAY)]), PLANNED + 30)
    assert readout.variants[1].came == 1


def test_an_early_look_has_wider_intervals_and_no_p_value() -> None:
    replies = [reply(f"a{number}.com", START + (number + 2) * DAY) for number in range(1, 80, 2)]
    data = dataset(drawn(100), replies)
    early = look(data, 110, early=True)

    assert early.state == "not-yet"
    assert early.comparison is not None
    assert early.comparison.p_value is None
    assert early.comparison.always_valid
    assert "early look" in early.warnings[0]
    assert look(data, 110).comparison is None


def test_touches_of_an_earlier_draw_and_of_unknown_variants_are_left_out_and_counted() -> None:
    old = [touch(500 + one, "ramp", START + one * DAY, definition_version="v0") for one in range(10)]
    others = [*old, touch(700, "gone", START)]
    readout = look(dataset(drawn(PLANNED) + others), PLANNED + 30, versions={"v1"})

    assert sum(one.drawn for one in readout.variants) == PLANNED
    assert readout.warnings == ("11 touches are of an earlier draw of the same name, and are left out",)


def test_variants_of_other_sizes_than_drawn_are_not_compared() -> None:
    uneven = [
        touch(number, "proof" if number % 4 else "ramp", START + number * DAY) for number in range(PLANNED)
    ]
    readout = look(dataset(uneven), PLANNED + 30)

    assert not readout.ratio_passes
    assert readout.comparison is not None
    assert readout.comparison.verdict == "not-comparable"
    assert "cannot be compared" in readout.warnings[0]


def test_sizes_that_are_too_small_to_check_are_not_called_wrong() -> None:
    beginning = look(dataset(drawn(4)), 10)
    assert (beginning.state, beginning.ratio_p, beginning.warnings) == ("not-yet", None, ())

    early = look(dataset(drawn(4)), 50, early=True)
    assert early.comparison is not None
    assert early.comparison.verdict == "not-comparable"
    assert "cannot be checked" in early.warnings[0]
    assert not any("something after the draw" in one for one in early.warnings)
    assert tell_comparison(early, early.comparison).endswith("too few accounts.")


def test_an_experiment_that_was_stopped_has_no_result() -> None:
    readout = look(dataset(drawn(50)), 500, stopped=True)
    assert (readout.state, readout.comparison) == ("stopped", None)


def test_who_looked_early_is_named_with_the_result() -> None:
    looks = [
        Look("2026-02-01T00:00:00Z", "ann", True),
        Look("2026-02-02T00:00:00Z", "bo", False),
        Look("2026-02-03T00:00:00Z", "ann", True),
    ]
    readout = look(dataset(drawn(PLANNED)), PLANNED + 30, looks=looks)

    assert readout.looks == tuple(looks)
    assert readout.warnings[0].startswith("looked at early 2 times, by ann:")


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.3, 0.7)])
def test_the_planned_size_is_that_of_the_power_analysis(shares: tuple[float, float]) -> None:
    first = needed(0.06, 0.09, ratio=shares[1] / shares[0])
    planned = plan_touches(0.06, 0.03, shares, power=0.8, confidence=0.95)
    assert planned == pytest.approx(first / shares[0], abs=1 / min(shares) + 1)


def versions_of(*files: str) -> Definitions:
    """Versions that came into force one after the other."""
    definitions = registry_of(*(read_definition([("segments.yaml", one)]) for one in files)).definitions
    for number in range(2, len(files) + 1):
        definitions.standing.append(Apply(id=str(number), version=number, base=number - 1, at=number))
    return definitions


def test_versions_with_another_draw_do_not_count_and_changed_readings_are_told() -> None:
    lines = [
        LINE.replace("salt: b, ", ""),
        LINE.replace("segment:", "salt: b, segment:"),
        LINE.replace("segment:", "salt: b, segment:").replace("21d", "28d"),
    ]
    files = [FILE + f"  {line}\n" for line in lines]
    known = find_declared(versions_of(*files), START)
    versions = [read(line).version for line in lines]

    assert known[NAME].versions == {versions[1], versions[2]}
    assert not known[NAME].stopped
    assert known[NAME].notes == ("version 3 changed how it is read, after it had begun",)


def test_an_experiment_that_a_later_version_has_no_more_is_stopped() -> None:
    known = find_declared(versions_of(FILE + f"  {LINE}\n", FILE.replace("experiments:\n", "")), START)
    assert known[NAME].stopped


@pytest.mark.faults
def test_of_two_equal_plays_one_is_reported_as_better_as_seldom_as_stated() -> None:
    random = np.random.default_rng(7)
    runs, reported, peeked = 600, 0, 0
    touches = drawn(PLANNED)
    for _ in range(runs):
        hit = np.flatnonzero(random.random(PLANNED) < 0.2)
        data = dataset(touches, [reply(f"a{one}.com", START + int(one) * DAY + DAY) for one in hit])
        final = look(data, PLANNED + 30)
        assert final.comparison is not None
        reported += final.comparison.verdict != "no-difference"
        looks = [look(data, day, early=True).comparison for day in range(40, PLANNED, 20)]
        peeked += any(one is not None and one.verdict != "no-difference" for one in looks)
    print(f"reported {reported / runs:.3f}, by looking early and often {peeked / runs:.3f}")

    assert reported / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
    assert peeked / runs <= 0.05


def test_a_day_beyond_the_calendar_is_no_day() -> None:
    far = read(LINE.replace("metric", "ends: 9999-12-31, metric").replace("20%, power", "20%")).experiments[
        NAME
    ]
    tiny = read(LINE.replace("difference: 20%", "difference: 0.001%")).experiments[NAME]

    assert look(dataset([]), 50, far).read_on is None
    assert look(dataset(drawn(50)), 5000, tiny).read_on is None
