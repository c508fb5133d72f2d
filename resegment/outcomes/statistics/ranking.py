"""Rank groups of very different sizes: small ones borrow from the others."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import betaincinv, betaln, expit, logit

from resegment.outcomes.statistics.intervals import Floats, Interval, as_floats

MAX_STRENGTH: Final = 1e6
"""The strength of a prior where the groups differ no more than by chance."""


class Prior(NamedTuple):
    """How the rates of groups are spread: a beta distribution. `strength` is its weight in touches."""

    mean: float
    strength: float


def fit_prior(successes: ArrayLike, trials: ArrayLike) -> Prior | None:
    """Return the beta distribution under which the counts are most likely; None below two groups, or without any success.

    The beta-binomial likelihood (J. G. Skellam, J. Royal Statistical Society B 10 (1948) 257-261) is maximized over the
    logit of the mean and the logarithm of the strength, up to MAX_STRENGTH.
    """
    k, n = as_floats(successes), as_floats(trials)
    k, n = k[n > 0], n[n > 0]
    rate = k.sum() / n.sum() if len(n) else 0.0
    if len(n) < 2 or rate in (0.0, 1.0):
        return None
    top = np.log(MAX_STRENGTH)

    def lost(point: Floats) -> float:
        mean, strength = float(expit(point[0])), float(np.exp(point[1]))
        a, b = mean * strength, (1 - mean) * strength
        return -float((betaln(k + a, n - k + b) - betaln(a, b)).sum())

    bounds = [(-16.0, 16.0), (np.log(0.1), top)]
    options = {"xatol": 1e-7, "fatol": 1e-11}
    found = [
        minimize(lost, [float(logit(rate)), start], method="Nelder-Mead", bounds=bounds, options=options)
        for start in (np.log(10.0), np.log(1000.0))
    ]
    best = min(found, key=lambda one: float(one.fun))
    if lost(np.array([float(logit(rate)), top])) <= float(best.fun) + 1e-6:
        return Prior(float(rate), MAX_STRENGTH)
    return Prior(float(expit(best.x[0])), float(np.exp(best.x[1])))


def shrink(
    successes: ArrayLike, trials: ArrayLike, prior: Prior, confidence: float = 0.95
) -> tuple[Floats, Interval]:
    """Return the rates that the counts and the prior together suggest, with credible intervals.

    G. Casella, "An introduction to empirical Bayes data analysis", American Statistician 39 (1985) 83-87. The intervals
    take the prior as known, so they are a little too narrow where few groups tell it.
    """
    k, n = as_floats(successes), as_floats(trials)
    a, b = prior.mean * prior.strength + k, (1 - prior.mean) * prior.strength + n - k
    tail = (1 - confidence) / 2
    return a / (a + b), Interval(as_floats(betaincinv(a, b, tail)), as_floats(betaincinv(a, b, 1 - tail)))
