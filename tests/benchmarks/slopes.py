"""Fit how much something grows in an hour, with a 95% interval, to samples that come one after another.

Samples that follow each other are alike, so twelve parts of equal length count, each as one value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from statistics import fmean, median
from typing import Final, NamedTuple

PARTS: Final = 12
T_95: Final = 2.228
"""Student's t for 95% with PARTS - 2 degrees of freedom."""
Z_95: Final = 1.96

Samples = Sequence[tuple[float, float]]
"""Seconds, and the value at that time."""


class Slope(NamedTuple):
    """A slope per hour, and the ends of its 95% interval."""

    per_hour: float
    low: float
    high: float


def fit_means(samples: Samples) -> Slope:
    """Lay a line through the means of the parts, by least squares: what is used on average."""
    points = _parts(samples, fmean)
    mid, mean = fmean(at for at, _ in points), fmean(value for _, value in points)
    spread = sum((at - mid) ** 2 for at, _ in points)
    slope = sum((at - mid) * (value - mean) for at, value in points) / spread
    rest = sum((value - mean - slope * (at - mid)) ** 2 for at, value in points)
    reach = T_95 * math.sqrt(rest / (PARTS - 2) / spread)
    return Slope(slope * 3600, (slope - reach) * 3600, (slope + reach) * 3600)


def fit_least(samples: Samples) -> Slope:
    """Take the median slope between the least values of any two parts: what is kept.

    What is used for a moment does not count, and a few parts that are unlike the rest hardly do. The interval is Sen's,
    which assumes no distribution.
    """
    slopes = sorted(
        (later - before) / (end - start)
        for (start, before), (end, later) in combinations(_parts(samples, min), 2)
    )
    reach = Z_95 * math.sqrt(PARTS * (PARTS - 1) * (2 * PARTS + 5) / 18)
    low = slopes[math.floor((len(slopes) - reach) / 2)]
    high = slopes[math.ceil((len(slopes) + reach) / 2)]
    return Slope(median(slopes) * 3600, low * 3600, high * 3600)


def subtract(one: Slope, other: Slope) -> Slope:
    """Return how much steeper one slope is than another. The interval is the widest that theirs allow."""
    return Slope(one.per_hour - other.per_hour, one.low - other.high, one.high - other.low)


def _parts(samples: Samples, value_of: Callable[[Iterable[float]], float]) -> list[tuple[float, float]]:
    """Return the middle of each part and its value. Samples that fill no part are left out at the end."""
    size = len(samples) // PARTS
    if not size:
        raise ValueError(f"{len(samples)} samples are too few for {PARTS} parts")
    parts = [samples[number * size : (number + 1) * size] for number in range(PARTS)]
    return [(fmean(at for at, _ in one), value_of(value for _, value in one)) for one in parts]
