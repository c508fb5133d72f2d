"""Adjust p-values for how many were looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from resegment.outcomes.statistics.intervals import Floats, as_floats


def holm(p_values: ArrayLike) -> Floats:
    """Return p-values such that deciding by them errs even once with the stated probability at most.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6 (1979) 65-70.
    """
    p = as_floats(p_values)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return _put_back(np.minimum(raised, 1.0), order)


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Return p-values such that of what is picked by them the stated share at most is picked by chance: to explore.

    Y. Benjamini and Y. Hochberg, J. Royal Statistical Society B 57 (1995) 289-300.
    """
    p = as_floats(p_values)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    lowered = np.minimum.accumulate(scaled[::-1])[::-1]
    return _put_back(np.minimum(lowered, 1.0), order)


def _put_back(values: Floats, order: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> Floats:
    result = np.empty_like(values)
    result[order] = values
    return result
