"""An experiment as the segments file has it, and the metrics that it can be read by."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from resegment.schemas.written import Day, PositiveDuration, Share, Text, Word

ExperimentMetric = Literal["reply", "positive_reply", "meeting", "opportunity", "win"]
"""What an account that was touched may come to."""

METRIC_ACTIONS: Final[dict[ExperimentMetric, tuple[str, ...]]] = {
    "reply": ("replied", "positive_reply"),
    "positive_reply": ("positive_reply",),
    "meeting": ("meeting_booked", "meeting_held"),
    "opportunity": ("opportunity_created",),
    "win": ("won",),
}
"""The actions of outcomes that count for a metric."""

USUAL_WINDOWS: Final[dict[ExperimentMetric, str]] = {
    "reply": "14d",
    "positive_reply": "14d",
    "meeting": "30d",
    "opportunity": "60d",
    "win": "180d",
}
"""How long after a touch most outcomes of a metric have come. A shorter horizon misses many."""


def _check_two(plays: list[str]) -> list[str]:
    if len(plays) != 2:
        raise ValueError("expected two plays: the one that is compared with, and the other one")
    return plays


TwoPlays = Annotated[
    list[Word], AfterValidator(_check_two), Field(json_schema_extra={"minItems": 2, "maxItems": 2})
]


class ExperimentEntry(BaseModel):
    """Compares two plays of one segment, or enrolling its accounts with not enrolling them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    segment: Word = Field(description="The segment whose accounts are drawn")
    description: Text | None = None
    hypothesis: Text | None = Field(None, description="What the result can prove wrong")
    plays: TwoPlays | None = Field(
        None, description="The play that the other one is compared with, and the other one"
    )
    share: Share | None = Field(
        None, description="The share of accounts that get the second play; default: 50%"
    )
    holdout: Share | None = Field(None, description="The share of accounts that is not enrolled")
    metric: ExperimentMetric = Field(description="The outcome that is counted")
    horizon: PositiveDuration = Field(description="How long after its touch an account's outcomes count")
    baseline: Share = Field(description="The share of accounts that have the outcome without the change")
    difference: Share = Field(
        description="The smallest difference worth finding, in percentage points: 3% on a baseline of 6% is 9%"
    )
    power: Share = Field("80%", description="How likely a difference of this size is found")
    confidence: Share = Field("95%", description="How likely no difference is reported where there is none")
    salt: Word | None = Field(
        None, description="Each salt draws different accounts; default: the experiment's name"
    )
    starts: Day | None = Field(None, description="The first day (UTC) on which accounts are drawn")
    ends: Day | None = Field(None, description="The last day (UTC) on which accounts are drawn")

    @model_validator(mode="after")
    def _check(self) -> ExperimentEntry:
        if (self.plays is None) is (self.holdout is None):
            raise ValueError("expected one of plays and holdout")
        if self.share is not None and self.plays is None:
            raise ValueError("share is for plays: the share that is not enrolled is that of holdout")
        if self.starts is not None and self.ends is not None and self.ends < self.starts:
            raise ValueError("an experiment ends on its first day or later")
        return self
