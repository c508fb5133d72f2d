"""How many touches an experiment needs to find a difference between two shares."""

from __future__ import annotations

from math import ceil, sqrt
from statistics import NormalDist
from typing import Final

MOST_TOUCHES: Final = 1_000_000_000
"""What is reported where more would be needed."""


def plan_touches(
    baseline: float, difference: float, shares: tuple[float, float], *, power: float, confidence: float
) -> int:
    """Return how many touches are needed in both variants together, for a two-sided test of two shares.

    The first variant has the outcome with the share `baseline`, the second with `difference` more. `shares` says which
    part of the touches each variant gets. This is the usual formula with a pooled variance under no difference.
    """
    first, second = baseline, baseline + difference
    pooled = shares[0] * first + shares[1] * second
    normal = NormalDist()
    wrong = normal.inv_cdf(1 - (1 - confidence) / 2)
    found = normal.inv_cdf(power)
    none = sqrt(pooled * (1 - pooled) * (1 / shares[0] + 1 / shares[1]))
    some = sqrt(first * (1 - first) / shares[0] + second * (1 - second) / shares[1])
    return min(ceil(((wrong * none + found * some) / difference) ** 2), MOST_TOUCHES)
