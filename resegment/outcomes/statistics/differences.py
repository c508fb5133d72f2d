"""Compare two rates: test, interval, equivalence and effect sizes. All take arrays and answer element by element."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from resegment.outcomes.statistics.intervals import Floats, Interval, always_valid, as_floats, bisect


def score(k1: ArrayLike, n1: ArrayLike, k2: ArrayLike, n2: ArrayLike, difference: ArrayLike = 0.0) -> Floats:
    """Return the score statistics of the hypotheses p1 - p2 = difference: standard normal where they are true.

    O. Miettinen and M. Nurminen, "Comparative analysis of two rates", Statistics in Medicine 4 (1985) 213-226, with
    the restricted maximum likelihood in closed form of C. P. Farrington and G. Manning, ibid. 9 (1990) 1447-1454.
    At difference 0 its square is the "N - 1" chi-square statistic.
    """
    x1, m1, x2, m2 = as_floats(k1), as_floats(n1), as_floats(k2), as_floats(n2)
    delta = as_floats(difference)
    with np.errstate(divide="ignore", invalid="ignore"):
        p1, p2, theta = x1 / m1, x2 / m2, m2 / m1
        a = 1 + theta
        b = -(1 + theta + p1 + theta * p2 + delta * (theta + 2))
        c = delta**2 + delta * (2 * p1 + theta + 1) + p1 + theta * p2
        d = -p1 * delta * (1 + delta)
        v = (b / (3 * a)) ** 3 - b * c / (6 * a**2) + d / (2 * a)
        u = np.copysign(np.sqrt(np.maximum((b / (3 * a)) ** 2 - c / (3 * a), 0)), v)
        angle = np.where(u == 0, 1.0, np.clip(v / np.where(u == 0, 1.0, u**3), -1, 1))
        q1 = 2 * u * np.cos((np.pi + np.arccos(angle)) / 3) - b / (3 * a)
        q1 = np.clip(q1, np.maximum(0, delta), np.minimum(1, 1 + delta))
        q2 = np.clip(q1 - delta, 0, 1)
        total = m1 + m2
        variance = (q1 * (1 - q1) / m1 + q2 * (1 - q2) / m2) * total / (total - 1)
        apart = p1 - p2 - delta
        statistic = np.where(np.abs(apart) < 1e-15, 0.0, apart / np.sqrt(variance))
    return np.where((m1 > 0) & (m2 > 0), statistic, 0.0)


def p_value(k1: ArrayLike, n1: ArrayLike, k2: ArrayLike, n2: ArrayLike) -> Floats:
    """Return the two-sided p-values of equal rates, by the score test."""
    return np.asarray(2 * ndtr(-np.abs(score(k1, n1, k2, n2))))


def difference_interval(
    k1: ArrayLike, n1: ArrayLike, k2: ArrayLike, n2: ArrayLike, confidence: float = 0.95
) -> Interval:
    """Return the score intervals of p1 - p2 (Miettinen and Nurminen): the differences that the test does not refuse."""
    x1, m1, x2, m2 = as_floats(k1), as_floats(n1), as_floats(k2), as_floats(n2)
    bound = float(ndtri(0.5 + confidence / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.where((m1 > 0) & (m2 > 0), x1 / m1 - x2 / m2, 0.0)
    ends = [
        bisect(
            np.full_like(estimate, end),
            estimate,
            lambda difference: np.abs(score(x1, m1, x2, m2, difference)) <= bound,
        )
        for end in (-1.0, 1.0)
    ]
    return Interval(ends[0], ends[1])


def always_valid_difference(
    k1: ArrayLike, n1: ArrayLike, k2: ArrayLike, n2: ArrayLike, confidence: float = 0.95
) -> Interval:
    """Return intervals of p1 - p2 that hold at every look at once, at any sample size.

    Both rates lie within their always-valid intervals of half the error each (union bound), so the difference lies
    between the differences of their ends.
    """
    each = 0.5 + confidence / 2
    one, other = always_valid(k1, n1, each), always_valid(k2, n2, each)
    return Interval(one.low - other.high, one.high - other.low)


def equivalence_p_value(k1: ArrayLike, n1: ArrayLike, k2: ArrayLike, n2: ArrayLike, margin: float) -> Floats:
    """Return the p-values of "the rates differ by the margin or more"; a small one shows that they are equivalent.

    Two one-sided tests (D. J. Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15 (1987) 657-680), with the score
    statistic.
    """
    above = ndtr(-score(k1, n1, k2, n2, -margin))
    below = ndtr(score(k1, n1, k2, n2, margin))
    return np.asarray(np.maximum(above, below))


def cohens_h(p1: ArrayLike, p2: ArrayLike) -> Floats:
    """Return Cohen's h of pairs of rates: 0.2 is small, 0.5 medium, 0.8 large.

    J. Cohen, Statistical Power Analysis for the Behavioral Sciences (1988), chapter 6.
    """
    return np.asarray(2 * np.arcsin(np.sqrt(as_floats(p1))) - 2 * np.arcsin(np.sqrt(as_floats(p2))))


def ratio_interval(
    k1: ArrayLike, n1: ArrayLike, k2: ArrayLike, n2: ArrayLike, confidence: float = 0.95
) -> tuple[Floats, Interval]:
    """Return the ratios p1 / p2 with their intervals; a ratio is nan where the second rate is 0.

    D. Katz et al., "Obtaining confidence intervals for the risk ratio in cohort studies", Biometrics 34 (1978) 469-474,
    with half a case added to each count (J. Gart and J. Nam, Biometrics 44 (1988) 323-338).
    """
    x1, m1, x2, m2 = as_floats(k1), as_floats(n1), as_floats(k2), as_floats(n2)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (x1 / m1) / (x2 / m2)
        middle = np.log((x1 + 0.5) / (m1 + 0.5)) - np.log((x2 + 0.5) / (m2 + 0.5))
        error = np.sqrt(1 / (x1 + 0.5) - 1 / (m1 + 0.5) + 1 / (x2 + 0.5) - 1 / (m2 + 0.5))
    half = float(ndtri(0.5 + confidence / 2)) * error
    return np.where(x2 > 0, ratio, np.nan), Interval(np.exp(middle - half), np.exp(middle + half))
