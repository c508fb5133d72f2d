from __future__ import annotations

import builtins
import importlib
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resegment.outcomes.extra import OutcomesExtraMissing
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

counts = st.integers(0, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
tried = st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@settings(max_examples=30, deadline=None)
@given(counts, st.sampled_from([0.8, 0.95, 0.99]))
def test_intervals_hold_the_rate_and_mirror_that_of_failures(
    count: tuple[int, int], confidence: float
) -> None:
    k, n = count
    for interval in (intervals.wilson, intervals.always_valid):
        low, high = interval(k, n, confidence)
        assert 0 <= low <= high <= 1
        if n:
            assert low <= k / n <= high
        mirrored = interval(n - k, n, confidence)
        assert (float(1 - mirrored.high), float(1 - mirrored.low)) == pytest.approx(
            (float(low), float(high)), abs=1e-9
        )


@settings(max_examples=30, deadline=None)
@given(tried)
def test_an_interval_for_every_look_is_wider_than_one_for_a_single_look(count: tuple[int, int]) -> None:
    once, always = intervals.wilson(*count), intervals.always_valid(*count)
    assert always.high - always.low >= once.high - once.low - 1e-12


def test_without_trials_an_interval_says_nothing() -> None:
    assert intervals.wilson(0, 0) == (0.0, 1.0)
    assert intervals.always_valid(0, 0) == (0.0, 1.0)
    assert differences.difference_interval(0, 0, 3, 9) == (-1.0, 1.0)


@settings(max_examples=30, deadline=None)
@given(tried, tried)
def test_the_score_test_refuses_what_its_interval_leaves_out(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    p = float(differences.p_value(*one, *other))
    low, high = differences.difference_interval(*one, *other)
    assert (p < 0.05) == (not low <= 0 <= high) or p == pytest.approx(0.05, abs=1e-6)
    turned = differences.difference_interval(*other, *one)
    assert (float(-turned.high), float(-turned.low)) == pytest.approx((float(low), float(high)), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(tried, tried)
def test_equivalent_is_what_lies_within_the_margin_with_twice_the_error(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    p = float(differences.equivalence_p_value(*one, *other, 0.05))
    low, high = differences.difference_interval(*one, *other, 0.9)
    inside = low > -0.05 and high < 0.05
    assert (p < 0.05) == inside or min(abs(low + 0.05), abs(high - 0.05)) < 1e-6


@settings(max_examples=30, deadline=None)
@given(tried, tried)
def test_always_valid_differences_hold_the_difference(one: tuple[int, int], other: tuple[int, int]) -> None:
    low, high = differences.always_valid_difference(*one, *other)
    assert -1 <= low <= one[0] / one[1] - other[0] / other[1] <= high <= 1


@given(tried, tried)
def test_a_ratio_lies_in_its_interval_where_both_have_successes(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    ratio, interval = differences.ratio_interval(*one, *other)
    if not other[0]:
        assert np.isnan(ratio)
    elif one[0] > 3 and other[0] > 3:
        assert interval.low <= ratio * 1.2
        assert interval.high >= ratio / 1.2


@given(p_values)
def test_adjusting_keeps_the_order_and_lowers_nothing(p: list[float]) -> None:
    for adjust in (multiplicity.holm, multiplicity.benjamini_hochberg):
        adjusted = adjust(p)
        assert (adjusted >= np.array(p) * (1 - 1e-12)).all()
        assert (adjusted <= 1).all()
        order = np.argsort(p, kind="stable")
        assert (np.diff(adjusted[order]) >= -1e-15).all()
    assert (multiplicity.benjamini_hochberg(p) <= multiplicity.holm(p) + 1e-12).all()


@settings(max_examples=30)
@given(st.lists(counts, min_size=2, max_size=8), st.randoms())
def test_the_omnibus_test_does_not_depend_on_the_order_of_groups(
    groups: list[tuple[int, int]], shuffler: Any
) -> None:
    turned = shuffler.sample(groups, len(groups))
    first = homogeneity.compare_all(*zip(*groups, strict=True))
    other = homogeneity.compare_all(*zip(*turned, strict=True))
    assert (first is None) == (other is None)
    if first is not None and other is not None:
        assert first.statistic == pytest.approx(other.statistic)
        assert first.p == pytest.approx(other.p, abs=0.03)
        assert 0 <= first.p <= 1


def test_few_outcomes_are_judged_by_dealing_them_out() -> None:
    """Against all 252 ways to deal 5 successes to two groups of 5: p is exact but for the drawing."""
    found = homogeneity.compare_all([5, 0], [5, 5])
    assert found is not None
    assert found.method == "permutation"
    assert found.p == pytest.approx(2 / 252, abs=0.004)


@given(st.lists(tried, min_size=2, max_size=10))
@settings(max_examples=8, deadline=None)
def test_a_shrunk_rate_lies_between_the_raw_rate_and_the_mean_of_all(groups: list[tuple[int, int]]) -> None:
    k, n = zip(*groups, strict=True)
    prior = ranking.fit_prior(k, n)
    if prior is None:
        assert sum(k) in (0, sum(n))
        return
    rates, interval = ranking.shrink(k, n, prior)
    for rate, (hits, trials) in zip(rates, groups, strict=True):
        ends = sorted((hits / trials, prior.mean))
        assert ends[0] - 1e-9 <= rate <= ends[1] + 1e-9
    assert (interval.low <= rates).all()
    assert (rates <= interval.high).all()


def test_groups_that_differ_by_chance_alone_shrink_to_one_rate() -> None:
    prior = ranking.fit_prior([10, 10, 10], [100, 100, 100])
    assert prior is not None
    rates, _ = ranking.shrink([10, 10, 10], [100, 100, 100], prior)
    assert rates.tolist() == pytest.approx([0.1] * 3, abs=1e-6)
    assert prior.strength > 10_000


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 2)), min_size=1, max_size=60))
def test_the_probabilities_of_all_causes_never_sum_to_more_than_one(rows: list[tuple[int, int]]) -> None:
    times, causes = zip(*rows, strict=True)
    won = survival.aalen_johansen(times, causes)
    lost = survival.aalen_johansen(times, causes, cause=2)
    assert (won.probability + lost.probability <= 1 + 1e-9).all()
    assert (np.diff(won.probability) >= -1e-12).all()
    at, interval = survival.incidence_at(won, [0, 10, 1_000])
    assert at[0] == 0
    assert at[2] == pytest.approx(won.probability[-1])
    assert (interval.low <= at + 1e-12).all()
    assert (at <= interval.high + 1e-12).all()


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 2)), min_size=1, max_size=60))
def test_with_no_deal_open_the_probability_is_the_share(rows: list[tuple[int, int]]) -> None:
    times, causes = zip(*rows, strict=True)
    won = survival.aalen_johansen(times, causes)
    assert won.probability[-1] == pytest.approx(causes.count(1) / len(causes))
    assert (survival.median_time(won) is None) == (1 not in causes)


