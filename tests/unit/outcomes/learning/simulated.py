"""Touches whose outcomes follow a known model, for tests of what is learned from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import norm

from resegment.outcomes.learning.candidates import Candidate
from resegment.outcomes.learning.observing import Observations

DAY = 86_400_000
START = 1_700_000_000_000
SPAN = 360
"""Days over which the touches are spread."""


@dataclass(frozen=True)
class Simulated:
    """Touches, their outcomes, and what was true of them; `true` has the log odds of each term that matters."""

    touches: pl.DataFrame
    outcomes: pl.DataFrame
    seen: Observations
    true: Mapping[str, float]
    end: int


def simulate(
    seed: int,
    weights: tuple[float, ...],
    *,
    touches: int = 3000,
    candidates: int = 20,
    base: float = -2.2,
    repeated: float = 0.2,
) -> Simulated:
    """Return touches of accounts, a share of them touched twice, with correlated candidates.

    The first candidates have the weights given, all others none.
    """
    random = np.random.default_rng(seed)
    shares = random.uniform(0.08, 0.6, candidates)
    common = random.normal(size=(touches, 1)) * 0.45
    hidden = (random.normal(size=(touches, candidates)) * 0.9 + common) / np.hypot(0.9, 0.45)
    values = hidden < norm.ppf(shares)
    true = np.zeros(candidates)
    true[: len(weights)] = weights
    came = random.random(touches) < 1 / (1 + np.exp(-(base + values @ true)))
    at = np.sort(random.integers(0, SPAN * DAY, touches)) + START
    accounts = np.where(
        random.random(touches) < repeated, random.integers(0, touches, touches), np.arange(touches)
    )
    texts = [f"{{n{number}: true}}" for number in range(candidates)]
    ids = [f"t{number}" for number in range(touches)]
    frame = pl.DataFrame(
        {
            "touch": ids,
            "account": [f"a{one}.com" for one in accounts],
            "at": at,
            "segment": "hot",
            "play": "any",
            "arm": "enrolled",
        }
    ).with_columns(pl.col("at").cast(pl.Datetime("ms", "UTC")))
    hits = np.flatnonzero(came)
    outcomes = pl.DataFrame(
        {
            "touch": [ids[one] for one in hits],
            "action": "meeting_booked",
            "at": at[hits] + random.integers(0, 20 * DAY, len(hits)),
        },
        schema={"touch": pl.String, "action": pl.String, "at": pl.Int64},
    ).with_columns(pl.col("at").cast(pl.Datetime("ms", "UTC")))
    seen = Observations(
        pl.DataFrame({"touch": ids, **{text: values[:, number] for number, text in enumerate(texts)}}),
        tuple(Candidate(text, {f"n{number}": True}, "test") for number, text in enumerate(texts)),
        (),
        (),
    )
    return Simulated(
        frame,
        outcomes,
        seen,
        {texts[n]: weight for n, weight in enumerate(weights)},
        START + (SPAN + 60) * DAY,
    )
