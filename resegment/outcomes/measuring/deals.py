"""Deals: how large they are, how long they take, and how they end."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from resegment.outcomes.measuring.options import MeasureOptions
from resegment.outcomes.measuring.preparing import DAY
from resegment.outcomes.measuring.report import Cycle, CyclePoint, DealSize, Range
from resegment.outcomes.statistics.resampling import bootstrap_mean, bootstrap_median
from resegment.outcomes.statistics.survival import aalen_johansen, incidence_at, median_time

DEAL_ACTIONS: Final = ("opportunity_created", "stage_changed", "won", "lost")
AT_DAYS: Final = (30, 60, 90, 180, 365)
MAX_POINTS: Final = 80
"""How many points of a curve are told."""

WON: Final = 1
LOST: Final = 2


def find_deals(outcomes: pl.DataFrame, options: MeasureOptions) -> pl.DataFrame:
    """Return a row for each deal: when it was opened, how it ended (its last ending counts), after how many days.

    A deal belongs to the touch that its first outcome is credited to; outcomes without a deal are of one deal per touch until
    another deal is created.
    `entry` is the day of the deal at which the touch came, if it was open by then; -1 if not.
    """
    ends = pl.col("action").is_in(["won", "lost"])
    until = pl.lit(options.until).cast(pl.Datetime("ms", "UTC"))
    created = pl.col("action") == "opportunity_created"
    number = (created & pl.col("deal").is_null()).cum_sum().over("touch")
    # the first one that is created begins no other deal than what is known of it before, such as a stage
    unnamed = pl.format("touch {} {}", pl.col("touch"), pl.max_horizontal(number, 1))
    deals = (
        outcomes.lazy()
        .filter(pl.col("action").is_in(DEAL_ACTIONS))
        .sort("at", ~created, "record")
        .with_columns(pl.coalesce("deal", unnamed).alias("deal"))
        .group_by("account", "deal", maintain_order=True)
        .agg(
            pl.col("touch", "group", "arm", "touched").first(),
            opened=pl.min_horizontal(pl.col("opened_at").min(), pl.col("at").min()),
            ending=pl.col("action").filter(ends).last(),
            closed=pl.col("at").filter(ends).last(),
            amount=pl.col("amount_usd").filter(pl.col("amount_usd").is_not_null()).last(),
        )
        .collect()
    )
    elapsed = (pl.coalesce("closed", until) - pl.col("opened")).dt.total_milliseconds() / DAY
    entry = (pl.col("touched") - pl.col("opened")).dt.total_milliseconds() / DAY
    causes = {"won": WON, "lost": LOST}
    return deals.with_columns(
        days=elapsed.clip(lower_bound=0),
        cause=pl.col("ending").replace_strict(causes, default=0, return_dtype=pl.Int64),
        entry=pl.when(entry > 0).then(entry).otherwise(-1.0),
    )


def describe_size(deals: pl.DataFrame, options: MeasureOptions) -> DealSize:
    """Return the size of the deals that were won."""
    won = deals.filter(pl.col("cause") == WON)
    amounts = won["amount"].drop_nulls().sort().to_numpy()
    if not len(amounts):
        return DealSize(n=0, without_amount=len(won), total=0.0)
    mean = bootstrap_mean(amounts, options.confidence, options.seed)
    median = bootstrap_median(amounts, options.confidence, options.seed)
    return DealSize(
        n=len(amounts),
        without_amount=len(won) - len(amounts),
        total=float(amounts.sum()),
        mean=float(amounts.mean()),
        mean_interval=_range(mean),
        median=float(np.median(amounts)),
        median_interval=_range(median),
    )


def describe_cycle(deals: pl.DataFrame, options: MeasureOptions) -> Cycle:
    """Return how deals end over time. A deal that was over before its touch came tells nothing."""
    watched = deals.filter(pl.col("entry") < pl.col("days"))
    causes = watched["cause"].to_numpy()
    counts = {
        name: int((causes == number).sum()) for name, number in (("won", WON), ("lost", LOST), ("open", 0))
    }
    if not len(watched):
        return Cycle(deals=0, **counts, median_days=None, at=[], curve=[])
    given = watched["days"].to_numpy(), causes, watched["entry"].to_numpy()
    won, lost = aalen_johansen(*given, cause=WON), aalen_johansen(*given, cause=LOST)
    longest = float(won.times[-1])
    steps = np.flatnonzero(np.diff(won.probability, prepend=0.0) + np.diff(lost.probability, prepend=0.0) > 0)
    if len(steps) > MAX_POINTS:
        steps = steps[np.unique(np.linspace(0, len(steps) - 1, MAX_POINTS).round().astype(int))]
    days = [one for one in AT_DAYS if one <= longest]
    curve = sorted({0.0, *won.times[steps].tolist(), longest})

    def points(at: list[float]) -> list[CyclePoint]:
        share, interval = incidence_at(won, at, options.confidence)
        of_lost, _ = incidence_at(lost, at, options.confidence)
        still = [int(((given[0] >= day) & (given[2] < day)).sum()) for day in at]
        return [
            CyclePoint(
                day=float(day),
                won=float(share[index]),
                interval=Range(low=float(interval.low[index]), high=float(interval.high[index])),
                lost=float(of_lost[index]),
                open=still[index],
            )
            for index, day in enumerate(at)
        ]

    return Cycle(
        deals=len(watched),
        **counts,
        median_days=median_time(won),
        at=points([float(one) for one in days]),
        curve=points(curve),
    )


def _range(ends: tuple[float, float] | None) -> Range | None:
    return None if ends is None else Range(low=ends[0], high=ends[1])
