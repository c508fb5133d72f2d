"""The table that a model is fitted on: a row for each touch that is old enough, a column for each candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from resegment.outcomes.learning.candidates import Candidate, write_test
from resegment.outcomes.learning.observing import Observations
from resegment.schemas.outcomes.experiments import METRIC_ACTIONS, ExperimentMetric

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LEAST_TOUCHES: Final = 20
"""A candidate that is true, or false, at fewer touches that are fitted is left out."""
QUANTILES: Final = (0.25, 0.5, 0.75)
"""Where thresholds of numbers are tried."""
NEAR: Final = 0.98
"""Columns that agree at this share of touches count as the same: the first of them stays."""


@dataclass(frozen=True, slots=True)
class Table:
    """Touches in the order of time; the first `fitted` are fitted on, the others check what was fitted.

    `values` has a row for each touch and a column for each of `candidates`. `came` says whether the outcome came.
    `scores` has what the file's own scores were.
    """

    candidates: tuple[Candidate, ...]
    values: Flags
    came: Flags
    accounts: NDArray[np.intp]
    at: NDArray[np.int64]
    fitted: int
    scores: dict[str, Floats]
    rare: tuple[str, ...]
    """The candidates that are left out because they are true, or false, at too few touches."""
    same: dict[str, str]
    """The candidates that are left out because they say the same as another one."""


def find_successes(
    touches: pl.DataFrame, outcomes: pl.DataFrame, metric: ExperimentMetric, horizon: int
) -> pl.Series:
    """Return for each touch whether an outcome of the metric that is credited to it came within the horizon (ms).

    The clocks of two systems may differ: one that is dated before its touch counts.
    """
    credited = outcomes.filter(
        pl.col("touch").is_not_null() & pl.col("action").is_in(METRIC_ACTIONS[metric])
    ).select("touch", pl.col("at").alias("came"))
    within = pl.col("came") <= pl.col("at") + pl.duration(milliseconds=horizon)
    hit = credited.join(touches.select("touch", "at"), on="touch").filter(within)
    return touches["touch"].is_in(hit["touch"].unique().implode())


def make_table(
    touches: pl.DataFrame,
    outcomes: pl.DataFrame,
    seen: Observations,
    metric: ExperimentMetric,
    horizon: int,
    share: float,
) -> Table:
    """Return the table of touches that are older than the horizon; the first `share` of them is to be fitted on."""
    came = find_successes(touches, outcomes, metric, horizon)
    rows = touches.with_columns(came.alias("\0came")).join(seen.frame, on="touch").sort("at", "touch")
    fitted = int(rows.height * share)
    candidates = list(seen.candidates)
    columns = [rows[one.text].fill_null(value=False).to_numpy() for one in candidates]
    for name in seen.numbers:
        numbers = rows[name].cast(pl.Float64).to_numpy()
        for one in _thresholds(name, numbers[:fitted]):
            if one.text not in {known.text for known in candidates}:
                candidates.append(one)
                columns.append(np.nan_to_num(numbers, nan=-np.inf) >= one.when[name]["gte"])
    kept, rare, same = _choose(candidates, columns, fitted)
    values = (
        np.column_stack([columns[one] for one in kept]) if kept else np.zeros((rows.height, 0), dtype=bool)
    )
    _, accounts = np.unique(rows["account"].to_numpy(), return_inverse=True)
    return Table(
        candidates=tuple(candidates[one] for one in kept),
        values=values,
        came=rows["\0came"].to_numpy(),
        accounts=accounts,
        at=rows["at"].dt.epoch("ms").to_numpy(),
        fitted=fitted,
        scores={name: rows[name].fill_null(0.0).to_numpy() for name in seen.scores},
        rare=rare,
        same=same,
    )


def _thresholds(name: str, numbers: Floats) -> list[Candidate]:
    known = numbers[np.isfinite(numbers)]
    if len(known) < LEAST_TOUCHES or np.unique(known).size < 3:
        return []
    found = []
    for bound in dict.fromkeys(_round(float(one)) for one in np.quantile(known, QUANTILES)):
        when = {name: {"gte": bound}}
        found.append(Candidate(write_test(when), when, "threshold"))
    return found


def _round(number: float) -> int | float:
    """Return a number with two digits, as a person would write it."""
    if number == 0 or not isfinite(number):
        return 0
    digits = 1 - floor(log10(abs(number)))
    rounded = round(number, digits)
    return int(rounded) if rounded == int(rounded) else rounded


def _choose(
    candidates: Sequence[Candidate], columns: Sequence[Flags], fitted: int
) -> tuple[list[int], tuple[str, ...], dict[str, str]]:
    kept: list[int] = []
    rare: list[str] = []
    same: dict[str, str] = {}
    for number, column in enumerate(columns):
        early = column[:fitted]
        text = candidates[number].text
        if min(early.sum(), fitted - early.sum()) < LEAST_TOUCHES:
            rare.append(text)
            continue
        twin = next((one for one in kept if _agree(early, columns[one][:fitted]) >= NEAR), None)
        if twin is None:
            kept.append(number)
        else:
            same[text] = candidates[twin].text
    return kept, tuple(rare), same


def _agree(one: Flags, other: Flags) -> float:
    share = float(np.mean(one == other))
    return max(share, 1 - share)
