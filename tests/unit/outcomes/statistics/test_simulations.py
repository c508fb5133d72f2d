"""What intervals and tests promise, counted over simulations. `make faults` runs them; docs/statistics.md has the figures.

`SIMULATIONS` is how many; the seed is fixed. A share over N simulations may be off by three standard errors.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from resegment.outcomes.statistics.differences import (
    always_valid_difference,
    difference_interval,
    equivalence_p_value,
    p_value,
)
from resegment.outcomes.statistics.homogeneity import compare_all
from resegment.outcomes.statistics.intervals import (
    Floats,
    Interval,
    always_valid,
    asymptotic_sequence,
    wilson,
)
from resegment.outcomes.statistics.means import compare_all_means, compare_means
from resegment.outcomes.statistics.multiplicity import holm
from resegment.outcomes.statistics.power import needed
from resegment.outcomes.statistics.ratios import ratio_interval, ratio_of_sums
from resegment.outcomes.statistics.resampling import bootstrap_mean, bootstrap_median
from resegment.outcomes.statistics.samples import MIN_P, check_ratio
from resegment.outcomes.statistics.survival import aalen_johansen, incidence_at

pytestmark = pytest.mark.faults

COUNT = int(os.environ.get("SIMULATIONS", "10000"))
FEWER = COUNT // 5
RESAMPLED = COUNT // 10
"""How many of permutations, and of bootstraps, which are slow."""


def error(share: float, count: int = COUNT) -> float:
    """Three standard errors of a share over simulations."""
    return float(3 * np.sqrt(share * (1 - share) / count))


def told(name: str, share: float) -> float:
    print(f"{name}: {share:.4f}")
    return share


@pytest.mark.parametrize("n", [10, 40, 250, 2_000])
@pytest.mark.parametrize("rate", [0.02, 0.1, 0.37, 0.5])
def test_wilson_intervals_have_the_coverage_that_the_binomial_distribution_gives_them(
    n: int, rate: float
) -> None:
    k = np.arange(n + 1)
    low, high = wilson(k, n)
    exact = float(binom.pmf(k, n, rate)[(low <= rate) & (rate <= high)].sum())
    drawn = np.random.default_rng(1).binomial(n, rate, COUNT)
    low, high = wilson(drawn, n)
    share = told(
        f"Wilson n={n} rate={rate} exact {exact:.4f}", float(((low <= rate) & (rate <= high)).mean())
    )
    assert abs(share - exact) <= error(exact) + 1e-9
    if n * min(rate, 1 - rate) >= 5:
        assert exact > 0.92


def look_daily(rate: float, days: int, a_day: int, interval: Callable[[Floats, Floats], Interval]) -> float:
    """Return how often the rate lies in the intervals of every day."""
    rng = np.random.default_rng(2)
    k = rng.binomial(a_day, rate, (COUNT, days)).cumsum(axis=1).astype(np.float64)
    n = np.broadcast_to(np.arange(1, days + 1, dtype=np.float64) * a_day, k.shape)
    inside = np.ones(COUNT, dtype=bool)
    for day in range(days):
        low, high = interval(k[:, day], n[:, day])
        inside &= (low <= rate) & (rate <= high)
    return float(inside.mean())


@pytest.mark.parametrize(("rate", "a_day"), [(0.02, 10), (0.1, 3), (0.3, 20)])
def test_always_valid_intervals_hold_at_every_look(rate: float, a_day: int) -> None:
    share = told(f"always valid, 180 daily looks, rate={rate}", look_daily(rate, 180, a_day, always_valid))
    assert share >= 0.95 - error(0.95)


def test_wilson_intervals_do_not_hold_at_every_look() -> None:
    assert told("Wilson, 180 daily looks", look_daily(0.1, 180, 3, wilson)) < 0.8


def test_always_valid_differences_hold_at_every_look() -> None:
    rng = np.random.default_rng(3)
    first = rng.binomial(18, 0.12, (COUNT, 120)).cumsum(axis=1)
    second = rng.binomial(2, 0.08, (COUNT, 120)).cumsum(axis=1)
    inside = np.ones(COUNT, dtype=bool)
    for day in range(120):
        n = day + 1
        low, high = always_valid_difference(first[:, day], 18 * n, second[:, day], 2 * n)
        inside &= (low <= 0.04) & (high >= 0.04)
    assert told("always valid difference, 120 daily looks", float(inside.mean())) >= 0.95 - error(0.95)


def test_asymptotic_sequences_hold_at_every_look_of_large_samples() -> None:
    rng = np.random.default_rng(4)
    values = rng.exponential(1.0, (FEWER, 60, 25))
    total, squares = values.sum(axis=2).cumsum(axis=1), (values**2).sum(axis=2).cumsum(axis=1)
    inside = np.ones(FEWER, dtype=bool)
    for day in range(3, 60):
        n = 25.0 * (day + 1)
        mean = total[:, day] / n
        variance = (squares[:, day] / n - mean**2) / n
        low, high = asymptotic_sequence(mean, variance, n)
        inside &= (low <= 1) & (high >= 1)
    assert told("asymptotic sequence of a mean", float(inside.mean())) >= 0.95 - error(0.95, FEWER)


@pytest.mark.parametrize(
    ("p1", "n1", "p2", "n2"), [(0.12, 400, 0.08, 300), (0.03, 2_000, 0.05, 800), (0.4, 150, 0.3, 90)]
)
def test_differences_have_their_coverage(p1: float, n1: int, p2: float, n2: int) -> None:
    rng = np.random.default_rng(5)
    low, high = difference_interval(rng.binomial(n1, p1, COUNT), n1, rng.binomial(n2, p2, COUNT), n2)
    share = told(f"difference {p1}/{n1} {p2}/{n2}", float(((low <= p1 - p2) & (p1 - p2 <= high)).mean()))
    assert abs(share - 0.95) <= error(0.95)


@pytest.mark.parametrize(("n", "rate"), [(300, 0.1), (1_000, 0.04)])
def test_with_no_difference_false_alarms_come_at_the_stated_rate(n: int, rate: float) -> None:
    rng = np.random.default_rng(6)
    k = rng.binomial(n, rate, (COUNT, 2))
    share = told(f"false alarms of a pair n={n}", float((p_value(k[:, 0], n, k[:, 1], n) < 0.05).mean()))
    assert abs(share - 0.05) <= error(0.05)


def test_with_no_difference_the_omnibus_test_alarms_at_the_stated_rate() -> None:
    rng = np.random.default_rng(7)
    n = np.array([300, 500, 200, 800, 250, 400])
    alarms = [
        found.p < 0.05 for k in rng.binomial(n, 0.08, (COUNT, 6)) if (found := compare_all(k, n)) is not None
    ]
    assert abs(told("false alarms of the omnibus test", float(np.mean(alarms))) - 0.05) <= error(
        0.05, len(alarms)
    )


def test_with_no_difference_the_permutation_test_alarms_at_the_stated_rate_at_most() -> None:
    rng = np.random.default_rng(8)
    n = np.array([12, 30, 9, 20])
    found = [compare_all(k, n, seed) for seed, k in enumerate(rng.binomial(n, 0.08, (FEWER, 4)))]
    share = told(
        "false alarms by permutation", float(np.mean([one is not None and one.p < 0.05 for one in found]))
    )
    assert share <= 0.05 + error(0.05, FEWER)


def test_with_no_difference_any_of_many_pairs_alarms_at_the_stated_rate_at_most() -> None:
    rng = np.random.default_rng(9)
    groups = [(one, other) for one in range(6) for other in range(one)]
    k = rng.binomial(400, 0.1, (COUNT, 6))
    p = np.stack([p_value(k[:, one], 400, k[:, other], 400) for one, other in groups], axis=1)
    share = told(
        "any false alarm of 15 pairs, after Holm", float(np.mean([holm(row).min() < 0.05 for row in p]))
    )
    assert share <= 0.05 + error(0.05)


@pytest.mark.parametrize(
    ("base", "other", "ratio", "power"),
    [(0.08, 0.12, 1.0, 0.8), (0.2, 0.26, 1.0, 0.9), (0.03, 0.06, 4.0, 0.8)],
)
def test_the_size_that_is_said_to_be_needed_reaches_the_stated_power(
    base: float, other: float, ratio: float, power: float
) -> None:
    size = needed(base, other, power=power, ratio=ratio)
    second = round(size * ratio)
    rng = np.random.default_rng(10)
    p = p_value(rng.binomial(size, base, COUNT), size, rng.binomial(second, other, COUNT), second)
    share = told(f"power of {size} and {second} for {base} and {other}", float((p < 0.05).mean()))
    assert share >= power - 0.02


@pytest.mark.parametrize(("n", "rate"), [(2_000, 0.1), (6_000, 0.03)])
def test_what_differs_by_the_margin_is_called_equivalent_at_the_stated_rate_at_most(
    n: int, rate: float
) -> None:
    rng = np.random.default_rng(11)
    margin = 0.02
    p = equivalence_p_value(rng.binomial(n, rate, COUNT), n, rng.binomial(n, rate + margin, COUNT), n, margin)
    share = told(f"wrong claims of equivalence n={n}", float((p < 0.05).mean()))
    assert share <= 0.05 + error(0.05)
    same = equivalence_p_value(rng.binomial(n, rate, COUNT), n, rng.binomial(n, rate, COUNT), n, margin)
    assert told(f"right claims of equivalence n={n}", float((same < 0.05).mean())) > 0.3


def test_rates_of_contacts_have_their_coverage_though_contacts_answer_together() -> None:
    rng = np.random.default_rng(12)
    held = 0
    for _ in range(COUNT):
        sizes = rng.integers(1, 8, 600)
        moods = rng.beta(1, 7, 600)
        found = ratio_of_sums(rng.binomial(sizes, moods), sizes)
        assert found is not None
        low, high = ratio_interval(found)
        held += bool(low <= 0.125 <= high)
    assert abs(told("contacts, delta method", held / COUNT) - 0.95) <= error(0.95)


@pytest.mark.parametrize("spread", [0.4, 0.8])
def test_bootstrap_intervals_of_deal_sizes_have_their_coverage(spread: float) -> None:
    rng = np.random.default_rng(13)
    mean, median = float(np.exp(9 + spread**2 / 2)), float(np.exp(9))
    means = medians = 0
    for seed in range(RESAMPLED):
        values = rng.lognormal(9, spread, 200)
        low, high = bootstrap_mean(values, seed=seed) or (0.0, 0.0)
        means += low <= mean <= high
        low, high = bootstrap_median(values, seed=seed) or (0.0, 0.0)
        medians += low <= median <= high
    assert abs(told(f"bootstrap of the mean, spread {spread}", means / RESAMPLED) - 0.95) <= error(
        0.95, RESAMPLED
    )
    assert abs(told(f"bootstrap of the median, spread {spread}", medians / RESAMPLED) - 0.95) <= error(
        0.95, RESAMPLED
    )


def test_mean_deal_sizes_are_compared_with_the_stated_error() -> None:
    rng = np.random.default_rng(14)
    covered = alarms = overall = 0
    for _ in range(COUNT):
        groups = [rng.normal(100, width, size) for width, size in ((10, 40), (30, 60), (20, 25))]
        found = compare_means(groups[0], groups[1])
        assert found is not None
        covered += found.low <= 0 <= found.high
        alarms += found.p < 0.05
        everything = compare_all_means(groups)
        assert everything is not None
        overall += everything.p < 0.05
    assert abs(told("Welch, interval", covered / COUNT) - 0.95) <= error(0.95)
    assert abs(told("Welch, false alarms", alarms / COUNT) - 0.05) <= error(0.05)
    assert abs(told("Welch of three, false alarms", overall / COUNT) - 0.05) <= error(0.05)


def test_the_share_of_deals_won_by_a_day_has_its_coverage_with_open_and_late_deals() -> None:
    rng = np.random.default_rng(15)
    day, won_rate, lost_rate = 90.0, 1 / 120, 1 / 80
    both = won_rate + lost_rate
    true = won_rate / both * (1 - np.exp(-both * day))
    held = 0
    for _ in range(COUNT):
        won, lost, open_until = (rng.exponential(1 / rate, 300) for rate in (won_rate, lost_rate, 1 / 150))
        entry = np.where(rng.random(300) < 0.2, rng.uniform(0, 60, 300), -1.0)
        times = np.minimum(np.minimum(won, lost), open_until)
        causes = np.select([times == won, times == lost], [1, 2], 0)
        seen = times > entry
        curve = aalen_johansen(times[seen], causes[seen], entry[seen])
        _, interval = incidence_at(curve, day)
        held += bool(interval.low <= true <= interval.high)
    assert abs(told("Aalen-Johansen at day 90", held / COUNT) - 0.95) <= error(0.95)


def test_a_sample_ratio_that_is_as_declared_fails_as_rarely_as_stated() -> None:
    drawn = np.random.default_rng(16).binomial(1_000, 0.1, COUNT)
    checks = [check_ratio([1_000 - held, held], [0.9, 0.1]) for held in drawn]
    assert told("sample ratios refused", float(np.mean([not one.passes for one in checks]))) <= MIN_P + error(
        MIN_P
    )
    broken = check_ratio([950, 50], [0.9, 0.1])
    assert not broken.passes
