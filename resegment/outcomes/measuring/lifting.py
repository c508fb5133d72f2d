"""What enrolling changes, against the accounts that were held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl
from msgspec.structs import replace

from resegment.outcomes.dataset import Dataset
from resegment.outcomes.measuring.options import ACTIONS, LIFTED, MeasureOptions
from resegment.outcomes.measuring.preparing import DAY
from resegment.outcomes.measuring.rates import label_rate, range_of
from resegment.outcomes.measuring.report import ArmRate, HoldoutCheck, Lift, Range
from resegment.outcomes.statistics.differences import (
    always_valid_difference,
    difference_interval,
    p_value,
    ratio_interval,
)
from resegment.outcomes.statistics.intervals import wilson
from resegment.outcomes.statistics.multiplicity import holm
from resegment.outcomes.statistics.power import needed
from resegment.outcomes.statistics.samples import MIN_P, check_ratio

ENROLLED: Final = "enrolled"
HOLDOUT: Final = "holdout"

Arms = Mapping[str, tuple[int, int]]
"""k and n of each arm."""


def check_holdouts(dataset: Dataset, touches: pl.DataFrame, options: MeasureOptions) -> list[HoldoutCheck]:
    """Compare the arms of each group that has held-out accounts, by the first touch of each account in the group.

    All outcomes of an account count that came within the window after that touch, whatever they are credited to: what
    happened after the draw must not decide who counts.
    """
    drawn = _find_draws(touches, options)
    first = drawn.sort("at", "touch").unique(["group", "account"], keep="first", maintain_order=True)
    groups = first.filter(pl.col("arm") == HOLDOUT)["group"].unique().sort().to_list()
    first = first.filter(pl.col("group").is_in(groups))
    reached = _reach(dataset, first, options)
    return _adjust([_check(name, reached.filter(pl.col("group") == name), options) for name in groups])


def _find_draws(touches: pl.DataFrame, options: MeasureOptions) -> pl.DataFrame:
    """Return the touches that a holdout of their segment drew for, each with the share that was held out.

    What an experiment held out is no holdout of the segment: it was enrolled as far as that draw is concerned, and is set
    `aside` because nothing was sent to it.
    """
    aside = (pl.col("arm") == HOLDOUT) & pl.col("experiment").is_not_null()
    shares = dict(options.shares)
    share = pl.col("segment").replace_strict(
        list(shares), list(shares.values()), default=None, return_dtype=pl.Float64
    )
    known = pl.col("definition_version").is_in(list(options.version_shares)).fill_null(value=False)
    rows = [
        (version, segment, one)
        for version, of in options.version_shares.items()
        for segment, one in of.items()
    ]
    by_version = pl.DataFrame(
        rows, {"definition_version": pl.String, "segment": pl.String, "drawn": pl.Float64}, orient="row"
    )
    return (
        touches.join(by_version, on=["definition_version", "segment"], how="left")
        .filter(~known | pl.col("drawn").is_not_null())
        .with_columns(
            share=pl.when(known).then("drawn").otherwise(share),
            aside=aside,
            arm=pl.when(aside).then(pl.lit(ENROLLED)).otherwise("arm"),
        )
    )


def _reach(dataset: Dataset, first: pl.DataFrame, options: MeasureOptions) -> pl.DataFrame:
    """Return the first touches with the days until the account reached each metric."""
    counted = [action for metric in LIFTED for action in ACTIONS[metric]]
    outcomes = dataset.outcomes.filter(
        pl.col("action").is_in(counted) & (pl.col("at") <= options.until)
    ).select("account", "action", happened="at")
    days = (pl.col("happened") - pl.col("at")).dt.total_milliseconds() / DAY
    found = (
        first.lazy()
        .select("touch", "account", "at")
        .join(outcomes.lazy(), on="account", how="inner")
        .with_columns(days=days)
        .filter(pl.col("days") >= 0)
        .group_by("touch")
        .agg(
            pl.col("days").filter(pl.col("action").is_in(ACTIONS[metric])).min().alias(metric)
            for metric in LIFTED
        )
        .collect()
    )
    return first.join(found, on="touch", how="left")


def _check(name: str, rows: pl.DataFrame, options: MeasureOptions) -> HoldoutCheck:
    held = int((rows["arm"] == HOLDOUT).sum())
    enrolled = len(rows) - held
    unknown = rows.filter(pl.col("share").is_null())["segment"].unique().sort().to_list()
    expected = None if unknown else float(rows["share"].sum())
    p = None
    reason = None
    if expected is None:
        reason = f"the share that is held out is not known of {', '.join(unknown)}: give the segments file"
    else:
        p = check_ratio([enrolled, held], [len(rows) - expected, expected]).p
        if p is None:
            reason = "fewer than 5 accounts are expected in an arm"
        elif p < MIN_P:
            reason = f"{held} held out, {expected:.0f} expected (p = {p:.2g}): the arms are not comparable"
    passes = p is not None and reason is None
    rows = rows.filter(~pl.col("aside"))
    lifts = [one for metric in LIFTED if (one := _lift(metric, rows, options)) is not None] if passes else []
    return HoldoutCheck(
        group=name,
        enrolled=enrolled,
        holdout=held,
        expected_holdout=expected,
        p=p,
        passes=passes,
        reason=reason,
        lifts=lifts,
    )


def _lift(metric: str, rows: pl.DataFrame, options: MeasureOptions) -> Lift | None:
    window = options.windows[metric]
    mature = rows.filter(pl.col("age") >= window)
    arms: dict[str, tuple[int, int]] = {}
    for arm in (ENROLLED, HOLDOUT):
        own = mature.filter(pl.col("arm") == arm)
        arms[arm] = int((own[metric] <= window).sum()), len(own)
    if not arms[ENROLLED][1] or not arms[HOLDOUT][1]:
        return None
    counts = (*arms[ENROLLED], *arms[HOLDOUT])
    k1, n1, k0, n0 = counts
    ratio, ratio_range = ratio_interval(*counts, options.confidence)
    difference = k1 / n1 - k0 / n0
    labels = [label_rate(one.k, one.n, one.interval.low, one.interval.high) for one in _arms(arms, options)]
    label = min(labels, key=("thin", "early", "solid").index)
    enrolled, holdout = _arms(arms, options)
    return Lift(
        metric=metric,
        window_days=window,
        enrolled=enrolled,
        holdout=holdout,
        difference=difference,
        interval=range_of(difference_interval(*counts, options.confidence)),
        always_valid=range_of(always_valid_difference(*counts, options.confidence)),
        ratio=None if np.isnan(ratio) else float(ratio),
        ratio_interval=range_of(ratio_range),
        p=float(p_value(*counts)),
        p_holm=1.0,
        extra=difference * n1,
        label=label,
        more_accounts=_more(arms, options),
    )


def _arms(arms: Arms, options: MeasureOptions) -> tuple[ArmRate, ArmRate]:
    made = []
    for arm in (ENROLLED, HOLDOUT):
        k, n = arms[arm]
        low, high = wilson(k, n, options.confidence)
        made.append(ArmRate(k=k, n=n, interval=Range(low=float(low), high=float(high))))
    return made[0], made[1]


def _more(arms: Arms, options: MeasureOptions) -> int | None:
    """Return how many more accounts must be held out to see the lift that is worth finding."""
    base = arms[HOLDOUT][0] / arms[HOLDOUT][1]
    other = base * (1 + options.detect)
    if not 0 < base < other < 1:
        return None
    ratio = arms[ENROLLED][1] / arms[HOLDOUT][1]
    size = needed(base, other, power=options.power, alpha=1 - options.confidence, ratio=ratio)
    return max(0, size - arms[HOLDOUT][1])


def _adjust(checks: list[HoldoutCheck]) -> list[HoldoutCheck]:
    """Correct the p-values for all lifts that are looked at."""
    every = [one.p for check in checks for one in check.lifts]
    adjusted = iter(holm(every).tolist())
    return [
        replace(check, lifts=[replace(one, p_holm=next(adjusted)) for one in check.lifts]) for check in checks
    ]
