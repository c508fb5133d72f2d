"""Compare each group with all the others together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from resegment.outcomes.measuring.report import Group, Rate, Report
from resegment.outcomes.statistics.differences import difference_interval, equivalence_p_value, p_value
from resegment.outcomes.statistics.multiplicity import holm

LEAST_TOUCHES: Final = 30
LEAST_EXPECTED: Final = 5.0
"""A group is compared if it should have this many outcomes at the rate of the others."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """One group against the others in one metric; `p` and `p_equivalent` are not corrected."""

    metric: str
    own: tuple[int, int]
    others: tuple[int, int]
    difference: float
    low: float
    high: float
    p: float
    p_equivalent: float

    def tell(self) -> str:
        """Return the figures in words."""
        return (
            f"{self.metric.replace('_', ' ')}: {tell_count(*self.own)}, the others {tell_count(*self.others)}; "
            f"difference {100 * self.difference:+.1f} points ({100 * self.low:+.1f} to {100 * self.high:+.1f})"
        )


def tell_count(k: int, n: int) -> str:
    """Return k of n with the rate."""
    return f"{k:,}/{n:,} ({100 * k / n:.1f}%)" if n else "0/0"


def rate_of(group: Group, metric: str) -> Rate:
    """Return the rate of a group."""
    return next(one for one in group.rates if one.metric == metric)


def contrast(report: Report, metric: str, margin: float) -> dict[str, Contrast]:
    """Compare every group that has enough touches with the others."""
    total = rate_of(report.total, metric)
    found = {}
    for group in report.groups:
        own = rate_of(group, metric)
        others = total.k - own.k, total.n - own.n
        if (
            own.n < LEAST_TOUCHES
            or others[1] < LEAST_TOUCHES
            or own.n * others[0] / others[1] < LEAST_EXPECTED
        ):
            continue
        counted = (own.k, own.n, *others)
        low, high = difference_interval(*counted, report.confidence)
        found[group.name] = Contrast(
            metric=metric,
            own=(own.k, own.n),
            others=others,
            difference=own.k / own.n - others[0] / others[1],
            low=float(low),
            high=float(high),
            p=float(p_value(*counted)),
            p_equivalent=float(equivalence_p_value(*counted, margin)),
        )
    return found


def adjust(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for how many there are (Holm)."""
    return [float(one) for one in holm(np.array(p_values))] if p_values else []
