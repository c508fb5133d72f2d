"""Look inside groups: attributes that separate outcomes, and tests that carry nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from resegment.outcomes.diagnosis.contrast import LEAST_TOUCHES, adjust, tell_count
from resegment.outcomes.diagnosis.diagnose import JUDGED
from resegment.outcomes.measuring.options import MeasureOptions
from resegment.outcomes.measuring.report import Finding
from resegment.outcomes.statistics.differences import difference_interval, equivalence_p_value, p_value
from resegment.outcomes.statistics.homogeneity import compare_all

MAX_LEVELS: Final = 8
"""Of how many values of a text the touches are compared; the others count together."""
OTHER: Final = "(other)"
LEAST_SHARE: Final = 0.1
"""A number is split above its median if this share of the touches is there."""
MAX_FOUND: Final = 10
"""How many findings of each kind are told, the surest first."""


@dataclass(frozen=True, slots=True)
class _Split:
    """The touches of a group by a feature: how many had an outcome, of how many, by the feature's value."""

    group: str
    feature: str
    metric: str
    parts: Mapping[str, tuple[int, int]]
    p: float


def explore(table: pl.DataFrame, features: pl.DataFrame, options: MeasureOptions) -> list[Finding]:
    """Return what features of touches say. `features` has `touch` and a column for each: a Boolean, a number or a text.

    A number is split at its median in the group. What is tried is counted: all features in all groups and metrics.
    """
    joined = table.join(features, on="touch", how="inner")
    names = [name for name in features.columns if name != "touch"]
    return [*_splits(joined, names, options), *_empty_tests(joined, names, options)]


def _splits(joined: pl.DataFrame, names: list[str], options: MeasureOptions) -> Iterator[Finding]:
    found = [
        split
        for key, rows in joined.partition_by("group", as_dict=True).items()
        for metric in JUDGED
        for split in _split_group(str(key[0]), rows, names, metric, options)
    ]
    found.sort(key=lambda one: (one.p, one.group, one.feature, one.metric))
    told: set[tuple[str, str]] = set()
    for split, p in zip(found, adjust([one.p for one in found]), strict=True):
        if p >= 1 - options.confidence or len(told) == MAX_FOUND:
            break
        if (split.group, split.feature) in told:
            continue
        told.add((split.group, split.feature))
        yield Finding(
            kind="split",
            subjects=[split.group, split.feature],
            message=f"{split.feature} separates outcomes inside {split.group}: it could be two {options.by}s.",
            advice="Split it where the message or the owner would differ, and check the split on new touches.",
            evidence=[_tell_split(split, options)],
            p=p,
            tried=len(found),
        )


def _tell_split(split: _Split, options: MeasureOptions) -> str:
    told = f"{split.metric.replace('_', ' ')} by {split.feature}: "
    told += "; ".join(f"{value} {tell_count(*count)}" for value, count in split.parts.items())
    if len(split.parts) != 2:
        return told
    (k1, n1), (k2, n2) = split.parts.values()
    low, high = difference_interval(k1, n1, k2, n2, options.confidence)
    ends = f"({100 * float(low):+.1f} to {100 * float(high):+.1f})"
    return f"{told}; difference {100 * (k1 / n1 - k2 / n2):+.1f} points {ends}"


def _split_group(
    group: str, rows: pl.DataFrame, names: list[str], metric: str, options: MeasureOptions
) -> Iterator[_Split]:
    window = options.windows[metric]
    mature = rows.filter(pl.col("age") >= window)
    hits = mature.with_columns(hit=(pl.col(metric) <= window).fill_null(value=False))
    for name in names:
        parts = _count_parts(hits, name)
        counted = {value: count for value, count in parts.items() if count[1] >= LEAST_TOUCHES}
        if len(counted) < 2:
            continue
        k, n = (np.array([count[side] for count in counted.values()]) for side in (0, 1))
        if len(counted) == 2:
            p = float(p_value(k[0], n[0], k[1], n[1]))
        else:
            overall = compare_all(k, n, options.seed)
            p = 1.0 if overall is None else overall.p
        yield _Split(group, name, metric, counted, p)


def _count_parts(hits: pl.DataFrame, name: str) -> dict[str, tuple[int, int]]:
    """Return how many touches had the outcome, of how many, by value of a feature."""
    held = hits.filter(pl.col(name).is_not_null())
    kind = held.schema[name]
    if kind.is_numeric():
        middle = held[name].median()
        if not isinstance(middle, int | float):
            return {}
        part = _split_number(held[name], float(middle))
    elif kind == pl.Boolean:
        part = pl.when(pl.col(name)).then(pl.lit("true")).otherwise(pl.lit("false"))
    else:
        common = held.group_by(name).len().sort("len", name, descending=[True, False]).head(MAX_LEVELS)[name]
        part = pl.when(pl.col(name).is_in(common.implode())).then(pl.col(name)).otherwise(pl.lit(OTHER))
    counted = held.group_by(part.alias("part")).agg(k=pl.col("hit").sum(), n=pl.len()).sort("part")
    return {row["part"]: (row["k"], row["n"]) for row in counted.to_dicts()}


def _split_number(values: pl.Series, middle: float) -> pl.Expr:
    """Return the part of each value: above the median or up to it; where most are the median, from it on or below it."""
    if int((values > middle).sum()) >= LEAST_SHARE * len(values):
        above, names = pl.col(values.name) > middle, (f"above {middle:g}", f"up to {middle:g}")
    else:
        above, names = pl.col(values.name) >= middle, (f"from {middle:g}", f"below {middle:g}")
    return pl.when(above).then(pl.lit(names[0])).otherwise(pl.lit(names[1]))


def _empty_tests(joined: pl.DataFrame, names: list[str], options: MeasureOptions) -> Iterator[Finding]:
    """Find tests whose outcomes are the same whether they hold or not, by equivalence in every metric."""
    tests = [name for name in names if joined.schema[name] == pl.Boolean]
    judged: list[tuple[str, float, list[str]]] = []
    for name in tests:
        worst, told = 0.0, []
        for metric in JUDGED:
            window = options.windows[metric]
            hits = joined.filter(pl.col("age") >= window).with_columns(
                hit=(pl.col(metric) <= window).fill_null(value=False)
            )
            parts = _count_parts(hits, name)
            if len(parts) < 2 or min(n for _, n in parts.values()) < LEAST_TOUCHES:
                break
            counted = (*parts["true"], *parts["false"])
            margin = options.margins[metric]
            worst = max(worst, float(equivalence_p_value(*counted, margin)))
            low, high = difference_interval(*counted, 2 * options.confidence - 1)
            told.append(
                f"{metric}: {tell_count(*parts['true'])} where it holds, {tell_count(*parts['false'])} where not; the "
                f"difference is between {100 * float(low):+.1f} and {100 * float(high):+.1f} points, within ±{100 * margin:g}"
            )
        else:
            judged.append((name, worst, told))
    adjusted = adjust([worst for _, worst, _ in judged])
    ordered = sorted(zip(judged, adjusted, strict=True), key=lambda one: (one[1], one[0][0]))
    for (name, _, told), p in ordered[:MAX_FOUND]:
        if p < 1 - options.confidence:
            yield Finding(
                kind="carries-nothing",
                subjects=[name],
                message=f"The test {name} carries nothing: outcomes are the same whether it holds or not.",
                advice="Drop it, or keep it for reasons other than outcomes.",
                evidence=told,
                p=p,
                tried=len(judged),
            )
