"""Rates of contacts, whose unit is the account: contacts of one account are not independent."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from resegment.outcomes.statistics.intervals import (
    Interval,
    always_valid,
    as_floats,
    asymptotic_sequence,
    wilson,
)

LEAST_VARIANCE: Final = 1e-18
"""A variance below this is one of rounding."""


class Ratio(NamedTuple):
    """A ratio of sums over accounts. `variance` is that of the estimate; nan below two accounts."""

    estimate: float
    variance: float
    accounts: int
    design_effect: float
    """How many times the variance is that of as many independent contacts."""


def ratio_of_sums(numerators: ArrayLike, denominators: ArrayLike) -> Ratio | None:
    """Return the ratio of two sums over accounts, with its variance by the delta method; None where nothing was sent.

    A. Deng, U. Knoblich and J. Lu, "Applying the delta method in metric analytics", KDD 2018, arXiv 1803.06336,
    equation 2; as in GrowthBook's gbstats (`RatioStatistic`).
    """
    top, bottom = as_floats(numerators), as_floats(denominators)
    count, total = len(bottom), float(bottom.sum())
    if total <= 0:
        return None
    estimate = float(top.sum()) / total
    if count < 2:
        return Ratio(estimate, float("nan"), count, float("nan"))
    residuals = top - estimate * bottom
    variance = float(np.var(residuals, ddof=1)) / float(bottom.mean()) ** 2 / count
    independent = estimate * (1 - estimate) / total
    return Ratio(estimate, variance, count, variance / independent if independent > 0 else float("nan"))


def ratio_interval(ratio: Ratio, confidence: float = 0.95) -> Interval:
    """Return the interval of a ratio at a fixed time, by Student's t over accounts, within 0 and 1.

    Where all accounts have the same rate, as where nobody answered, there is no variance to go by: then it is Wilson's, with an
    account for each trial.
    """
    if _is_even(ratio):
        return wilson(ratio.estimate * ratio.accounts, ratio.accounts, confidence)
    half = float(stdtrit(max(ratio.accounts - 1, 1), 0.5 + confidence / 2)) * np.sqrt(ratio.variance)
    return _within(Interval(as_floats(ratio.estimate - half), as_floats(ratio.estimate + half)))


def ratio_sequence(ratio: Ratio, confidence: float = 0.95) -> Interval:
    """Return the interval of a ratio that holds at every look, for large samples, within 0 and 1.

    Where all accounts have the same rate, it is that of a rate, with an account for each trial.
    """
    if _is_even(ratio):
        return always_valid(ratio.estimate * ratio.accounts, ratio.accounts, confidence)
    return _within(asymptotic_sequence(ratio.estimate, ratio.variance, ratio.accounts, confidence))


def _is_even(ratio: Ratio) -> bool:
    return ratio.variance * ratio.accounts < LEAST_VARIANCE


def _within(interval: Interval) -> Interval:
    if np.isnan(interval.low):
        return Interval(as_floats(0.0), as_floats(1.0))
    return Interval(np.maximum(interval.low, 0.0), np.minimum(interval.high, 1.0))
