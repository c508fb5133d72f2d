"""How many touches it takes to see a difference."""

from __future__ import annotations

import math

from scipy.special import ndtr, ndtri


def needed(base: float, other: float, *, power: float = 0.8, alpha: float = 0.05, ratio: float = 1.0) -> int:
    """Return how many touches the first group needs so that the test tells two rates apart with a stated power.

    `ratio` is how many times as many the second group has. J. L. Fleiss, B. Levin and M. C. Paik, Statistical Methods
    for Rates and Proportions (2003), equation 4.14 (equal groups) and 4.18, without the correction for continuity.
    Raises ValueError where the rates are equal or outside 0 and 1.
    """
    if base == other or not (0 <= base <= 1 and 0 <= other <= 1):
        raise ValueError("the rates must differ and lie within 0 and 1")
    mean = (base + ratio * other) / (1 + ratio)
    same = float(ndtri(1 - alpha / 2)) * math.sqrt((1 + 1 / ratio) * mean * (1 - mean))
    apart = float(ndtri(power)) * math.sqrt(base * (1 - base) + other * (1 - other) / ratio)
    return max(2, math.ceil(((same + apart) / (base - other)) ** 2))


def reached_power(base: float, other: float, first: int, second: int, *, alpha: float = 0.05) -> float:
    """Return the power with which groups of given sizes tell two rates apart: the formula of `needed`, solved for it."""
    if min(first, second) <= 0 or base == other:
        return 0.0
    mean = (base * first + other * second) / (first + second)
    same = float(ndtri(1 - alpha / 2)) * math.sqrt(mean * (1 - mean) * (1 / first + 1 / second))
    apart = math.sqrt(base * (1 - base) / first + other * (1 - other) / second)
    return float(ndtr((abs(base - other) - same) / apart)) if apart > 0 else 1.0
