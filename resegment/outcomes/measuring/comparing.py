"""Do groups differ? One test of all, then pairs, corrected for how many there are."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Final

import numpy as np

from resegment.outcomes.measuring.options import MeasureOptions
from resegment.outcomes.measuring.rates import Count, label_rate, range_of
from resegment.outcomes.measuring.report import (
    AmountComparison,
    AmountPair,
    Comparison,
    Pair,
    Range,
    Verdict,
)
from resegment.outcomes.statistics.differences import (
    cohens_h,
    difference_interval,
    equivalence_p_value,
    p_value,
    ratio_interval,
)
from resegment.outcomes.statistics.homogeneity import compare_all
from resegment.outcomes.statistics.intervals import Floats, wilson
from resegment.outcomes.statistics.means import compare_all_means, compare_means
from resegment.outcomes.statistics.multiplicity import benjamini_hochberg, holm

MAX_GROUPS: Final = 20
"""Pairs of at most this many groups are compared: the largest."""


def compare_rates(metric: str, counts: Mapping[str, Count], options: MeasureOptions) -> Comparison | None:
    """Compare the groups in one metric; None where fewer than two have touches that are old enough."""
    held = {name: one for name, one in counts.items() if one.n}
    overall = compare_all([one.k for one in held.values()], [one.n for one in held.values()], options.seed)
    if overall is None:
        return None
    largest = sorted(held, key=lambda name: (-held[name].n, name))[:MAX_GROUPS]
    differs = overall.p < 1 - options.confidence
    margin = options.margins[metric]
    return Comparison(
        metric=metric,
        statistic=overall.statistic,
        freedom=overall.freedom,
        p=overall.p,
        method=overall.method,
        effect=overall.effect,
        differs=differs,
        margin=margin,
        left_out=len(held) - len(largest),
        pairs=_compare_pairs(
            {name: held[name] for name in sorted(largest)}, margin, options, differs=differs
        ),
    )


def _compare_pairs(
    counts: Mapping[str, Count], margin: float, options: MeasureOptions, *, differs: bool
) -> list[Pair]:
    names = list(combinations(counts, 2))
    k1, n1, k2, n2 = (
        np.array([getattr(counts[pair[side]], part) for pair in names], dtype=np.float64)
        for side in (0, 1)
        for part in ("k", "n")
    )
    counted = (k1, n1, k2, n2)
    p = p_value(*counted)
    ratio, ratio_range = ratio_interval(*counted, options.confidence)
    interval = difference_interval(*counted, options.confidence)
    by_holm, by_bh = holm(p), benjamini_hochberg(p)
    equivalent = holm(equivalence_p_value(*counted, margin))
    effect = cohens_h(k1 / n1, k2 / n2)
    thin = _thin(k1, n1, options) | _thin(k2, n2, options)
    alpha = 1 - options.confidence
    pairs = []
    for index, (one, other) in enumerate(names):
        verdict: Verdict = "not shown"
        if differs and by_holm[index] < alpha and not thin[index]:
            verdict = "differs"
        elif equivalent[index] < alpha:
            verdict = "equivalent"
        elif thin[index]:
            verdict = "thin"
        pairs.append(
            Pair(
                one=one,
                other=other,
                difference=float(k1[index] / n1[index] - k2[index] / n2[index]),
                interval=range_of(interval, index),
                ratio=None if np.isnan(ratio[index]) else float(ratio[index]),
                ratio_interval=range_of(ratio_range, index),
                effect=float(effect[index]),
                p=float(p[index]),
                p_holm=float(by_holm[index]),
                p_bh=float(by_bh[index]),
                p_equivalent=float(equivalent[index]),
                verdict=verdict,
            )
        )
    return pairs


def _thin(k: Floats, n: Floats, options: MeasureOptions) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    low, high = wilson(k, n, options.confidence)
    labels = [
        label_rate(int(a), int(b), float(c), float(d)) for a, b, c, d in zip(k, n, low, high, strict=True)
    ]
    return np.array([one == "thin" for one in labels], dtype=np.bool_)


def compare_sizes(amounts: Mapping[str, Floats], options: MeasureOptions) -> AmountComparison | None:
    """Compare the sizes of won deals; None where fewer than two groups have two deals that differ."""
    held = {name: one for name, one in amounts.items() if len(one) >= 2 and one.min() < one.max()}
    overall = compare_all_means(list(held.values()))
    if overall is None:
        return None
    largest = sorted(held, key=lambda name: (-len(held[name]), name))[:MAX_GROUPS]
    found = [
        (one, other, made)
        for one, other in combinations(sorted(largest), 2)
        if (made := compare_means(held[one], held[other], options.confidence)) is not None
    ]
    adjusted = holm([made.p for _, _, made in found])
    return AmountComparison(
        statistic=overall.statistic,
        p=overall.p,
        differs=overall.p < 1 - options.confidence,
        pairs=[
            AmountPair(
                one=one,
                other=other,
                difference=made.difference,
                interval=Range(low=made.low, high=made.high),
                p=made.p,
                p_holm=float(p),
            )
            for (one, other, made), p in zip(found, adjusted, strict=True)
        ],
    )
