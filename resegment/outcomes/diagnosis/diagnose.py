"""Say what a report means for the segments file. Each finding has its evidence, and its p-value counts how many were tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final

from resegment.outcomes.diagnosis.contrast import (
    LEAST_TOUCHES,
    adjust,
    contrast,
    rate_of,
    tell_count,
)
from resegment.outcomes.measuring.options import HARM, MARGINS
from resegment.outcomes.measuring.report import Finding, Lift, Report
from resegment.outcomes.statistics.differences import difference_interval, equivalence_p_value

JUDGED: Final = ("reply", "win")
"""The first and the last answer of an account: what targeting and messaging are judged by."""


def diagnose(report: Report, margins: Mapping[str, float] = MARGINS) -> list[Finding]:
    """Return what the report says about the file, the surest of each kind first."""
    return [
        *_mismatches(report, margins),
        *_harm(report, margins),
        *_lifts(report),
        *_equal_pairs(report, margins),
        *_without_difference(report, margins),
    ]


def _mismatches(report: Report, margins: Mapping[str, float]) -> Iterator[Finding]:
    """Find groups that answer well and do not buy (targeting), or the other way around (messaging)."""
    replies, wins = (contrast(report, metric, margins[metric]) for metric in JUDGED)
    names = sorted(replies.keys() & wins.keys())
    # both sides have to be shown, so the larger p-value of a group counts; Holm over the groups
    adjusted = adjust([max(replies[name].p, wins[name].p) for name in names])
    for name, p in sorted(zip(names, adjusted, strict=True), key=lambda one: (one[1], one[0])):
        reply, win = replies[name], wins[name]
        if p >= 1 - report.confidence or reply.difference * win.difference >= 0:
            continue
        evidence = [reply.tell(), win.tell()]
        if reply.difference > 0:
            yield Finding(
                kind="targeting",
                subjects=[name],
                message=f"{name} answers more than the others and buys less: the message works, the targeting does not.",
                advice="Narrow its condition to accounts that can buy, or qualify them before a meeting.",
                evidence=evidence,
                p=p,
                tried=len(names),
            )
        else:
            yield Finding(
                kind="messaging",
                subjects=[name],
                message=f"{name} answers less than the others and buys more: the targeting works, the message does not.",
                advice="Change the play's message or channel before you change the segment; an experiment can compare two plays.",
                evidence=evidence,
                p=p,
                tried=len(names),
            )


def _harm(report: Report, margins: Mapping[str, float]) -> Iterator[Finding]:
    """Find groups that unsubscribe or bounce more than the others."""
    found = [
        (name, one) for metric in HARM for name, one in contrast(report, metric, margins[metric]).items()
    ]
    adjusted = adjust([one.p for _, one in found])
    for (name, one), p in sorted(zip(found, adjusted, strict=True), key=lambda item: (item[1], item[0][0])):
        if p < 1 - report.confidence and one.difference > 0:
            bounces = one.metric == "bounce"
            yield Finding(
                kind="hurts",
                subjects=[name],
                message=f"{name} {'bounces' if bounces else 'unsubscribes'} more than the others.",
                advice="Check where its addresses come from."
                if bounces
                else "Send it less, or say something else.",
                evidence=[one.tell()],
                p=p,
                tried=len(found),
            )


def _lifts(report: Report) -> Iterator[Finding]:
    """Find groups whose accounts would have come to more without outreach."""
    tried = sum(len(check.lifts) for check in report.holdouts)
    for check in report.holdouts:
        for lift in check.lifts:
            if lift.difference < 0 and lift.p_holm < 1 - report.confidence:
                yield Finding(
                    kind="hurts",
                    subjects=[check.group],
                    message=f"Outreach hurts in {check.group}: more of the accounts that were held out come to {lift.metric}.",
                    advice="Stop the play until you know why, and keep the holdout.",
                    evidence=[_tell_lift(lift)],
                    p=lift.p_holm,
                    tried=tried,
                )


def _tell_lift(lift: Lift) -> str:
    enrolled, held = (tell_count(one.k, one.n) for one in (lift.enrolled, lift.holdout))
    low, high = 100 * lift.interval.low, 100 * lift.interval.high
    return (
        f"{lift.metric}: enrolled {enrolled}, held out {held}; difference {100 * lift.difference:+.1f} points "
        f"({low:+.1f} to {high:+.1f})"
    )


def _equal_pairs(report: Report, margins: Mapping[str, float]) -> Iterator[Finding]:
    """Find pairs that are equivalent in the first and in the last answer: the lack of a difference is not enough."""
    names = [
        group.name
        for group in report.groups
        if all(rate_of(group, metric).n >= LEAST_TOUCHES for metric in JUDGED)
    ]
    groups = {group.name: group for group in report.groups}
    pairs = list(combinations(names, 2))
    p_values, evidence = [], []
    for pair in pairs:
        # equivalence has to be shown in every metric, so the larger p-value counts
        worst, told = 0.0, []
        for metric in JUDGED:
            one, other = (rate_of(groups[name], metric) for name in pair)
            counted = (one.k, one.n, other.k, other.n)
            worst = max(worst, float(equivalence_p_value(*counted, margins[metric])))
            low, high = difference_interval(*counted, 2 * report.confidence - 1)
            told.append(
                f"{metric}: {pair[0]} {tell_count(one.k, one.n)}, {pair[1]} {tell_count(other.k, other.n)}; the difference is "
                f"between {100 * float(low):+.1f} and {100 * float(high):+.1f} points, within ±{100 * margins[metric]:g}"
            )
        p_values.append(worst)
        evidence.append(told)
    for pair, p, told in sorted(
        zip(pairs, adjust(p_values), evidence, strict=True), key=lambda one: (one[1], one[0])
    ):
        if p < 1 - report.confidence:
            yield Finding(
                kind="merge",
                subjects=list(pair),
                message=f"{pair[0]} and {pair[1]} come to the same: they can be one {report.by}.",
                advice="Merge them if nothing else tells them apart, and use the touches to learn something new.",
                evidence=told,
                p=p,
                tried=len(pairs),
            )


def _without_difference(report: Report, margins: Mapping[str, float]) -> Iterator[Finding]:
    """Find groups that are equivalent to all the others together: to be in them says nothing about outcomes."""
    if len(report.groups) < 3:
        return  # of two, the pair says it
    contrasts = [contrast(report, metric, margins[metric]) for metric in JUDGED]
    names = sorted(contrasts[0].keys() & contrasts[1].keys())
    adjusted = adjust([max(one[name].p_equivalent for one in contrasts) for name in names])
    for name, p in sorted(zip(names, adjusted, strict=True), key=lambda one: (one[1], one[0])):
        if p < 1 - report.confidence:
            yield Finding(
                kind="predicts-nothing",
                subjects=[name],
                message=f"{name} predicts nothing: its outcomes are those of the others.",
                advice="Ask what it is for: another message, another owner, or nothing.",
                evidence=[one[name].tell() for one in contrasts],
                p=p,
                tried=len(names),
            )
