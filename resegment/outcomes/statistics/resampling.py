"""Bootstrap intervals of means and medians."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import ndtr, ndtri

from resegment.outcomes.statistics.intervals import Floats

DRAWS: Final = 9_999
_MIN_DRAWS: Final = 999
_MOST: Final = 8_000_000
_AT_ONCE: Final = 2_000_000


def bootstrap_mean(values: Floats, confidence: float = 0.95, seed: int = 0) -> tuple[float, float] | None:
    """Return the bias-corrected and accelerated bootstrap interval of a mean; None below two distinct values.

    B. Efron, "Better bootstrap confidence intervals", JASA 82 (1987) 171-185.
    """
    if len(values) < 2 or values.min() == values.max():
        return None
    drawn = _draw(values, seed, median=False)
    mean = float(values.mean())
    below = ((drawn < mean).sum() + (drawn <= mean).sum()) / (2 * len(drawn))
    bias = float(ndtri(below))
    left_out = (values.sum() - values) / (len(values) - 1)
    apart = left_out.mean() - left_out
    acceleration = float((apart**3).sum() / (6 * (apart**2).sum() ** 1.5))
    ends = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = bias + float(ndtri(tail))
        ends.append(float(ndtr(bias + z / (1 - acceleration * z))))
    low, high = np.quantile(drawn, ends)
    return float(low), float(high)


def bootstrap_median(values: Floats, confidence: float = 0.95, seed: int = 0) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of a median; None below two distinct values.

    B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    if len(values) < 2 or values.min() == values.max():
        return None
    low, high = np.quantile(_draw(values, seed, median=True), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _draw(values: Floats, seed: int, *, median: bool) -> Floats:
    """Return the statistic of many resamples; fewer of them where there are very many values."""
    count = len(values)
    draws = max(_MIN_DRAWS, min(DRAWS, _MOST // count))
    rng = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // count)
    parts = []
    for start in range(0, draws, step):
        resamples = values[rng.integers(0, count, (min(step, draws - start), count))]
        parts.append(np.median(resamples, axis=1) if median else resamples.mean(axis=1))
    return np.concatenate(parts)
