"""Rates of touches: counts, windows, intervals, and how much more is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from resegment.outcomes.measuring.options import RATES, MeasureOptions
from resegment.outcomes.measuring.report import Label, Range, Rate
from resegment.outcomes.statistics.intervals import Interval, always_valid, wilson
from resegment.outcomes.statistics.power import needed

THIN_TOUCHES: Final = 30
THIN_OUTCOMES: Final = 5
SOLID_WIDTH: Final = 0.5


@dataclass(frozen=True, slots=True)
class Count:
    """How many touches had an outcome, of how many that are old enough, and how many wait to become old enough."""

    k: int
    n: int
    waiting: int

    @property
    def rate(self) -> float | None:
        """The rate, None where no touch is old enough."""
        return self.k / self.n if self.n else None


Counts = Mapping[str, Mapping[str, Count]]
"""By metric, then by group."""


def count_rates(table: pl.DataFrame, options: MeasureOptions) -> Counts:
    """Count each metric for each group."""
    expressions = []
    for metric in RATES:
        window = options.windows[metric]
        if metric == "retention":
            won = pl.col("win").is_not_null()
            mature = won & (pl.col("age") - pl.col("win") >= window)
            hit = mature & ~(pl.col("churn") - pl.col("win") <= window).fill_null(value=False)
            waiting = won & ~mature
        else:
            mature = pl.col("age") >= window
            hit = mature & (pl.col(metric) <= window).fill_null(value=False)
            waiting = ~mature
        parts = {"k": hit, "n": mature, "w": waiting}
        expressions += [one.sum().alias(f"{name} {metric}") for name, one in parts.items()]
    rows = table.group_by("group").agg(expressions).sort("group").to_dicts()
    return {
        metric: {
            row["group"]: Count(row[f"k {metric}"], row[f"n {metric}"], row[f"w {metric}"]) for row in rows
        }
        for metric in RATES
    }


def total_of(counts: Mapping[str, Count]) -> Count:
    """Return the counts of all groups together."""
    return Count(*(sum(getattr(one, name) for one in counts.values()) for name in ("k", "n", "waiting")))


def label_rate(k: int, n: int, low: float, high: float) -> Label:
    """Return how much a rate rests on."""
    if n < THIN_TOUCHES or k < THIN_OUTCOMES:
        return "thin"
    return "solid" if high - low <= SOLID_WIDTH * k / n else "early"


def touches_needed(rate: float | None, options: MeasureOptions, alpha: float | None = None) -> int | None:
    """Return how many touches two groups need each to tell the difference worth finding apart; None if it cannot be said."""
    if not rate or rate >= 1:
        return None
    other = rate * (1 + options.detect)
    if other >= 1:
        other = rate * (1 - options.detect)
    return needed(rate, other, power=options.power, alpha=1 - options.confidence if alpha is None else alpha)


def describe_rates(
    counts: Mapping[str, Count], overall: Mapping[str, float | None], options: MeasureOptions
) -> list[Rate]:
    """Return the rates of one group, given its counts by metric; `overall` has the rates of all groups."""
    k = np.array([one.k for one in counts.values()])
    n = np.array([one.n for one in counts.values()])
    once, always = wilson(k, n, options.confidence), always_valid(k, n, options.confidence)
    rates = []
    for index, (metric, one) in enumerate(counts.items()):
        low, high = float(once.low[index]), float(once.high[index])
        size = touches_needed(overall[metric], options)
        rates.append(
            Rate(
                metric=metric,
                k=one.k,
                n=one.n,
                waiting=one.waiting,
                window_days=options.windows[metric],
                rate=one.rate,
                interval=Range(low=low, high=high),
                always_valid=range_of(always, index),
                label=label_rate(one.k, one.n, low, high),
                more_touches=None if size is None else max(0, size - one.n),
            )
        )
    return rates


def range_of(interval: Interval, index: int | None = None) -> Range:
    """Return one interval of an array of them."""
    if index is None:
        return Range(low=float(interval.low), high=float(interval.high))
    return Range(low=float(interval.low[index]), high=float(interval.high[index]))
