"""The statistics of outcomes: pure functions over counts and arrays.

Each function names the source of its formula. Every figure is compared in tests with scipy, statsmodels, lifelines
and GrowthBook's gbstats. Importing the package raises OutcomesExtraMissing where its libraries are not installed.
"""

from __future__ import annotations

from resegment.outcomes.extra import OutcomesExtraMissing

try:
    import numpy as np
    from scipy import special
except ImportError as error:
    raise OutcomesExtraMissing(error.name or "scipy") from error

del np, special
