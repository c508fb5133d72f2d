"""Make one row of each touch: its group, and after how many days each outcome came."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from resegment.outcomes.dataset import Dataset
from resegment.outcomes.measuring.names import By
from resegment.outcomes.measuring.options import ACTIONS, MeasureOptions
from resegment.outcomes.measuring.report import Flow

NONE: Final = "(none)"
"""The name of the group of touches that have no owner, play, ..."""

DAY: Final = 86_400_000
CHURN: Final = "churned"
LOST: Final = "lost"

STAGES: Final = ("no answer", "reply", "positive reply", "meeting", "opportunity", "lost", "won")
"""How far a touch may come, in order."""


def name_groups(by: By) -> pl.Expr:
    """Return the name of each touch's group."""
    if by is By.version:
        number = pl.format("version {}", pl.col("version"))
        return pl.coalesce(number, pl.col("definition_version"), pl.lit(NONE)).alias("group")
    return pl.col(by.value).fill_null(NONE).alias("group")


def select_touches(dataset: Dataset, options: MeasureOptions) -> pl.DataFrame:
    """Return the touches that are measured, with their groups and their ages in days."""
    held = pl.col("at") <= options.until
    if options.since is not None:
        held &= pl.col("at") >= options.since
    touches = dataset.touches.filter(held)
    if options.mature:
        longest = max(days for metric, days in options.windows.items() if metric in ACTIONS)
        touches = touches.filter(pl.col("at") <= options.until - timedelta(days=longest))
    age = (pl.lit(options.until).cast(pl.Datetime("ms", "UTC")) - pl.col("at")).dt.total_milliseconds() / DAY
    return touches.with_columns(name_groups(options.by), age=age)


def credited_outcomes(dataset: Dataset, touches: pl.DataFrame, options: MeasureOptions) -> pl.DataFrame:
    """Return the outcomes that are credited to the touches, with the days since the touch.

    The clocks of two systems may differ: an outcome that is dated before its touch counts as of the same moment.
    """
    known = touches.select("touch", "group", "arm", touched="at", toucher="account")
    return (
        dataset.outcomes.lazy()
        .filter(pl.col("touch").is_not_null() & (pl.col("at") <= options.until))
        .join(known.lazy(), on="touch", how="inner")
        .with_columns(
            days=((pl.col("at") - pl.col("touched")).dt.total_milliseconds() / DAY).clip(lower_bound=0)
        )
        .collect()
    )


def tabulate(touches: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """Return the touches with a column for each metric: the days until it was first reached, null if it was not.

    `churn` is the first one after the first win: a customer that was lost before came back.
    """
    won = pl.col("days").filter(pl.col("action").is_in(ACTIONS["win"])).min()
    first = outcomes.group_by("touch").agg(
        *(
            pl.col("days").filter(pl.col("action").is_in(actions)).min().alias(metric)
            for metric, actions in ACTIONS.items()
        ),
        churn=pl.col("days").filter((pl.col("action") == CHURN) & (pl.col("days") >= won)).min(),
        lost=pl.col("days").filter(pl.col("action") == LOST).min(),
    )
    return touches.join(first, on="touch", how="left")


def find_flows(table: pl.DataFrame) -> list[Flow]:
    """Return how far the touches of each group have come."""
    steps = zip(("reply", "positive_reply", "meeting", "opportunity", "lost", "win"), STAGES[1:], strict=True)
    stage = pl.lit(STAGES[0])
    for column, name in steps:
        stage = pl.when(pl.col(column).is_not_null()).then(pl.lit(name)).otherwise(stage)
    counted = table.group_by("group", stage.alias("stage")).len("touches")
    rows = sorted(counted.to_dicts(), key=lambda row: (row["group"], STAGES.index(row["stage"])))
    return [Flow(**row) for row in rows]
