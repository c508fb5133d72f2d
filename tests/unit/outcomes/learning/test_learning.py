"""What is learned from outcomes that follow a known model."""

from __future__ import annotations

from math import exp

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score
from statsmodels.api import GLM, families

from resegment.outcomes.learning.checking import FitErrors, find_auc, find_calibration, make_reliability
from resegment.outcomes.learning.fitting import fit
from resegment.outcomes.learning.learning import Learned, LearnOptions, TooFewOutcomes, learn
from resegment.outcomes.learning.observing import Observations
from resegment.outcomes.learning.scoring import write_score
from resegment.outcomes.learning.table import find_successes
from tests.unit.outcomes.learning.simulated import DAY, START, Simulated, simulate

WEIGHTS = (1.2, 0.9, -0.9, 0.8)


def learn_from(data: Simulated, **changed: float) -> Learned:
    options = LearnOptions("meeting", 30 * DAY, resamples=60, **changed)  # type: ignore[arg-type]
    return learn(data.touches, data.outcomes, data.seen, options, data.end)


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_the_terms_that_matter_are_found_and_no_others(seed: int) -> None:
    data = simulate(seed, WEIGHTS)
    learned = learn_from(data)

    assert {one.text for one in learned.terms} == set(data.true)
    assert max(abs(one.points) for one in learned.terms) == 10
    assert all((one.points > 0) is (data.true[one.text] > 0) for one in learned.terms)
    assert all(one.selected >= 0.8 for one in learned.terms)
    assert learned.check.slope is not None
    assert learned.check.slope.contains(1)
    assert learned.check.auc is not None
    assert learned.check.auc.low > 0.6


def test_a_term_without_any_outcome_is_as_unsure_as_the_few_touches_it_has() -> None:
    random = np.random.default_rng(19)
    values = random.random((2_100, 20)) < 0.03
    came = random.random(2_100) < 0.05  # by none of the columns
    found = fit(values, came, np.arange(2_100), resamples=40, stable=0.8, confidence=0.95, seed=0)
    assert (found.selected >= 0.8).any()
    assert not found.terms


def test_an_outcome_is_a_success_from_before_its_touch_to_the_end_of_the_horizon_as_in_metrics() -> None:
    touches = pl.DataFrame({"touch": ["early", "end", "late"], "at": [START] * 3})
    came = [START - 1, START + DAY, START + DAY + 1]
    outcomes = pl.DataFrame({"touch": touches["touch"], "action": ["replied"] * 3, "at": came})
    instants = pl.col("at").cast(pl.Datetime("ms", "UTC"))
    found = find_successes(touches.with_columns(instants), outcomes.with_columns(instants), "reply", DAY)
    assert found.to_list() == [True, True, False]


@pytest.mark.parametrize("seed", range(2))
def test_on_noise_nothing_is_learned_and_no_check_pretends_otherwise(seed: int) -> None:
    learned = learn_from(simulate(seed, ()))

    assert learned.terms == ()
    assert (learned.check.auc, learned.check.slope, learned.check.points_auc, learned.check.reliability) == (
        None,
        None,
        None,
        (),
    )
    assert len(learned.left_out) == 20


@pytest.mark.faults
def test_over_200_seeds_true_terms_are_found_noise_is_not_and_calibration_is_within_its_interval() -> None:
    seeds = range(200)
    learned = [(simulate(seed, WEIGHTS), seed) for seed in seeds]
    found, noise, slopes, intercepts, covered = 0, 0, 0, 0, []
    for data, _ in learned:
        one = learn_from(data)
        names = {term.text for term in one.terms}
        found += len(names & set(data.true))
        noise += bool(names - set(data.true))
        slopes += one.check.slope is not None and one.check.slope.contains(1)
        intercepts += one.check.intercept is not None and one.check.intercept.contains(0)
        covered += [
            term.odds.contains(exp(data.true[term.text])) for term in one.terms if term.text in data.true
        ]
    silent = sum(learn_from(simulate(seed, ())).terms == () for seed in seeds)
    print(
        f"found {found / 800:.3f}, noise in {noise / 200:.3f}, slope {slopes / 200:.3f}, "
        f"intercept {intercepts / 200:.3f}, intervals {np.mean(covered):.3f}, silent on noise {silent / 200:.3f}"
    )

    assert found / 800 >= 0.95
    assert noise / 200 <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5
    assert min(slopes, intercepts) / 200 >= 0.95 - 3 * (0.05 * 0.95 / 200) ** 0.5
    assert np.mean(covered) >= 0.93
    assert silent / 200 >= 0.95 - 3 * (0.05 * 0.95 / 200) ** 0.5


def test_too_few_outcomes_are_refused_in_words() -> None:
    data = simulate(1, WEIGHTS, touches=60, base=-4)
    with pytest.raises(TooFewOutcomes) as refused:
        learn_from(data)
    assert "touches older than 30d came to meeting" in str(refused.value)


