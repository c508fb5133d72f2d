"""What is measured, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from resegment.outcomes.measuring.names import By
from resegment.schemas.outcomes.experiments import METRIC_ACTIONS, USUAL_WINDOWS

ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "sent": ("sent",),
    **{str(metric): actions for metric, actions in METRIC_ACTIONS.items()},
    "unsubscribe": ("unsubscribed", "spam_complaint"),
    "bounce": ("bounced",),
}
"""The actions that count for each metric of touches. `retention` is of wins: those that did not churn in its window."""

RATES: Final = (*ACTIONS, "retention")
FUNNEL: Final = ("sent", "reply", "positive_reply", "meeting", "opportunity", "win")
LIFTED: Final = ("meeting", "opportunity", "win")
"""The metrics that a held-out account can reach as well as an enrolled one."""

OF_CONTACTS: Final = ("reply", "positive_reply", "meeting", "unsubscribe", "bounce")
HARM: Final = ("unsubscribe", "bounce")
"""The metrics of which more is worse."""

WINDOWS: Final[Mapping[str, int]] = {
    "sent": 14,
    **{str(metric): int(window.removesuffix("d")) for metric, window in USUAL_WINDOWS.items()},
    "retention": 365,
    "unsubscribe": 30,
    "bounce": 14,
}
"""For how many days after a touch an outcome counts, unless somebody says otherwise; `retention`: after the win."""

MARGINS: Final[Mapping[str, float]] = {
    "sent": 0.05,
    "reply": 0.03,
    "positive_reply": 0.02,
    "meeting": 0.02,
    "opportunity": 0.01,
    "win": 0.01,
    "retention": 0.05,
    "unsubscribe": 0.01,
    "bounce": 0.02,
}
"""Rates that differ by less than this are taken as equivalent. They are fixed before the data are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOptions:
    """How to measure. `until` is the instant as of which everything is judged; younger touches are left out.

    With `mature`, all metrics are measured on the touches that are old enough for all of them. `shares` is the declared
    share of each segment that is held out, and `version_shares` the same by the fingerprint of a version: a touch of a
    version that is named there, in a segment without a share, was not drawn. `detect` is the difference worth finding, as a share of the rate of all.
    """

    until: datetime
    since: datetime | None = None
    by: By = By.segment
    mature: bool = False
    windows: Mapping[str, int] = field(default_factory=lambda: WINDOWS)
    margins: Mapping[str, float] = field(default_factory=lambda: MARGINS)
    shares: Mapping[str, float] = field(default_factory=dict)
    version_shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    confidence: float = 0.95
    detect: float = 0.25
    power: float = 0.8
    seed: int = 0
