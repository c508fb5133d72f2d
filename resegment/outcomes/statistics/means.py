"""Compare amounts, such as sizes of deals, whose variances differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import fdtrc, stdtr, stdtrit

from resegment.outcomes.statistics.intervals import Floats


class MeanDifference(NamedTuple):
    """The difference of two means with its interval."""

    difference: float
    low: float
    high: float
    freedom: float
    p: float


def compare_means(one: Floats, other: Floats, confidence: float = 0.95) -> MeanDifference | None:
    """Return how two means differ, by Welch's t; None below two values each, or where none of them varies.

    B. L. Welch, Biometrika 34 (1947) 28-35.
    """
    if min(len(one), len(other)) < 2:
        return None
    first, second = float(np.var(one, ddof=1)) / len(one), float(np.var(other, ddof=1)) / len(other)
    variance = first + second
    if variance <= 0:
        return None
    freedom = variance**2 / (first**2 / (len(one) - 1) + second**2 / (len(other) - 1))
    difference = float(np.mean(one) - np.mean(other))
    half = float(stdtrit(freedom, 0.5 + confidence / 2)) * variance**0.5
    p = 2 * float(stdtr(freedom, -abs(difference) / variance**0.5))
    return MeanDifference(difference, difference - half, difference + half, freedom, p)


class MeansTest(NamedTuple):
    """A test of equal means."""

    statistic: float
    freedom: tuple[float, float]
    p: float


def compare_all_means(groups: Sequence[Floats]) -> MeansTest | None:
    """Test that several means are equal, by Welch's analysis of variance; groups below two values are left out.

    B. L. Welch, "On the comparison of several mean values", Biometrika 38 (1951) 330-336. None where fewer than two
    groups are left or one of them does not vary.
    """
    held = [one for one in groups if len(one) >= 2]
    if len(held) < 2:
        return None
    sizes = np.array([len(one) for one in held], dtype=np.float64)
    means = np.array([one.mean() for one in held])
    variances = np.array([one.var(ddof=1) for one in held])
    if (variances <= 0).any():
        return None
    weights = sizes / variances
    total, count = weights.sum(), len(held)
    center = (weights * means).sum() / total
    spread = ((1 - weights / total) ** 2 / (sizes - 1)).sum()
    between = (weights * (means - center) ** 2).sum() / (count - 1)
    statistic = float(between / (1 + 2 * (count - 2) * spread / (count**2 - 1)))
    freedom = (float(count - 1), float((count**2 - 1) / (3 * spread)))
    return MeansTest(statistic, freedom, float(fdtrc(*freedom, statistic)))