def test_touches_that_are_not_old_enough_and_held_out_ones_are_left_out() -> None:
    data = simulate(2, WEIGHTS)
    arms = pl.when(pl.col("touch").hash() % 10 == 0).then(pl.lit("holdout")).otherwise(pl.lit("enrolled"))
    mixed = Simulated(
        data.touches.with_columns(arms.alias("arm")), data.outcomes, data.seen, data.true, START + 200 * DAY
    )
    learned = learn_from(mixed)
    aged = mixed.touches.filter(
        (pl.col("at").dt.epoch("ms") + 30 * DAY <= mixed.end) & (pl.col("arm") == "enrolled")
    )

    assert learned.touches == aged.height
    assert 0 < learned.touches < 3000


def test_an_outcome_after_the_horizon_does_not_count() -> None:
    data = simulate(3, WEIGHTS)
    late = data.outcomes.with_columns(pl.col("at") + pl.duration(days=40))
    with pytest.raises(TooFewOutcomes) as refused:
        learn_from(Simulated(data.touches, late, data.seen, data.true, data.end))
    assert refused.value.successes == 0


def test_touches_of_accounts_about_which_nothing_is_known_are_said() -> None:
    data = simulate(0, WEIGHTS)
    seen = Observations(data.seen.frame.head(2900), data.seen.candidates, (), ())
    told = learn(data.touches, data.outcomes, seen, LearnOptions("meeting", 30 * DAY, resamples=20), data.end)
    assert told.warnings[0] == "unknown: 100 touches are of accounts about which the events say nothing."

    nothing = Observations(data.seen.frame.clear(), data.seen.candidates, (), ())
    with pytest.raises(TooFewOutcomes) as refused:
        learn(data.touches, data.outcomes, nothing, LearnOptions("meeting", 30 * DAY), data.end)
    assert "3,000 more are of accounts about which the events say nothing" in str(refused.value)


def test_a_file_without_a_candidate_has_nothing_to_learn() -> None:
    data = simulate(0, WEIGHTS)
    seen = Observations(data.seen.frame.select("touch"), (), (), ())
    told = learn(data.touches, data.outcomes, seen, LearnOptions("meeting", 30 * DAY), data.end)
    assert (told.terms, told.candidates) == ((), 0)


def test_thin_data_and_a_changed_rate_are_warned_of() -> None:
    data = simulate(4, WEIGHTS, touches=500)
    half = START + 252 * DAY
    kept = data.outcomes.filter((pl.col("at").dt.epoch("ms") < half) | (pl.col("touch").hash() % 3 == 0))
    learned = learn_from(Simulated(data.touches, kept, data.seen, data.true, data.end))

    assert [one.split(":")[0] for one in learned.warnings] == ["thin", "thin", "drift"]


def test_the_same_data_give_the_same_score() -> None:
    data = simulate(5, WEIGHTS, touches=1200)
    assert len({repr(learn_from(data)) for _ in range(3)}) == 1
    assert write_score(learn_from(data), "fit").startswith(
        "traits:\n  fit:\n    score:\n      - {when: {n0: true}"
    )


def test_the_auc_is_that_of_another_library() -> None:
    random = np.random.default_rng(1)
    came = random.random(400) < 0.3
    score = np.round(came + random.normal(size=400), 1)
    found = find_auc(score, came, 0.95)

    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(came, score))
    assert found.low < found.value < found.high


def test_the_calibration_is_that_of_another_library() -> None:
    random = np.random.default_rng(2)
    odds = random.normal(-1, 1, 500)
    came = random.random(500) < 1 / (1 + np.exp(-(0.3 + 0.7 * odds)))
    slope, intercept = find_calibration(odds, came, np.arange(500), 0.95, FitErrors())
    line = GLM(came.astype(float), np.column_stack([np.ones(500), odds]), families.Binomial()).fit(
        cov_type="HC1"
    )
    level = GLM(came.astype(float), np.ones(500), families.Binomial(), offset=odds).fit()

    assert slope is not None
    assert intercept is not None
    assert slope.value == pytest.approx(line.params[1], abs=1e-6)
    assert (slope.low, slope.high) == pytest.approx(tuple(line.conf_int()[1]), abs=2e-3)
    assert intercept.value == pytest.approx(level.params[0], abs=1e-6)


def test_groups_of_the_reliability_table_hold_every_touch_once() -> None:
    random = np.random.default_rng(3)
    odds = np.round(random.normal(-1, 1, 500), 1)
    came = random.random(500) < 1 / (1 + np.exp(-odds))
    rows = make_reliability(odds, came, 0.95)

    assert sum(one.touches for one in rows) == 500
    assert sum(one.came for one in rows) == came.sum()
    assert [one.expected for one in rows] == sorted(one.expected for one in rows)
    assert all(one.low <= one.came / one.touches <= one.high for one in rows)
