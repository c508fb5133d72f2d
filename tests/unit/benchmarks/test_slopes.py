from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.benchmarks.slopes import Samples, Slope, fit_least, fit_means, subtract

FITS = pytest.mark.parametrize("fit", [fit_means, fit_least])


def grow(per_hour: float, noise: Callable[[int], float] = lambda _: 0.0, seconds: int = 1_320) -> Samples:
    return [(at, 300 + per_hour * at / 3600 + noise(at)) for at in range(seconds)]


@FITS
def test_a_line_has_its_slope_for_certain(fit: Callable[[Samples], Slope]) -> None:
    found = fit(grow(18.0))
    assert found == pytest.approx(Slope(18.0, 18.0, 18.0))


@FITS
@pytest.mark.parametrize("per_hour", [0.0, 20.0])
def test_the_interval_has_the_slope_in_about_19_of_20_runs(
    fit: Callable[[Samples], Slope], per_hour: float
) -> None:
    hits = 0
    for seed in range(200):
        dice = random.Random(seed)
        found = fit(grow(per_hour, lambda _, dice=dice: abs(dice.gauss(0, 3))))  # type: ignore[misc]
        assert found.low <= found.per_hour <= found.high
        hits += found.low <= per_hour <= found.high
    assert hits >= 180


def test_what_is_used_for_a_moment_is_not_kept() -> None:
    bursts = grow(0.0, lambda at: 40.0 if at > 700 and at % 60 < 30 else 0.0)
    assert fit_means(bursts).low > 20
    assert fit_least(bursts) == Slope(0.0, 0.0, 0.0)


def test_one_step_is_no_slope_of_what_is_kept_and_steps_again_and_again_are() -> None:
    assert fit_least(grow(0.0, lambda at: 5.0 * (at > 1_250))).per_hour == 0.0
    stairs = fit_least(grow(0.0, lambda at: at // 200))
    assert stairs.low > 10
    assert 15 < stairs.per_hour < 21


def test_a_difference_is_as_uncertain_as_both() -> None:
    assert subtract(Slope(18, 10, 26), Slope(4, 1, 7)) == Slope(14, 3, 25)


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="11 samples are too few"):
        fit_means(grow(1.0, seconds=11))
