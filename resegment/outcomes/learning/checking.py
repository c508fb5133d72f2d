"""Check a model on later touches than it was fitted on: whether it ranks, and whether its probabilities are right."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri
from scipy.stats import rankdata

from resegment.outcomes.statistics.intervals import wilson

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

GROUPS: Final = 5
"""The groups of the reliability table, of about the same size."""
_STEPS: Final = 50


class Estimate(msgspec.Struct, frozen=True):
    """A figure with its interval."""

    value: float
    low: float
    high: float

    def contains(self, value: float) -> bool:
        """Return whether the interval contains a value."""
        return self.low <= value <= self.high


class Reliability(msgspec.Struct, frozen=True):
    """Touches with about the same prediction: how many successes were expected, and how many came."""

    touches: int
    expected: float
    came: int
    low: float
    high: float


def find_auc(score: Floats, came: Flags, confidence: float) -> Estimate | None:
    """Return how likely a touch with the outcome has the higher score than one without; ties count half.

    0.5 is chance. The interval is that of E. R. DeLong et al., Biometrics 44 (1988) 837-845. None without both kinds.
    """
    yes, no = int(came.sum()), int((~came).sum())
    if min(yes, no) < 2:
        return None
    ranks = rankdata(score)
    area = (ranks[came].sum() - yes * (yes + 1) / 2) / (yes * no)
    above = (ranks[came] - rankdata(score[came])) / no
    below = 1 - (ranks[~came] - rankdata(score[~came])) / yes
    error = float(np.sqrt(above.var(ddof=1) / yes + below.var(ddof=1) / no))
    half = float(ndtri(0.5 + confidence / 2)) * error
    return Estimate(float(area), max(float(area) - half, 0.0), min(float(area) + half, 1.0))


class FitErrors(NamedTuple):
    """How surely the slope and the level of predictions are known from the touches that they were fitted on."""

    slope: float = 0.0
    level: float = 0.0


def find_fit_errors(odds: Floats, came: Flags, accounts: NDArray[np.intp]) -> FitErrors:
    """Return the standard errors of the slope and the level on the touches that were fitted."""
    level = _solve(np.ones((len(odds), 1)), odds, came, accounts)[1][0]
    if np.ptp(odds) == 0:
        return FitErrors(0.0, level)
    return FitErrors(_solve(_line(odds), np.zeros(len(odds)), came, accounts)[1][1], level)


def find_calibration(
    odds: Floats, came: Flags, accounts: NDArray[np.intp], confidence: float, errors: FitErrors
) -> tuple[Estimate | None, Estimate | None]:
    """Return slope and intercept of the calibration (D. R. Cox, Biometrika 45 (1958) 562-565), each with its interval.

    A slope of 1 says that differences between predictions are as great as they should be; below 1, the model
    exaggerates. An intercept of 0 says that as many successes came as were expected. The slope is None where all
    predictions are the same. The intervals hold the errors of both parts: `errors` are those of the fitted one.
    """
    if not came.any() or came.all():
        return None, None
    level, error = (one[0] for one in _solve(np.ones((len(odds), 1)), odds, came, accounts))
    intercept = _estimate(level, float(np.hypot(error, errors.level)), confidence)
    if np.ptp(odds) == 0:
        return None, intercept
    slope, error = (one[1] for one in _solve(_line(odds), np.zeros(len(odds)), came, accounts))
    return _estimate(slope, float(np.hypot(error, errors.slope)), confidence), intercept


def _line(odds: Floats) -> Floats:
    return np.column_stack([np.ones(len(odds)), odds])


def _estimate(value: float, error: float, confidence: float) -> Estimate:
    half = float(ndtri(0.5 + confidence / 2)) * error
    return Estimate(value, value - half, value + half)


def _solve(
    design: Floats, offset: Floats, came: Flags, accounts: NDArray[np.intp]
) -> tuple[list[float], list[float]]:
    """Return the coefficients of a logistic regression by Newton's method, and their errors over accounts."""
    weights = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        rate = expit(design @ weights + offset)
        information = design.T @ (design * (rate * (1 - rate))[:, None])
        step = np.linalg.lstsq(information, design.T @ (came - rate), rcond=None)[0]
        weights = weights + np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-9:
            break
    rate = expit(design @ weights + offset)
    bread = np.linalg.pinv(design.T @ (design * (rate * (1 - rate))[:, None]))
    groups = int(accounts.max()) + 1
    summed = np.zeros((groups, design.shape[1]))
    np.add.at(summed, accounts, design * (came - rate)[:, None])
    present = int(np.unique(accounts).size)
    errors = np.sqrt(np.diag(bread @ (summed.T @ summed) @ bread) * present / max(present - 1, 1))
    return list(map(float, weights)), list(map(float, errors))


def make_reliability(odds: Floats, came: Flags, confidence: float) -> tuple[Reliability, ...]:
    """Return groups of touches by their prediction, the lowest first. Equal predictions are in one group."""
    rate = expit(odds)
    bounds = np.unique(np.quantile(rate, np.linspace(0, 1, GROUPS + 1)[1:-1])) if len(rate) else np.array([])
    group = np.searchsorted(bounds, rate, side="left")
    rows = []
    for number in np.unique(group):
        chosen = group == number
        size, successes = int(chosen.sum()), int(came[chosen].sum())
        interval = wilson(successes, size, confidence)
        rows.append(
            Reliability(
                size, float(rate[chosen].mean()), successes, float(interval.low), float(interval.high)
            )
        )
    return tuple(rows)
