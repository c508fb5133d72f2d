"""Set a segments file, or a plan for one, beside a report on outcomes that was saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import hypot
from typing import Final

import msgspec

from resegment.documents.diagnostics import Diagnostic
from resegment.errors import UserError
from resegment.outcomes.measuring.report import Finding, Range, Ranking, Report, Shrunk
from resegment.schemas.logs.decoding import decode_value
from resegment.segmentation.definition import Definition
from resegment.segmentation.planning.plan import ExpectedOutcome, PlannedFlow, Span

_decoder: Final = msgspec.json.Decoder(Report)

EXPECTED: Final = ("reply", "meeting", "win")
"""The metrics of which a plan says what to expect."""

LINTED: Final = ("predicts-nothing", "merge", "targeting", "messaging", "hurts")
"""The findings about segments, as codes of diagnostics."""


class WrongReport(UserError):
    """A file is no report on outcomes."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(
            f"{path} is no report on outcomes: {problem}",
            remedy="Write one with `resegment metrics --json > outcomes.json`, by segment.",
        )
        self.path = path


def decode_report(path: str, data: bytes) -> Report:
    """Return the report of a file that `resegment metrics --json` wrote, by segment. Raises WrongReport."""
    try:
        report = decode_value(_decoder, data)
    except msgspec.DecodeError as error:
        raise WrongReport(path, str(error)) from error
    if report.by != "segment":
        raise WrongReport(path, f"it is by {report.by}, not by segment")
    return report


def lint_outcomes(definition: Definition, report: Report) -> Iterator[Diagnostic]:
    """Yield a warning for each finding about a segment of the file, at the segment that stands last."""
    order = {one.name: one for one in definition.segments}
    for finding in report.findings:
        subjects = [order[name] for name in finding.subjects if name in order]
        if finding.kind not in LINTED or len(subjects) < len(finding.subjects):
            continue
        path = subjects[-1].path
        places = definition.document.places
        place = places.get(path, places[()])
        yield Diagnostic("warning", finding.kind, tell_finding(finding), path, place, finding.advice)


def warn_of(names: Sequence[str], report: Report) -> list[str]:
    """Return a warning for each segment of a new file of which outcomes say that it predicts nothing."""
    return [
        tell_finding(finding)
        for finding in report.findings
        if finding.kind == "predicts-nothing" and set(finding.subjects) <= set(names)
    ]


def tell_finding(finding: Finding) -> str:
    """Return a finding with its evidence in one line."""
    return f"{finding.message} {'; '.join(finding.evidence)}"


def expect(flows: Sequence[PlannedFlow], report: Report) -> tuple[ExpectedOutcome, ...]:
    """Return what the accounts of each flow would come to at the rates of both segments, if each is touched once."""
    return tuple(
        ExpectedOutcome(
            from_=flow.from_,
            to=flow.to,
            metric=metric,
            accounts=flow.accounts,
            before=_expect(report, flow.from_, metric, flow.accounts),
            after=_expect(report, flow.to, metric, flow.accounts),
        )
        for flow in flows
        if not flow.renamed
        for metric in EXPECTED
    )


def _expect(report: Report, segment: str, metric: str, accounts: int) -> Span | None:
    """Return the number to expect at the rate of a segment: the shrunk one if there are groups to borrow from."""
    ranking = next((one for one in report.rankings if one.metric == metric), None)
    shrunk = next((one for one in ranking.groups if one.group == segment), None) if ranking else None
    if ranking is not None and shrunk is not None:
        return _span(shrunk.rate, _widen(report, ranking, shrunk), accounts)
    group = next((one for one in report.groups if one.name == segment), None)
    rate = next((one for one in group.rates if one.metric == metric), None) if group else None
    if rate is None or rate.rate is None:
        return None
    return _span(rate.rate, rate.interval, accounts)


def _widen(report: Report, ranking: Ranking, shrunk: Shrunk) -> Range:
    """Return the interval of a shrunk rate with what is not known of the mean that it borrows from.

    C. N. Morris, "Parametric empirical Bayes inference", JASA 78 (1983) 47-55: both errors add, the mean's by its weight; the
    distances of ends are joined as those of G. Y. Zou and A. Donner, Statistics in Medicine 27 (2008) 1693-1702.
    """
    total = next(one for one in report.total.rates if one.metric == ranking.metric)
    mean, weight = total.rate or 0.0, ranking.strength / (ranking.strength + shrunk.n)
    low = hypot(shrunk.rate - shrunk.interval.low, weight * (mean - total.interval.low))
    high = hypot(shrunk.interval.high - shrunk.rate, weight * (total.interval.high - mean))
    return Range(low=max(0.0, shrunk.rate - low), high=min(1.0, shrunk.rate + high))


def _span(rate: float, interval: Range, accounts: int) -> Span:
    return Span(expected=accounts * rate, low=accounts * interval.low, high=accounts * interval.high)
