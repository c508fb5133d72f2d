"""Fit a regularized logistic model: which terms go with success, how surely, and how stably under resampling."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri
from scipy.stats import norm

from resegment.outcomes.extra import OutcomesExtraMissing

try:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
except ImportError as error:
    raise OutcomesExtraMissing("scikit-learn") from error

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PENALTIES: Final = np.logspace(-3, 0.5, 12)
"""Inverse strengths of the penalty that are tried, the strongest first."""
BLOCKS: Final = 5
"""The parts, one after the other in time, that each strength is judged by."""
RIDGE: Final = 1.0
"""The variance of a term's log odds that is expected before anything is seen."""


@dataclass(frozen=True, slots=True)
class FittedTerm:
    """One term: its log odds with their interval, a p-value corrected for all candidates, and how often it was selected."""

    column: int
    weight: float
    low: float
    high: float
    p_value: float
    selected: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A model. `selected` has for each candidate the share of resamples that selected it."""

    terms: tuple[FittedTerm, ...]
    intercept: float
    selected: Floats
    penalty: float

    def predict(self, values: Flags) -> Floats:
        """Return the log odds of success."""
        if not self.terms:
            return np.full(len(values), self.intercept)
        columns = [one.column for one in self.terms]
        weights = np.array([one.weight for one in self.terms])
        return np.asarray(self.intercept + values[:, columns].astype(float) @ weights)


def fit(
    values: Flags,
    came: Flags,
    accounts: NDArray[np.intp],
    *,
    resamples: int,
    stable: float,
    confidence: float,
    seed: int,
) -> Fit:
    """Fit a model to touches in the order of time.

    First a lasso chooses terms, with the strongest penalty that is within one standard error of the best over blocks of
    time. It is repeated on `resamples` samples of accounts, and a term stays if it is selected in the share `stable` of
    them (N. Meinshausen and P. Bühlmann, "Stability selection", J. Royal Statistical Society B 72 (2010) 417-473) and
    if its p-value in the model of such terms, times the number of candidates, is small enough. Their weights come from a
    ridge model, with errors that allow for accounts that were touched several times.
    """
    if not values.shape[1]:
        return Fit(
            (),
            _refit(values, came, accounts, np.array([], dtype=int), np.zeros(0), confidence)[1],
            np.zeros(0),
            0.0,
        )
    scaled = _scale(values.astype(float))
    penalty = _choose_penalty(scaled, came)
    selected = _select(scaled, came, accounts, penalty, resamples, seed)
    columns = np.flatnonzero(selected >= stable)
    while True:
        terms, intercept = _refit(values, came, accounts, columns, selected, confidence)
        sure = [one for one in terms if one.p_value <= 1 - confidence]
        if len(sure) == len(terms):
            return Fit(tuple(sorted(terms, key=lambda one: -abs(one.weight))), intercept, selected, penalty)
        columns = np.array([one.column for one in sure], dtype=int)


def _scale(values: Floats) -> Floats:
    spread = values.std(axis=0)
    return np.asarray((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def _lasso(values: Floats, came: Flags, strength: float, weights: Floats | None = None) -> Any:
    model = LogisticRegression(
        l1_ratio=1.0,
        C=strength,
        solver="liblinear",
        random_state=0,
        intercept_scaling=30.0,
        tol=1e-3,
        max_iter=200,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(values, came, sample_weight=weights)


def _choose_penalty(values: Floats, came: Flags) -> float:
    """Return the strongest penalty that predicts blocks of time about as well as the best one."""
    parts = np.array_split(np.arange(len(came)), BLOCKS)
    losses = np.full((len(PENALTIES), BLOCKS), np.nan)
    for block, part in enumerate(parts):
        others = np.setdiff1d(np.arange(len(came)), part)
        if came[others].all() or not came[others].any():
            continue
        for number, strength in enumerate(PENALTIES):
            model = _lasso(values[others], came[others], float(strength))
            odds = values[part] @ model.coef_[0] + model.intercept_[0]
            losses[number, block] = np.mean(np.logaddexp(0, np.where(came[part], -odds, odds)))
    mean = np.nanmean(losses, axis=1)
    best = int(np.nanargmin(mean))
    error = np.nanstd(losses[best] - losses[0], ddof=1) / np.sqrt(BLOCKS)
    return float(PENALTIES[np.flatnonzero(mean <= mean[best] + error)[0]])


def _select(
    values: Floats, came: Flags, accounts: NDArray[np.intp], penalty: float, resamples: int, seed: int
) -> Floats:
    """Return how often each column is selected when accounts are drawn again."""
    random = np.random.default_rng(seed)
    groups = int(accounts.max()) + 1 if len(accounts) else 0
    found = np.zeros(values.shape[1])
    for _ in range(resamples):
        drawn = np.bincount(random.integers(0, groups, groups), minlength=groups)
        weights = drawn[accounts].astype(float)
        model = _lasso(values, came, penalty, weights)
        found += np.abs(model.coef_[0]) > 0
    return np.asarray(found / max(resamples, 1))


def _refit(
    values: Flags,
    came: Flags,
    accounts: NDArray[np.intp],
    columns: NDArray[Any],
    selected: Floats,
    confidence: float,
) -> tuple[list[FittedTerm], float]:
    """Return the weights of chosen columns by a ridge model."""
    if not len(columns):
        share = (came.sum() + 0.5) / (len(came) + 1)
        return [], float(np.log(share / (1 - share)))
    chosen = values[:, columns].astype(float)
    model = LogisticRegression(l1_ratio=0.0, C=RIDGE, tol=1e-6, max_iter=500).fit(chosen, came)
    intercept, weights = float(model.intercept_[0]), model.coef_[0]
    errors = cluster_errors(chosen, came, accounts, intercept, weights)
    bound = float(ndtri(0.5 + confidence / 2))
    terms = []
    for place, column in enumerate(columns):
        p_value = 2 * float(norm.sf(abs(weights[place]) / errors[place])) * values.shape[1]
        low, high = weights[place] - bound * errors[place], weights[place] + bound * errors[place]
        terms.append(
            FittedTerm(
                int(column),
                float(weights[place]),
                float(low),
                float(high),
                min(p_value, 1.0),
                float(selected[column]),
            )
        )
    return terms, intercept


def cluster_errors(
    chosen: Floats, came: Flags, accounts: NDArray[np.intp], intercept: float, weights: Floats
) -> Floats:
    """Return the standard errors of weights: the sandwich over accounts, because an account's touches are not independent.

    The sandwich is far too small where a term has hardly any outcome, or hardly none: the model explains these touches whole. So
    an error is that of the ridge model at least: what is known from the touches and before them.
    """
    design = np.column_stack([np.ones(len(chosen)), chosen])
    rate = expit(intercept + chosen @ weights)
    penalty = np.diag([0.0, *np.full(chosen.shape[1], 1 / RIDGE)])
    bread = np.linalg.inv(design.T @ (design * (rate * (1 - rate))[:, None]) + penalty)
    scores = design * (came - rate)[:, None]
    groups = int(accounts.max()) + 1
    summed = np.zeros((groups, design.shape[1]))
    np.add.at(summed, accounts, scores)
    meat = summed.T @ summed * groups / max(groups - 1, 1)
    return np.asarray(np.sqrt(np.maximum(np.diag(bread @ meat @ bread), np.diag(bread)))[1:])
