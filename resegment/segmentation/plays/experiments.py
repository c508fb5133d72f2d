"""Experiments: which accounts take part, and what each of them gets. The draw depends on name and salt alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from resegment.schemas.outcomes.experiments import ExperimentEntry, ExperimentMetric
from resegment.schemas.times import NEVER, parse_duration, parse_instant
from resegment.schemas.written import read_share
from resegment.segmentation.plays.sample_size import plan_touches

ENROLLED: Final = "enrolled"
HELD_OUT: Final = "holdout"
"""The variants of an experiment with a holdout; those of another one are the names of its plays."""

_DRAWS: Final = 1 << 32
_DAY: Final = parse_duration("1d")


def is_drawn(account: str, share: float, salt: str) -> bool:
    """Return whether an account belongs to a share of all accounts. For one salt, the answer never changes."""
    drawn = hashlib.blake2b(f"{salt}\0{account}".encode(), digest_size=4).digest()
    return int.from_bytes(drawn, "big") < share * _DRAWS


@dataclass(frozen=True)
class Experiment:
    """An experiment of a file. `plays` has none if it compares enrolling with not enrolling.

    `share` is that of the second play, or the one that is not enrolled. Accounts whose change takes effect from `starts`
    to before `ends` (ms) are drawn; outcomes up to `horizon` ms after the touch count.
    """

    name: str
    segment: str
    plays: tuple[str, ...]
    share: float
    metric: ExperimentMetric
    horizon: int
    baseline: float
    difference: float
    power: float
    confidence: float
    salt: str
    starts: int
    ends: int
    hypothesis: str | None

    @property
    def variants(self) -> tuple[str, str]:
        """Return what the comparison starts from, and what is compared with it."""
        return (self.plays[0], self.plays[1]) if self.plays else (HELD_OUT, ENROLLED)

    @property
    def shares(self) -> tuple[float, float]:
        """Return the shares of accounts that the variants get, in their order."""
        return (1 - self.share, self.share) if self.plays else (self.share, 1 - self.share)

    @cached_property
    def touches(self) -> int:
        """Return how many touches the experiment needs in all variants together."""
        return plan_touches(
            self.baseline, self.difference, self.shares, power=self.power, confidence=self.confidence
        )

    @property
    def draw_terms(self) -> tuple[object, ...]:
        """Return what decides which accounts are drawn and what they get, apart from the days."""
        return self.segment, self.plays, self.share, self.salt

    @property
    def reading_terms(self) -> tuple[object, ...]:
        """Return what decides when the result is read, and how."""
        how = (self.metric, self.horizon, self.baseline, self.difference, self.power, self.confidence)
        return (*how, self.ends)

    def runs_at(self, at: int) -> bool:
        """Return whether accounts that enter the segment at an instant (ms) are drawn."""
        return self.starts <= at < self.ends

    def draw(self, account: str) -> str:
        """Return the variant that an account gets."""
        drawn = is_drawn(account, self.share, f"experiment\0{self.salt}")
        if self.plays:
            return self.plays[1] if drawn else self.plays[0]
        return HELD_OUT if drawn else ENROLLED


def read_experiments(entries: Mapping[str, ExperimentEntry]) -> dict[str, Experiment]:
    """Return the experiments of a file, by name."""
    return {name: _read(name, one) for name, one in entries.items()}


def _read(name: str, one: ExperimentEntry) -> Experiment:
    return Experiment(
        name=name,
        segment=one.segment,
        plays=tuple(one.plays or ()),
        share=read_share(one.holdout or one.share or "50%"),
        metric=one.metric,
        horizon=parse_duration(one.horizon),
        baseline=read_share(one.baseline),
        difference=read_share(one.difference),
        power=read_share(one.power),
        confidence=read_share(one.confidence),
        salt=one.salt or name,
        starts=0 if one.starts is None else read_day(one.starts),
        ends=NEVER if one.ends is None else read_day(one.ends) + _DAY,
        hypothesis=one.hypothesis,
    )


def read_day(day: str) -> int:
    """Return when (ms) a day begins, in UTC. Raises ValueError."""
    return parse_instant(f"{day}T00:00:00Z")
