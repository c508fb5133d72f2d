"""Words and figures of reports on outcomes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from resegment.console.counts import count
from resegment.console.dates import spell_day
from resegment.outcomes.measuring.report import Comparison, Finding, HoldoutCheck, Pair, Range, Rate, Report
from resegment.schemas.times import parse_instant

CORE: Final = ("reply", "positive_reply", "meeting", "opportunity", "win")
"""The metrics that are shown unless somebody asks for others."""

SHOWN: Final = (*CORE, "retention", "unsubscribe", "bounce", "sent")
"""All metrics, in the order of a report."""

LABELS: Final = {
    "thin": "thin: fewer than 30 touches, or fewer than 5 with the outcome. Read nothing into it.",
    "early": "early: the interval is wider than half the rate.",
    "solid": "solid: the interval is no wider than half the rate.",
}


def name_metric(metric: str) -> str:
    """Return a metric in words."""
    return metric.replace("_", " ")


def spell_share(share: float | None, digits: int = 1) -> str:
    """Return a share in percent."""
    return "–" if share is None else f"{100 * share:.{digits}f}%"


def spell_range(interval: Range | None, digits: int = 1) -> str:
    """Return an interval of shares in percent."""
    if interval is None:
        return "–"
    return f"{100 * interval.low:.{digits}f}–{100 * interval.high:.{digits}f}%"


def spell_points(difference: float, digits: int = 1) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return f"{100 * difference:+.{digits}f}".replace("-", "−")


def spell_points_range(interval: Range) -> str:
    """Return an interval of differences in percentage points."""
    return f"{spell_points(interval.low)} to {spell_points(interval.high)}"


def spell_p(p: float | None) -> str:
    """Return a p-value."""
    if p is None:
        return "–"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def spell_amount(amount: float | None) -> str:
    """Return an amount in US dollars, shortened."""
    if amount is None:
        return "–"
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(amount) >= size:
            return f"${amount / size:.3g}{unit}"
    return f"${amount:.0f}"


def spell_amounts(interval: Range | None) -> str:
    """Return an interval of amounts."""
    return "–" if interval is None else f"{spell_amount(interval.low)}–{spell_amount(interval.high)}"


def spell_days(days: float | None) -> str:
    """Return a number of days."""
    return "–" if days is None else f"{days:.0f} d"


def headline(report: Report) -> str:
    """Return what the report is about, in a line."""
    touches = f"{count(report.touches, 'touch').replace('touchs', 'touches')} of {count(report.total.accounts, 'account')}"
    since = "" if report.since is None else f" since {spell_day(parse_instant(report.since))}"
    held = f", {report.held_out:,} held out" if report.held_out else ""
    return f"{touches}{since} by {report.by}, as of {spell_day(parse_instant(report.until))}{held}"


def verdict(report: Report) -> str:
    """Return whether the groups differ, in a sentence or two."""
    core = [one for one in report.comparisons if one.metric in CORE]
    if not core:
        return "There is nothing to compare yet: fewer than two groups have touches that are old enough."
    apart = [one for one in core if any(pair.verdict == "differs" for pair in one.pairs)]
    rest = [name_metric(one.metric) for one in core if one not in apart]
    plural = f"{report.by}s"
    parts = []
    if apart:
        named = ", ".join(f"{name_metric(one.metric)} ({spell_p(one.p)})" for one in apart)
        parts.append(f"The {plural} differ in {named}.")
    if rest:
        parts.append(f"No difference is shown in {', '.join(rest)}.")
    return " ".join(parts)


def list_differences(comparison: Comparison, limit: int) -> Iterator[str]:
    """Yield the pairs that differ, the surest first."""
    apart = sorted(
        (one for one in comparison.pairs if one.verdict == "differs"), key=lambda one: (one.p_holm, one.one)
    )
    for pair in apart[:limit]:
        yield tell_pair(pair)
    if len(apart) > limit:
        yield f"and {count(len(apart) - limit, 'more pair')}"


def tell_pair(pair: Pair) -> str:
    """Return how two groups differ."""
    high, low = (pair.one, pair.other) if pair.difference >= 0 else (pair.other, pair.one)
    ends = sorted((abs(pair.interval.low), abs(pair.interval.high)))
    points = f"{100 * abs(pair.difference):.1f} points ({100 * ends[0]:.1f} to {100 * ends[1]:.1f})"
    return f"{high} above {low} by {points}, {spell_p(pair.p_holm)} after Holm"


def tell_more(rate: Rate) -> str:
    """Return how many more touches a group needs."""
    if rate.more_touches is None:
        return "–"
    return f"{rate.more_touches:,}" if rate.more_touches else "enough"


def tell_sureness(finding: Finding) -> str:
    """Return how sure a finding is, and of how many that were looked at."""
    tried = f"{finding.tried:,} looked at"
    return tried if finding.p is None else f"{spell_p(finding.p)} after Holm, {tried}"


def tell_check(check: HoldoutCheck) -> str:
    """Return whether the arms of a group are comparable."""
    sizes = f"{check.enrolled:,} enrolled, {check.holdout:,} held out"
    if check.passes and check.expected_holdout is not None:
        return f"{sizes}; {check.expected_holdout:,.0f} expected, {spell_p(check.p)}: comparable"
    return f"{sizes}: no lift shown. {check.reason[:1].upper()}{check.reason[1:]}." if check.reason else sizes


def nice_top(value: float) -> float:
    """Return a round number at or above a share, for the end of an axis."""
    if value <= 0:
        return 0.01
    size: float = 10 ** math.floor(math.log10(value))
    return float(min(1.0, next(step * size for step in (1, 2, 4, 6, 8, 10) if step * size >= value - 1e-12)))
