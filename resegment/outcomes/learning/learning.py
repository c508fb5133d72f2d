"""Learn a score from outcomes, and say how far to trust it. It only proposes: a person puts it through `plan`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl

from resegment.errors import UserError
from resegment.outcomes.learning.checking import (
    Estimate,
    Reliability,
    find_auc,
    find_calibration,
    find_fit_errors,
    make_reliability,
)
from resegment.outcomes.learning.fitting import Fit, FittedTerm, fit
from resegment.outcomes.learning.observing import Observations
from resegment.outcomes.learning.table import Table, make_table
from resegment.schemas.outcomes.experiments import ExperimentMetric
from resegment.schemas.times import format_duration, format_instant

LEAST_SUCCESSES: Final = 10
"""With fewer touches with the outcome, or without it, nothing is fitted."""
PER_TERM: Final = 10
"""How many successes a candidate should have."""
MOST_POINTS: Final = 10
"""The points of the term that weighs most."""
FEW_LATER: Final = 20
"""With fewer later successes, the check says little."""


class TooFewOutcomes(UserError):
    """There are not enough touches or outcomes to learn from."""

    def __init__(self, metric: str, touches: int, successes: int, horizon: int, unknown: int) -> None:
        """`unknown` is the number of touches of accounts about which nothing is known."""
        lost = f"; {unknown:,} more are of accounts about which the events say nothing" if unknown else ""
        super().__init__(
            f"too few outcomes to learn from: {successes:,} of {touches:,} touches older than "
            f"{format_duration(horizon)} came to {metric}, and both with and without it {LEAST_SUCCESSES} are needed{lost}",
            remedy="Wait for more touches to mature, choose a metric that comes sooner, or a shorter --horizon.",
        )
        self.touches, self.successes = touches, successes


@dataclass(frozen=True, slots=True)
class LearnOptions:
    """How a score is learned. `horizon` is in ms; the first `share` of touches is fitted on, the rest checks."""

    metric: ExperimentMetric
    horizon: int
    share: float = 0.7
    resamples: int = 200
    stable: float = 0.8
    confidence: float = 0.95
    seed: int = 0


class LearnedTerm(msgspec.Struct, frozen=True):
    """A term of the score. `odds` is by how much the odds of success multiply where it is true."""

    when: Any
    text: str
    origin: str
    points: int
    odds: Estimate
    p_value: float
    selected: float
    touches: int
    came: int


class LeftOut(msgspec.Struct, frozen=True):
    """A candidate that is no term, and how often it was selected."""

    text: str
    why: str
    selected: float | None = None


class ScoreCheck(msgspec.Struct, frozen=True):
    """How well one score ranks later touches."""

    name: str
    auc: Estimate | None


class LaterCheck(msgspec.Struct, frozen=True, kw_only=True):
    """How the model does on later touches: what it ranks, what it expects, and how the file's own scores do.

    Everything about the model is None or empty where it has no terms.
    """

    auc: Estimate | None
    points_auc: Estimate | None
    slope: Estimate | None
    intercept: Estimate | None
    reliability: tuple[Reliability, ...]
    in_force: tuple[ScoreCheck, ...]


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned. Without terms, nothing in the file is known to tell successes from others.

    `fitted` and `later` are touches and successes of the two parts; the parts are before and from `split_at` on.
    """

    metric: str
    horizon: str
    touches: int
    came: int
    accounts: int
    candidates: int
    split_at: str
    fitted: tuple[int, int]
    later: tuple[int, int]
    terms: tuple[LearnedTerm, ...]
    left_out: tuple[LeftOut, ...]
    check: LaterCheck
    warnings: tuple[str, ...]
    confidence: float


def learn(
    touches: pl.DataFrame, outcomes: pl.DataFrame, seen: Observations, options: LearnOptions, now: int
) -> Learned:
    """Learn from touches that are older than the horizon at `now` (ms). Raises TooFewOutcomes."""
    aged = touches.filter(
        (pl.col("at").dt.epoch("ms") + options.horizon <= now) & (pl.col("arm") == "enrolled")
    )
    table = make_table(aged, outcomes, seen, options.metric, options.horizon, options.share)
    early, count = table.came[: table.fitted], int(table.came.sum())
    if min(int(early.sum()), int((~early).sum())) < LEAST_SUCCESSES:
        unknown = aged.height - len(table.came)
        raise TooFewOutcomes(options.metric, len(table.came), count, options.horizon, unknown)
    model = fit(
        table.values[: table.fitted],
        early,
        np.unique(table.accounts[: table.fitted], return_inverse=True)[1],
        resamples=options.resamples,
        stable=options.stable,
        confidence=options.confidence,
        seed=options.seed,
    )
    return _report(aged, table, model, options)


