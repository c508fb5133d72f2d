"""Intervals of one rate: for one look at a fixed time, and for looking every day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, ndtri, xlog1py, xlogy

Floats = NDArray[np.float64]

TUNING: Final = 5000.0
"""The number of observations at which an asymptotic confidence sequence is at its tightest: GrowthBook's default."""

_PRIOR: Final = 0.5
_STEPS: Final = 64


class Interval(NamedTuple):
    """Both ends of intervals, element by element."""

    low: Floats
    high: Floats


def wilson(successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the Wilson score intervals of rates; 0 to 1 where nothing was tried.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927) 209-212;
    recommended over the Wald interval by L. D. Brown, T. T. Cai and A. DasGupta, Statistical Science 16 (2001) 101-133.
    """
    k, n = as_floats(successes), as_floats(trials)
    z2 = float(ndtri(0.5 + confidence / 2)) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        center = (k + z2 / 2) / (n + z2)
        half = np.sqrt(z2) / (n + z2) * np.sqrt(k * (n - k) / n + z2 / 4)
    low = np.where(k <= 0, 0.0, center - half)
    high = np.where(k >= n, 1.0, center + half)
    return Interval(np.where(n > 0, low, 0.0), np.where(n > 0, high, 1.0))


def always_valid(successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return intervals of rates that hold at every look at once, however often one looks.

    They contain the rates p for which p^k (1-p)^(n-k) is at least (1 - confidence) times its mean over a Beta(1/2, 1/2)
    prior. The ratio is a nonnegative martingale, so by Ville's inequality the true rate ever leaves an interval with
    probability 1 - confidence at most, at any n. H. Robbins, "Statistical methods related to the law of the iterated
    logarithm", Ann. Math. Stat. 41 (1970) 1397-1409; S. R. Howard et al., Annals of Statistics 49 (2021) 1055-1080.
    """
    k, n = as_floats(successes), as_floats(trials)
    floor = betaln(_PRIOR + k, _PRIOR + n - k) - betaln(_PRIOR, _PRIOR) + np.log1p(-confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        peak = np.where(n > 0, k / n, 0.5)

    def is_inside(rate: Floats) -> NDArray[np.bool_]:
        return np.asarray(xlogy(k, rate) + xlog1py(n - k, -rate) >= floor)

    low = np.where(k <= 0, 0.0, bisect(np.zeros_like(peak), peak, is_inside))
    high = np.where(k >= n, 1.0, bisect(np.ones_like(peak), peak, is_inside))
    return Interval(np.where(n > 0, low, 0.0), np.where(n > 0, high, 1.0))


def asymptotic_sequence(
    estimate: ArrayLike,
    variance: ArrayLike,
    trials: ArrayLike,
    confidence: float = 0.95,
    tuning: float = TUNING,
) -> Interval:
    """Return intervals of any means, ratios or differences that hold at every look, for large samples.

    `variance` is that of the estimate, `trials` the number of observations it rests on. I. Waudby-Smith et al.,
    "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52 (2024) 2613-2640,
    arXiv 2103.06476v7: equation 9, with rho of equation 161 for the number of observations of `tuning`; as in
    GrowthBook's gbstats.
    """
    mean, n = as_floats(estimate), as_floats(trials)
    alpha = 1 - confidence
    rho2 = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / tuning
    scaled = n * rho2 + 1
    half = np.sqrt(as_floats(variance) * n) * np.sqrt(2 * scaled * np.log(np.sqrt(scaled) / alpha) / rho2) / n
    return Interval(mean - half, mean + half)


def bisect(outside: Floats, inside: Floats, is_inside: Callable[[Floats], Any]) -> Floats:
    """Return the ends of intervals between points outside and points inside them, element by element."""
    for _ in range(_STEPS):
        middle = (outside + inside) / 2
        held = is_inside(middle)
        inside = np.where(held, middle, inside)
        outside = np.where(held, outside, middle)
    return (outside + inside) / 2


def as_floats(values: ArrayLike) -> Floats:
    """Return numbers as an array of floats."""
    return np.asarray(values, dtype=np.float64)
