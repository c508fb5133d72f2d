"""Rank groups by what their counts and the other groups suggest, beside the raw figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from resegment.outcomes.measuring.options import HARM, MeasureOptions
from resegment.outcomes.measuring.rates import Count, range_of
from resegment.outcomes.measuring.report import Ranking, Shrunk
from resegment.outcomes.statistics.intervals import Floats
from resegment.outcomes.statistics.ranking import fit_prior, shrink


def rank_groups(metric: str, counts: Mapping[str, Count], options: MeasureOptions) -> Ranking | None:
    """Return the groups in order, best first; None where fewer than two can be ranked."""
    held = {name: one for name, one in counts.items() if one.n}
    k, n = (np.array([getattr(one, part) for one in held.values()]) for part in ("k", "n"))
    prior = fit_prior(k, n)
    if prior is None:
        return None
    rates, interval = shrink(k, n, prior, options.confidence)
    raw = k / n
    sign = 1.0 if metric in HARM else -1.0
    ranks, raw_ranks = _rank(sign * rates), _rank(sign * raw)
    groups = [
        Shrunk(
            group=name,
            k=one.k,
            n=one.n,
            raw=float(raw[index]),
            raw_rank=raw_ranks[index],
            rate=float(rates[index]),
            interval=range_of(interval, index),
            rank=ranks[index],
        )
        for index, (name, one) in enumerate(held.items())
    ]
    return Ranking(
        metric=metric,
        mean=prior.mean,
        strength=prior.strength,
        groups=sorted(groups, key=lambda one: (one.rank, one.group)),
    )


def _rank(values: Floats) -> list[int]:
    """Return the place of each value from 1; equal values share one."""
    return [1 + int((values < value - 1e-12).sum()) for value in values]