def _report(aged: pl.DataFrame, table: Table, model: Fit, options: LearnOptions) -> Learned:
    later = slice(table.fitted, None)
    came, accounts = table.came[later], table.accounts[later]
    odds = model.predict(table.values[later])
    points = give_points(model.terms)
    total = table.values[later][:, [one.column for one in model.terms]] @ np.array(points, dtype=float)
    early = slice(0, table.fitted)
    errors = find_fit_errors(model.predict(table.values[early]), table.came[early], table.accounts[early])
    slope, intercept = find_calibration(odds, came, accounts, options.confidence, errors)
    terms = tuple(_term(table, one, own) for one, own in zip(model.terms, points, strict=True) if own)
    return Learned(
        metric=options.metric,
        horizon=format_duration(options.horizon),
        touches=len(table.came),
        came=int(table.came.sum()),
        accounts=int(np.unique(table.accounts).size),
        candidates=len(table.candidates),
        split_at=format_instant(int(table.at[min(table.fitted, len(table.at) - 1)])),
        fitted=(table.fitted, int(table.came[: table.fitted].sum())),
        later=(len(came), int(came.sum())),
        terms=terms,
        left_out=tuple(_left_out(table, model, options.stable)),
        check=LaterCheck(
            auc=find_auc(odds, came, options.confidence) if model.terms else None,
            points_auc=find_auc(total, came, options.confidence) if model.terms else None,
            slope=slope,
            intercept=intercept,
            reliability=make_reliability(odds, came, options.confidence) if model.terms else (),
            in_force=tuple(
                ScoreCheck(name, find_auc(value[later], came, options.confidence))
                for name, value in table.scores.items()
            ),
        ),
        warnings=tuple(_warn(aged, table, model, slope, intercept)),
        confidence=options.confidence,
    )


def give_points(terms: tuple[FittedTerm, ...]) -> list[int]:
    """Return whole points in proportion to the weights; the greatest weight has MOST_POINTS."""
    most = max((abs(one.weight) for one in terms), default=0.0)
    return [round(MOST_POINTS * one.weight / most) for one in terms]


def _term(table: Table, one: FittedTerm, points: int) -> LearnedTerm:
    candidate = table.candidates[one.column]
    true = table.values[: table.fitted, one.column]
    return LearnedTerm(
        when=candidate.when,
        text=candidate.text,
        origin=candidate.origin,
        points=points,
        odds=Estimate(*(float(np.exp(value)) for value in (one.weight, one.low, one.high))),
        p_value=one.p_value,
        selected=one.selected,
        touches=int(true.sum()),
        came=int(table.came[: table.fitted][true].sum()),
    )


def _left_out(table: Table, model: Fit, stable: float) -> list[LeftOut]:
    taken = {one.column for one in model.terms}
    found = [
        LeftOut(
            one.text,
            "not stable" if model.selected[number] < stable else "not sure enough",
            float(model.selected[number]),
        )
        for number, one in enumerate(table.candidates)
        if number not in taken
    ]
    found.sort(key=lambda one: -(one.selected or 0))
    found += [LeftOut(text, f"the same as {twin}") for text, twin in table.same.items()]
    return found + [LeftOut(text, "too rare, or nearly always true") for text in table.rare]


def _warn(
    aged: pl.DataFrame, table: Table, model: Fit, slope: Estimate | None, intercept: Estimate | None
) -> list[str]:
    early, later = int(table.came[: table.fitted].sum()), int(table.came[table.fitted :].sum())
    found = []
    if unknown := aged.height - len(table.came):
        found.append(f"unknown: {unknown:,} touches are of accounts about which the events say nothing.")
    least = min(early, table.fitted - early)
    if least < PER_TERM * len(table.candidates):
        found.append(
            f"thin: {least:,} touches with the rarer result for {len(table.candidates)} candidates; "
            f"{PER_TERM * len(table.candidates):,} would be better. Terms that matter may be missing."
        )
    if later < FEW_LATER:
        found.append(f"thin: only {later:,} later touches came to the outcome, so the check says little.")
    if model.terms and slope is not None and not slope.contains(1):
        what = "exaggerates" if slope.value < 1 else "understates"
        found.append(
            f"off: the model {what} differences on later touches; the slope's interval leaves out 1."
        )
    if intercept is not None and not intercept.contains(0):
        what = "More" if intercept.value > 0 else "Fewer"
        found.append(f"drift: {what} outcomes came later than were expected; the rate has changed over time.")
    for what, remedy in (("segment", "; --segment takes those of one"), ("play", "")):
        names = aged[what].drop_nulls().unique()
        if len(names) > 1:
            found.append(
                f"mixed: the touches are of {len(names)} {what}s. What differs between these can pass for what differs "
                f"between accounts{remedy}."
            )
            break
    return found