def test_a_deal_that_was_open_before_it_was_watched_is_not_at_risk_until_then() -> None:
    whole = survival.aalen_johansen([10, 20], [1, 1])
    late = survival.aalen_johansen([10, 20], [1, 1], [0, 15])
    assert whole.probability.tolist() == [0.5, 1.0]
    assert late.probability.tolist() == [1.0, 1.0]


@given(st.floats(0.01, 0.5), st.floats(1.05, 1.9), st.sampled_from([0.25, 1.0, 4.0]))
def test_the_size_needed_reaches_the_power_and_one_less_does_not(
    base: float, times: float, ratio: float
) -> None:
    other = base * times
    size = power.needed(base, other, ratio=ratio)
    assert power.reached_power(base, other, size, int(size * ratio + 1)) >= 0.795
    assert power.needed(base, other, ratio=ratio, power=0.9) > size
    assert power.needed(base, base + (other - base) / 2, ratio=ratio) > size


@pytest.mark.parametrize(("base", "other"), [(0.1, 0.1), (-0.1, 0.2), (0.3, 1.2)])
def test_a_size_for_no_difference_is_refused(base: float, other: float) -> None:
    with pytest.raises(ValueError, match="rates must differ"):
        power.needed(base, other)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(4, 9)), min_size=2, max_size=40))
def test_a_ratio_of_sums_lies_within_its_intervals(rows: list[tuple[int, int]]) -> None:
    found = ratios.ratio_of_sums(*zip(*rows, strict=True))
    assert found is not None
    for low, high in (ratios.ratio_interval(found), ratios.ratio_sequence(found)):
        assert 0 <= low <= found.estimate <= high <= 1


@pytest.mark.parametrize(
    ("top", "bottom"), [([0, 0, 0], [5, 2, 9]), ([5, 2, 9], [5, 2, 9]), ([1, 2, 3], [3, 6, 9])]
)
def test_a_ratio_that_is_the_same_in_all_accounts_is_not_certain(top: list[int], bottom: list[int]) -> None:
    found = ratios.ratio_of_sums(top, bottom)
    assert found is not None
    for made, bare in (
        (ratios.ratio_interval, intervals.wilson),
        (ratios.ratio_sequence, intervals.always_valid),
    ):
        assert made(found) == bare(found.estimate * 3, 3)
        assert made(found).high - made(found).low > 0.5


def test_a_ratio_of_one_account_has_no_variance_and_of_nothing_no_value() -> None:
    alone = ratios.ratio_of_sums([1], [4])
    assert alone is not None
    assert ratios.ratio_interval(alone) == (0.0, 1.0)
    assert ratios.ratio_of_sums([0, 0], [0, 0]) is None
    assert ratios.ratio_of_sums([], []) is None


def test_contacts_who_answer_together_widen_the_interval() -> None:
    together = ratios.ratio_of_sums([4, 0, 4, 0] * 20, [4] * 80)
    apart = ratios.ratio_of_sums([2] * 79 + [1], [4] * 80)
    assert together is not None
    assert apart is not None
    assert together.design_effect == pytest.approx(4, abs=0.1)
    assert apart.design_effect < 0.1


def test_amounts_that_do_not_vary_have_no_interval() -> None:
    same = np.array([5.0, 5.0])
    assert resampling.bootstrap_mean(same) is None
    assert resampling.bootstrap_median(np.array([5.0])) is None
    assert means.compare_means(same, same) is None
    assert means.compare_all_means([same, np.array([1.0, 2.0])]) is None


def test_a_ratio_of_few_is_not_judged() -> None:
    few = samples.check_ratio([40, 2], [0.9, 0.1])
    assert few.p is None
    assert not few.passes
    assert samples.check_ratio([900, 100], [0.9, 0.1]).passes
    assert not samples.check_ratio([960, 40], [0.9, 0.1]).passes


def test_without_the_extra_an_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find = builtins.__import__

    def refuse(name: str, *args: Any, **named: Any) -> Any:
        if name.startswith("scipy"):
            raise ImportError("no scipy", name="scipy")
        return find(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.delitem(sys.modules, "resegment.outcomes.statistics")
    with pytest.raises(OutcomesExtraMissing, match="scipy") as raised:
        importlib.import_module("resegment.outcomes.statistics")
    assert "resegment[outcomes]" in (raised.value.remedy or "")
