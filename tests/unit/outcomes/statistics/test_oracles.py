"""Every function against what scipy, statsmodels, lifelines and gbstats say: tests/data/statistics/README.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from resegment.outcomes.statistics import (
    differences,
    homogeneity,
    intervals,
    means,
    multiplicity,
    power,
    ranking,
    ratios,
    resampling,
    samples,
    survival,
)

GOLDEN: dict[str, list[dict[str, Any]]] = orjson.loads(
    (Path(__file__).parents[3] / "data" / "statistics" / "functions.json").read_bytes()
)


def near(value: Any, absolute: float = 1e-10) -> Any:
    return pytest.approx(value, rel=1e-9, abs=absolute)


def test_wilson_intervals_equal_those_of_statsmodels() -> None:
    for row in GOLDEN["wilson"]:
        low, high = intervals.wilson(row["k"], row["n"], row["confidence"])
        assert (float(low), float(high)) == near((row["low"], row["high"]))


def test_always_valid_intervals_equal_the_mixture_martingale_of_scipys_distributions() -> None:
    for row in GOLDEN["always_valid"]:
        low, high = intervals.always_valid(row["k"], row["n"], row["confidence"])
        assert (float(low), float(high)) == near((row["low"], row["high"]), 1e-12)


def test_asymptotic_sequences_equal_growthbooks_sequential_test() -> None:
    for row in GOLDEN["sequences"]:
        low, high = intervals.asymptotic_sequence(
            row["estimate"], row["variance"], row["n"], row["confidence"], row["tuning"]
        )
        assert (float(low), float(high)) == near((row["low"], row["high"]))


def test_differences_of_rates_equal_the_score_test_by_numeric_likelihood() -> None:
    for row in GOLDEN["differences"]:
        counts = row["k1"], row["n1"], row["k2"], row["n2"]
        assert float(differences.p_value(*counts)) == near(row["p"])
        low, high = differences.difference_interval(*counts, row["confidence"])
        assert (float(low), float(high)) == near((row["low"], row["high"]), 1e-7)
        assert float(differences.equivalence_p_value(*counts, row["margin"])) == near(
            row["equivalence"], 1e-8
        )
        h = differences.cohens_h(row["k1"] / row["n1"], row["k2"] / row["n2"])
        assert float(h) == near(row["h"])


def test_the_omnibus_test_equals_scipys_chi_square_and_cramers_v() -> None:
    for row in GOLDEN["homogeneity"]:
        found = homogeneity.compare_all(row["k"], row["n"])
        assert found is not None
        assert (found.statistic, found.p, found.effect) == near((row["statistic"], row["p"], row["effect"]))
        assert (found.method, found.freedom) == ("chi-square", len(row["n"]) - 1)


def test_adjusted_p_values_equal_those_of_statsmodels() -> None:
    for row in GOLDEN["multiplicity"]:
        assert multiplicity.holm(row["p"]).tolist() == near(row["holm"])
        assert multiplicity.benjamini_hochberg(row["p"]).tolist() == near(row["benjamini_hochberg"])


def test_ratios_of_sums_have_the_variance_of_growthbooks_delta_method() -> None:
    for row in GOLDEN["ratios"]:
        found = ratios.ratio_of_sums(row["top"], row["bottom"])
        assert found is not None
        assert (found.estimate, found.variance) == near((row["estimate"], row["variance"]))


def test_means_are_compared_as_scipy_statsmodels_and_growthbook_do() -> None:
    for row in GOLDEN["means"]:
        one, other, third = (np.array(row[name]) for name in ("one", "other", "third"))
        found = means.compare_means(one, other)
        assert found is not None
        assert list(found) == near(
            [row[name] for name in ("difference", "low", "high", "freedom", "p")], 1e-7
        )
        overall = means.compare_all_means([one, other, third])
        assert overall is not None
        assert (overall.statistic, overall.p) == near((row["all_statistic"], row["all_p"]))
        assert overall.freedom == near(tuple(row["all_freedom"]))


def test_bootstrap_intervals_equal_those_of_scipy_for_the_same_seed() -> None:
    for row in GOLDEN["bootstraps"]:
        values = np.array(row["values"])
        assert resampling.bootstrap_mean(values, seed=row["seed"]) == near(tuple(row["mean"]))
        assert resampling.bootstrap_median(values, seed=row["seed"]) == near(tuple(row["median"]))


def test_cumulative_incidence_equals_that_of_statsmodels_and_lifelines() -> None:
    for row in GOLDEN["survival"]:
        won = survival.aalen_johansen(row["times"], row["causes"])
        assert won.times.tolist() == row["at"]
        assert won.probability.tolist() == near(row["won"])
        assert survival.aalen_johansen(row["times"], row["causes"], cause=2).probability.tolist() == near(
            row["lost"]
        )
        known = [index for index, one in enumerate(row["error"]) if one is not None]
        assert won.error[known].tolist() == near([row["error"][index] for index in known], 1e-7)
        if "lifelines" in row:
            assert won.probability.tolist() == near(row["lifelines"])
            late = survival.aalen_johansen(row["times"], row["causes"], row["entries"])
            assert late.probability.tolist() == near(row["late"])


def test_sizes_needed_equal_the_numeric_solution() -> None:
    for row in GOLDEN["power"]:
        given = {name: row[name] for name in ("power", "alpha", "ratio")}
        size = power.needed(row["base"], row["other"], **given)
        assert size == row["needed"]
        second = round(size * row["ratio"])
        reached = power.reached_power(row["base"], row["other"], size, second, alpha=row["alpha"])
        assert reached == pytest.approx(row["power"], abs=0.01)


def test_priors_are_as_likely_as_a_numeric_search_finds_and_shrink_as_scipys_beta_does() -> None:
    for row in GOLDEN["ranking"]:
        prior = ranking.fit_prior(row["k"], row["n"])
        assert prior is not None
        assert prior.mean == pytest.approx(row["mean"], rel=1e-3)
        if row["strength"] < ranking.MAX_STRENGTH / 10:
            assert prior.strength == pytest.approx(row["strength"], rel=1e-2)
        rates, interval = ranking.shrink(row["k"], row["n"], ranking.Prior(row["mean"], row["strength"]))
        assert rates.tolist() == near(row["rates"])
        assert interval.low.tolist() == near(row["low"])
        assert interval.high.tolist() == near(row["high"])


def test_sample_ratios_are_judged_as_growthbook_does() -> None:
    for row in GOLDEN["samples"]:
        assert samples.check_ratio(row["observed"], row["shares"]).p == near(row["p"])
