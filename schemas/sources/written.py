"""What a segments file says about sources: how often events come, and which facts of several are one."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from resegment.schemas.written import PositiveDuration, Share, Word


class Part(BaseModel):
    """A part of the file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SameFunding(Part):
    """Funding rounds of different sources that are one round."""

    within: PositiveDuration = Field(description="How far apart their times may be, like 30d")
    amount: Share | None = Field(
        None, description="How much their amounts may differ, like 20% of the larger"
    )


class SameLeadership(Part):
    """Changes of leaders of different sources that are one change."""

    within: PositiveDuration = Field(description="How far apart their times may be, like 30d")
    person: PositiveDuration | None = Field(
        None, description="How far apart the times of two may be that name the same person"
    )


class SameHiring(Part):
    """Job postings of different sources that are one posting."""

    within: PositiveDuration = Field(description="How far apart their times may be, like 30d")


class Source(Part):
    """How often events come from a source."""

    every: PositiveDuration | Literal["never"] = Field(
        description="The source is silent after this time without an event, like 1d; never: it is never silent"
    )


class Same(Part):
    """Which facts of different sources are one fact."""

    trust: list[Word] = Field([], description="Sources, the most trusted first")
    funding: SameFunding | None = None
    leadership: SameLeadership | None = None
    hiring: SameHiring | None = None
