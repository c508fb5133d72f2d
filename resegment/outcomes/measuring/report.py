"""The report on outcomes: every figure with what it rests on. It is what `resegment metrics --json` prints."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from resegment.schemas.contracts.structs import struct_schema

Label = Literal["thin", "early", "solid"]
"""thin: fewer than 30 touches, or fewer than 5 with the outcome: read nothing into it. solid: the interval is no wider than
half the rate. early: in between."""

Verdict = Literal["thin", "differs", "equivalent", "not shown"]


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """An interval."""

    low: float
    high: float


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """k of n touches had the outcome within `window_days`. Touches that are younger wait, and are not in n.

    `interval` is Wilson's, for one look at a time chosen before. `always_valid` holds however often one looks.
    `more_touches` is how many more the group needs to tell `Report.detect` apart with `Report.power`.
    """

    metric: str
    k: int
    n: int
    waiting: int
    window_days: int
    rate: float | None
    interval: Range
    always_valid: Range
    label: Label
    more_touches: int | None = None


class ContactRate(msgspec.Struct, frozen=True, kw_only=True):
    """k of n contacts that were written to had the outcome. The unit is the account: delta method.

    `design_effect` is how many times the variance is that of as many independent contacts.
    """

    metric: str
    k: int
    n: int
    accounts: int
    window_days: int
    rate: float | None
    interval: Range
    always_valid: Range
    design_effect: float | None


class DealSize(msgspec.Struct, frozen=True, kw_only=True):
    """The size of won deals in US dollars, with bootstrap intervals (BCa of the mean, percentile of the median)."""

    n: int
    without_amount: int
    total: float
    mean: float | None = None
    mean_interval: Range | None = None
    median: float | None = None
    median_interval: Range | None = None


class CyclePoint(msgspec.Struct, frozen=True, kw_only=True):
    """What share of deals was won and lost by a day after they were opened."""

    day: float
    won: float
    interval: Range
    lost: float
    open: int


class Cycle(msgspec.Struct, frozen=True, kw_only=True):
    """How deals end, by Aalen-Johansen: won and lost compete, open deals are censored.

    `median_days` is by when half of those that are ever won are won, as far as it has been watched.
    """

    deals: int
    won: int
    lost: int
    open: int
    median_days: float | None
    at: list[CyclePoint]
    curve: list[CyclePoint]


class Shrunk(msgspec.Struct, frozen=True, kw_only=True):
    """A rate that borrows from the other groups (empirical Bayes), with its credible interval and its rank."""

    group: str
    k: int
    n: int
    raw: float
    raw_rank: int
    rate: float
    interval: Range
    rank: int


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """Groups by a metric. `strength` is the weight of the other groups, in touches."""

    metric: str
    mean: float
    strength: float
    groups: list[Shrunk]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two groups compared. `p_holm` is for decisions, `p_bh` for exploring; both count how many pairs were looked at.

    `p_equivalent` (Holm) is small where they differ by less than the margin.
    """

    one: str
    other: str
    difference: float
    interval: Range
    ratio: float | None
    ratio_interval: Range
    effect: float
    p: float
    p_holm: float
    p_bh: float
    p_equivalent: float
    verdict: Verdict


class AmountPair(msgspec.Struct, frozen=True, kw_only=True):
    """The mean deal sizes of two groups compared, by Welch's t."""

    one: str
    other: str
    difference: float
    interval: Range
    p: float
    p_holm: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Do the groups differ in a metric at all? `p` of one test of all, then each pair (the largest groups only).

    `effect` is Cramér's V.
    """

    metric: str
    statistic: float
    freedom: int
    p: float
    method: str
    effect: float
    differs: bool
    margin: float
    left_out: int
    pairs: list[Pair]


class AmountComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Do the groups differ in deal size? Welch's analysis of variance, then each pair."""

    statistic: float
    p: float
    differs: bool
    pairs: list[AmountPair]


class ArmRate(msgspec.Struct, frozen=True, kw_only=True):
    """k of n accounts of one arm, by the first touch of each."""

    k: int
    n: int
    interval: Range


class Lift(msgspec.Struct, frozen=True, kw_only=True):
    """What enrolling changes, by intention to treat: all accounts that were drawn, whatever happened to them later."""

    metric: str
    window_days: int
    enrolled: ArmRate
    holdout: ArmRate
    difference: float
    interval: Range
    always_valid: Range
    ratio: float | None
    ratio_interval: Range
    p: float
    p_holm: float
    extra: float
    label: Label
    more_accounts: int | None = None


class HoldoutCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the arms of a group have the sizes that were declared. Lifts are shown only where they have."""

    group: str
    enrolled: int
    holdout: int
    expected_holdout: float | None
    p: float | None
    passes: bool
    reason: str | None
    lifts: list[Lift]


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the touches of one segment, play, owner, version or channel."""

    name: str
    touches: int
    accounts: int
    held_out: int
    rates: list[Rate]
    contacts: list[ContactRate]
    deal_size: DealSize
    cycle: Cycle


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the figures say about the file, with the evidence and how sure it is.

    `p` is corrected for how many things of its kind were looked at (`tried`).
    """

    kind: str
    subjects: list[str]
    message: str
    advice: str
    evidence: list[str]
    p: float | None
    tried: int


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """How many touches of a group came as far as a stage, and no further so far."""

    group: str
    stage: str
    touches: int


class Uncredited(msgspec.Struct, frozen=True, kw_only=True):
    """Outcomes that are credited to no touch."""

    reason: str
    outcomes: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of touches, by group. Rates are of enrolled touches."""

    by: str
    since: str | None
    until: str
    mature: bool
    confidence: float
    detect: float
    power: float
    touches: int
    accounts: int
    held_out: int
    outcomes: int
    uncredited: list[Uncredited]
    dropped: int
    total: Group
    groups: list[Group]
    comparisons: list[Comparison]
    deal_sizes: AmountComparison | None
    rankings: list[Ranking]
    holdouts: list[HoldoutCheck]
    flows: list[Flow]
    findings: list[Finding]
    notes: list[str]


def metrics_schema() -> dict[str, Any]:
    """Return the JSON Schema of a report."""
    return struct_schema(Report, "What came of touches, as `resegment metrics --json` prints it")
