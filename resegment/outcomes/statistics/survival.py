"""When deals are won or lost, with the open ones censored: won and lost compete."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from resegment.outcomes.statistics.intervals import Floats, Interval, as_floats


class Incidence(NamedTuple):
    """The probability that a cause has struck by a time. A step function: it holds from `times[i]` to the next."""

    times: Floats
    probability: Floats
    error: Floats
    """The standard error."""
    at_risk: Floats
    """How many were still open just before each time."""


def aalen_johansen(
    times: ArrayLike, causes: ArrayLike, entries: ArrayLike | None = None, *, cause: int = 1
) -> Incidence:
    """Return the cumulative incidence of one cause; causes are 1, 2, ..., and 0 where the time is that of censoring.

    `entries` says from when each was watched (left truncation): nobody is at risk at or before it. O. O. Aalen and S.
    Johansen, Scand. J. Statistics 5 (1978) 141-150. The variance is that of the delta method: E. Marubini and M. G.
    Valsecchi, their book on survival data (Wiley 1995), equation 10.12; as in statsmodels' `CumIncidenceRight` and Stata's stcompet.
    """
    time, struck = as_floats(times), np.asarray(causes)
    found, place = np.unique(time, return_inverse=True)
    distinct = as_floats(found)
    leaving = as_floats(np.bincount(place, minlength=len(distinct)))
    at_risk = np.cumsum(leaving[::-1])[::-1]
    if entries is not None:
        late = np.searchsorted(np.sort(as_floats(entries)), distinct, side="left")
        at_risk = as_floats(at_risk - (len(time) - late))
    of_cause = np.bincount(place, weights=struck == cause, minlength=len(distinct))
    of_any = np.bincount(place, weights=struck > 0, minlength=len(distinct))
    with np.errstate(divide="ignore", invalid="ignore"):
        remaining = np.cumprod(np.where(at_risk > 0, 1 - of_any / at_risk, 1.0))
        before = np.concatenate([[1.0], remaining[:-1]])
        weight = np.where(at_risk > 0, before / at_risk, 0.0)
        probability = as_floats(np.cumsum(weight * of_cause))
        spread = np.where(at_risk > of_any, of_any / (at_risk * (at_risk - of_any)), 0.0)
        own = np.where(at_risk > 0, weight**2 * (at_risk - of_cause) * of_cause / at_risk, 0.0)
        shared = np.where(at_risk > 0, weight * of_cause / at_risk, 0.0)
    variance = (
        probability**2 * np.cumsum(spread)
        - 2 * probability * np.cumsum(probability * spread)
        + np.cumsum(probability**2 * spread)
        + np.cumsum(own)
        - 2 * probability * np.cumsum(shared)
        + 2 * np.cumsum(probability * shared)
    )
    return Incidence(distinct, probability, np.sqrt(np.maximum(variance, 0.0)), at_risk)


def incidence_at(incidence: Incidence, when: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Interval]:
    """Return the probability at given times, with pointwise intervals on the complementary log-log scale.

    J. Kalbfleisch and R. Prentice, The Statistical Analysis of Failure Time Data (2002), section 8.2: the ends stay
    within 0 and 1.
    """
    place = np.searchsorted(incidence.times, as_floats(when), side="right") - 1
    probability = np.where(place >= 0, incidence.probability[place], 0.0)
    error = np.where(place >= 0, incidence.error[place], 0.0)
    z = float(ndtri(0.5 + confidence / 2))
    inner = (probability > 0) & (probability < 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        log = np.log1p(-np.where(inner, probability, 0.5))
        half = z * error / (np.where(inner, 1 - probability, 0.5) * -log)
        low, high = -np.expm1(log * np.exp(-half)), -np.expm1(log * np.exp(half))
    return probability, Interval(np.where(inner, low, probability), np.where(inner, high, probability))


def median_time(incidence: Incidence) -> float | None:
    """Return the time by which half of those that the cause ever struck were struck; None if it struck nobody."""
    if not len(incidence.probability) or incidence.probability[-1] <= 0:
        return None
    half = incidence.probability[-1] / 2
    return float(incidence.times[int(np.searchsorted(incidence.probability, half * (1 - 1e-12)))])
