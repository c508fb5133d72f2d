"""Check that the arms of a draw have the sizes that were declared."""

from __future__ import annotations

from typing import Final, NamedTuple

from numpy.typing import ArrayLike
from scipy.special import chdtrc

from resegment.outcomes.statistics.homogeneity import MIN_EXPECTED
from resegment.outcomes.statistics.intervals import as_floats

MIN_P: Final = 0.001
"""Below this p-value a ratio is taken as broken: as GrowthBook does."""


class SampleRatio(NamedTuple):
    """A check of a sample ratio. `p` is None where an expected count is below 5: then nothing can be said."""

    p: float | None
    expected: tuple[float, ...]

    @property
    def passes(self) -> bool:
        """Whether the ratio was checked and is as declared."""
        return self.p is not None and self.p >= MIN_P


def check_ratio(observed: ArrayLike, expected: ArrayLike) -> SampleRatio:
    """Compare the sizes of arms with those expected from their shares, by chi-square.

    A. Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments", KDD 2019; as GrowthBook's
    `check_srm`. `expected` may be shares or counts.
    """
    seen, wanted = as_floats(observed), as_floats(expected)
    wanted = wanted / wanted.sum() * seen.sum()
    counts = tuple(float(one) for one in wanted)
    if min(counts) < MIN_EXPECTED:
        return SampleRatio(None, counts)
    statistic = float((((seen - wanted) ** 2) / wanted).sum())
    return SampleRatio(float(chdtrc(len(counts) - 1, statistic)), counts)
