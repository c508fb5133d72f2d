"""One test of whether any of several rates differ, before pairs of them are compared."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc

from resegment.outcomes.statistics.intervals import as_floats

MIN_EXPECTED: Final = 5.0
"""Below this expected count the chi-square distribution is not used."""

DRAWS: Final = 9_999


class Homogeneity(NamedTuple):
    """A test of equal rates. `effect` is Cramér's V: 0 means that they are equal, 1 that the group says all."""

    statistic: float
    freedom: int
    p: float
    effect: float
    method: str


def compare_all(successes: ArrayLike, trials: ArrayLike, seed: int = 0) -> Homogeneity | None:
    """Test that several rates are equal; None where fewer than two groups have trials.

    K. Pearson's chi-square. Where an expected count is below 5 its distribution is drawn instead: successes are dealt to
    the groups at random with all totals fixed, and p = (1 + those as extreme) / (1 + draws) is exact at any size (B.
    Phipson and G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39). H. Cramér, Mathematical Methods of Statistics
    (1946), for the effect size.
    """
    k, n = as_floats(successes), as_floats(trials)
    k, n = k[n > 0], n[n > 0]
    if len(n) < 2:
        return None
    freedom = len(n) - 1
    total, hits = n.sum(), k.sum()
    rate = hits / total
    if rate in (0.0, 1.0):
        return Homogeneity(0.0, freedom, 1.0, 0.0, "chi-square")
    scale = n * rate * (1 - rate)
    statistic = float((((k - n * rate) ** 2) / scale).sum())
    effect = float(np.sqrt(statistic / total))
    if (n * min(rate, 1 - rate)).min() >= MIN_EXPECTED:
        return Homogeneity(statistic, freedom, float(chdtrc(freedom, statistic)), effect, "chi-square")
    dealt = np.random.default_rng(seed).multivariate_hypergeometric(
        n.astype(np.int64), int(hits), size=DRAWS, method="marginals"
    )
    drawn = (((dealt - n * rate) ** 2) / scale).sum(axis=1)
    p = (1 + int((drawn >= statistic * (1 - 1e-12)).sum())) / (1 + DRAWS)
    return Homogeneity(statistic, freedom, p, effect, "permutation")
